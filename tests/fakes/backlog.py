"""The backlog in memory; tests/contract/backlog runs the same tests on it and on the real one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.ports.events import Unannounced
from refund_bridge.ports.ledger import LedgerUnavailableError


@dataclass(frozen=True)
class Row:
    """The unpublished events of one refund; ``due_ms`` is ``None`` when they are given up."""

    owed: Unannounced
    due_ms: int | None


class MemoryBacklog:
    """``ports.events.Backlog`` in a dictionary; can be made unavailable."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.is_away = False
        self._revisions: dict[str, int] = {}
        self._lock = Lock()

    def owe(self, refund_id: str, *, from_seq: int, now_ms: int) -> None:
        self._require_reach()
        with self._lock:
            row = self.rows.get(refund_id)
            if row is None or row.owed.from_seq > from_seq:
                owed = Unannounced(refund_id=refund_id, from_seq=from_seq)
            else:
                owed = row.owed
            self._store(owed, now_ms)

    def owing(self, shard: int, *, before_ms: int, limit: int) -> Sequence[str]:
        self._require_reach()
        with self._lock:
            due = [
                (row.due_ms, refund_id)
                for refund_id, row in self.rows.items()
                if row.due_ms is not None
                and row.due_ms < before_ms
                and due_shard_of(refund_id) == shard
            ]
        return [refund_id for _, refund_id in sorted(due)[:limit]]

    def take(self, refund_id: str, *, now_ms: int, until_ms: int) -> Unannounced | None:
        self._require_reach()
        with self._lock:
            row = self.rows.get(refund_id)
            if row is None or row.due_ms is None or row.due_ms > now_ms:
                return None
            return self._store(replace(row.owed, tries=row.owed.tries + 1), until_ms)

    def hold(self, taken: Unannounced, *, until_ms: int | None) -> None:
        self._require_reach()
        with self._lock:
            if self._is_unchanged(taken):
                self._store(taken, until_ms)

    def paid(self, taken: Unannounced) -> None:
        self._require_reach()
        with self._lock:
            if self._is_unchanged(taken):
                del self.rows[taken.refund_id]

    def _is_unchanged(self, taken: Unannounced) -> bool:
        row = self.rows.get(taken.refund_id)
        return row is not None and row.owed.revision == taken.revision

    def _store(self, owed: Unannounced, due_ms: int | None) -> Unannounced:
        revision = self._revisions.get(owed.refund_id, 0) + 1
        self._revisions[owed.refund_id] = revision
        stored = replace(owed, revision=revision)
        self.rows[owed.refund_id] = Row(stored, due_ms)
        return stored

    def _require_reach(self) -> None:
        if self.is_away:
            raise LedgerUnavailableError("the backlog gave no answer")
