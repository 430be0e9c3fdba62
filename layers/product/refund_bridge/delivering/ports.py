"""The ports of delivering.

``tests/contract/ledger/test_webhook_*.py`` test both the real adapters and those in memory.
"""

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
        since_ms: when the cursor was begun, or when somebody asked for the lines again; the three
            days for older lines count from here.
        owed_since_ms: since when something has been owed without a break; meaningless if nothing is
            owed.
        attempts: how often sending the next line has failed.
        next_attempt_ms: the next line is not sent again before then; 0: at once.
        last_error: why the address did not take it, in our words.
        failed_sequence: the newest line that was given up.
        owed: increased whenever more becomes owed; a worker keeps the value from when it took the
            cursor.
        lease_id: identifies the worker that has the cursor; empty if none has.
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
    """The cursor waits until ``until_ms``, or another worker has it till then (``is_leased``)."""

    until_ms: int
    is_leased: bool = False


class LeaseLostError(Exception):
    """Another worker has taken the cursor; nothing was written."""


class Cursors(Protocol):
    """Stores cursors beside the refunds; never changes a refund.

    Every method may raise ``LedgerUnavailableError``.
    """

    def owe(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        """Note that lines after ``after_sequence`` must be told; durable on return.

        An existing cursor keeps its position. If no message has done the work by ``check_at_ms``,
        the cursor is ``due``.
        """

    def take(
        self, refund_id: str, address_id: str, *, now_ms: int, until_ms: int
    ) -> Cursor | NotNow | None:
        """Take the cursor for this worker until ``until_ms``; ``None`` if nothing is owed."""

    def advance(self, cursor: Cursor, *, to_sequence: int) -> Cursor:
        """Note that all lines up to that one are delivered or not wanted, durably.

        Raises:
            LeaseLostError: another worker has the cursor.
        """

    def give_up(self, cursor: Cursor, *, to_sequence: int, reason: str) -> Cursor:
        """As ``advance``, for a line that the address did not take in time; raises as that does."""

    def put_off(
        self, cursor: Cursor, *, reason: str | None, next_attempt_ms: int, check_at_ms: int
    ) -> None:
        """Release the cursor until the next attempt; with a ``reason``, count a failed attempt.

        Changes nothing if another worker has the cursor.
        """

    def done(self, cursor: Cursor) -> bool:
        """Release the cursor: all is told. ``False`` if more has become owed meanwhile."""

    def rewind(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        """Note that lines after that one must be told, even if told before; durable on return."""

    def cursor(self, refund_id: str, address_id: str) -> Cursor | None:
        """The cursor as it is now."""

    def cursors(self, keys: Sequence[tuple[str, str]]) -> Sequence[Cursor]:
        """Those of these (refund, address) that exist, as they are now, in any order."""

    def due(self, shard: int, *, before_ms: int, limit: int) -> Sequence[tuple[str, str]]:
        """(refund, address) pairs of one of ``DUE_SHARDS`` shards that were due by then.

        The oldest come first. Read from an index, so eventually consistent.
        """

    def rung(self, refund_id: str, address_id: str, *, now_ms: int) -> int | None:
        """Count that a message is sent again; returns how often it was before.

        ``None`` if nothing is due. No other worker gets it for a minute.
        """

    def check_again(self, refund_id: str, address_id: str, *, at_ms: int) -> None:
        """Make it due at ``at_ms``, if something is still owed."""

    def rest(self, refund_id: str, address_id: str) -> None:
        """Note that nothing is owed any more, though not all is told.

        The address is removed, or was disabled for too long.
        """


# --- the state of an address ----------------------------------------------------------------------


class Status(StrEnum):
    """Whether an address is used."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressState:
    """The state of an address.

    Attributes:
        failures: failed attempts since the last event that it took.
        closed_until_ms: no connection is made before then; ``None``: it is open.
        closures: how often in a row it was closed.
        slots: until when each of its places for a connection is taken, Unix milliseconds.
        reason: why it is disabled.
        delivered: how many events it has taken in all.
        failed: how many attempts have failed in all.
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
        """Whether no connection may be made to it at that time."""
        return self.closed_until_ms is not None and self.closed_until_ms > now_ms

    def free_slot(self, now_ms: int, *, places: int) -> int | None:
        """The number of a free place among that many, if there is one."""
        slots = (*self.slots, *[0] * places)[:places]
        return next((number for number, until in enumerate(slots) if until <= now_ms), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for one connection to an address, until it is given back or its time is over.

    Attributes:
        is_probe: whether the address was closed, and this connection tests if it works again.
    """

    address_id: str
    number: int
    until_ms: int
    is_probe: bool = False


class AddressStates(Protocol):
    """Stores the states of addresses. Every method may raise ``LedgerUnavailableError``."""

    def enabled(self) -> Sequence[str]:
        """The ids of all addresses that are enabled, as it is now, in one small read."""

    def states(self) -> Sequence[AddressState]:
        """The addresses that are not removed."""

    def state(self, address_id: str) -> AddressState | None:
        """The state of that address now; ``None`` if it was never added."""

    def set_status(
        self, address_id: str, status: Status, *, now_ms: int, reason: str | None = None
    ) -> None:
        """Enable, disable or remove it; durable on return. An enabled address starts open."""

    def take_slot(
        self, state: AddressState, number: int, *, now_ms: int, until_ms: int
    ) -> Slot | None:
        """Take that place; ``None`` if it is taken, or the address is closed or not enabled.

        If the closed time of an address is over, one worker at a time gets a place: the probe. The
        others see the address as closed until ``until_ms``.
        """

    def free(
        self, slot: Slot, *, delivered: int, error: str | None, now_ms: int
    ) -> AddressState | None:
        """Give the place back, and count the result: the events taken, and then an error if any.

        If the address took an event, it is open. A probe that sent nothing lets another worker
        probe.
        Returns the state after it; ``None`` if the address was never added.
        """

    def close(self, state: AddressState, *, until_ms: int) -> bool:
        """Close it until then, and count the closure; ``False``: another worker did it first."""


class AddressBook(Protocol):
    """Reads the addresses with their secrets."""

    def address(self, address_id: str, *, anew: bool = False) -> WebhookAddress | None:
        """That address, from a cache or read ``anew``; ``None`` if it has no parameter.

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
    """There was no connection, or no whole answer in time. ``reason`` is our text, for logs."""

    reason: str


class Sender(Protocol):
    """Sends one event."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answered | NoAnswer:
        """POST it once, without following redirects. Never raises for network errors."""


class Bell(Protocol):
    """The queue of messages: a refund's and an address's id each."""

    def ring(self, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Send a message for each (refund, address); returns those that may not have been sent.

        Never raises for errors of the queue.
        """
