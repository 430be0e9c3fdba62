"""The arithmetic of one payment: what was captured, what is held, what may still be refunded.

Pure. Amounts are integers in the payment's minor unit. Every function returns the payment as it
would be after the step; the ledger writes it together with the refund, in one transaction, and only
over the revision that it was computed from.
"""

from dataclasses import dataclass, replace
from typing import Final

from refunds.arrival import Arrival
from refunds.refund import Refund
from refunds.state_machine import FREED, UNBOUND, ReportState, State

SCHEMA_VERSION: Final = 1
DOUBTFUL_MAX: Final = 50
# No processor's own ids look like this.
_UNLINKED: Final = "unlinked/"


class SlotTakenError(Exception):
    """Two refunds of one payment would have an unbound movement: a defect, never to be stored."""


@dataclass(frozen=True, slots=True)
class PaymentKey:
    """A payment's identity: the processor's name and the charge id as it spells it itself.

    For an unlinked refund, which has no payment, see ``unlinked_payment_key``.
    """

    processor: str
    charge_id: str

    @property
    def is_unlinked(self) -> bool:
        """Whether the processor knows no such payment."""
        return self.charge_id.startswith(_UNLINKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the ledger keeps it.

    Attributes:
        payment_record: the Stripe Payment Record that books this charge; the two claim each other.
        captured: what the customer paid, minor units.
        held: sum of all our refunds of it that moved money or may (imported ones included).
        moved: the part of ``held`` that succeeded.
        foreign_in_book: what Stripe shows as refunded that no report of ours stands for.
        foreign_doubt: by how much ``foreign_in_book`` may be too low, since reports of ours that
            were due or had failed may or may not have been in Stripe's sum when it was learnt.
        foreign_on_charge: what the processor shows as refunded that no refund of ours stands for.
            Lowered only by what gets a refund of its own.
        slot: id of the one refund that may have a movement without a bound id.
        waiting: ids of the scheduled refunds that await their turn, in that order.
        doubtful: ids of refunds that failed without evidence: should a movement turn up after all,
            it may be one of these. The oldest come first, and are let go first.
        bound_amount: sum of our refunds that are bound to a movement which has not failed.
        booked: what Stripe shows of ours: reported by us, or there before we first saw it.
        report_due_count: reports owed but not confirmed.
        report_due_amount: their sum.
        report_failed_amount: sum of the reports that failed; Stripe may show them or not.
        first_seen_ms: when the payment was first seen here; what others had refunded by then is
            taken to be in Stripe's book already.
        arrival: when the money of its refunds reaches the customer, if the processor says so.
    """

    key: PaymentKey
    payment_record: str | None
    currency: str
    captured: int
    held: int = 0
    moved: int = 0
    foreign_in_book: int = 0
    foreign_doubt: int = 0
    foreign_on_charge: int = 0
    slot: str | None = None
    waiting: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    bound_amount: int = 0
    booked: int = 0
    report_due_count: int = 0
    report_due_amount: int = 0
    report_failed_amount: int = 0
    first_seen_ms: int = 0
    arrival: Arrival | None = None
    revision: int = 0
    schema_version: int = SCHEMA_VERSION

    @property
    def foreign(self) -> int:
        """What others refunded: two views of the same movements, so the larger one counts."""
        return max(self.foreign_in_book, self.foreign_on_charge)

    @property
    def refundable(self) -> int:
        """What may still be asked for, minor units; never negative."""
        return self.refundable_beside(0)

    def refundable_beside(self, already_held: int) -> int:
        """What may still be refunded by a refund that holds ``already_held`` of it itself."""
        return max(0, self.captured - self.held - self.foreign + already_held)

    @property
    def refunded(self) -> int:
        """What went back to the customer, as far as is known."""
        return self.moved + self.foreign

    @property
    def status(self) -> str:
        """``succeeded``, ``partially_refunded`` or ``refunded``."""
        if self.refunded == 0:
            return "succeeded"
        return "refunded" if self.refunded >= self.captured else "partially_refunded"


def unlinked_payment_key(processor: str, named: str) -> PaymentKey:
    """What stands for the payment of unlinked refunds that have none.

    ``named`` is the Payment Record that they are reported to, else the one refund itself.
    """
    return PaymentKey(processor, f"{_UNLINKED}{named}")


def payment_key_of(refund: Refund) -> PaymentKey:
    """The key of the payment that the refund belongs to."""
    return PaymentKey(refund.processor, refund.processor_payment_id)


def follow(payment: Payment, before: Refund | None, after: Refund) -> Payment:
    """The payment after one of its refunds went from ``before`` to ``after``.

    All of the bookkeeping hangs on this one function, so that holding, freeing, binding and
    reporting can neither be forgotten nor be done twice: each counter follows from the two states.

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
        slot=_slot(payment, after),
        waiting=_waiting(payment, before, after),
        doubtful=_doubtful(payment, before, after),
    )


