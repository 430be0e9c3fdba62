"""``delivering.ports.Cursors``: stores how far each address was told of each refund.

The ledger's table has one small item for each refund and address, ``refund#<id>`` /
``webhook#<address>``, with its own entry in the index of due rows while something is owed. Because
it is not part of the refund's item, writing it never conflicts with a write of the refund, and the
stream's filter for refunds does not pass it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.adapters.dynamodb.keys import Item, refund_id_in, refund_key
from refund_bridge.adapters.dynamodb.refusals import CONDITION_FAILED, RequestRefusedError
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
from refund_bridge.delivering.ports import Cursor, LeaseLostError, NotNow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
RUNG_MS: Final = 60_000
_SORT: Final = "webhook#"
_PLACE: Final = "due_shard = :shard, due_at = :check, schema_version = :version"
_OWE: Final = (
    "SET delivered_sequence = if_not_exists(delivered_sequence, :after),"
    " since_ms = if_not_exists(since_ms, :now),"
    " owed_since_ms = if_not_exists(owed_since_ms, :now), owed = if_not_exists(owed, :none) + :one,"
    f" {_PLACE} REMOVE rings"
)
_REWIND: Final = (
    "SET delivered_sequence = :after, since_ms = :now, owed_since_ms = :now,"
    " owed = if_not_exists(owed, :none) + :one,"
    f" {_PLACE} REMOVE rings, attempts, next_attempt_ms, last_error, failed_sequence,"
    " lease_id, lease_until_ms"
)
_TAKE: Final = "SET lease_id = :lease, lease_until_ms = :until"
_MAY_TAKE: Final = (
    "attribute_exists(due_at)"
    " AND (attribute_not_exists(lease_until_ms) OR lease_until_ms <= :now)"
    " AND (attribute_not_exists(next_attempt_ms) OR next_attempt_ms <= :now)"
)
_MINE: Final = "lease_id = :lease"
_PAID: Final = "REMOVE due_shard, due_at, owed_since_ms, rings"
_FORGET: Final = " REMOVE attempts, next_attempt_ms, last_error"


class DynamoDbWebhookCursors:
    """``delivering.ports.Cursors`` on the ledger's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = DynamoDbTable(client, table)

    def owe(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        """Note that lines after that one must be told; durable on return."""
        values = _owing(refund_id, after_sequence, now_ms, check_at_ms)
        self._update(refund_id, address_id, _OWE, None, values)

    def rewind(
        self, refund_id: str, address_id: str, *, after_sequence: int, now_ms: int, check_at_ms: int
    ) -> None:
        """Note that lines after that one must be told, even if told before; durable on return."""
        values = _owing(refund_id, after_sequence, now_ms, check_at_ms)
        self._update(refund_id, address_id, _REWIND, None, values)

    def take(
        self, refund_id: str, address_id: str, *, now_ms: int, until_ms: int
    ) -> Cursor | NotNow | None:
        """Take the cursor for this worker until ``until_ms``; ``None`` if nothing is owed."""
        lease = uuid4().hex
        values = {":lease": lease, ":until": until_ms, ":now": now_ms}
        found, is_written = self._update(refund_id, address_id, _TAKE, _MAY_TAKE, values)
        # botocore may have sent the request twice; the condition then failed on our first copy.
        if is_written or found.get("lease_id") == lease:
            return _cursor_of(refund_id, address_id, found)
        if "due_at" not in found:
            return None
        if int(found.get("lease_until_ms", 0)) > now_ms:
            return NotNow(int(found["lease_until_ms"]), is_leased=True)
        return NotNow(int(found.get("next_attempt_ms", now_ms)))

    def advance(self, cursor: Cursor, *, to_sequence: int) -> Cursor:
        """Note that all lines up to that one are delivered or not wanted, durably."""
        update = f"SET delivered_sequence = :to{_FORGET}"
        return self._held(cursor, update, {":to": to_sequence})

    def give_up(self, cursor: Cursor, *, to_sequence: int, reason: str) -> Cursor:
        """As ``advance``, for a line that the address did not take in all its time."""
        update = (
            f"SET delivered_sequence = :to, failed_sequence = :to, failed_reason = :why{_FORGET}"
        )
        return self._held(cursor, update, {":to": to_sequence, ":why": reason})

    def put_off(
        self, cursor: Cursor, *, reason: str | None, next_attempt_ms: int, check_at_ms: int
    ) -> None:
        """Release the cursor until the next attempt; with a ``reason``, count a failed attempt."""
        update = "SET next_attempt_ms = :next, due_at = :check"
        values: dict[str, Any] = {":next": next_attempt_ms, ":check": check_at_ms}
        if reason is not None:
            update += ", last_error = :why, attempts = if_not_exists(attempts, :none) + :one"
            values |= {":why": reason, ":none": 0, ":one": 1}
        update += " REMOVE lease_id, lease_until_ms, rings"
        values |= {":lease": cursor.lease_id}
        self._update(cursor.refund_id, cursor.address_id, update, _MINE, values)

    def done(self, cursor: Cursor) -> bool:
        """Release the cursor: all is told. ``False`` if more has become owed meanwhile."""
        key, mine = (cursor.refund_id, cursor.address_id), {":lease": cursor.lease_id}
        found, is_written = self._update(
            *key,
            f"{_PAID}, lease_id, lease_until_ms",
            f"{_MINE} AND owed = :owed",
            {**mine, ":owed": cursor.owed},
        )
        if is_written or found.get("owed") == cursor.owed:
            return True
        self._update(*key, "REMOVE lease_id, lease_until_ms", _MINE, mine)
        return False

    def cursor(self, refund_id: str, address_id: str) -> Cursor | None:
        """The cursor as it is now."""
        item = self._table.get(_key(refund_id, address_id))
        return None if item is None else _cursor_of(refund_id, address_id, item)

    def cursors(self, keys: Sequence[tuple[str, str]]) -> Sequence[Cursor]:
        """Those of these (refund, address) that exist, as they are now, in any order."""
        items = self._table.batch_get([_key(*key) for key in keys])
        return [_cursor_of(*_names_in(item), item) for item in items]

    def due(self, shard: int, *, before_ms: int, limit: int) -> Sequence[tuple[str, str]]:
        """(refund, address) pairs of one shard that should have been done by then, oldest first."""
        keys = self._table.query(
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at < :before",
            ExpressionAttributeValues=encode_item(
                {":shard": _partition(shard), ":before": before_ms}
            ),
            Limit=limit,
        )
        return [_names_in(key) for key in keys]

    def rung(self, refund_id: str, address_id: str, *, now_ms: int) -> int | None:
        """Count that a message is sent again; returns how often it was before."""
        found, is_written = self._update(
            refund_id,
            address_id,
            "SET due_at = :until, rings = if_not_exists(rings, :none) + :one",
            "due_at <= :now",
            {":until": now_ms + RUNG_MS, ":now": now_ms, ":none": 0, ":one": 1},
        )
        return int(found["rings"]) - 1 if is_written else None

    def check_again(self, refund_id: str, address_id: str, *, at_ms: int) -> None:
        """Make it due at ``at_ms``, if something is still owed."""
        self._update(
            refund_id, address_id, "SET due_at = :at", "attribute_exists(due_at)", {":at": at_ms}
        )

    def rest(self, refund_id: str, address_id: str) -> None:
        """Note that nothing is owed any more, though not all is told: the address is not used."""
        self._update(refund_id, address_id, _PAID, "attribute_exists(due_at)", {})

    def _held(self, cursor: Cursor, update: str, values: Mapping[str, Any]) -> Cursor:
        """The cursor after an update that only the worker with its lease may make."""
        found, is_written = self._update(
            cursor.refund_id,
            cursor.address_id,
            update,
            _MINE,
            {**values, ":lease": cursor.lease_id},
        )
        if not is_written:
            raise LeaseLostError
        written = _cursor_of(cursor.refund_id, cursor.address_id, found)
        # This worker does not know what became owed after it took the cursor.
        return replace(written, owed=cursor.owed)

    def _update(
        self,
        refund_id: str,
        address_id: str,
        update: str,
        condition: str | None,
        values: Mapping[str, Any],
    ) -> tuple[Item, bool]:
        """The item after the update, or as it was if the condition failed; and which of the two."""
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": encode_item(_key(refund_id, address_id)),
            "UpdateExpression": update,
            "ReturnValues": "ALL_NEW",
        }
        if values:
            request["ExpressionAttributeValues"] = encode_item(values)
        if condition is not None:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            answer = self._table.ask("update_item", **request)
        except RequestRefusedError as refusal:
            if not refusal.objects(CONDITION_FAILED):
                unavailable_or_defect(refusal)
            return refusal.stored, False
        return decode_item(answer["Attributes"]), True


