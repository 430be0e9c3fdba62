"""What a charge's list and sum say of its refunds: ours, others', or nobody can tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.payment import Payment, PaymentKey, learn_foreign, payment_key_of
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FREED, State


def is_listed_otherwise(refund: Refund, key: PaymentKey, listed: Sequence[str]) -> bool:
    """Whether the payment lists the refund that a processor refund names by another id.

    If what it is bound to is listed as well, those are two: it was bound to somebody else's.
    """
    bound_to = refund.processor_refund_id
    return bound_to is not None and bound_to not in listed and payment_key_of(refund) == key


def ids_fit(charge: Charge, owners: Mapping[str, Refund], unlisted: Sequence[Refund]) -> bool:
    """Whether the list names our successes by the ids that their instructions were answered with.

    If one is not listed, though the sum says that it is there, or something of its amount is, what
    is listed under an unknown id may be that very refund: then nobody can tell what others made.
    """
    unknown = {one.money.amount for one in charge.processor_refunds or () if one.id not in owners}
    amount = sum(moved_amount(one) for one in unlisted)
    ours = amount + sum(moved_amount(one) for one in owners.values())
    is_summed = amount > 0 and charge.refunded >= ours
    return not is_summed and not any(one.amount in unknown for one in unlisted)


def listed_in(seen: PaymentSnapshot) -> tuple[ProcessorRefund, ...]:
    """What the charge lists; nothing if it was not read, or lists nothing that can be read."""
    shown = seen.charge.processor_refunds if seen.charge is not None else None
    return (shown or ())[:PROCESSOR_REFUNDS_MAX]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is listed under ids that are nobody's, minor units: others' perhaps."""

    moved: int
    pending: int


def beside_of(
    seen: PaymentSnapshot, owners: Mapping[str, Refund], unlisted: Sequence[Refund]
) -> Beside:
    """What others made at least, where the list may name refunds of ours by other ids.

    What is of the amount of one that is not listed may be that one. The rest is not ours, whatever
    the sum says: a refund of ours may have moved since the list was read.
    """
    ours = Counter(moved_amount(one) for one in unlisted)
    moved = pending = 0
    for processor_refund in listed_in(seen):
        amount = processor_refund.money.amount
        if processor_refund.id in owners or processor_refund.status is ProcessorRefundStatus.FAILED:
            continue
        if processor_refund.status is ProcessorRefundStatus.PENDING:
            pending += amount
        elif ours[amount]:
            ours[amount] -= 1
        else:
            moved += amount
    return Beside(moved, pending)


def with_sums(payment: Payment, seen: PaymentSnapshot, *, beside: Beside | None = None) -> Payment:
    """The payment with what others refunded and cannot be imported, since it is only a sum.

    A pending refund of ours is not in the processor's sum, so only what succeeded is ours there.
    ``beside``: what is listed beside that sum, where it cannot be told what of it is ours.
    """
    on_charge = None
    if seen.charge is not None:
        others = max(0, seen.charge.refunded - (payment.moved - payment.taken_back))
        if beside is not None:
            on_charge = max(others, beside.moved) + beside.pending
        else:
            on_charge = others if seen.charge.processor_refunds is None else 0
    return learn_foreign(payment, in_book=seen.in_book, on_charge=on_charge)


def bound_amount(refund: Refund) -> int:
    """The amount of a refund that the processor has and that has not failed; 0 of any other."""
    is_bound = refund.processor_refund_id is not None and refund.state not in FREED
    return refund.amount if is_bound else 0


def moved_amount(refund: Refund) -> int:
    """The amount of a refund that succeeded, taken back or not; 0 of any other."""
    return refund.amount if refund.state is State.SUCCEEDED else 0


def snapshot_of(
    unclaimed: Sequence[ProcessorRefund], imports: Sequence[Refund], seen: PaymentSnapshot
) -> tuple[str, ...] | None:
    """Ids that are listed and stand for no refund here; ``None``: nothing readable is listed."""
    if seen.charge is None or seen.charge.processor_refunds is None:
        return None
    imported = {refund.processor_refund_id for refund in imports}
    return tuple(
        processor_refund.id for processor_refund in unclaimed if processor_refund.id not in imported
    )
