"""Ledger, processor and Stripe side by side: every difference on one payment, by its kind. Pure.

The three may rightly differ for a while: a refund is being settled, a report is on its way. While
that is younger than the grace it counts as open, not as a difference.

::

    ledger ↔ processor   refund by refund: each processor refund belongs to one refund, and has the
                         amount and the state that the refund says
    ledger ↔ itself      the payment's sums follow from its refunds
    ledger ↔ Stripe      by sums, since Stripe lists no refunds: it shows at least what must have
                         been reported, and at most that and what may have been reported
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import stands_for
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FREED, ReportState, State


class Kind(StrEnum):
    """The kinds of differences."""

    NOT_SETTLED = "not_settled"
    NOT_REPORTED = "not_reported"
    REPORT_FAILED = "report_failed"
    TAKEN_BACK = "taken_back"
    CHARGE_MISSING = "charge_missing"
    CHARGE_UNREADABLE = "charge_unreadable"
    CHARGE_DIFFERS = "charge_differs"
    OVER_REFUNDED = "over_refunded"
    PROCESSOR_REFUND_MISSING = "movement_missing"
    PROCESSOR_REFUND_DIFFERS = "movement_differs"
    PROCESSOR_REFUND_SHARED = "movement_shared"
    PROCESSOR_REFUND_UNCLAIMED = "movement_unclaimed"
    CLAIM_DIFFERS = "claim_differs"
    LEDGER_SUM_DIFFERS = "ledger_sum_differs"
    RECORD_MISSING = "record_missing"
    RECORD_DIFFERS = "record_differs"
    STRIPE_LOWER = "stripe_lower"
    STRIPE_HIGHER = "stripe_higher"
    CHARGE_UNKNOWN = "charge_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What each side shows, minor units; ``None`` where the side shows nothing about it."""

    ledger: int | None = None
    processor: int | None = None
    stripe: int | None = None


_NONE: Final = Amounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference.

    Attributes:
        says: one sentence for a person.
        amounts: what each side shows, in ``currency``, if amounts differ.
    """

    kind: Kind
    says: str
    charge_id: str
    payment_record: str | None
    currency: str
    refund_id: str | None = None
    processor_refund_id: str | None = None
    amounts: Amounts = _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """One payment on all sides.

    Attributes:
        refunds: all that the ledger has of the payment.
        charge: ``None`` if the processor has no charge of that id.
        claimed: for each processor refund on the charge that is claimed, the refund that claims it.
        record: ``None`` if Stripe has no record of that id, or no record books the payment.
        now_ms: Unix milliseconds.
        grace_ms: for how long something that is not final is no difference.
    """

    payment: Payment
    refunds: Sequence[Refund]
    charge: Charge | None
    claimed: Mapping[str, str]
    record: PaymentRecord | None
    now_ms: int
    grace_ms: int

    def is_young(self, at_ms: int | None) -> bool:
        """Whether a change of that moment may still be on its way to another side."""
        return at_ms is not None and self.now_ms - at_ms < self.grace_ms


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result for one payment: its differences, and how many refunds are rightly open."""

    differences: tuple[Difference, ...]
    open_refunds: int


# Whether money moved for a refund in one of these states is not known yet.
_UNDECIDED: Final = frozenset({State.REQUESTED, State.SUBMITTING, State.UNKNOWN, State.REVIEW})


def compare(sides: Sides) -> Comparison:
    """Every difference on the payment."""
    differences = (
        *_not_final(sides),
        *_charge(sides),
        *_processor_refunds(sides),
        *_unowned(sides),
        *_sums(sides),
        *_stripe(sides),
    )
    is_open = [refund for refund in sides.refunds if _is_open(refund)]
    named = {one.refund_id for one in differences}
    return Comparison(differences, sum(refund.id not in named for refund in is_open))


def _is_open(refund: Refund) -> bool:
    waits = refund.state in _UNDECIDED or refund.state is State.PENDING
    return waits or refund.report.state is ReportState.DUE


# --- what should have ended -----------------------------------------------------------------------


