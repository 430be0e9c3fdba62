"""What DynamoDB's refusals mean: was something written, or may it have been?

======================================  ========================  =================================
refusal                                 written?                  what happens
======================================  ========================  =================================
condition failed                        no                        conflict, at once
transaction conflict                    no                        asked again, then conflict
throttled                               no                        asked again, then unavailable
transaction in progress                 perhaps, by our own call  asked again, then unavailable
not valid                               no                        a defect
timeout, 5xx, no connection, any other  perhaps                   unavailable
======================================  ========================  =================================

"No" is true of one request. botocore itself sends a request again after a timeout or a 5xx, and the
first copy may have been executed. A transaction's token makes the second copy harmless; a single
write is recognised by the ``write_id`` that it left (``ledger.py``).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from refund_bridge.adapters.dynamodb.values import decode_item

_T = TypeVar("_T")

CONDITION_FAILED: Final = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
CONFLICT: Final = frozenset({"TransactionConflict", "TransactionConflictException"})
THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
    }
)
IN_PROGRESS: Final = frozenset({"TransactionInProgressException"})
INVALID: Final = frozenset(
    {
        "DuplicateItem",
        "IdempotentParameterMismatchException",
        "ItemCollectionSizeLimitExceeded",
        "ItemCollectionSizeLimitExceededException",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)
_ASKED_AGAIN: Final = CONFLICT | THROTTLED | IN_PROGRESS

# The pauses before the second, third and fourth try, each shortened by up to half at random: at
# most 0.7 s in all.
PAUSES_S: Final = (0.1, 0.2, 0.4)


class RequestRefusedError(Exception):
    """DynamoDB refused a request, after all tries.

    Attributes:
        code: of the refusal, or ``TransactionCanceledException``.
        reasons: for a cancelled transaction, one code per write, ``None`` where nothing was wrong.
        stored: the item that a condition failed on, if it was asked for and exists, else empty.
        sent_again: whether botocore sent a request more than once by itself, so that an earlier
            copy may have been executed.
    """

    def __init__(self, error: ClientError, *, sent_again: bool) -> None:
        # Only codes: the text of a validation error repeats the request.
        super().__init__(f"{error.operation_name}: {', '.join(_codes(error)) or 'refused'}")
        self.code = _code(error)
        self.reasons = _reasons(error)
        stored: Any = error.response.get("Item", {})
        self.stored = decode_item(stored)
        self.sent_again = sent_again

    def stored_by(self, write_id: str) -> bool:
        """Whether the item that the condition failed on was last written by that write."""
        return bool(self.stored.get("write_id") == write_id)

    def objects(self, *kinds: frozenset[str]) -> bool:
        """Whether the code, or any write's reason, is of one of these kinds."""
        codes = {self.code, *self.reasons}
        return any(codes & kind for kind in kinds)


def ask_again_if_busy(
    ask: Callable[[], _T], sleep: Callable[[float], None], random: Callable[[], float]
) -> _T:
    """What ``ask`` returns; asked again, a bounded number of times, while DynamoDB is only busy.

    Raises:
        RequestRefusedError: the last refusal.
    """
    sent_again = False
    for pause in (*PAUSES_S, None):
        try:
            return ask()
        except ClientError as error:
            sent_again |= _copies(error) > 0
            if pause is None or not _is_only_busy(error):
                # Not chained: the original's text may repeat the request.
                raise RequestRefusedError(error, sent_again=sent_again) from None
            sleep(pause * (1 - random() / 2))
    raise AssertionError("the last try returns or raises")


def _is_only_busy(error: ClientError) -> bool:
    codes = _codes(error)
    return bool(codes) and set(codes) <= _ASKED_AGAIN


def _codes(error: ClientError) -> Sequence[str]:
    """The codes of the refusal: the reasons of a cancelled transaction, or else its one code."""
    reasons = [reason for reason in _reasons(error) if reason is not None]
    return reasons or [_code(error)]


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _reasons(error: ClientError) -> tuple[str | None, ...]:
    reasons: Any = error.response.get("CancellationReasons") or ()
    return tuple(None if (c := r.get("Code")) in (None, "None") else c for r in reasons)


def _copies(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
