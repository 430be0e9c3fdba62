"""What a charge's refunds say about one of ours whose outcome is unknown: pure.

A processor refund that shows which instruction made it is certainly ours or certainly not. HitPay's
refund carries no reference of ours, so there it is recognised by elimination: it is on our charge,
has our amount and currency, was not there before we sent, and belongs to nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.refund import Refund

# Provider times are whole seconds in two time zones, from clocks that are not ours.
CLOCK_TOLERANCE_MS: Final = 300_000
TAKEN: Final = "another refund has what our instruction moved"


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one processor refund can be ours, so it is."""

    processor_refund: ProcessorRefund


@dataclass(frozen=True, slots=True)
class NoneYet:
    """No processor refund can be ours; not found yet is not failed."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """More than one can be ours, or one that may be older than our attempt, or nobody can tell: for
    a person.
    """

    reason: str
    processor_refund_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The charge does not list its refunds in a form that can be read: no look-up at all."""


@dataclass(frozen=True, slots=True)
class KeyNotShown:
    """The processor keeps our key, and does not show what became of it: no look-up at all."""


Verdict = Found | NoneYet | Ambiguous | Unreadable | KeyNotShown


def stands_for(processor_refund: ProcessorRefund, refund: Refund) -> bool:
    """Whether a look-up shows the processor refund that the refund is bound to, and no other."""
    return (
        processor_refund.id == refund.processor_refund_id
        and processor_refund.payment_id.casefold() == (refund.refunded_payment or "").casefold()
        and (processor_refund.money.amount, processor_refund.money.currency)
        == (refund.amount, refund.currency)
        and (not refund.request.is_unlinked or _goes_to_its_method(processor_refund, refund))
    )


def _goes_to_its_method(processor_refund: ProcessorRefund, refund: Refund) -> bool:
    return processor_refund.payment_method in (None, refund.request.reference_id)


def can_stand_for(processor_refund: ProcessorRefund, refund: Refund) -> bool:
    """Whether it is what the refund was to move, wherever the refund is bound to."""
    return stands_for(processor_refund, replace(refund, processor_refund_id=processor_refund.id))


def is_made_by(processor_refund: ProcessorRefund, refund_id: str | None) -> bool:
    """Whether the processor refund shows the refund's instruction, and has not failed since."""
    is_its_instruction = refund_id is not None and processor_refund.instruction_id == refund_id
    return is_its_instruction and processor_refund.status is not ProcessorRefundStatus.FAILED


def of_our_instruction(refund: Refund, processor_refund: ProcessorRefund) -> Verdict:
    """What it means that the processor shows this as what our instruction came to."""
    if can_stand_for(processor_refund, refund):
        return Found(replace(processor_refund, instruction_id=refund.id))
    return Ambiguous("the processor shows another refund under our key", (processor_refund.id,))


def judge(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
    """What ``charge`` says of ``refund``; ``claimed`` maps processor refunds to their owners.

    With a snapshot of the charge from before sending, what is in it is older than our attempt.
    Without one, only the processor refund's time can tell, and not exactly.
    """
    if charge.processor_refunds is None:
        return Unreadable()
    taken = [
        processor_refund
        for processor_refund in charge.processor_refunds
        if is_made_by(processor_refund, refund.id)
        and claimed.get(processor_refund.id, refund.id) != refund.id
    ]
    if taken:
        # As after a restore: imported when nobody here knew of our instruction.
        return Ambiguous(TAKEN, _ids_of(taken))
    candidates = alike(refund, charge.processor_refunds, claimed)
    made = [
        processor_refund
        for processor_refund in candidates
        if processor_refund.instruction_id == refund.id
    ]
    if not all(is_its_amount(processor_refund, refund) for processor_refund in made):
        return Ambiguous("another amount under our instruction", _ids_of(made))
    if made:
        return _only(made)
    if refund.snapshot is None:
        return _by_time(refund, candidates)
    return _only(candidates)


def alike(
    refund: Refund, processor_refunds: Sequence[ProcessorRefund], claimed: Mapping[str, str]
) -> list[ProcessorRefund]:
    """The processor refunds that can be the refund's: not there before, and nobody else's.

    They are of its amount, or show that its instruction made them, whatever they moved. One that
    failed and does not show the instruction tells nothing: it may be anybody's.
    """
    return [
        processor_refund
        for processor_refund in processor_refunds
        if (
            processor_refund.instruction_id == refund.id
            or (
                processor_refund.instruction_id is None
                and processor_refund.status is not ProcessorRefundStatus.FAILED
                and is_its_amount(processor_refund, refund)
            )
        )
        and processor_refund.id not in (refund.snapshot or ())
        and claimed.get(processor_refund.id, refund.id) == refund.id
    ]


def is_its_amount(processor_refund: ProcessorRefund, refund: Refund) -> bool:
    """Whether the processor refund moved just what the refund was to move."""
    return (processor_refund.money.amount, processor_refund.money.currency) == (
        refund.amount,
        refund.currency,
    )


def is_too_old(
    refund: Refund, processor_refund: ProcessorRefund, *, tolerance_ms: int = CLOCK_TOLERANCE_MS
) -> bool:
    """Whether the processor refund is from before the refund was sent, whatever the clocks say."""
    made_ms = processor_refund.created_at_ms or processor_refund.refunded_at_ms
    return made_ms is not None and made_ms < _started_ms(refund) - tolerance_ms


def _started_ms(refund: Refund) -> int:
    # A provider's whole second may have begun before the millisecond at which we started.
    return (refund.started_at_ms or refund.created_at_ms) // 1000 * 1000


def _by_time(refund: Refund, candidates: list[ProcessorRefund]) -> Verdict:
    started_ms = _started_ms(refund)
    younger: list[ProcessorRefund] = []
    for processor_refund in candidates:
        created_ms = processor_refund.created_at_ms or processor_refund.refunded_at_ms
        if created_ms is None:
            return Ambiguous("a processor refund without a time", (processor_refund.id,))
        if created_ms >= started_ms:
            younger.append(processor_refund)
        elif not is_too_old(refund, processor_refund):
            return Ambiguous(
                "a processor refund shortly before the attempt", (processor_refund.id,)
            )
    return _only(younger)


def _only(candidates: list[ProcessorRefund]) -> Verdict:
    if not candidates:
        return NoneYet()
    if len(candidates) == 1:
        return Found(candidates[0])
    return Ambiguous(f"{len(candidates)} processor refunds of this amount", _ids_of(candidates))


def _ids_of(processor_refunds: list[ProcessorRefund]) -> tuple[str, ...]:
    """As many as a line of history has room for."""
    return tuple(processor_refund.id for processor_refund in processor_refunds[:10])
