"""What HitPay's answer to ``POST /v1/refund`` means: accepted, rejected, aborted or unknown."""

from dataclasses import replace
from typing import Final

from refund_bridge.adapters.http.api_key import sentence
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    Instruction,
    Outcome,
    Rejected,
    Unknown,
)
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.hitpay.objects import read_processor_refund
from refund_bridge.processors.shared.provider_http import not_executed

# HitPay answers a wrong key, or a key of its other environment, by 403 as well as by 401:
# https://docs.hitpayapp.com (troubleshooting).
REFUSED_BY: Final = frozenset({401, 403})
# The statuses of HitPay's refusals, if a message is there; https://docs.hitpayapp.com and Laravel's
# own answers.
_REFUSALS: Final = frozenset({400, 402, 403, 404, 422})
# The members in which HitPay's own PHP SDK looks for the message;
# https://github.com/hit-pay/php-sdk
_SENTENCES: Final = ("message", "detail", "error_message")
# Without HitPay's message these come from a proxy in front of it, which executes nothing.
_TURNED_AWAY: Final = frozenset({403, 404})


def outcome_of(answer: HttpAnswer, instruction: Instruction, *, secret: str) -> Outcome:
    """The outcome of a whole answer; ``secret`` is removed from HitPay's messages.

    A 403 with HitPay's message is read as a refusal of this refund. It may also be about the
    credential, so the caller finds out which (``REFUSED_BY``).
    """
    if answer.is_success:
        return _accepted(answer.body, instruction)
    if turned_away := not_executed(answer, "HitPay"):
        return turned_away
    message = message_of(answer, secret=secret)
    if answer.status in _REFUSALS and message:
        return Rejected(message, answer.status)
    if answer.status in _TURNED_AWAY:
        return Aborted(f"turned away before HitPay ({answer.status} without its message)")
    return Unknown(f"HitPay answered {answer.status}")


def message_of(answer: HttpAnswer, *, secret: str) -> str | None:
    """HitPay's message, followed by the first field's error if the message does not contain it.

    ``None`` if the answer has none.
    """
    body = json_object(answer.body) or {}
    told = (body.get(name) for name in _SENTENCES)
    message = next((one for one in told if isinstance(one, str) and one.strip()), None)
    if message is None:
        return None
    errors = body.get("errors")
    listed = next(iter(errors.values()), None) if isinstance(errors, dict) else None
    detail = listed[0] if isinstance(listed, list) and listed else None
    if isinstance(detail, str) and detail not in message:
        message = f"{message} {detail}"
    return sentence(message, secret=secret) or None


def _accepted(body: bytes, instruction: Instruction) -> Outcome:
    try:
        processor_refund = read_processor_refund(json_object(body))
    except UnreadableAnswerError as error:
        return Unknown(f"HitPay's answer is a success that cannot be read: {error.reason}")
    if (processor_refund.payment_id, processor_refund.money) != (
        instruction.payment_id,
        instruction.money,
    ):
        return Unknown("HitPay's answer is a success with another payment, amount or currency")
    if processor_refund.status is not ProcessorRefundStatus.SUCCEEDED:
        # If HitPay calls a refund failed in the answer that accepts it, it contradicts itself. The
        # refund has an id, so a check by that id decides; until then the amount stays reserved.
        processor_refund = replace(processor_refund, status=ProcessorRefundStatus.PENDING)
    return Accepted(processor_refund)