def _owing(refund_id: str, after: int, now_ms: int, check_at_ms: int) -> dict[str, Any]:
    return {
        ":after": after,
        ":now": now_ms,
        ":check": check_at_ms,
        ":shard": _partition(due_shard_of(refund_id)),
        ":version": SCHEMA_VERSION,
        ":none": 0,
        ":one": 1,
    }


def _cursor_of(refund_id: str, address_id: str, item: Mapping[str, Any]) -> Cursor:
    return Cursor(
        refund_id=refund_id,
        address_id=address_id,
        delivered_sequence=int(item["delivered_sequence"]),
        since_ms=int(item["since_ms"]),
        # The release before this one did not store it.
        owed_since_ms=int(item.get("owed_since_ms", item["since_ms"])),
        attempts=int(item.get("attempts", 0)),
        next_attempt_ms=int(item.get("next_attempt_ms", 0)),
        last_error=item.get("last_error"),
        failed_sequence=int(item["failed_sequence"]) if "failed_sequence" in item else None,
        owed=int(item.get("owed", 0)),
        is_owed="due_at" in item,
        lease_id=item.get("lease_id", ""),
    )


def _key(refund_id: str, address_id: str) -> Item:
    return {"pk": refund_key(refund_id)["pk"], "sk": f"{_SORT}{address_id}"}


def _names_in(key: Mapping[str, Any]) -> tuple[str, str]:
    return refund_id_in(key), str(key["sk"]).removeprefix(_SORT)


def _partition(shard: int) -> str:
    return f"webhooks#{shard}"
