"""Ask for one refund until the answer says what became of it, or patience ends.

Repeated with the same key alone: the service makes one refund of one key, however often it is
asked.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from refundctl.exits import UnreachableError
from refundctl.refunding.service import Service, ServiceAnswer
from refundctl.refunding.wish import Wish

WAIT_S: Final = 2
WAIT_S_MAX: Final = 30
# Of these nothing is known, or they say themselves that another moment is better.
PASSING: Final = frozenset({0, 409, 429, 500, 502, 503, 504})
PASSING_CODES: Final = frozenset({"idempotency_key_in_use", "payment_busy"})


class Result(StrEnum):
    """What became of a wish."""

    REFUNDED = "refunded"
    PENDING = "pending"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether nothing more becomes of it."""
        return self in (Result.REFUNDED, Result.REFUSED)


@dataclass(frozen=True)
class Told:
    """What is known of a wish after asking.

    Attributes:
        code, message: of the service's error, or of the refund's failure.
        refund: what is kept of the refund object, if the answer was one.
    """

    result: Result
    code: str = ""
    message: str = ""
    refund: Mapping[str, Any] = field(default_factory=dict)

    @property
    def refund_id(self) -> str:
        """The refund's id, if one is known."""
        return str(self.refund.get("id", ""))


class KeyRefusedError(UnreachableError):
    """The service does not take the operator's key: nothing else would be taken either.

    Attributes:
        told: what is known of the wish; a repetition may be what was refused.
    """

    def __init__(self, told: Told) -> None:
        super().__init__(f"The service refuses the key: {told.message}")
        self.told = replace(told, result=Result.UNKNOWN)


NOT_SENT: Final = Told(Result.UNKNOWN, "not_sent", "It was not asked for. Run it again.")
NOT_LOOKED_UP: Final = Told(
    Result.UNKNOWN,
    "not_looked_up",
    "This run has not asked for it; whether a former run did was not looked up. Run it again.",
)
NO_ANSWER_YET: Final = Told(
    Result.UNKNOWN,
    "no_answer_yet",
    "Asking for it had begun, and no answer was seen. Run it again.",
)
# Of each of many thousand rows so much of its refund is kept.
KEPT: Final = ("id", "status", "amount")


def told_by(answer: ServiceAnswer) -> Told:
    """What an answer says of a wish."""
    if answer.body.get("object") == "refund":
        return told_of(answer.body)
    error = answer.body.get("error")
    facts = error if isinstance(error, dict) else {}
    code, message = str(facts.get("code", answer.status)), str(facts.get("message", ""))
    details = facts.get("details")
    refund = details.get("refund") if isinstance(details, dict) else None
    known = {"id": refund} if isinstance(refund, str) else {}
    is_passing = answer.status in PASSING and (answer.status != 409 or code in PASSING_CODES)
    return Told(Result.UNKNOWN if is_passing else Result.REFUSED, code, message, known)


def told_of(refund: Mapping[str, Any]) -> Told:
    """What a refund object says of its wish."""
    failure = refund.get("failure") or {}
    match refund["status"]:
        case "succeeded":
            result = Result.REFUNDED
        case "failed" if failure.get("retryable"):
            result = Result.UNKNOWN
        case "failed" | "canceled":
            result = Result.REFUSED
        case _:
            result = Result.PENDING
    kept = {name: refund[name] for name in KEPT if name in refund}
    report = refund.get("stripe_report") or {}
    kept["report"] = report.get("status", "")
    return Told(result, str(failure.get("code", "")), str(failure.get("message", "")), kept)


@dataclass(frozen=True)
class Asking:
    """Asks, and asks again while that can help.

    Attributes:
        patience_s: for how long one wish is repeated.
        is_over: whether somebody has stopped everything.
    """

    service: Service
    patience_s: int
    is_over: Callable[[], bool] = lambda: False
    sleep: Callable[[float], object] = field(default_factory=lambda: time.sleep)

    def __call__(self, key: str, wish: Wish) -> Told:
        """What became of the wish under that key.

        Raises:
            KeyRefusedError: the operator's key is not accepted, or may not refund.
        """
        waited, wait_s = 0, WAIT_S
        told = NOT_SENT
        while not self.is_over():
            answer = self.service.create(key, wish.body)
            if answer.status in (401, 403):
                raise KeyRefusedError(told_by(answer))
            told = told_by(answer)
            if told.result is not Result.UNKNOWN:
                return told
            pause_s = min(max(answer.retry_after_s or 0, wait_s), WAIT_S_MAX)
            if waited + pause_s > self.patience_s:
                break
            self.sleep(pause_s)
            waited, wait_s = waited + pause_s, min(2 * wait_s, WAIT_S_MAX)
        return replace(told, message=told.message or "It is not known what became of it.")
