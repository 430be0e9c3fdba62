"""The arithmetic of one payment: what was captured, what is reserved, what is still refundable.

Pure. Amounts are integers in the payment's minor unit. Every function returns the payment as it
would be after the step; the ledger writes it together with the refund, in one transaction, and only
over the revision that it was computed from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.refund import STRIPE, UNLINKED, Refund
from refund_bridge.domain.state_machine import UNBOUND, ReportState, State

SCHEMA_VERSION: Final = 1
DOUBTFUL_MAX: Final = 50


class SlotTakenError(Exception):
    """Another refund has the payment's slot; a payment never has two unbound refunds."""


@dataclass(frozen=True, slots=True)
class PaymentKey:
    """A payment's identity: the processor's name, and the charge id as the processor spells it.

    For an unlinked refund, which has no payment, see ``unlinked_payment_key``.
    """

    processor: str
    charge_id: str

    @property
    def is_unlinked(self) -> bool:
        """Whether it stands only for unlinked refunds; the processor knows no such payment."""
        return self.charge_id.startswith(UNLINKED)

    @property
    def is_stripes_own(self) -> bool:
        """Whether Stripe itself took the payment, so that its refunds are never reported."""
        return self.processor == STRIPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the ledger keeps it.

    Attributes:
        payment_record: the Stripe Payment Record that books this charge; the two claim each other.
        captured: what the customer paid, minor units.
        held: the amount reserved: the sum of all refunds in the ledger (imported ones included)
            that moved money or may.
        moved: the part of ``held`` that succeeded.
        foreign_in_book: what Stripe showed as refunded beyond all that may be ours, if the charge
            was not read.
        foreign_on_charge: what the processor showed as refunded beyond what of ours has moved, if
            it lists no refunds.
        slot: id of the one refund that may have moved money without being bound to a processor
            refund.
        waiting: ids of the scheduled refunds that await their turn, in that order.
        doubtful: ids of refunds that failed without evidence: if a processor refund turns up later,
            it may belong to one of these. Oldest first; beyond ``DOUBTFUL_MAX`` the oldest are
            dropped.
        bound_amount: sum of our refunds that are bound to a processor refund which has not failed.
        booked: sum of the refunds that are reported, no matter who reported them.
        report_due_count: the number of reports that are due.
        report_due_amount: the sum of the reports that are due.
        report_failed_amount: sum of the reports that failed; Stripe may show them or not.
        before_adoption: sum of the refunds that are older than this service and, as far as is
            known, not reported.
        taken_back: the part of ``moved`` that the processor took back.
        report_lease_until_ms: until when only one worker may report refunds of the payment.
        unexplained: what Stripe showed as refunded beyond ``booked`` and ``accepted_excess`` when
            its record was last read; ``None``: it was not read yet.
        accepted_excess: what Stripe shows too much, as far as a person has accepted it.
        arrival: when the money of its refunds reaches the customer, if the processor says so.
    """

    key: PaymentKey
    payment_record: str | None
    currency: str
    captured: int
    held: int = 0
    moved: int = 0
    foreign_in_book: int = 0
    foreign_on_charge: int = 0
    slot: str | None = None
    waiting: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    bound_amount: int = 0
    booked: int = 0
    report_due_count: int = 0
    report_due_amount: int = 0
    report_failed_amount: int = 0
    before_adoption: int = 0
    taken_back: int = 0
    report_lease_until_ms: int | None = None
    unexplained: int | None = None
    accepted_excess: int = 0
    arrival: Arrival | None = None
    revision: int = 0
    schema_version: int = SCHEMA_VERSION

    @property
    def foreign(self) -> int:
        """What others refunded and is known only as a sum: the larger of the two sums counts."""
        return max(self.foreign_in_book, self.foreign_on_charge)

    @property
    def is_out_of_step(self) -> bool:
        """Whether Stripe showed another sum than what is reported when its record was last read."""
        return self.payment_record is not None and self.unexplained not in (None, 0)

    @property
    def is_over_refunded(self) -> bool:
        """Whether more was refunded, or may have been, than the customer paid."""
        return self.held + self.foreign > self.captured

    @property
    def is_unused(self) -> bool:
        """Whether no refund of it moved money or still may, so that its link may be replaced."""
        return not self.held

    @property
    def refundable(self) -> int:
        """The refundable balance, minor units; never negative."""
        return self.refundable_beside(0)

    def refundable_beside(self, already_held: int) -> int:
        """The refundable balance for a refund that has itself reserved ``already_held`` of it."""
        return max(0, self.captured - self.held - self.foreign + already_held)

    @property
    def refunded(self) -> int:
        """What was refunded to the customer, as far as is known."""
        return self.moved + self.foreign

    @property
    def status(self) -> str:
        """``succeeded``, ``partially_refunded`` or ``refunded``."""
        if self.refunded == 0:
            return "succeeded"
        return "refunded" if self.refunded >= self.captured else "partially_refunded"


def unlinked_payment_key(processor: str, named: str) -> PaymentKey:
    """The key of the ledger's payment for unlinked refunds that belong to no charge.

    ``named`` is the id of the Payment Record that they are reported to, else that of the refund.
    """
    return PaymentKey(processor, f"{UNLINKED}{named}")


def payment_key_of(refund: Refund) -> PaymentKey:
    """The key of the payment that the refund belongs to."""
    return PaymentKey(refund.processor, refund.processor_payment_id)


def follow(payment: Payment, before: Refund | None, after: Refund) -> Payment:
    """The payment after one of its refunds went from ``before`` to ``after``.

    This function does all of the bookkeeping. Each counter is computed from the two states, so that
    reserving, releasing, binding and reporting can neither be forgotten nor be counted twice.

    Raises:
        SlotTakenError: another refund has the slot that ``after`` needs.
    """
    return replace(
        payment,
        held=payment.held + _held(after) - _held(before),
        moved=payment.moved + _moved(after) - _moved(before),
        bound_amount=payment.bound_amount + _bound(after) - _bound(before),
        booked=payment.booked + _booked(after) - _booked(before),
        report_due_count=payment.report_due_count + _is_due(after) - _is_due(before),
        report_due_amount=payment.report_due_amount + _due(after) - _due(before),
        report_failed_amount=payment.report_failed_amount
        + _undelivered(after)
        - _undelivered(before),
        before_adoption=payment.before_adoption + _old(after) - _old(before),
        taken_back=payment.taken_back + _back(after) - _back(before),
        slot=_slot(payment, after),
        waiting=_waiting(payment, before, after),
        doubtful=_doubtful(payment, before, after),
    )


def learn_arrival(payment: Payment, arrival: Arrival | None) -> Payment:
    """The payment with the arrival that the processor says now; unchanged if it says none."""
    return payment if arrival is None else replace(payment, arrival=arrival)


def recounted(payment: Payment, refunds: Sequence[Refund]) -> Payment | None:
    """The payment with the sums of what Stripe was told counted anew from all of its ``refunds``.

    This is needed because a former release counted refunds older than this service as booked.
    ``None``: the refunds do not add up to the reserved amount, so some are missing or they were not
    read at one moment.
    """
    if sum(_held(refund) for refund in refunds) != payment.held:
        return None
    return replace(
        payment,
        booked=sum(_booked(refund) for refund in refunds),
        before_adoption=sum(_old(refund) for refund in refunds),
        taken_back=sum(_back(refund) for refund in refunds),
    )


def learn_foreign(payment: Payment, *, in_book: int | None, on_charge: int | None) -> Payment:
    """The payment with the sums of others' refunds as just read, in minor units.

    ``on_charge`` is what the processor shows beyond the refunds that the ledger knows (0 if it
    lists its refunds, because then each is imported); ``None``: the charge was not read. In that
    case ``in_book``, all that Stripe shows as refunded, is used: what no refund of ours explains
    was made by others.
    """
    if in_book is not None:
        gap = in_book - payment.booked - payment.accepted_excess
        payment = replace(payment, unexplained=gap)
    if on_charge is not None:
        return replace(payment, foreign_on_charge=max(0, on_charge), foreign_in_book=0)
    if in_book is None:
        return payment
    # What is reported is ours. It is not known whether Stripe's sum includes refunds whose report
    # is due or failed, or that are older than this service. So that part may be others'; but what
    # was certainly others' before still is.
    perhaps = in_book - payment.booked - payment.accepted_excess
    open_reports = payment.report_due_amount + payment.report_failed_amount
    surely = perhaps - open_reports - payment.before_adoption
    others = min(perhaps, max(payment.foreign_in_book, surely))
    return replace(payment, foreign_in_book=max(0, others))


def _held(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.holds_headroom else 0


def _moved(refund: Refund | None) -> int:
    if refund is None or refund.is_given_back:
        return 0
    return refund.amount if refund.state is State.SUCCEEDED else 0


def _bound(refund: Refund | None) -> int:
    if refund is None or refund.processor_refund_id is None or not refund.holds_headroom:
        return 0
    return refund.amount


def _is_due(refund: Refund | None) -> int:
    return int(refund is not None and refund.report.state is ReportState.DUE)


def _due(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.report.state is ReportState.DUE else 0


def _undelivered(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.report.state is ReportState.FAILED else 0


def _booked(refund: Refund | None) -> int:
    is_booked = refund is not None and refund.report.state is ReportState.REPORTED
    return refund.amount if refund is not None and is_booked else 0


def _old(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.is_before_adoption else 0


def _back(refund: Refund | None) -> int:
    is_back = refund is not None and refund.late_failure_at_ms is not None
    return _moved(refund) if is_back else 0


def _slot(payment: Payment, after: Refund) -> str | None:
    if after.state in UNBOUND and after.processor_refund_id is None:
        if payment.slot not in (None, after.id):
            raise SlotTakenError(f"{payment.slot} has the slot that {after.id} needs")
        return after.id
    return None if payment.slot == after.id else payment.slot


def _waiting(payment: Payment, before: Refund | None, after: Refund) -> tuple[str, ...]:
    """The waiting refunds, in order of acceptance; one deferred during its turn comes first."""
    if after.state is not State.REQUESTED:
        return tuple(waiting for waiting in payment.waiting if waiting != after.id)
    if after.id in payment.waiting:
        return payment.waiting
    return (*payment.waiting, after.id) if before is None else (after.id, *payment.waiting)


def _doubtful(payment: Payment, before: Refund | None, after: Refund) -> tuple[str, ...]:
    settled = (after.contradicts, after.id if after.state is not State.FAILED else None)
    doubtful = tuple(one for one in payment.doubtful if one not in settled)
    was_unbound = before is not None and before.state in UNBOUND
    if was_unbound and after.state is State.FAILED and after.processor_refund_id is None:
        doubtful = (*doubtful, after.id)
    return doubtful[-DOUBTFUL_MAX:]


def revision_after(before: Refund | Payment | None) -> int:
    """The revision that the ledger gives to the item that replaces ``before``."""
    return 1 if before is None else before.revision + 1
