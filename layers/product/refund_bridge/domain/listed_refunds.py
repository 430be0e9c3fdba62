"""Compares a charge's list and sum of refunds with ours: which are ours, which are others'?"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    Charge,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey, learn_foreign, payment_key_of
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FREED, State


def is_listed_otherwise(refund: Refund, key: PaymentKey, listed: Sequence[str]) -> bool:
    """Whether the payment lists the refund's processor refund by another id than it is bound to.

    ``refund`` is the one whose instruction is shown by a listed processor refund that nobody has
    claimed. If the id that it is bound to is listed as well, these are two processor refunds: the
    refund was bound to one that others made.
    """
    bound_to = refund.processor_refund_id
    return bound_to is not None and bound_to not in listed and payment_key_of(refund) == key


def any_listed_otherwise(money: Money, charge: Charge, ours: Sequence[Refund]) -> bool:
    """Whether a refund of ours of that amount is bound to an id that the charge does not list.

    A listed processor refund that nobody has claimed may be that one, under another id.
    """
    listed = {one.id for one in charge.processor_refunds or ()}
    return any(
        bound_amount(one) == money.amount and one.processor_refund_id not in listed for one in ours
    )


def ids_fit(charge: Charge, owners: Mapping[str, Refund], unlisted: Sequence[Refund]) -> bool:
    """Whether the list shows our succeeded refunds by the ids to which they are bound.

    ``unlisted`` are refunds of ours that the list does not name. If the charge's sum includes them
    all the same, or an unknown id is listed with the amount of one of them, then the unknown id may
    be that refund. In that case it cannot be told what others made.
    """
    unknown = {one.money.amount for one in charge.processor_refunds or () if one.id not in owners}
    amount = sum(moved_amount(one) for one in unlisted)
    ours = amount + sum(moved_amount(one) for one in owners.values())
    is_summed = amount > 0 and charge.refunded >= ours
    return not is_summed and not any(one.amount in unknown for one in unlisted)


def listed_in(seen: PaymentSnapshot) -> tuple[ProcessorRefund, ...]:
    """The refunds that the charge lists; empty if it was not read or lists none readable."""
    shown = seen.charge.processor_refunds if seen.charge is not None else None
    return (shown or ())[:PROCESSOR_REFUNDS_MAX]


@dataclass(frozen=True, slots=True)
class Beside:
    """Amounts listed under ids that no refund of ours has, in minor units: perhaps others'."""

    moved: int
    pending: int


def beside_of(
    seen: PaymentSnapshot, owners: Mapping[str, Refund], unlisted: Sequence[Refund]
) -> Beside:
    """The least that others refunded, if the list may name refunds of ours by other ids.

    A listed refund with the amount of one of ours that is not listed may be that one. The rest is
    not ours, whatever the sum says: a refund of ours may have moved after the list was read.
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
    """The payment with the sum of others' refunds that cannot be imported one by one.

    A pending refund of ours is not in the processor's sum, so only our succeeded ones are taken off
    it. ``beside``: the amounts of unknown ids in the list, if it cannot be told which are ours.
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
    """The amount of a refund that is bound to a processor refund and has not failed; else 0."""
    is_bound = refund.processor_refund_id is not None and refund.state not in FREED
    return refund.amount if is_bound else 0


def are_all_bound(payment: Payment, refunds: Iterable[Refund]) -> bool:
    """Whether these are all refunds of the payment that are bound to a processor refund.

    If they were read from the index of refunds and are not, the index is not up to date.
    """
    return sum(bound_amount(one) for one in refunds) >= payment.bound_amount


def moved_amount(refund: Refund) -> int:
    """The amount of a refund that succeeded, even if it was taken back later; else 0."""
    return refund.amount if refund.state is State.SUCCEEDED else 0


def snapshot_of(
    unclaimed: Sequence[ProcessorRefund], imports: Sequence[Refund], seen: PaymentSnapshot
) -> tuple[str, ...] | None:
    """Listed ids that belong to no refund of the ledger; ``None``: nothing readable is listed."""
    if seen.charge is None or seen.charge.processor_refunds is None:
        return None
    imported = {refund.processor_refund_id for refund in imports}
    return tuple(
        processor_refund.id for processor_refund in unclaimed if processor_refund.id not in imported
    )