def _not_final(sides: Sides) -> Iterator[Difference]:
    for refund in sides.refunds:
        report = refund.report
        if refund.state in _UNDECIDED and not sides.is_young(refund.created_at_ms):
            last = f" ({refund.last_look})" if refund.last_look else ""
            says = f"is still {refund.state}{last}"
            yield _of(refund, Kind.NOT_SETTLED, says, Amounts(ledger=refund.amount))
        elif refund.awaits_handling and not refund.is_given_back:
            told = "was told of it and cannot take it back"
            if report.state is ReportState.NOT_DUE:
                told = "was not told of it"
            says = f"was taken back by the processor; Stripe {told}"
            yield _of(refund, Kind.TAKEN_BACK, says, Amounts(ledger=refund.amount, processor=0))
        elif report.state is ReportState.FAILED:
            says = f"could not be reported to Stripe: {report.last_error}"
            yield _of(refund, Kind.REPORT_FAILED, says, Amounts(ledger=refund.amount))
        elif report.state is ReportState.DUE and not sides.is_young(refund.updated_at_ms):
            says = f"is not reported to Stripe yet ({report.attempts} attempts)"
            yield _of(refund, Kind.NOT_REPORTED, says, Amounts(ledger=refund.amount))


# --- the processor --------------------------------------------------------------------------------


def _charge(sides: Sides) -> Iterator[Difference]:
    payment, charge = sides.payment, sides.charge
    if charge is None:
        yield _about(sides, Kind.CHARGE_MISSING, "the processor does not know the charge")
        return
    if charge.money.amount != payment.captured or charge.money.currency != payment.currency:
        says = f"the processor shows a charge of {charge.money.for_people()}"
        amounts = Amounts(ledger=payment.captured, processor=charge.money.amount)
        yield _about(sides, Kind.CHARGE_DIFFERS, says, amounts)
    if charge.processor_refunds is None:
        says = "the charge does not list its refunds in a form that can be read"
        yield _about(sides, Kind.CHARGE_UNREADABLE, says, Amounts(processor=charge.refunded))
    if _went_back(charge) > charge.money.amount:
        says = "more was refunded than was paid"
        yield _about(sides, Kind.OVER_REFUNDED, says, Amounts(processor=_went_back(charge)))


def _processor_refunds(sides: Sides) -> Iterator[Difference]:
    """Compare each refund that is bound with its processor refund."""
    listed = {processor_refund.id: processor_refund for processor_refund in _listed(sides)}
    owners: dict[str, str] = {}
    for refund in sides.refunds:
        bound_to = refund.processor_refund_id
        if bound_to is None:
            continue
        if (other := owners.setdefault(bound_to, refund.id)) != refund.id:
            yield _of(
                refund,
                Kind.PROCESSOR_REFUND_SHARED,
                f"and {other} are bound to the same processor refund",
            )
        processor_refund = listed.get(bound_to)
        if processor_refund is not None:
            yield from _one_processor_refund(sides, refund, processor_refund)
        elif sides.charge is not None and sides.charge.processor_refunds is not None:
            says = f"is {refund.state}, but the charge does not list its processor refund"
            yield _of(refund, Kind.PROCESSOR_REFUND_MISSING, says, Amounts(ledger=refund.amount))


def _one_processor_refund(
    sides: Sides, refund: Refund, processor_refund: ProcessorRefund
) -> Iterator[Difference]:
    owner = sides.claimed.get(processor_refund.id)
    if owner != refund.id:
        says = f"is bound to a processor refund that the ledger gives to {owner or 'nobody'}"
        yield _of(refund, Kind.CLAIM_DIFFERS, says)
    shown = processor_refund.money
    if not stands_for(processor_refund, refund):
        says = f"is {Money(refund.amount, refund.currency).for_people()}, the processor shows "
        says += f"{shown.for_people()} of {processor_refund.payment_id}"
    elif not _agree(refund, processor_refund) and not _is_news(sides, refund, processor_refund):
        says = f"is {refund.state}, the processor shows {processor_refund.processor_status}"
    else:
        return
    amounts = Amounts(ledger=refund.amount, processor=shown.amount)
    yield _of(refund, Kind.PROCESSOR_REFUND_DIFFERS, says, amounts)


