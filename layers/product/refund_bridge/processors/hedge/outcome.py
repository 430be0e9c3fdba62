"""What Hedge Payments' answer to ``POST /v1/payments/{id}/refund`` means.

Facts: https://hedgepayments.com/docs/payments/refund. The call has no idempotency key, and its
answer is the payment with all of its refunds, so we must find out which of them is ours.
"""

from typing import Any, Final

from refund_bridge.adapters.http.api_key import sentence
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.domain.charge import Charge, ProcessorRefund
from refund_bridge.domain.instruction import Aborted, Instruction, Outcome, Rejected, Unknown
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.hedge.objects import TITLE, read_charge
from refund_bridge.processors.shared.accepting import accepted
from refund_bridge.processors.shared.provider_http import Sent, not_executed

# 404 ``not_found``, 412 ``payment_not_refundable`` and 422 ``refund_amount_exceeded`` are
# documented; the others, in the same form, can only be refusals, too.
_REFUSALS: Final = frozenset({400, 402, 403, 404, 412, 422})
# Without Hedge's message these come from a proxy in front of it, which executes nothing.
_TURNED_AWAY: Final = frozenset({403, 404})
_AMOUNTS: Final = (
    "original_amount",
    "already_refunded",
    "remaining_refundable",
    "requested_refund",
)


def outcome_of(sent: Sent, instruction: Instruction) -> Outcome:
    """The outcome of a whole answer."""
    answer = sent.answer
    if answer.is_success:
        return _accepted(answer.body, instruction)
    if turned_away := not_executed(answer, TITLE):
        return turned_away
    message = message_of(answer, secret=sent.key)
    if answer.status in _REFUSALS and message:
        error = _error_of(answer)
        code = sentence(str(error.get("code") or ""), secret=sent.key) or None
        return Rejected(message, answer.status, code, _amounts(error.get("details")))
    if answer.status in _TURNED_AWAY:
        return Aborted(f"turned away before Hedge Payments ({answer.status} without its message)")
    return Unknown(f"Hedge Payments answered {answer.status}")


def message_of(answer: HttpAnswer, *, secret: str) -> str | None:
    """The message in ``error``; ``None`` if the answer is not of that form."""
    message = _error_of(answer).get("message")
    return sentence(message, secret=secret) or None if isinstance(message, str) else None


def ours(charge: Charge, instruction: Instruction) -> ProcessorRefund | None:
    """Our refund among those that the answer lists; ``None`` if that is not certain.

    It carries our id. Or else it is the only one of our amount that carries no other id and was not
    listed before.
    """
    listed = charge.processor_refunds or ()
    named = [item for item in listed if item.instruction_id == instruction.refund_id]
    if named:
        return named[0] if len(named) == 1 else None
    new = [
        item
        for item in listed
        if item.instruction_id is None
        and item.money == instruction.money
        and item.id not in (instruction.listed_before or ())
    ]
    return new[0] if len(new) == 1 else None


def _accepted(body: bytes, instruction: Instruction) -> Outcome:
    try:
        charge = read_charge(json_object(body))
    except UnreadableAnswerError as error:
        return Unknown(f"Hedge Payments' answer is a success that cannot be read: {error.reason}")
    processor_refund = ours(charge, instruction)
    if processor_refund is None:
        return Unknown("Hedge Payments' answer is a success that does not show which refund is new")
    return accepted(processor_refund, instruction, title=TITLE)


def _error_of(answer: HttpAnswer) -> dict[str, Any]:
    error = (json_object(answer.body) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _amounts(details: Any) -> dict[str, int]:
    if not isinstance(details, dict):
        return {}
    return {name: details[name] for name in _AMOUNTS if type(details.get(name)) is int}
