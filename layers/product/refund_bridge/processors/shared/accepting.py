"""When an answer is believed to be about our instruction.

A processor that keeps our refund's id as the instruction's key refuses a second instruction that
carries it. So a refusal may mean that the instruction was accepted before, and the key says what
became of it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    Instruction,
    Outcome,
    Rejected,
    Unknown,
    UnlinkedInstruction,
)
from refund_bridge.ports.processor import ProviderUnavailableError

# How the ids of refunds begin here (``refund.refund_id_of``); no processor makes such ids itself.
REFUND_ID_PREFIX: Final = "rfd_"
STARS: Final = "***"

AnyInstruction = Instruction | UnlinkedInstruction


@dataclass(frozen=True, slots=True)
class Questionable:
    """A refusal from which it does not follow that nothing was executed.

    Attributes:
        used: whether the processor said that it has an instruction with this key.
    """

    refusal: Rejected
    used: bool


def accepted(
    processor_refund: ProcessorRefund, instruction: AnyInstruction, *, title: str
) -> Accepted | Unknown:
    """The outcome of a success that shows ``processor_refund``, if that is what was asked for.

    A refund that the processor calls failed in the very answer that accepts it has an id, so the
    look-up of that id decides, and until then the amount stays held: it counts as pending.
    """
    if not _agrees(processor_refund, instruction):
        return Unknown(
            f"{title}'s answer is a success with another payment, amount, currency or instruction"
        )
    if processor_refund.status is not ProcessorRefundStatus.SUCCEEDED:
        processor_refund = replace(processor_refund, status=ProcessorRefundStatus.PENDING)
    return Accepted(processor_refund)


def concluded(
    verdict: Outcome | Questionable,
    instruction: AnyInstruction,
    look: Callable[[], ProcessorRefund | None],
    *,
    title: str,
) -> Outcome:
    """The outcome of an instruction that carried a key; ``look`` asks what became of that key.

    It is asked where a refusal does not tell by itself. For a repeated instruction nothing but a
    processor refund tells: what refuses this sending says nothing of the one before it.
    """
    outcome = verdict
    if isinstance(outcome, Questionable):
        outcome = _by_key(outcome.refusal, instruction, look, used=outcome.used, title=title)
    elif instruction.repeated and isinstance(outcome, Rejected):
        outcome = _by_key(outcome, instruction, look, used=True, title=title)
    if instruction.repeated and isinstance(outcome, Aborted):
        return Unknown(f"asked again in vain: {outcome.reason}")
    return outcome


def without_words(outcome: Outcome, hidden: Sequence[str]) -> Outcome:
    """The outcome with stars for ``hidden`` in the processor's sentences, however it spells them.

    A customer's identifiers go to the processor, and it may repeat them in what it says.
    """
    longest_first = sorted(filter(None, hidden), key=len, reverse=True)
    if not longest_first:
        return outcome
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    match outcome:
        case Rejected(message, _, code):
            told = None if code is None else pattern.sub(STARS, code)
            return replace(outcome, message=pattern.sub(STARS, message), code=told)
        case Aborted(reason) | Unknown(reason):
            return replace(outcome, reason=pattern.sub(STARS, reason))
        case Accepted():
            return outcome


def instruction_id_of(key: str | None) -> str | None:
    """The id of the refund here that ``key`` names; ``None`` for a key that others made."""
    return key if key is not None and key.startswith(REFUND_ID_PREFIX) else None


def _by_key(
    refusal: Rejected,
    instruction: AnyInstruction,
    look: Callable[[], ProcessorRefund | None],
    *,
    used: bool,
    title: str,
) -> Outcome:
    said = f"refused ({refusal.message})"
    try:
        processor_refund = look()
    except ProviderUnavailableError as error:
        return Unknown(f"{said}, and the key could not be looked up: {error.reason}")
    if processor_refund is not None:
        return accepted(processor_refund, instruction, title=title)
    if used or instruction.repeated:
        return Unknown(f"{said}, but {title} shows no refund with this key")
    return refusal


def _agrees(processor_refund: ProcessorRefund, instruction: AnyInstruction) -> bool:
    if (
        processor_refund.instruction_id not in (None, instruction.refund_id)
        or processor_refund.money != instruction.money
    ):
        return False
    if isinstance(instruction, UnlinkedInstruction):
        return (processor_refund.payment_id, processor_refund.payment_method) == (
            "",
            instruction.payment_method,
        )
    return processor_refund.payment_id == instruction.payment_id
