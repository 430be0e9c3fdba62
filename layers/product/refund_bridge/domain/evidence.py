"""Decides by a charge's refunds what became of one of ours whose outcome is unknown. Pure.

If a processor refund shows which instruction made it, it is certainly ours or certainly not ours.
HitPay's refunds carry no reference of ours. There a refund is recognised by elimination: it is on
our charge, has our amount and currency, was not there before we sent, and no other refund has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.refund import Refund

# The provider's times are whole seconds, in two time zones, and its clocks differ from ours.
CLOCK_TOLERANCE_MS: Final = 300_000
TAKEN: Final = "another refund has what our instruction moved"
LISTED_OTHERWISE: Final = "it may be another refund of ours, which the payment lists by another id"


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one processor refund can be ours, so it is ours."""

    processor_refund: ProcessorRefund


@dataclass(frozen=True, slots=True)
class NoneYet:
    """No processor refund can be ours yet; the refund has not failed by that."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It cannot be told which processor refund is ours: a person decides.

    For example, more than one can be ours, or one may be older than our attempt.
    """

    reason: str
    processor_refund_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The charge does not list its refunds in a form that can be read: not a conclusive check."""


@dataclass(frozen=True, slots=True)
class KeyNotShown:
    """The processor keeps our key but does not show its refund: not a conclusive check."""


Verdict = Found | NoneYet | Ambiguous | Unreadable | KeyNotShown


def stands_for(processor_refund: ProcessorRefund, refund: Refund) -> bool:
    """Whether this is the processor refund that the refund is bound to, as it was asked for.

    Id, payment, amount, currency and (for an unlinked refund) payment method must be the same.
    """
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
    """As ``stands_for``, but for any processor refund id: whether it is what was asked for."""
    return stands_for(processor_refund, replace(refund, processor_refund_id=processor_refund.id))


def is_made_by(processor_refund: ProcessorRefund, refund_id: str | None) -> bool:
    """Whether the processor refund shows the refund's instruction, and has not failed since."""
    is_its_instruction = refund_id is not None and processor_refund.instruction_id == refund_id
    return is_its_instruction and processor_refund.status is not ProcessorRefundStatus.FAILED


def of_our_instruction(refund: Refund, processor_refund: ProcessorRefund) -> Verdict:
    """The verdict if the processor shows this processor refund under our instruction's key."""
    if can_stand_for(processor_refund, refund):
        return Found(replace(processor_refund, instruction_id=refund.id))
    return Ambiguous("the processor shows another refund under our key", (processor_refund.id,))


def judge(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
    """Decide by ``charge`` what became of ``refund``.

    ``claimed`` maps processor refunds to the refunds that own them. If the refund has a snapshot
    from before it was sent, everything in the snapshot is older than our attempt. Without one, only
    the times of processor refunds can tell, and not exactly.
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
        # As after a restore: it was imported while the ledger did not know our instruction.
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
    """The processor refunds that can be this refund's: not listed before, and not another's.

    They have its amount, or they show that its instruction made them (with any amount). A failed
    one that shows no instruction is left out: anybody may have made it.
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
    """Whether the processor refund has the refund's amount and currency."""
    return (processor_refund.money.amount, processor_refund.money.currency) == (
        refund.amount,
        refund.currency,
    )


def is_too_old(
    refund: Refund, processor_refund: ProcessorRefund, *, tolerance_ms: int = CLOCK_TOLERANCE_MS
) -> bool:
    """Whether the processor refund is certainly from before the refund was sent.

    ``tolerance_ms`` is how much the clocks may differ.
    """
    made_ms = processor_refund.created_at_ms or processor_refund.refunded_at_ms
    return made_ms is not None and made_ms < _started_ms(refund) - tolerance_ms


def _started_ms(refund: Refund) -> int:
    # The provider gives whole seconds, so its time may seem up to a second earlier than ours.
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
    """Their ids, at most as many as a history entry has room for."""
    return tuple(processor_refund.id for processor_refund in processor_refunds[:10])
