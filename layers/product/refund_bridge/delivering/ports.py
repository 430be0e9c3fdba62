"""What delivering asks of the world. ``tests/contract/ledger/test_webhook_*.py`` hold both the real
adapters and those in memory to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.ports.runtime import Deadline

# --- how far a refund has been told to an address -------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far an address has been told of a refund.

    Attributes:
        delivered_sequence: the last line that was delivered, was not wanted, or was given up.
        since_ms: the three days of older lines count from here: when the cursor was begun, or when
            somebody asked for the lines again.
        owed_since_ms: since when something is owed without a break; says nothing if nothing is.
        attempts: how often the next line was sent in vain.
        next_attempt_ms: before then it is not sent again; 0: at once.
        last_error: why it was not taken, in our words.
        failed_sequence: the newest line that was given up.
        owed: raised whenever more comes to be owed; its holder keeps what it was when it took it.
        lease_id: whose turn it is; empty when it is nobody's.
    """

    refund_id: str
    address_id: str
    delivered_sequence: int
    since_ms: int
    owed_since_ms: int
    attempts: int = 0
    next_attempt_ms: int = 0
    last_error: str | None = None
    failed_sequence: int | None = None
    owed: int = 0
    is_owed: bool = False
    lease_id: str = ""


@dataclass(frozen=True, slots=True)
class NotNow:
    """The cursor waits for its next attempt until then, or is another worker's (``is_leased``)."""

    until_ms: int
    is_leased: bool = False


class LeaseLostError(Exception):
    """Another worker has the cursor by now; nothing was written."""


