"""What the Convenient Checkout Gateway's answer to ``POST /v1/refunds`` means.

Facts: https://developers.healthsafepay.com/docs (refund error codes): a refusal is 400 with
``title``, ``status`` and ``detail``. Its answer to an instruction whose key was used before is not
documented. So if a refusal mentions the key, we look up by the key what became of the instruction.
"""

from typing import Final

from refund_bridge.adapters.http.api_key import sentence
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.domain.instruction import Aborted, Outcome, Rejected, Unknown
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.ccg.objects import TITLE, AmountUnit, read_accepted
from refund_bridge.processors.shared.accepting import AnyInstruction, Questionable, accepted
from refund_bridge.processors.shared.provider_http import Sent, not_executed

_REFUSALS: Final = frozenset({400, 402, 403, 404, 422})
# Without the gateway's detail these come from a proxy in front of it, which executes nothing.
_TURNED_AWAY: Final = frozenset({403, 404})
_KEY: Final = "transactionid"


def outcome_of(
    sent: Sent, instruction: AnyInstruction, *, unit: AmountUnit
) -> Outcome | Questionable:
    """The outcome of a whole answer."""
    answer = sent.answer
    if answer.is_success:
        return _accepted(answer.body, instruction, unit)
    if turned_away := not_executed(answer, TITLE):
        return turned_away
    message = message_of(answer, secret=sent.key)
    if answer.status in _REFUSALS and message:
        title = (json_object(answer.body) or {}).get("title")
        code = sentence(title, secret=sent.key) if isinstance(title, str) else None
        refusal = Rejected(message, answer.status, code or None)
        speaks_of_key = _KEY in message.replace(" ", "").lower()
        return Questionable(refusal, used=False) if speaks_of_key else refusal
    if answer.status in _TURNED_AWAY:
        return Aborted(f"turned away before {TITLE} ({answer.status} without its detail)")
    return Unknown(f"{TITLE} answered {answer.status}")


def message_of(answer: HttpAnswer, *, secret: str) -> str | None:
    """The ``detail``; ``None`` if the answer is not of that form."""
    detail = (json_object(answer.body) or {}).get("detail")
    return sentence(detail, secret=secret) or None if isinstance(detail, str) else None


def _accepted(body: bytes, instruction: AnyInstruction, unit: AmountUnit) -> Outcome:
    try:
        processor_refund = read_accepted(
            (json_object(body) or {}).get("data"), instruction, unit=unit
        )
    except UnreadableAnswerError as error:
        return Unknown(f"{TITLE}'s answer is a success that cannot be read: {error.reason}")
    if processor_refund.instruction_id is None:
        return Unknown(f"{TITLE}'s answer is a success for another instruction")
    return accepted(processor_refund, instruction, title=TITLE)
