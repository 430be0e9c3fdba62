"""Makes the events that addresses are sent, in Stripe's form, from a refund's history.

The history lines that become events are the same as on the bus (``announcements``); here each gets
Stripe's event type. The object in the event is the refund as it is now, not as it was at that line.

::

    Refund Pending, Refund Succeeded       refund.created if it is the refund's first event,
                                           else refund.updated
    Refund Failed                          refund.failed; refund.updated if it was withdrawn
    Refund Reversed                        refund.failed
    Refund Needs Review                    refund_bridge.refund.needs_review
    Refund Reported                        refund_bridge.refund.reported
    Refund Report Failed                   refund_bridge.refund.report_failed
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import refund_bridge.events.announcements as on_the_bus
from refund_bridge.delivering import address
from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import WITHDRAWN, Refund
from refund_bridge.events.announcements import announcements_of
from refund_bridge.ports.events import Announcement

BODY_BYTES_MAX: Final = 256 * 1024

_TYPES: Final = {
    on_the_bus.FAILED: address.FAILED,
    on_the_bus.REVERSED: address.FAILED,
    on_the_bus.NEEDS_REVIEW: address.NEEDS_REVIEW,
    on_the_bus.REPORTED: address.REPORTED,
    on_the_bus.REPORT_FAILED: address.REPORT_FAILED,
}
_NOT_OF_THE_OBJECT: Final = frozenset({"event_id", "sequence"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a refund's history that becomes an event.

    Attributes:
        sequence: the line's number in the history.
        type: the event's type, in Stripe's words or ours.
        at_ms: when it happened, Unix milliseconds.
        name: the event's name on the bus.
    """

    sequence: int
    event_id: str
    type: str
    at_ms: int
    name: str
    refund: dict[str, Any]


def lines_of(refund: Refund, payment: Payment | None, *, after_sequence: int) -> tuple[Line, ...]:
    """The lines after ``after_sequence`` that become events, oldest first."""
    withdrawn = {entry.seq for entry in refund.history if entry.cause == WITHDRAWN}
    told = announcements_of(refund, payment, after_seq=0)
    lines = tuple(
        _line(one, is_first=number == 0, withdrawn=withdrawn) for number, one in enumerate(told)
    )
    return tuple(line for line in lines if line.sequence > after_sequence)


def _line(told: Announcement, *, is_first: bool, withdrawn: set[int]) -> Line:
    sequence = int(told.detail["sequence"])
    kind = _TYPES.get(told.name)
    if kind is None:
        kind = address.CREATED if is_first else address.UPDATED
    elif sequence in withdrawn:
        kind = address.UPDATED
    shown = {name: told.detail[name] for name in told.detail if name not in _NOT_OF_THE_OBJECT}
    return Line(
        sequence=sequence,
        event_id=told.id,
        type=kind,
        at_ms=told.at_ms,
        name=told.name,
        refund=shown,
    )


def event_body(line: Line, to: WebhookAddress, *, livemode: bool) -> bytes:
    """The event as it is sent: JSON, in ASCII.

    ``refund_bridge`` adds what Stripe's events lack: the line's number, by which a receiver can
    sort events, and the id and name of the same event on the bus.
    """
    ours = {"event_id": line.event_id, "sequence": line.sequence, "name": line.name}
    event = _event(line.event_id, line.type, line.at_ms, line.refund)
    return _body({**event, "refund_bridge": ours}, to, livemode=livemode)


def body_of_test(test_id: str, to: WebhookAddress, *, at_ms: int, livemode: bool) -> bytes:
    """The event that is sent to test an address; it is about no refund."""
    shown = {"object": address.TEST, "id": test_id}
    return _body(_event(test_id, address.TEST, at_ms, shown), to, livemode=livemode)


def _event(event_id: str, kind: str, at_ms: int, shown: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"evt_{hashlib.sha256(event_id.encode()).hexdigest()[:24]}",
        "object": "event",
        "created": at_ms // 1000,
        "pending_webhooks": 0,
        "request": None,
        "type": kind,
        "data": {"object": shown},
    }


def _body(event: dict[str, Any], to: WebhookAddress, *, livemode: bool) -> bytes:
    told = {**event, "api_version": to.api_version, "livemode": livemode}
    # In ASCII, so that half a surrogate pair in a caller's text cannot make the event unsendable.
    return json.dumps(told, separators=(",", ":")).encode("ascii")
