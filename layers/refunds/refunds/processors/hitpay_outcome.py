"""What HitPay's answer to ``POST /v1/refund`` means: the table of DESIGN.md, line by line."""

from dataclasses import replace
from typing import Final

from refunds.adapters.api_key import sentence
from refunds.adapters.exact_json import json_object
from refunds.adapters.http_messages import HttpAnswer, retry_after_of
from refunds.ports import (
    Aborted,
    Accepted,
    MovementStatus,
    Outcome,
    RefundOrder,
    Rejected,
    Unknown,
    UnreadableAnswerError,
)
from refunds.processors.hitpay_shapes import read_movement

# HitPay says no by these, if it says why; https://docs.hitpayapp.com and Laravel's own answers.
_REFUSALS: Final = frozenset({400, 402, 403, 404, 422})
# Without HitPay's sentence these come from something in front of it, which executes nothing.
_TURNED_AWAY: Final = frozenset({403, 404})


def outcome_of(answer: HttpAnswer, order: RefundOrder, *, secret: str) -> Outcome:
    """The outcome of a whole answer; ``secret`` is kept out of HitPay's words."""
    if answer.is_success:
        return _accepted(answer.body, order)
    if answer.status == 401:
        return Aborted("HitPay does not accept the API key (401)")
    if answer.status == 429:
        return Aborted("HitPay limits the rate (429)", retry_after_of(answer.headers))
    message = message_of(answer, secret=secret)
    if answer.status in _REFUSALS and message:
        return Rejected(message, answer.status)
    if answer.status in _TURNED_AWAY:
        return Aborted(f"turned away before HitPay ({answer.status} without its message)")
    return Unknown(f"HitPay answered {answer.status}")


def message_of(answer: HttpAnswer, *, secret: str) -> str | None:
    """Laravel's ``message``, with the first field's error where the message does not hold it.

    ``None`` if the answer is not of that form.
    """
    body = json_object(answer.body)
    message = body.get("message") if body else None
    if body is None or not isinstance(message, str) or not message.strip():
        return None
    errors = body.get("errors")
    listed = next(iter(errors.values()), None) if isinstance(errors, dict) else None
    detail = listed[0] if isinstance(listed, list) and listed else None
    if isinstance(detail, str) and detail not in message:
        message = f"{message} {detail}"
    return sentence(message, secret=secret) or None


def _accepted(body: bytes, order: RefundOrder) -> Outcome:
    try:
        movement = read_movement(json_object(body))
    except UnreadableAnswerError as error:
        return Unknown(f"HitPay's answer is a success that cannot be read: {error.reason}")
    if (movement.payment_id, movement.money) != (order.payment_id, order.money):
        return Unknown("HitPay's answer is a success with another payment, amount or currency")
    if movement.status is not MovementStatus.SUCCEEDED:
        # A refund that HitPay calls failed in the answer that accepts it contradicts itself: it
        # has an id, so the look-up of that id decides, and until then the amount stays held.
        movement = replace(movement, status=MovementStatus.PENDING)
    return Accepted(movement)