def _is_news(sides: Sides, refund: Refund, processor_refund: ProcessorRefund) -> bool:
    """Whether one side may not have learned of the other side's change yet."""
    return sides.is_young(refund.updated_at_ms) or sides.is_young(processor_refund.refunded_at_ms)


def _agree(refund: Refund, processor_refund: ProcessorRefund) -> bool:
    if refund.late_failure_at_ms is not None:
        return processor_refund.status is ProcessorRefundStatus.FAILED
    return {
        State.SUCCEEDED: processor_refund.status is ProcessorRefundStatus.SUCCEEDED,
        State.FAILED: processor_refund.status is ProcessorRefundStatus.FAILED,
        State.PENDING: processor_refund.status is ProcessorRefundStatus.PENDING,
        State.REVIEW: processor_refund.status is ProcessorRefundStatus.PENDING,
    }.get(refund.state, False)


def _unowned(sides: Sides) -> Iterator[Difference]:
    """Money that moved for no refund that the ledger has of this payment."""
    bound = {refund.processor_refund_id for refund in sides.refunds}
    for processor_refund in _listed(sides):
        if processor_refund.id in bound or processor_refund.status is ProcessorRefundStatus.FAILED:
            continue
        if sides.is_young(processor_refund.created_at_ms or processor_refund.refunded_at_ms):
            continue
        owner = sides.claimed.get(processor_refund.id)
        whose = f"the ledger gives it to {owner}" if owner else "no refund has it"
        yield _about(
            sides,
            Kind.PROCESSOR_REFUND_UNCLAIMED,
            f"the processor moved {processor_refund.money.for_people()} "
            f"as {processor_refund.id}, and {whose}",
            Amounts(processor=processor_refund.money.amount),
            processor_refund_id=processor_refund.id,
        )


# --- the ledger's own sums ------------------------------------------------------------------------


def _sums(sides: Sides) -> Iterator[Difference]:
    payment, refunds = sides.payment, sides.refunds
    kept = {
        "held": (payment.held, [r for r in refunds if r.holds_headroom]),
        "moved": (payment.moved, [r for r in refunds if _has_moved(r)]),
        "booked": (payment.booked, [r for r in refunds if _is_booked(r)]),
        "report_due": (payment.report_due_amount, _reports(refunds, ReportState.DUE)),
        "report_failed": (payment.report_failed_amount, _reports(refunds, ReportState.FAILED)),
    }
    for name, (amount, parts) in kept.items():
        total = sum(refund.amount for refund in parts)
        if amount != total:
            kept_sum = Money(amount, payment.currency).for_people()
            made = Money(total, payment.currency).for_people()
            says = f"the payment's sum {name} is {kept_sum}, its refunds make {made}"
            yield _about(sides, Kind.LEDGER_SUM_DIFFERS, says, Amounts(ledger=amount))


def _has_moved(refund: Refund) -> bool:
    return refund.state is State.SUCCEEDED and not refund.is_given_back


def _reports(refunds: Sequence[Refund], state: ReportState) -> list[Refund]:
    return [refund for refund in refunds if refund.report.state is state]


def _is_booked(refund: Refund) -> bool:
    """Whether Stripe was told of the refund, by us or by others, as far as the ledger knows."""
    return refund.state not in FREED and refund.report.state is ReportState.REPORTED


# --- Stripe ---------------------------------------------------------------------------------------


def _stripe(sides: Sides) -> Iterator[Difference]:
    payment, record = sides.payment, sides.record
    if payment.payment_record is None:
        return
    if record is None:
        yield _about(sides, Kind.RECORD_MISSING, "Stripe does not know the Payment Record")
        return
    if (record.captured, record.currency) != (payment.captured, payment.currency):
        says = f"Stripe shows {Money(record.captured, record.currency).for_people()} as captured"
        amounts = Amounts(ledger=payment.captured, stripe=record.captured)
        yield _about(sides, Kind.RECORD_DIFFERS, says, amounts)
    surely, perhaps = _in_stripe(sides)
    shown, most = record.amount_refunded - payment.accepted_excess, surely + perhaps
    sums = Amounts(
        ledger=payment.refunded, processor=_went_back(sides.charge), stripe=record.amount_refunded
    )
    if shown < surely:
        short = Money(surely - shown, payment.currency).for_people()
        says = f"{_shown_refunded(sides, record)}, {short} less than it must know"
        yield _about(sides, Kind.STRIPE_LOWER, says, sums)
    elif shown > most:
        beyond = Money(shown - most, payment.currency).for_people()
        says = f"{_shown_refunded(sides, record)}, {beyond} more than moved"
        yield _about(sides, Kind.STRIPE_HIGHER, says, sums)


