"""The ports of the event bus, and of the backlog of events that are not published yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from refund_bridge.ports.runtime import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event for the subscribers of the bus.

    Attributes:
        id: the same however often it is published; subscribers find it in ``detail`` too.
        name: what kind of event it is: EventBridge's ``detail-type``.
        at_ms: when the thing happened that the event tells of, Unix milliseconds.
        detail: JSON values only; no secret, no customer's data beyond what the caller sent.
    """

    id: str
    name: str
    at_ms: int
    detail: Mapping[str, Any]


class EventBus(Protocol):
    """Publishes events to other systems."""

    def publish(self, announcements: Sequence[Announcement], deadline: Deadline) -> frozenset[str]:
        """Publish, and return the ids of those that may not have arrived; the others are durable.

        Never raises for network errors. Begins no call that might not end before ``deadline``.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Unannounced:
    """From where on one refund's history must be published again.

    Attributes:
        from_seq: the first line of its history that may not have been published.
        tries: how often a new try to publish it was begun.
    """

    refund_id: str
    from_seq: int
    tries: int = 0
    revision: int = 0


class Backlog(Protocol):
    """Remembers what could not be published. Every method may raise ``LedgerUnavailableError``.

    It is stored beside the refunds and never changes one, so an outage of the bus does not disturb
    the calls that move money.
    """

    def owe(self, refund_id: str, *, from_seq: int, now_ms: int) -> None:
        """Note that the refund's history must be published again from that line on, due now.

        Durable on return. If publishing is owed from an earlier line already, that line stays.
        """

    def owing(self, shard: int, *, before_ms: int, limit: int) -> Sequence[str]:
        """Ids of refunds of one of ``DUE_SHARDS`` shards for which something was due by then.

        From an index, so eventually consistent, as ``Ledger.due``.
        """

    def take(self, refund_id: str, *, now_ms: int, until_ms: int) -> Unannounced | None:
        """Take what is owed of the refund, if it is due; no other call gets it before ``until_ms``.

        The try is counted, durably.
        """

    def hold(self, taken: Unannounced, *, until_ms: int | None) -> None:
        """Make it due again at ``until_ms``; ``None``: not again, unless more becomes owed.

        Changes nothing if more has become owed meanwhile.
        """

    def paid(self, taken: Unannounced) -> None:
        """Note that it was published; changes nothing if more has become owed meanwhile."""
