"""The fake ledger behind the gate: callers crash, replies are lost, and its index lags."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, TypeVar

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import Commit, Known, LedgerConflictError, LedgerUnavailableError
from tests.fakes.ledger import MemoryLedger
from tests.simulation.faults import Fault
from tests.simulation.gate import Gate
from tests.simulation.ledger_watch import LedgerWatch

_T = TypeVar("_T")
_shard_of: Final = cache(due_shard_of)


class SimulatedLedger:
    """``ports.ledger.Ledger``.

    Attributes:
        on_due: called with each written refund, to plan its next check.
        looked_ms: when settling last took each refund.
    """

    def __init__(self, gate: Gate, memory: MemoryLedger, watch: LedgerWatch) -> None:
        self._gate = gate
        self._memory = memory
        self._watch = watch
        self.on_due: Callable[[Refund], None] = lambda _: None
        self.looked_ms: dict[str, int] = {}

    def refund(self, refund_id: str) -> Refund | None:
        return self._read("ledger.refund", refund_id, lambda: self._look(refund_id))

    def look_up(self, refund_id: str, payment_record: str | None) -> Known:
        return self._read(
            "ledger.look_up", refund_id, lambda: self._memory.look_up(refund_id, payment_record)
        )

    def payment_of_record(self, payment_record: str) -> PaymentKey | None:
        return self._read(
            "ledger.payment_of_record",
            payment_record,
            lambda: self._memory.payment_of_record(payment_record),
        )

    def payment(self, key: PaymentKey) -> Payment | None:
        return self._read("ledger.payment", key.charge_id, lambda: self._memory.payment(key))

    def claimed(self, processor: str, processor_refund_ids: Sequence[str]) -> Mapping[str, str]:
        return self._read(
            "ledger.claimed",
            processor_refund_ids,
            lambda: self._memory.claimed(processor, processor_refund_ids),
        )

    def payment_and_claims(
        self, key: PaymentKey, processor_refund_ids: Sequence[str]
    ) -> tuple[Payment | None, Mapping[str, str]]:
        return self._read(
            "ledger.payment_and_claims",
            key.charge_id,
            lambda: self._memory.payment_and_claims(key, processor_refund_ids),
        )

    def commit(self, commit: Commit) -> None:
        about = [f"{write.after.id[4:8]}→{write.after.state}" for write in commit.refunds]
        fault = self._gate.enter("ledger.commit", about)
        if fault is Fault.UNAVAILABLE:
            raise LedgerUnavailableError("not applied")
        if fault is Fault.CONFLICT:
            raise LedgerConflictError("another transaction was under way")
        before = self._watch.before(commit)
        try:
            self._memory.commit(commit)
        except LedgerConflictError as conflict:
            self._gate.note("", "conflict", conflict)
            raise
        self._watch.committed(commit, before)
        self._leased(commit)
        for write in commit.refunds:
            self.on_due(write.after)
        self._gate.leave(fault)
        if fault is Fault.REPLY_LOST:
            raise LedgerUnavailableError("applied, and the reply lost")

    def take_check(self, refund_id: str, *, now_ms: int, until_ms: int) -> Refund | None:
        actor = self._gate.scheduler.current
        taken = self._take(
            "ledger.take_check",
            refund_id,
            lambda: self._memory.take_check(refund_id, now_ms=now_ms, until_ms=until_ms),
        )
        if taken is not None:
            actor.taken.add(refund_id)
            self.looked_ms[refund_id] = self._gate.scheduler.now_ms
        return taken

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        # An empty shard shows nothing, whatever goes wrong; skipping it saves time.
        if all(_shard_of(refund_id) != shard for refund_id in self._memory.refunds):
            return []
        fault = self._gate.enter("ledger.due", shard)
        if fault is Fault.UNAVAILABLE:
            raise LedgerUnavailableError("no answer")
        # Stale: refunds that became due lately are missing, and some are no longer due.
        if fault is Fault.STALE:
            found: Sequence[str] = sorted(self._memory.refunds)[:limit]
        else:
            found = self._memory.due(
                shard, before_ms=before_ms, limit=limit, newest_first=newest_first
            )
        self._gate.leave(fault)
        return found

    def _leased(self, commit: Commit) -> None:
        """Note which actor has the lease of a payment's reports, until it ends or is released."""
        leases = self._gate.scheduler.current.leases
        for write in commit.payments:
            before = None if write.before is None else write.before.report_lease_until_ms
            until_ms = write.after.report_lease_until_ms
            if until_ms is not None and until_ms != before:
                leases[write.after.key] = until_ms

    def _look(self, refund_id: str) -> Refund | None:
        actor, refund = self._gate.scheduler.current, self._memory.refund(refund_id)
        actor.looked = (actor.calls, refund)
        return refund

    def _read(self, port: str, about: object, effect: Callable[[], _T]) -> _T:
        fault = self._gate.enter(port, about)
        if fault is Fault.UNAVAILABLE:
            raise LedgerUnavailableError("no answer")
        found = effect()
        self._gate.leave(fault)
        return found

    def _take(
        self, port: str, refund_id: str, effect: Callable[[], Refund | None]
    ) -> Refund | None:
        fault = self._gate.enter(port, refund_id)
        if fault is Fault.UNAVAILABLE:
            raise LedgerUnavailableError("not applied")
        before = self._memory.refunds.get(refund_id)
        taken = effect()
        if taken is not None:
            self._watch.took(before, taken)
            self.on_due(taken)
        self._gate.leave(fault)
        if fault is Fault.REPLY_LOST:
            raise LedgerUnavailableError("applied, and the reply lost")
        return taken
