"""Decides which events tell of a refund: one pure table over its history.

Events are made from the history: each line that matters to subscribers is one event. Its id is the
refund's id and the line's number. So an event can be made again at any time, and a subscriber that
gets it twice can notice that.

::

    line of history                               event
    (new), submitting → requested, unknown,       Refund Pending         but a scheduled refund that
                        pending                                          is put off has no event
    → succeeded                                   Refund Succeeded       not for an import that is
                                                                         older than this service
    → rejected, failed, aborted                   Refund Failed
    → review                                      Refund Needs Review
    report → reported                             Refund Reported        only of what we told Stripe
    report → failed                               Refund Report Failed
    taken back by the processor                   Refund Reversed
    shown as succeeded again                      Refund Succeeded
    anything else                                 none
"""

from collections.abc import Mapping
from typing import Any, Final

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.outcome import RESTORED
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import STRIPE_ACCEPTED, TAKEN_BACK, Entry, Refund
from refund_bridge.domain.report import BEFORE_ADOPTION
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.events import Announcement

SOURCE: Final = "refund-bridge"

PENDING: Final = "Refund Pending"
SUCCEEDED: Final = "Refund Succeeded"
FAILED: Final = "Refund Failed"
NEEDS_REVIEW: Final = "Refund Needs Review"
REPORTED: Final = "Refund Reported"
REPORT_FAILED: Final = "Refund Report Failed"
REVERSED: Final = "Refund Reversed"
REQUEST_REFUSED: Final = "Refund Request Refused"

_REPORT: Final = {
    f"report:{ReportState.REPORTED}": REPORTED,
    f"report:{ReportState.FAILED}": REPORT_FAILED,
}
_ENTERED: Final = {
    State.SUCCEEDED.value: SUCCEEDED,
    State.REJECTED.value: FAILED,
    State.FAILED.value: FAILED,
    State.ABORTED.value: FAILED,
    State.REVIEW.value: NEEDS_REVIEW,
}
_AWAITING: Final = frozenset({State.REQUESTED.value, State.UNKNOWN.value, State.PENDING.value})


def name_of(entry: Entry) -> str | None:
    """The name of the event for a line of history; ``None`` if the line has no event."""
    if entry.cause == TAKEN_BACK:
        # The same write may also cancel the credit note; that makes no second event.
        return None if entry.after.startswith("credit_note:") else REVERSED
    if entry.before == entry.after:
        # Any other such line is evidence that came too late.
        return SUCCEEDED if entry.cause == RESTORED else None
    if entry.after in _AWAITING:
        return PENDING if _begins_to_wait(entry) else None
    if entry.after == State.SUCCEEDED and entry.cause == BEFORE_ADOPTION:
        return None
    if entry.after == f"report:{ReportState.REPORTED}" and entry.cause != STRIPE_ACCEPTED:
        return None  # others told Stripe, so this service has nothing to announce
    return _ENTERED.get(entry.after) or _REPORT.get(entry.after)


def announcements_of(
    refund: Refund, payment: Payment | None, *, after_seq: int
) -> tuple[Announcement, ...]:
    """The events of the lines of history after ``after_seq``, oldest first.

    Each event shows the refund and the payment as they are passed in: a late event shows what has
    become of the refund since.
    """
    shown = refund_object(refund, payment)
    return tuple(
        _announcement(
            name, f"{refund.id}:{entry.seq}", entry.at_ms, {"sequence": entry.seq} | shown
        )
        for name, entry in _news(refund, after_seq)
    )


def has_news(refund: Refund, *, after_seq: int) -> bool:
    """Whether any line of history after ``after_seq`` has an event."""
    return bool(_news(refund, after_seq))


def refusal_of(
    error: RefundBridgeError,
    *,
    request_id: str,
    source: str | None,
    refund_id: str | None,
    at_ms: int,
) -> Announcement:
    """The event which tells that a request that came as an event was refused.

    ``request_id`` is the id of that event, by which its sender knows it. ``refund_id`` is the id
    that the refund would have had. The request's content is not repeated.
    """
    detail = {
        "object": "refund_request",
        "request_event_id": request_id,
        "source": source,
        "refund_id": refund_id,
        "error": {"code": error.code, "message": error.message, "details": error.details},
    }
    return _announcement(REQUEST_REFUSED, f"{request_id}:refused", at_ms, detail)


def _announcement(name: str, event_id: str, at_ms: int, detail: Mapping[str, Any]) -> Announcement:
    return Announcement(
        id=event_id, name=name, at_ms=at_ms, detail={"event_id": event_id, **detail}
    )


def _news(refund: Refund, after_seq: int) -> list[tuple[str, Entry]]:
    told = [(name_of(entry), entry) for entry in refund.history if entry.seq > after_seq]
    return [(name, entry) for name, entry in told if name is not None]


def _begins_to_wait(entry: Entry) -> bool:
    if entry.before == State.SUBMITTING:
        return entry.after != State.REQUESTED
    return entry.before is None
