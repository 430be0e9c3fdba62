"""Ask for one refund until the answer says what became of it, or the given time is over.

It is always repeated with the same key: the service makes one refund for one key, however often it
is asked.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from refund_bridge.domain.errors import IdempotencyKeyReusedError, final_codes
from refundctl.exits import UnreachableError
from refundctl.refunding.service import Service, ServiceAnswer
from refundctl.refunding.wish import Wish

WAIT_S: Final = 2
WAIT_S_MAX: Final = 30
# Error codes by which the service finally refuses a refund. After any other answer its result is
# not known: the answer may come from a proxy, or from an address that is not the service's.
REFUSALS: Final = final_codes()
# An address that takes no refunds answers with one of these: it takes no other row either.
NO_ROUTE: Final = frozenset({404, 405, 415})


class Result(StrEnum):
    """What became of a wish, the wanted refund."""

    REFUNDED = "refunded"
    PENDING = "pending"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the result cannot change any more."""
        return self in (Result.REFUNDED, Result.REFUSED)


@dataclass(frozen=True)
class Told:
    """What is known of a wish after asking.

    Attributes:
        code, message: those of the service's error, or of the refund's failure.
        refund: the members of the refund object that are kept, if the answer was a refund.
    """

    result: Result
    code: str = ""
    message: str = ""
    refund: Mapping[str, Any] = field(default_factory=dict)

    @property
    def refund_id(self) -> str:
        """The refund's id, if one is known."""
        return str(self.refund.get("id", ""))


class NotTakenError(UnreachableError):
    """The service accepts no request of ours: it would not accept any other either.

    Attributes:
        told: what is known of the wish.
        was_asked_before: whether this answered a repeated request: an earlier request may have made
            the refund.
    """

    def __init__(self, sentence: str, told: Told, *, was_asked_before: bool) -> None:
        super().__init__(sentence)
        self.told = replace(told, result=Result.UNKNOWN)
        self.was_asked_before = was_asked_before


class KeyRefusedError(NotTakenError):
    """The service does not accept the operator's key."""

    def __init__(self, told: Told, *, was_asked_before: bool) -> None:
        sentence = f"The service refuses the key: {told.message}"
        super().__init__(sentence, told, was_asked_before=was_asked_before)


class NoRouteError(NotTakenError):
    """The address is not one where refunds are asked for."""

    def __init__(self, told: Told, *, was_asked_before: bool) -> None:
        sentence = f"No refunds are taken at this address: {told.code}: {told.message}"
        super().__init__(sentence, told, was_asked_before=was_asked_before)


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
# The members of a refund object that are kept in memory, for each of many thousand rows.
KEPT: Final = ("id", "status", "amount")


def told_by(answer: ServiceAnswer) -> Told:
    """What the service's answer says about a wish.

    A wish counts as refused only if the service itself refuses it, in the service's own form. If
    the key was used for another request before, the refund in the answer is not the wish's.
    """
    if answer.body.get("object") == "refund":
        return told_of(answer.body)
    error = answer.body.get("error")
    facts = error if isinstance(error, dict) else {}
    code, message = str(facts.get("code", answer.status)), str(facts.get("message", ""))
    details = facts.get("details")
    refund = details.get("refund") if isinstance(details, dict) else None
    is_others = code == IdempotencyKeyReusedError.code
    known = {"id": refund} if isinstance(refund, str) and not is_others else {}
    is_refused = 400 <= answer.status < 500 and code in REFUSALS
    return Told(Result.REFUSED if is_refused else Result.UNKNOWN, code, message, known)


def told_of(refund: Mapping[str, Any]) -> Told:
    """What a refund object says about its wish."""
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
    """Asks for a refund, and repeats the request while its result is not known.

    Attributes:
        patience_s: for how long one request is repeated.
        is_over: whether the whole run has been stopped.
    """

    service: Service
    patience_s: int
    is_over: Callable[[], bool] = lambda: False
    sleep: Callable[[float], object] = field(default_factory=lambda: time.sleep)

    def __call__(self, key: str, wish: Wish) -> Told:
        """What became of the wish under that key.

        Raises:
            KeyRefusedError: the operator's key is not accepted, or may not refund.
            NoRouteError: the address takes no refunds.
        """
        waited, wait_s = 0, WAIT_S
        told = NOT_SENT
        while not self.is_over():
            answer = self.service.create(key, wish.body)
            before, told = told, told_by(answer)
            is_repeated = before is not NOT_SENT
            if answer.status in (401, 403):
                raise KeyRefusedError(told, was_asked_before=is_repeated)
            if answer.status in NO_ROUTE and told.result is Result.UNKNOWN:
                raise NoRouteError(told, was_asked_before=is_repeated)
            if told.result is not Result.UNKNOWN:
                return told
            pause_s = min(max(answer.retry_after_s or 0, wait_s), WAIT_S_MAX)
            if waited + pause_s > self.patience_s:
                break
            self.sleep(pause_s)
            waited, wait_s = waited + pause_s, min(2 * wait_s, WAIT_S_MAX)
        return replace(told, message=told.message or "It is not known what became of it.")
