"""Outgoing webhooks in memory: cursors, addresses, the queue, and a merchant who answers.

``tests/contract/ledger/test_webhook_cursors.py`` and ``test_webhook_addresses.py`` run the same
tests on the first two and on the real ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.delivering.ports import (
    AddressState,
    Answered,
    Cursor,
    LeaseLostError,
    NoAnswer,
    NotNow,
    Slot,
    Status,
)
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.runtime import Deadline

Key = tuple[str, str]
RUNG_MS = 60_000
PLACES_MAX = 5


class Reach:
    """A part of the ledger that can be made unavailable."""

    is_away = False

    def require_reach(self) -> None:
        if self.is_away:
            raise LedgerUnavailableError("the ledger gave no answer")


@dataclass
class Row:
    """A cursor, and what only its store needs."""

    cursor: Cursor
    due_ms: int | None = None
    lease_until_ms: int = 0
    rings: int = 0


class MemoryCursors(Reach):
    """``delivering.ports.Cursors`` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self._leases = count(1)

    def owe(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        self.require_reach()
        row = self._row(refund_id, address_id, after_sequence, now_ms)
        if row.due_ms is None:
            row.cursor = replace(row.cursor, owed_since_ms=now_ms)
        row.cursor = replace(row.cursor, owed=row.cursor.owed + 1)
        self._owe(row, check_at_ms)

    def rewind(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        self.require_reach()
        row = self._row(refund_id, address_id, after_sequence, now_ms)
        row.cursor = Cursor(
            refund_id=refund_id,
            address_id=address_id,
            delivered_sequence=after_sequence,
            since_ms=now_ms,
            owed_since_ms=now_ms,
            owed=row.cursor.owed + 1,
        )
        row.lease_until_ms = 0
        self._owe(row, check_at_ms)

    def take(
        self, refund_id: str, address_id: str, *, now_ms: int, until_ms: int
    ) -> Cursor | NotNow | None:
        self.require_reach()
        row = self.rows.get((refund_id, address_id))
        if row is None or row.due_ms is None:
            return None
        if row.lease_until_ms > now_ms:
            return NotNow(row.lease_until_ms, is_leased=True)
        if row.cursor.next_attempt_ms > now_ms:
            return NotNow(row.cursor.next_attempt_ms)
        row.lease_until_ms = until_ms
        row.cursor = replace(row.cursor, lease_id=f"lease-{next(self._leases)}")
        return row.cursor

    def advance(self, cursor: Cursor, *, to_sequence: int) -> Cursor:
        row = self._held(cursor)
        row.cursor = replace(
            row.cursor,
            delivered_sequence=to_sequence,
            attempts=0,
            next_attempt_ms=0,
            last_error=None,
        )
        return replace(row.cursor, owed=cursor.owed)

    def give_up(self, cursor: Cursor, *, to_sequence: int, reason: str) -> Cursor:
        row = self._held(cursor)
        row.cursor = replace(row.cursor, failed_sequence=to_sequence)
        return self.advance(cursor, to_sequence=to_sequence)

    def put_off(
        self, cursor: Cursor, *, reason: str | None, next_attempt_ms: int, check_at_ms: int
    ) -> None:
        try:
            row = self._held(cursor)
        except LeaseLostError:
            return
        if reason is not None:
            row.cursor = replace(row.cursor, attempts=row.cursor.attempts + 1, last_error=reason)
        row.cursor = replace(row.cursor, next_attempt_ms=next_attempt_ms)
        row.due_ms, row.rings = check_at_ms, 0
        self._release(row)

    def done(self, cursor: Cursor) -> bool:
        try:
            row = self._held(cursor)
        except LeaseLostError:
            return self.rows[cursor.refund_id, cursor.address_id].cursor.owed == cursor.owed
        self._release(row)
        if row.cursor.owed != cursor.owed:
            return False
        self._owe(row, None)
        return True

    def cursor(self, refund_id: str, address_id: str) -> Cursor | None:
        self.require_reach()
        row = self.rows.get((refund_id, address_id))
        return None if row is None else row.cursor

    def cursors(self, keys: Sequence[Key]) -> Sequence[Cursor]:
        found = (self.cursor(*key) for key in keys)
        return [cursor for cursor in found if cursor is not None]

    def due(self, shard: int, *, before_ms: int, limit: int) -> Sequence[Key]:
        self.require_reach()
        due = sorted(
            (row.due_ms, key)
            for key, row in self.rows.items()
            if row.due_ms is not None and row.due_ms < before_ms and due_shard_of(key[0]) == shard
        )
        return [key for _, key in due[:limit]]

    def rung(self, refund_id: str, address_id: str, *, now_ms: int) -> int | None:
        self.require_reach()
        row = self.rows.get((refund_id, address_id))
        if row is None or row.due_ms is None or row.due_ms > now_ms:
            return None
        row.due_ms, row.rings = now_ms + RUNG_MS, row.rings + 1
        return row.rings - 1

    def check_again(self, refund_id: str, address_id: str, *, at_ms: int) -> None:
        self.require_reach()
        row = self.rows.get((refund_id, address_id))
        if row is not None and row.due_ms is not None:
            row.due_ms = at_ms

    def rest(self, refund_id: str, address_id: str) -> None:
        self.require_reach()
        row = self.rows.get((refund_id, address_id))
        if row is not None:
            self._owe(row, None)

    def _row(self, refund_id: str, address_id: str, after: int, now_ms: int) -> Row:
        new = Cursor(
            refund_id=refund_id,
            address_id=address_id,
            delivered_sequence=after,
            since_ms=now_ms,
            owed_since_ms=now_ms,
        )
        return self.rows.setdefault((refund_id, address_id), Row(new))

    def _owe(self, row: Row, due_ms: int | None) -> None:
        row.due_ms, row.rings = due_ms, 0
        row.cursor = replace(row.cursor, is_owed=due_ms is not None)

    def _held(self, cursor: Cursor) -> Row:
        self.require_reach()
        row = self.rows[cursor.refund_id, cursor.address_id]
        if not cursor.lease_id or row.cursor.lease_id != cursor.lease_id:
            raise LeaseLostError
        return row

    def _release(self, row: Row) -> None:
        row.cursor, row.lease_until_ms = replace(row.cursor, lease_id=""), 0


class MemoryAddressStates(Reach):
    """``delivering.ports.AddressStates`` in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, AddressState] = {}

    def enabled(self) -> Sequence[str]:
        return [state.id for state in self.states() if state.status is Status.ENABLED]

    def states(self) -> Sequence[AddressState]:
        self.require_reach()
        states = sorted(self.kept.values(), key=lambda state: state.id)
        return [state for state in states if state.status is not Status.REMOVED]

    def state(self, address_id: str) -> AddressState | None:
        self.require_reach()
        return self.kept.get(address_id)

    def set_status(
        self, address_id: str, status: Status, *, now_ms: int, reason: str | None = None
    ) -> None:
        self.require_reach()
        state = self.kept.get(address_id, AddressState(id=address_id, status=status))
        state = replace(state, status=status, reason=reason or state.reason)
        if status is Status.ENABLED:
            state = replace(
                state, failures=0, closed_until_ms=None, closures=0, reason=None, last_error=None
            )
        self.kept[address_id] = state

    def take_slot(
        self, state: AddressState, number: int, *, now_ms: int, until_ms: int
    ) -> Slot | None:
        self.require_reach()
        now = self.kept[state.id]
        is_probe = state.closed_until_ms is not None
        is_open = (now.closed_until_ms is None) != is_probe and not now.is_closed(now_ms)
        slots = [*now.slots, *[0] * PLACES_MAX][:PLACES_MAX]
        if now.status is not Status.ENABLED or not is_open or slots[number] > now_ms:
            return None
        slots[number] = until_ms
        closed = until_ms if is_probe else now.closed_until_ms
        self.kept[state.id] = replace(now, slots=tuple(slots), closed_until_ms=closed)
        return Slot(address_id=state.id, number=number, until_ms=until_ms, is_probe=is_probe)

    def free(
        self, slot: Slot, *, delivered: int, error: str | None, now_ms: int
    ) -> AddressState | None:
        self.require_reach()
        state = self.kept.get(slot.address_id)
        if state is None:
            return None
        slots = tuple(0 if n == slot.number else until for n, until in enumerate(state.slots))
        state = replace(state, slots=slots)
        if delivered:
            state = replace(
                state,
                delivered=state.delivered + delivered,
                last_delivered_at_ms=now_ms,
                failures=0,
                last_error=None,
                closed_until_ms=None,
                closures=0,
            )
        elif slot.is_probe and error is None:
            state = replace(state, closed_until_ms=now_ms)
        if error is not None:
            failures, failed = state.failures + 1, state.failed + 1
            state = replace(state, failures=failures, failed=failed, last_error=error)
        self.kept[slot.address_id] = state
        return state

    def hold(self, address_id: str, number: int, until_ms: int) -> None:
        """A test keeps one of the address's places occupied until then."""
        state = self.kept[address_id]
        slots = [*state.slots, *[0] * PLACES_MAX][:PLACES_MAX]
        slots[number] = until_ms
        self.kept[address_id] = replace(state, slots=tuple(slots))

    def close(self, state: AddressState, *, until_ms: int) -> bool:
        self.require_reach()
        now = self.kept[state.id]
        if now.closures != state.closures:
            return False
        closures = state.closures + 1
        self.kept[state.id] = replace(now, closed_until_ms=until_ms, closures=closures)
        return True


class MemoryAddressBook:
    """``delivering.ports.AddressBook`` in a dictionary."""

    def __init__(self) -> None:
        self.addresses: dict[str, WebhookAddress] = {}

    def address(self, address_id: str, *, anew: bool = False) -> WebhookAddress | None:
        return self.addresses.get(address_id)


class MemoryBell:
    """``delivering.ports.Bell``: the queue as a list; can be made to fail."""

    def __init__(self) -> None:
        self.rung: list[Key] = []
        self.is_broken = False

    def ring(self, pairs: Sequence[Key]) -> Sequence[Key]:
        if self.is_broken:
            return list(pairs)
        self.rung += pairs
        return []


@dataclass(frozen=True)
class Post:
    """One request that the merchant received."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FakeMerchant:
    """``delivering.ports.Sender``: answers as in ``answers``, and 200 when that is empty."""

    answers: Callable[[Post], Answered | NoAnswer] = lambda _: Answered(200)
    posts: list[Post] = field(default_factory=list)

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answered | NoAnswer:
        post = Post(url, headers, body)
        self.posts.append(post)
        return self.answers(post)
