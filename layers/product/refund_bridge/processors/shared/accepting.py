"""Decides whether an answer is about our instruction, and what a refusal means.

A processor that keeps our refund's id as the instruction's key refuses a second instruction with
the same key. So a refusal may mean that the instruction was accepted before. Then the processor is
asked by the key what became of it.
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

# The prefix of our refunds' ids (``refund.refund_id_of``); no processor makes such ids itself.
REFUND_ID_PREFIX: Final = "rfd_"
STARS: Final = "***"

AnyInstruction = Instruction | UnlinkedInstruction


@dataclass(frozen=True, slots=True)
class Questionable:
    """A refusal that does not prove that nothing was executed.

    Attributes:
        used: whether the processor said that it has an instruction with this key.
    """

    refusal: Rejected
    used: bool


def accepted(
    processor_refund: ProcessorRefund, instruction: AnyInstruction, *, title: str
) -> Accepted | Unknown:
    """The outcome of a success that shows ``processor_refund``, if that matches the instruction.

    If the processor calls the refund failed in the answer that accepts it, the refund counts as
    pending: it has an id, so a check by that id decides. Until then the amount stays reserved.
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
    """The outcome of an instruction that carried a key; ``look`` finds the refund by that key.

    ``look`` is called if a refusal alone does not tell the outcome. For a repeated instruction only
    a processor refund tells it: a refusal of this retry does not tell whether the first attempt was
    executed.
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
    """The outcome with the texts ``hidden`` replaced by stars in the processor's messages.

    A customer's identifiers are sent to the processor, and it may repeat them in its messages, in
    upper or lower case.
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
    """The id of our refund that ``key`` is; ``None`` for a key that others made."""
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
