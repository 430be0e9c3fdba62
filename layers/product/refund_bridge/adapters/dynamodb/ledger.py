"""Implements ``ports.ledger.Ledger`` by conditional writes on one table of DynamoDB."""

import time
from collections.abc import Callable, Mapping, Sequence
from random import SystemRandom
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

from refund_bridge.adapters.dynamodb.checks import require_sound
from refund_bridge.adapters.dynamodb.items import due_partition, payment_of, refund_of
from refund_bridge.adapters.dynamodb.keys import (
    can_exist,
    held_payment,
    payment_item_key,
    processor_refund_claim_key,
    processor_refund_holder,
    record_claim_key,
    refund_id_in,
    refund_key,
)
from refund_bridge.adapters.dynamodb.refusals import (
    CONDITION_FAILED,
    CONFLICT,
    INVALID,
    RequestRefusedError,
)
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
from refund_bridge.adapters.dynamodb.writes import ConditionalWrite, check_taken, conditional_writes
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    Known,
    LedgerConflictError,
    LedgerUnavailableError,
    PayoutsReachedError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLAIMED_MAX: Final = 1000


# Both use the system's randomness, not a state that all copies of a snapshot would share.
_random: Final = SystemRandom().random


def _new_write_id() -> str:
    # 96 random bits are unique enough. The id is short, because every item has it and bytes cost.
    return token_urlsafe(12)


