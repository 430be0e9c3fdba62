"""What Stripe's answer to ``POST /v1/refunds`` means.

Facts: https://docs.stripe.com/api/refunds/create, https://docs.stripe.com/api/errors and
https://docs.stripe.com/error-low-level. An answer of Stripe's own has its ``error`` object.
"""

from typing import Any, Final

from refund_bridge.adapters.http.api_key import sentence
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.domain.instruction import (
    Aborted,
    CredentialRefused,
    Instruction,
    Outcome,
    Rejected,
    Unknown,
)
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.shared.accepting import accepted
from refund_bridge.processors.shared.provider_http import Sent, not_executed
from refund_bridge.processors.stripe.objects import TITLE, read_processor_refund

# A refusal of the refund has one of these statuses and one of these types. Another type is about
# something else: ``idempotency_error`` is about another request with our key, so the outcome of
# ours is not known.
_REFUSALS: Final = frozenset({400, 402, 404})
_TYPES: Final = frozenset({"invalid_request_error", "card_error"})
# Without Stripe's message these come from a proxy in front of it, which executes nothing.
_TURNED_AWAY: Final = frozenset({403, 404})
# 401: no valid key. 403: a restricted key without this right; neither is the refund's fault.
OF_THE_KEY: Final = frozenset({401, 403})


def outcome_of(sent: Sent, instruction: Instruction) -> Outcome:
    """The outcome of a whole answer."""
    answer = sent.answer
    if answer.is_success:
        return _accepted(answer.body, instruction)
    return not_executed(answer, TITLE) or _refused(answer, sent.key)


def _refused(answer: HttpAnswer, key: str) -> Outcome:
    error, message = _error_of(answer), message_of(answer, secret=key)
    if message is None and answer.status in _TURNED_AWAY:
        return Aborted(f"turned away before Stripe ({answer.status} without its message)")
    if message is None:
        return Unknown(f"Stripe answered {answer.status}")
    if answer.status in OF_THE_KEY:
        return CredentialRefused(f"Stripe does not accept the key for this ({answer.status})")
    if answer.status in _REFUSALS and error.get("type") in _TYPES:
        code = sentence(str(error.get("code") or ""), secret=key) or None
        return Rejected(message, answer.status, code)
    return Unknown(f"Stripe answered {answer.status}")


def message_of(answer: HttpAnswer, *, secret: str) -> str | None:
    """The message in ``error``; ``None`` if the answer is not of that form."""
    message = _error_of(answer).get("message")
    return sentence(message, secret=secret) or None if isinstance(message, str) else None


def _accepted(body: bytes, instruction: Instruction) -> Outcome:
    try:
        processor_refund = read_processor_refund(json_object(body))
    except UnreadableAnswerError as error:
        return Unknown(f"Stripe's answer is a success that cannot be read: {error.reason}")
    return accepted(processor_refund, instruction, title=TITLE)


def _error_of(answer: HttpAnswer) -> dict[str, Any]:
    error = (json_object(answer.body) or {}).get("error")
    return error if isinstance(error, dict) else {}