def learn_arrival(payment: Payment, arrival: Arrival | None) -> Payment:
    """The payment with what the processor says of its method now; nothing said changes nothing."""
    return payment if arrival is None else replace(payment, arrival=arrival)


def report_counted(before: Refund, after: Refund) -> dict[str, int]:
    """By how much each counter of the payment changes when a refund's report alone moves on.

    Raises:
        ValueError: more than the report has changed, so that the rest would go uncounted.
    """
    if (before.state, before.processor_refund_id) != (after.state, after.processor_refund_id):
        raise ValueError(f"more than the report of {after.id} has changed")
    return {
        "booked": _booked(after) - _booked(before),
        "report_due_count": _is_due(after) - _is_due(before),
        "report_due_amount": _due(after) - _due(before),
        "report_failed_amount": _undelivered(after) - _undelivered(before),
    }


def learn_foreign(payment: Payment, *, in_book: int | None, on_charge: int) -> Payment:
    """The payment with what others refunded, minor units.

    ``in_book`` is all that Stripe shows as refunded, if it was asked; ``on_charge`` what the
    processor shows beyond the refunds that are known here.
    """
    learnt = replace(payment, foreign_on_charge=max(payment.foreign_on_charge, on_charge))
    if in_book is None:
        return learnt
    # Whether these are in Stripe's sum is not known, so they are not counted as somebody else's.
    doubt = payment.report_due_amount + payment.report_failed_amount
    foreign = in_book - payment.booked - doubt
    if foreign > payment.foreign_in_book:
        return replace(learnt, foreign_in_book=foreign, foreign_doubt=doubt)
    if foreign == payment.foreign_in_book and not doubt:
        return replace(learnt, foreign_doubt=0)
    return learnt


def no_longer_foreign(payment: Payment, imported: Refund) -> Payment:
    """The payment after a movement that was known as a sum only got a refund of its own."""
    in_book = imported.amount if imported.is_adopted else 0
    return replace(
        payment,
        foreign_in_book=max(0, payment.foreign_in_book - in_book),
        foreign_on_charge=max(0, payment.foreign_on_charge - imported.amount),
    )


def _held(refund: Refund | None) -> int:
    return 0 if refund is None or refund.state in FREED else refund.amount


def _moved(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.state is State.SUCCEEDED else 0


def _bound(refund: Refund | None) -> int:
    if refund is None or refund.processor_refund_id is None or refund.state in FREED:
        return 0
    return refund.amount


def _is_due(refund: Refund | None) -> int:
    return int(refund is not None and refund.report.state is ReportState.DUE)


def _due(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.report.state is ReportState.DUE else 0


def _undelivered(refund: Refund | None) -> int:
    return refund.amount if refund is not None and refund.report.state is ReportState.FAILED else 0


def _booked(refund: Refund | None) -> int:
    """What Stripe shows of a refund: reported, or imported as older than our first sight."""
    if refund is None or refund.state in FREED:
        return 0
    in_book = refund.is_adopted or refund.report.state is ReportState.REPORTED
    return refund.amount if in_book else 0


def _slot(payment: Payment, after: Refund) -> str | None:
    if after.state in UNBOUND and after.processor_refund_id is None:
        if payment.slot not in (None, after.id):
            raise SlotTakenError(f"{payment.slot} has the slot that {after.id} needs")
        return after.id
    return None if payment.slot == after.id else payment.slot


def _waiting(payment: Payment, before: Refund | None, after: Refund) -> tuple[str, ...]:
    """In order of acceptance; one that was deferred in the middle of its turn stays first."""
    if after.state is not State.REQUESTED:
        return tuple(waiting for waiting in payment.waiting if waiting != after.id)
    if after.id in payment.waiting:
        return payment.waiting
    return (*payment.waiting, after.id) if before is None else (after.id, *payment.waiting)


def _doubtful(payment: Payment, before: Refund | None, after: Refund) -> tuple[str, ...]:
    doubtful = tuple(one for one in payment.doubtful if one != after.contradicts)
    was_unbound = before is not None and before.state in UNBOUND
    if was_unbound and after.state is State.FAILED and after.processor_refund_id is None:
        doubtful = (*doubtful, after.id)
    return doubtful[-DOUBTFUL_MAX:]


def revision_after(before: Refund | Payment | None) -> int:
    """The revision that the ledger gives to what replaces ``before``."""
    return 1 if before is None else before.revision + 1
