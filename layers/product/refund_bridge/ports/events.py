"""What the use cases ask of the event bus, and of the list of what it was not told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from refund_bridge.ports.runtime import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event for whoever listens on the bus.

    Attributes:
        id: the same however often it is published; subscribers find it in ``detail`` too.
        name: what kind of event it is: EventBridge's ``detail-type``.
        at_ms: when what it tells of happened.
        detail: JSON values only; no secret, no customer's data beyond what the caller sent.
    """

    id: str
    name: str
    at_ms: int
    detail: Mapping[str, Any]


class EventBus(Protocol):
    """Where the rest of the world listens."""

    def publish(self, announcements: Sequence[Announcement], deadline: Deadline) -> frozenset[str]:
        """Publish, and return the ids of those that may not have arrived; the others are durable.

        Never raises for what the network does. Nothing is begun that might not end in time.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Unannounced:
    """What has to be published again of one refund.

    Attributes:
        from_seq: the first line of its history that may not have been published.
        tries: how often publishing it again was begun.
    """

    refund_id: str
    from_seq: int
    tries: int = 0
    revision: int = 0


class Backlog(Protocol):
    """Remembers what could not be published. Every method may raise ``LedgerUnavailableError``.

    It lies beside the refunds and never changes one, so that a bus that is away is no concern of
    whoever moves money.
    """

    def owe(self, refund_id: str, *, from_seq: int, now_ms: int) -> None:
        """From that line on the refund's history is to be published again, and that is due now.

        Durable on return. What is owed from an earlier line stays owed.
        """

    def owing(self, shard: int, *, before_ms: int, limit: int) -> Sequence[str]:
        """Ids of refunds of one of ``DUE_SHARDS`` shards for which something was due by then.

        From an index, so eventually consistent, as ``Ledger.due``.
        """

    def take(self, refund_id: str, *, now_ms: int, until_ms: int) -> Unannounced | None:
        """What is owed of the refund, if it is due; nobody else is given it before ``until_ms``.

        The try is counted, durably.
        """

    def hold(self, taken: Unannounced, *, until_ms: int | None) -> None:
        """Let it be due again then; ``None``: never again, unless more comes to be owed.

        Changes nothing if more has come to be owed meanwhile.
        """

    def paid(self, taken: Unannounced) -> None:
        """It was published; changes nothing if more has come to be owed meanwhile."""
