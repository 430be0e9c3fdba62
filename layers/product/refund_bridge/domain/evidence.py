"""What a charge's refunds say about one of ours whose outcome is unknown: pure.

A movement that shows which order made it is certainly ours or certainly not. HitPay's refund
carries no reference of ours, so there it is recognised by elimination: it is on our charge, has our
amount and currency, was not there before we sent, and belongs to nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import Charge, Movement, MovementStatus
from refund_bridge.domain.refund import Refund

# Provider times are whole seconds in two time zones, from clocks that are not ours.
CLOCK_TOLERANCE_MS: Final = 300_000
TAKEN: Final = "another refund has what our order moved"


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one movement can be ours, so it is."""

    movement: Movement


@dataclass(frozen=True, slots=True)
class NoneYet:
    """No movement can be ours; not found yet is not failed."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """More than one can be ours, or one that may be older than our attempt, or nobody can tell: for
    a person.
    """

    reason: str
    movement_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The charge does not list its refunds in a form that can be read: no look-up at all."""


@dataclass(frozen=True, slots=True)
class KeyNotShown:
    """The processor keeps our key, and does not show what became of it: no look-up at all."""


Verdict = Found | NoneYet | Ambiguous | Unreadable | KeyNotShown


def stands_for(movement: Movement, refund: Refund) -> bool:
    """Whether what a look-up shows is the movement that the refund is bound to, and no other."""
    return (
        movement.id == refund.processor_refund_id
        and movement.payment_id.casefold() == (refund.refunded_payment or "").casefold()
        and (movement.money.amount, movement.money.currency) == (refund.amount, refund.currency)
        and (not refund.request.is_unlinked or _goes_to_its_method(movement, refund))
    )


def _goes_to_its_method(movement: Movement, refund: Refund) -> bool:
    return movement.payment_method in (None, refund.request.reference_id)


def can_stand_for(movement: Movement, refund: Refund) -> bool:
    """Whether it is what the refund was to move, wherever the refund is bound to."""
    return stands_for(movement, replace(refund, processor_refund_id=movement.id))


def is_made_by(movement: Movement, refund_id: str | None) -> bool:
    """Whether the movement shows that the refund's order made it, and has not failed since."""
    is_its_order = refund_id is not None and movement.order_id == refund_id
    return is_its_order and movement.status is not MovementStatus.FAILED


def of_our_order(refund: Refund, movement: Movement) -> Verdict:
    """What it means that the processor shows ``movement`` as what our order came to."""
    if can_stand_for(movement, refund):
        return Found(replace(movement, order_id=refund.id))
    return Ambiguous("the processor shows another refund under our key", (movement.id,))


def judge(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
    """What ``charge`` says of ``refund``; ``claimed`` maps movements to the refunds that own them.

    With a snapshot of the charge from before sending, what is in it is older than our attempt.
    Without one, only the movement's time can tell, and not exactly.
    """
    if charge.movements is None:
        return Unreadable()
    taken = [
        movement
        for movement in charge.movements
        if is_made_by(movement, refund.id) and claimed.get(movement.id, refund.id) != refund.id
    ]
    if taken:
        # As after a restore: imported when nobody here knew of our order.
        return Ambiguous(TAKEN, _ids_of(taken))
    candidates = alike(refund, charge.movements, claimed)
    ordered = [movement for movement in candidates if movement.order_id == refund.id]
    if not all(is_its_amount(movement, refund) for movement in ordered):
        return Ambiguous("another amount under our order", _ids_of(ordered))
    if ordered:
        return _only(ordered)
    if refund.snapshot is None:
        return _by_time(refund, candidates)
    return _only(candidates)


def alike(
    refund: Refund, movements: Sequence[Movement], claimed: Mapping[str, str]
) -> list[Movement]:
    """The movements that can be the refund's: not there before, and nobody else's.

    They are of its amount, or show that its order made them, whatever they moved. One that failed
    and does not show the order tells nothing: it may be anybody's.
    """
    return [
        movement
        for movement in movements
        if (
            movement.order_id == refund.id
            or (
                movement.order_id is None
                and movement.status is not MovementStatus.FAILED
                and is_its_amount(movement, refund)
            )
        )
        and movement.id not in (refund.snapshot or ())
        and claimed.get(movement.id, refund.id) == refund.id
    ]


def is_its_amount(movement: Movement, refund: Refund) -> bool:
    """Whether the movement moved just what the refund was to move."""
    return (movement.money.amount, movement.money.currency) == (refund.amount, refund.currency)


def is_too_old(
    refund: Refund, movement: Movement, *, tolerance_ms: int = CLOCK_TOLERANCE_MS
) -> bool:
    """Whether the movement is from before the refund was sent, whatever the clocks say."""
    made_ms = movement.created_at_ms or movement.refunded_at_ms
    return made_ms is not None and made_ms < _started_ms(refund) - tolerance_ms


def _started_ms(refund: Refund) -> int:
    # A provider's whole second may have begun before the millisecond at which we started.
    return (refund.started_at_ms or refund.created_at_ms) // 1000 * 1000


def _by_time(refund: Refund, candidates: list[Movement]) -> Verdict:
    started_ms = _started_ms(refund)
    younger: list[Movement] = []
    for movement in candidates:
        created_ms = movement.created_at_ms or movement.refunded_at_ms
        if created_ms is None:
            return Ambiguous("a movement without a time", (movement.id,))
        if created_ms >= started_ms:
            younger.append(movement)
        elif not is_too_old(refund, movement):
            return Ambiguous("a movement shortly before the attempt", (movement.id,))
    return _only(younger)


def _only(candidates: list[Movement]) -> Verdict:
    if not candidates:
        return NoneYet()
    if len(candidates) == 1:
        return Found(candidates[0])
    return Ambiguous(f"{len(candidates)} movements of this amount", _ids_of(candidates))


def _ids_of(movements: list[Movement]) -> tuple[str, ...]:
    """As many as a line of history has room for."""
    return tuple(movement.id for movement in movements[:10])
