"""What Hyperswitch's answer to ``POST /refunds`` means.

Facts: https://api-reference.hyperswitch.io/essentials/error_codes. Its own refusals begin with
``IR`` (the request) and ``HE`` (Hyperswitch itself) and mean that nothing was executed, with two
exceptions: ``HE_01`` says that there is a refund of this id already, and ``HE_00`` that something
went wrong. ``CE`` is a failure at the connector, which may have received the refund. Older versions
say ``RE`` instead of ``HE``.
"""

from dataclasses import replace
from typing import Any, Final

from refund_bridge.adapters.http.api_key import sentence
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.domain.instruction import Aborted, Instruction, Outcome, Rejected, Unknown
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.hyperswitch.objects import TITLE, read_processor_refund
from refund_bridge.processors.shared.accepting import Questionable, accepted
from refund_bridge.processors.shared.provider_http import Sent, not_executed, require_same

_REFUSALS: Final = frozenset({400, 402, 403, 404, 422})
# Without Hyperswitch's code these come from a proxy in front of it, which executes nothing.
_TURNED_AWAY: Final = frozenset({403, 404})
_BEFORE_EXECUTING: Final = ("IR_", "HE_", "RE_")
_USED: Final = frozenset({"HE_01", "RE_01"})
_WENT_WRONG: Final = frozenset({"HE_00", "RE_00"})
# No such URL, no such method: the answers to a wrong base URL; the instruction was not read.
_NO_SUCH_CALL: Final = frozenset({"IR_02", "IR_03"})


def outcome_of(
    sent: Sent, instruction: Instruction, key: str, *, key_max: int
) -> Outcome | Questionable:
    """The outcome of a whole answer to ``instruction``, which carried ``key``."""
    answer = sent.answer
    if answer.is_success:
        return _accepted(sent, instruction, key, key_max)
    if turned_away := not_executed(answer, TITLE):
        return turned_away
    return _refused(answer, secret=sent.key)


def message_of(answer: HttpAnswer, *, secret: str) -> str | None:
    """The message in ``error``, followed by the reason if there is one.

    ``None`` if the answer is not of that form, or only says that there is no such URL or method.
    """
    error = _error_of(answer)
    message = error.get("message")
    if not isinstance(message, str) or _code_of(answer) in _NO_SUCH_CALL:
        return None
    reason = error.get("reason")
    if isinstance(reason, str) and reason and reason not in message:
        message = f"{message} {reason}"
    return sentence(message, secret=secret) or None


def _refused(answer: HttpAnswer, *, secret: str) -> Outcome | Questionable:
    code, message = _code_of(answer), message_of(answer, secret=secret)
    if answer.status in _REFUSALS and message:
        refusal = Rejected(message, answer.status, code)
        if code and code.startswith(_BEFORE_EXECUTING) and code not in _USED | _WENT_WRONG:
            return refusal
        return Questionable(refusal, used=code in _USED)
    if answer.status in _TURNED_AWAY:
        return Aborted(f"turned away before Hyperswitch ({answer.status} without its message)")
    return Unknown(f"Hyperswitch answered {answer.status}")


def _code_of(answer: HttpAnswer) -> str | None:
    code = _error_of(answer).get("code")
    return code if isinstance(code, str) and 0 < len(code) <= 40 and code.isprintable() else None


def _error_of(answer: HttpAnswer) -> dict[str, Any]:
    error = (json_object(answer.body) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _accepted(sent: Sent, instruction: Instruction, key: str, key_max: int) -> Outcome:
    try:
        source = json_object(sent.answer.body)
        processor_refund = read_processor_refund(source, key_max=key_max, secret=sent.key)
        require_same(TITLE, "refund", processor_refund.id, key)
    except UnreadableAnswerError as error:
        return Unknown(f"Hyperswitch's answer is a success that cannot be read: {error.reason}")
    # The key identifies the instruction, though it may be only the beginning of its id.
    return accepted(
        replace(processor_refund, instruction_id=instruction.refund_id), instruction, title=TITLE
    )
