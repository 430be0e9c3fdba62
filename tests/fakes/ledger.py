"""The ledger in memory; tests/contract/ledger runs the same tests on it and on the real one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from threading import Lock
from typing import TypeVar

from refund_bridge.adapters.dynamodb.checks import require_legal, require_storable
from refund_bridge.adapters.dynamodb.items import (
    due_shard_of,
    payment_item,
    payment_of,
    refund_item,
    refund_of,
)
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import may_follow
from refund_bridge.ports.ledger import (
    Claim,
    ClaimConflictError,
    Commit,
    Known,
    LedgerConflictError,
    PayoutsReachedError,
    ProcessorRefundClaim,
    RecordClaim,
)

CLAIMED_MAX = 1000
_Stored = TypeVar("_Stored", Refund, Payment)


class MemoryLedger:
    """``ports.ledger.Ledger`` in dictionaries. Tests can read and change what is stored.

    With ``as_stored=False`` values are kept as they were given, not as they would come back from a
    table, and their sizes are not checked. That is faster, for thousands of worlds.
    """

    def __init__(self, *, as_stored: bool = True) -> None:
        self.refunds: dict[str, Refund] = {}
        self.payments: dict[PaymentKey, Payment] = {}
        self.records: dict[str, PaymentKey] = {}
        self.processor_refunds: dict[tuple[str, str], str] = {}
        self.payouts: Counter[tuple[str, str]] = Counter()
        self._as_stored = as_stored
        self._lock = Lock()

    def refund(self, refund_id: str) -> Refund | None:
        with self._lock:
            return self.refunds.get(refund_id)

    def look_up(self, refund_id: str, payment_record: str | None) -> Known:
        with self._lock:
            payment = None if payment_record is None else self.records.get(payment_record)
            return Known(self.refunds.get(refund_id), payment)

    def payment_of_record(self, payment_record: str) -> PaymentKey | None:
        with self._lock:
            return self.records.get(payment_record)

    def payment(self, key: PaymentKey) -> Payment | None:
        with self._lock:
            return self.payments.get(key)

    def payment_and_claims(
        self, key: PaymentKey, processor_refund_ids: Sequence[str]
    ) -> tuple[Payment | None, Mapping[str, str]]:
        return self.payment(key), self.claimed(key.processor, processor_refund_ids)

    def claimed(self, processor: str, processor_refund_ids: Sequence[str]) -> Mapping[str, str]:
        if len(set(processor_refund_ids)) > CLAIMED_MAX:
            raise ValueError(f"at most {CLAIMED_MAX} ids can be looked up at once")
        with self._lock:
            return {
                one: self.processor_refunds[processor, one]
                for one in processor_refund_ids
                if (processor, one) in self.processor_refunds
            }

    def commit(self, commit: Commit) -> None:
        require_legal(commit)
        if self._as_stored:
            require_storable(commit)
        with self._lock:
            for claim in commit.claims:
                self._require_free(claim)
            for write in commit.refunds:
                self._require_refund(write.before, write.after)
            for payment_write in commit.payments:
                self._require_payment(payment_write.before, payment_write.after)
            for count in commit.payouts:
                if self.payouts[count.day, count.currency] + count.amount > count.at_most:
                    raise PayoutsReachedError(count)
            for claim in commit.claims:
                self._claim(claim)
            for count in commit.payouts:
                self.payouts[count.day, count.currency] += count.amount
            for write in commit.refunds:
                after = _brought(self.refunds.get(write.after.id), write.before, write.after)
                self._store_refund(after, _next(write.before))
            for one in commit.payments:
                payment = _brought(self.payments.get(one.after.key), one.before, one.after)
                self._store_payment(payment, _next(one.before))

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        with self._lock:
            rows = [
                (due_ms, refund.id)
                for refund in self.refunds.values()
                if (due_ms := refund.listed_due_ms) is not None
                and due_ms < before_ms
                and due_shard_of(refund.id) == shard
            ]
        return [refund_id for _, refund_id in sorted(rows, reverse=newest_first)[:limit]]

    def take_check(self, refund_id: str, *, now_ms: int, until_ms: int) -> Refund | None:
        with self._lock:
            refund = self.refunds.get(refund_id)
            if refund is None or refund.next_check_ms is None or refund.next_check_ms > now_ms:
                return None
            taken = replace(refund, next_check_ms=until_ms, revision=refund.revision + 1)
            self.refunds[refund_id] = taken
            return taken

    def _require_free(self, claim: Claim) -> None:
        match claim:
            case RecordClaim(record, payment, instead_of):
                free = self.records.get(record, payment) in (payment, instead_of)
            case ProcessorRefundClaim(processor, processor_refund, refund_id, instead_of):
                holder = self.processor_refunds.get((processor, processor_refund), refund_id)
                free = holder in (refund_id, instead_of)
        if not free:
            raise ClaimConflictError(claim)

    def _claim(self, claim: Claim) -> None:
        match claim:
            case RecordClaim(record, payment):
                self.records[record] = payment
            case ProcessorRefundClaim(processor, processor_refund, refund_id):
                self.processor_refunds[processor, processor_refund] = refund_id

    def _require_refund(self, before: Refund | None, after: Refund) -> None:
        stored = self.refunds.get(after.id)
        if before is None:
            same = stored is None
        else:
            same = stored is not None and stored.revision == before.revision
        if not same or (stored is not None and not may_follow(stored.state, after.state)):
            raise LedgerConflictError(f"refund {after.id} has changed")

    def _require_payment(self, before: Payment | None, after: Payment) -> None:
        stored = self.payments.get(after.key)
        was, now = (one.revision if one is not None else None for one in (before, stored))
        if was != now:
            raise LedgerConflictError(f"payment {after.key} has changed")

    def _store_refund(self, refund: Refund, revision: int) -> None:
        stored = replace(refund, revision=revision)
        self.refunds[refund.id] = refund_of(refund_item(stored)) if self._as_stored else stored

    def _store_payment(self, payment: Payment, revision: int) -> None:
        stored = replace(payment, revision=revision)
        item = payment_item(stored) if self._as_stored else None
        self.payments[payment.key] = stored if item is None else payment_of(item)


def _brought(stored: _Stored | None, before: _Stored | None, after: _Stored) -> _Stored:
    """What is stored then: as in the table, what is the same before and after is not written."""
    if stored is None or before is None or before == stored:
        return after
    names = [one.name for one in fields(after)]
    new = {one: getattr(after, one) for one in names if getattr(after, one) != getattr(before, one)}
    return replace(stored, **new)


def _next(before: Refund | Payment | None) -> int:
    return 1 if before is None else before.revision + 1