class DynamoDbLedger:
    """``ports.ledger.Ledger`` on the table ``table``.

    ``sleep`` (seconds) and ``random`` (0 to 1) set the pauses between tries while the table is
    busy. ``new_write_id`` gives each commit a unique id.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = _random,
        new_write_id: Callable[[], str] = _new_write_id,
    ) -> None:
        self._table = DynamoDbTable(client, table, sleep, random)
        self._new_write_id = new_write_id

    # --- reading ----------------------------------------------------------------------------

    def refund(self, refund_id: str) -> Refund | None:
        """The refund of that id, with everything that is durable now."""
        item = self._table.get(refund_key(refund_id))
        return None if item is None else refund_of(item)

    def look_up(self, refund_id: str, payment_record: str | None) -> Known:
        """The refund of that id and the payment that has claimed the Payment Record."""
        if payment_record is None:
            return Known(self.refund(refund_id), None)
        keys = (refund_key(refund_id), record_claim_key(payment_record))
        found = {item["pk"]: item for item in self._table.batch_get(keys)}
        refund, claim = (found.get(key["pk"]) for key in keys)
        return Known(
            None if refund is None else refund_of(refund),
            None if claim is None else held_payment(claim),
        )

    def payment_of_record(self, payment_record: str) -> PaymentKey | None:
        """The payment that has claimed the Payment Record."""
        item = self._table.get(record_claim_key(payment_record))
        return None if item is None else held_payment(item)

    def payment(self, key: PaymentKey) -> Payment | None:
        """The payment of that key."""
        item = self._table.get(payment_item_key(key))
        return None if item is None else payment_of(item)

    def payment_and_claims(
        self, key: PaymentKey, processor_refund_ids: Sequence[str]
    ) -> tuple[Payment | None, Mapping[str, str]]:
        """``payment`` and ``claimed`` in one read."""
        ids = _at_most(CLAIMED_MAX, processor_refund_ids)
        payment_key = payment_item_key(key)
        keys = [payment_key, *(processor_refund_claim_key(key.processor, one) for one in ids)]
        found = self._table.batch_get(keys)
        payment = next((item for item in found if item["pk"] == payment_key["pk"]), None)
        claims = [item for item in found if item is not payment]
        return None if payment is None else payment_of(payment), dict(
            map(processor_refund_holder, claims)
        )

    def claimed(self, processor: str, processor_refund_ids: Sequence[str]) -> Mapping[str, str]:
        """Which of these processor refund ids are claimed, each with the refund that claims it.

        Raises:
            ValueError: more than ``CLAIMED_MAX`` ids.
        """
        ids = _at_most(CLAIMED_MAX, processor_refund_ids)
        keys = [processor_refund_claim_key(processor, one) for one in ids]
        return dict(map(processor_refund_holder, self._table.batch_get(keys)))

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        """Ids of refunds of one shard that were due before ``before_ms``, at most ``limit``."""
        keys = self._table.query(
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at < :before",
            ExpressionAttributeValues=encode_item(
                {":shard": due_partition(shard), ":before": before_ms}
            ),
            Limit=limit,
            ScanIndexForward=not newest_first,
        )
        return [refund_id_in(key) for key in keys]

    # --- writing ----------------------------------------------------------------------------

    def commit(self, commit: Commit) -> None:
        """Write all of ``commit`` or nothing; on return it is durable.

        Raises as the port says, and also for a commit that must never be written:

        Raises:
            LedgerDefectError: see ``checks.py``, or DynamoDB found the request not valid.
            IllegalTransitionError: the transition table has no such step.
            TypeError: a value that cannot be stored exactly, such as a float.
        """
        require_sound(commit)
        write_id = self._new_write_id()
        writes = conditional_writes(commit, self._table.name, write_id)
        if len(writes) == 1:
            self._write_one(writes[0], write_id)
        elif writes:
            self._write_together(writes, write_id)

    def take_check(self, refund_id: str, *, now_ms: int, until_ms: int) -> Refund | None:
        """Take a refund that is due for settling, in one round trip."""
        write_id = self._new_write_id()
        table = self._table.name
        update = check_taken(refund_id, table, now_ms=now_ms, until_ms=until_ms, write_id=write_id)
        return self._take(refund_id, update, write_id)

    def _take(self, refund_id: str, update: Mapping[str, Any], write_id: str) -> Refund | None:
        """The refund as the update left it; ``None`` if its condition did not hold."""
        if not can_exist(refund_key(refund_id)):
            return None
        returns = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            answer = self._table.ask("update_item", **update, **returns)
        except RequestRefusedError as refusal:
            if not refusal.objects(CONDITION_FAILED):
                unavailable_or_defect(refusal)
            # As in ``_write_one``, the condition may have failed on our first copy.
            return refund_of(refusal.stored) if refusal.stored_by(write_id) else None
        return refund_of(decode_item(answer["Attributes"]))

    def _write_one(self, write: ConditionalWrite, write_id: str) -> None:
        operation = "put_item" if write.kind == "Put" else "update_item"
        try:
            self._table.ask(
                operation, **write.arguments, ReturnValuesOnConditionCheckFailure="ALL_OLD"
            )
        except RequestRefusedError as refusal:
            if not refusal.objects(CONDITION_FAILED, CONFLICT):
                unavailable_or_defect(refusal)
            if refusal.stored_by(write_id):
                return  # botocore sent it twice; the condition failed on our first copy
            if refusal.sent_again and not _is_anothers(refusal, write):
                raise LedgerUnavailableError(f"{refusal}, after being sent again") from refusal
            raise _conflict(write) from refusal

    def _write_together(self, writes: Sequence[ConditionalWrite], write_id: str) -> None:
        items = [{write.kind: write.arguments} for write in writes]
        try:
            # The token makes all copies of this request one transaction, botocore's and ours.
            self._table.ask(
                "transact_write_items", TransactItems=items, ClientRequestToken=write_id
            )
        except RequestRefusedError as refusal:
            failed = [
                write
                for write, reason in zip(writes, refusal.reasons, strict=False)
                if reason in CONDITION_FAILED
            ]
            if failed:
                raise _conflict(_gravest(failed)) from refusal
            if refusal.objects(CONFLICT) and not refusal.objects(INVALID):
                raise LedgerConflictError(str(refusal)) from refusal
            unavailable_or_defect(refusal)


def _at_most(limit: int, processor_refund_ids: Sequence[str]) -> list[str]:
    ids = list(dict.fromkeys(processor_refund_ids))
    if len(ids) > limit:
        raise ValueError(f"at most {limit} ids can be looked up at once")
    return ids


def _is_anothers(refusal: RequestRefusedError, write: ConditionalWrite) -> bool:
    """Whether the stored item shows that no copy of ``write`` was executed, though it was resent.

    If the first copy had made our claim, the second copy would have passed. If the item's revision
    is not higher than that of ``write``, its ``write_id`` is that of the last write, which was not
    ours. If it is higher, ours may have been written first, and another one after it.
    """
    if not refusal.objects(CONDITION_FAILED):
        return False
    return write.claim is not None or refusal.stored.get("revision", 0) <= write.revision


def _gravest(failed: Sequence[ConditionalWrite]) -> ConditionalWrite:
    """The refused write that tells the caller most.

    A refused claim comes first, because it is final, unlike a lost race. A day's limit for payouts
    comes last: after a lost race, the commit may be a different one.
    """
    claims = (write for write in failed if write.claim is not None)
    return next(claims, min(failed, key=lambda write: write.payout is not None))


def _conflict(write: ConditionalWrite) -> LedgerConflictError:
    if write.claim is not None:
        return ClaimConflictError(write.claim)
    if write.payout is not None:
        return PayoutsReachedError(write.payout)
    return LedgerConflictError(f"{write.subject} has changed")