def _shown_refunded(sides: Sides, record: PaymentRecord) -> str:
    """Stripe's sum in words, and how much of it a person accepted as excess."""
    refunded = Money(record.amount_refunded, sides.payment.currency).for_people()
    accepted = sides.payment.accepted_excess
    beside = Money(accepted, sides.payment.currency).for_people()
    return f"Stripe shows {refunded} as refunded" + (
        f" ({beside} of it accepted as too much)" if accepted else ""
    )


def _in_stripe(sides: Sides) -> tuple[int, int]:
    """What must be in Stripe's sum, and what may be in it besides; minor units."""
    # Nobody can have reported a pending refund, however old it is.
    booked = [r for r in sides.refunds if _is_booked(r) and r.state is not State.PENDING]
    surely = sum(refund.amount for refund in booked)
    theirs = {refund.processor_refund_id for refund in booked}
    perhaps = {
        refund.processor_refund_id or refund.id: refund.amount
        for refund in sides.refunds
        if refund.report.state in (ReportState.DUE, ReportState.FAILED)
    }
    if sides.charge is None or sides.charge.processor_refunds is None:
        return surely, sum(perhaps.values()) + sides.payment.foreign
    for processor_refund in sides.charge.processor_refunds:
        if processor_refund.status is ProcessorRefundStatus.SUCCEEDED:
            perhaps.setdefault(processor_refund.id, processor_refund.money.amount)
    return surely, sum(amount for name, amount in perhaps.items() if name not in theirs)


# --- what the processor lists beyond the ledger ---------------------------------------------------


def unknown_charge(charge: Charge, reference: str) -> Difference:
    """The difference for a refunded charge that names a PaymentIntent and is not in the ledger."""
    return Difference(
        kind=Kind.CHARGE_UNKNOWN,
        says=f"was refunded at the processor, names {reference}, and the ledger does not know it",
        charge_id=charge.id,
        payment_record=None,
        currency=charge.money.currency,
        amounts=Amounts(processor=charge.refunded),
    )


def _listed(sides: Sides) -> tuple[ProcessorRefund, ...]:
    return (sides.charge.processor_refunds if sides.charge is not None else None) or ()


def _went_back(charge: Charge | None) -> int:
    """What the processor has refunded, minor units; pending refunds do not count yet."""
    if charge is None:
        return 0
    moved = (
        one
        for one in charge.processor_refunds or ()
        if one.status is ProcessorRefundStatus.SUCCEEDED
    )
    return max(charge.refunded, sum(one.money.amount for one in moved))


def _about(
    sides: Sides,
    kind: Kind,
    says: str,
    amounts: Amounts = _NONE,
    *,
    processor_refund_id: str | None = None,
) -> Difference:
    """A difference on the payment."""
    return Difference(
        kind=kind,
        says=says,
        charge_id=sides.payment.key.charge_id,
        payment_record=sides.payment.payment_record,
        currency=sides.payment.currency,
        processor_refund_id=processor_refund_id,
        amounts=amounts,
    )


def _of(refund: Refund, kind: Kind, says: str, amounts: Amounts = _NONE) -> Difference:
    """A difference on one refund."""
    return Difference(
        kind=kind,
        says=f"{refund.id} {says}",
        charge_id=refund.processor_payment_id,
        payment_record=refund.payment_record,
        currency=refund.currency,
        refund_id=refund.id,
        processor_refund_id=refund.processor_refund_id,
        amounts=amounts,
    )