class Cursors(Protocol):
    """Cursors beside the refunds; never changes a refund.

    Every method may raise ``LedgerUnavailableError``.
    """

    def owe(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        """Lines after ``after_sequence`` have to be told; durable on return.

        A cursor that exists stays where it is. If no message does its work by ``check_at_ms``, it
        is ``due``.
        """

    def take(
        self, refund_id: str, address_id: str, *, now_ms: int, until_ms: int
    ) -> Cursor | NotNow | None:
        """The cursor, this worker's alone until ``until_ms``; ``None`` if nothing is owed."""

    def advance(self, cursor: Cursor, *, to_sequence: int) -> Cursor:
        """All lines up to that one are delivered or not wanted, durably.

        Raises:
            LeaseLostError: it is another's by now.
        """

    def give_up(self, cursor: Cursor, *, to_sequence: int, reason: str) -> Cursor:
        """As ``advance``, for a line that was not taken in all its time; raises as that does."""

    def put_off(
        self, cursor: Cursor, *, reason: str | None, next_attempt_ms: int, check_at_ms: int
    ) -> None:
        """Let go of it; it is not taken before then. With a ``reason`` an attempt is counted.

        Changes nothing if it is another's by now.
        """

    def done(self, cursor: Cursor) -> bool:
        """Let go of it: all is told. ``False`` if more has come to be owed meanwhile."""

    def rewind(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        """Lines after that one are to be told, again or for the first time; durable on return."""

    def cursor(self, refund_id: str, address_id: str) -> Cursor | None:
        """The cursor as it is now."""

    def cursors(self, keys: Sequence[tuple[str, str]]) -> Sequence[Cursor]:
        """Those of these (refund, address) that exist, as they are now, in any order."""

    def due(self, shard: int, *, before_ms: int, limit: int) -> Sequence[tuple[str, str]]:
        """(refund, address) of one of ``DUE_SHARDS`` shards that should have been done by then.

        The oldest first. From an index, so eventually consistent.
        """

    def rung(self, refund_id: str, address_id: str, *, now_ms: int) -> int | None:
        """Count that a message is sent again; how often it was before, ``None`` if nothing is due.

        Nobody else is given it for a minute.
        """

    def check_again(self, refund_id: str, address_id: str, *, at_ms: int) -> None:
        """Let it be due then, if something is owed still."""

    def rest(self, refund_id: str, address_id: str) -> None:
        """Nothing is owed any more, though not all is told: the address is removed, or was disabled
        for too long."""


# --- how an address does --------------------------------------------------------------------------


class Status(StrEnum):
    """Whether an address is used."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressState:
    """How an address does.

    Attributes:
        failures: attempts that failed since the last one that was taken.
        closed_until_ms: no connection is made before then; ``None``: it is open.
        closures: how often in a row it was closed.
        slots: until when each of the places for a connection is taken, Unix milliseconds.
        reason: why it is disabled.
        delivered: events that it took, ever.
        failed: attempts that failed, ever.
    """

    id: str
    status: Status
    failures: int = 0
    closed_until_ms: int | None = None
    closures: int = 0
    slots: tuple[int, ...] = ()
    reason: str | None = None
    delivered: int = 0
    failed: int = 0
    last_delivered_at_ms: int | None = None
    last_error: str | None = None

    def is_closed(self, now_ms: int) -> bool:
        """Whether it is left alone at that time."""
        return self.closed_until_ms is not None and self.closed_until_ms > now_ms

    def free_slot(self, now_ms: int, *, places: int) -> int | None:
        """The number of a free place among that many, if there is one."""
        slots = (*self.slots, *[0] * places)[:places]
        return next((number for number, until in enumerate(slots) if until <= now_ms), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for one connection to an address, until it is freed or its time is over.

    Attributes:
        is_probe: whether the address was closed, and this connection shows if it may be opened.
    """

    address_id: str
    number: int
    until_ms: int
    is_probe: bool = False


class AddressStates(Protocol):
    """How the addresses do: one item each. May raise ``LedgerUnavailableError``."""

    def enabled(self) -> Sequence[str]:
        """The ids of all addresses that are enabled, as it is now, in one small read."""

    def states(self) -> Sequence[AddressState]:
        """The addresses that are not removed."""

    def state(self, address_id: str) -> AddressState | None:
        """How that address does now; ``None`` if it was never added."""

    def set_status(
        self, address_id: str, status: Status, *, now_ms: int, reason: str | None = None
    ) -> None:
        """Enable, disable or remove it; durable on return. Enabled, it is open."""

    def take_slot(
        self, state: AddressState, number: int, *, now_ms: int, until_ms: int
    ) -> Slot | None:
        """That place; ``None`` if somebody took it, or the address is closed or not enabled.

        Of an address whose closed time is over, one worker gets a place at a time: the probe. The
        others see it as closed until ``until_ms``.
        """

    def free(
        self, slot: Slot, *, delivered: int, error: str | None, now_ms: int
    ) -> AddressState | None:
        """Give the place back, and count what came of it: so many events taken, then an error.

        What was taken opens the address. A probe of which nothing came leaves it to the next one.
        Returns the state after it; ``None`` if the address was never added.
        """

    def close(self, state: AddressState, *, until_ms: int) -> bool:
        """Leave it alone until then, and count the closure; ``False``: another worker did."""


class AddressBook(Protocol):
    """The addresses with their secrets."""

    def address(self, address_id: str, *, anew: bool = False) -> WebhookAddress | None:
        """That address, a minute old at most, or read now; ``None`` if no parameter holds it.

        Raises:
            KeyUnavailableError: they cannot be read now.
        """


# --- the network ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answered:
    """The address answered in time."""

    status: int

    @property
    def is_taken(self) -> bool:
        """Whether it has taken the event."""
        return 200 <= self.status <= 299


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No whole answer in time, or no connection was made. ``reason`` is ours, for logs."""

    reason: str


class Sender(Protocol):
    """Sends one event."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answered | NoAnswer:
        """POST it once, follow nothing. Never raises for what the network does."""


class Bell(Protocol):
    """The queue of messages: a refund's and an address's id each."""

    def ring(self, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Send a message for each (refund, address); those that may not have been sent.

        Never raises for what the queue does.
        """
