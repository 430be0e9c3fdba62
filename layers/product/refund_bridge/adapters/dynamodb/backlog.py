"""``ports.events.Backlog``: remembers in the ledger's table what could not be published.

It is one small item beside the refund's, ``refund#<id>`` / ``announcements``, with its own entry in
the index of due rows. Because it is not part of the refund's item, writing it never conflicts with
a write of the refund, and the stream's filter for refunds does not pass it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.adapters.dynamodb.keys import Item, refund_id_in, refund_key
from refund_bridge.adapters.dynamodb.refusals import CONDITION_FAILED, RequestRefusedError
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
from refund_bridge.ports.events import Unannounced

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
_OWE: Final = (
    "SET from_seq = :seq, due_shard = :shard, due_at = :at, schema_version = :version,"
    " revision = if_not_exists(revision, :none) + :one REMOVE tries"
)
_HURRY: Final = "SET due_shard = :shard, due_at = :at, revision = revision + :one"
_TAKE: Final = (
    "SET due_at = :until, tries = if_not_exists(tries, :none) + :one,"
    " revision = revision + :one, write_id = :write"
)


class DynamoDbBacklog:
    """``ports.events.Backlog`` on the ledger's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = DynamoDbTable(client, table)

    def owe(self, refund_id: str, *, from_seq: int, now_ms: int) -> None:
        """Note that the refund's history must be published again from that line on, due now."""
        place = {":shard": _partition(due_shard_of(refund_id)), ":at": now_ms, ":one": 1}
        seq = {":seq": from_seq}
        owed = self._update(
            refund_id,
            _OWE,
            "attribute_not_exists(from_seq) OR from_seq > :seq",
            place | seq | {":version": SCHEMA_VERSION, ":none": 0},
        )
        if owed is None:
            # It is owed from an earlier line already. Make it due now: the bus may be back.
            self._update(refund_id, _HURRY, "from_seq <= :seq", place | seq)

    def owing(self, shard: int, *, before_ms: int, limit: int) -> Sequence[str]:
        """Ids of refunds of one shard for which something was due by then, at most ``limit``."""
        keys = self._table.query(
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at < :before",
            ExpressionAttributeValues=encode_item(
                {":shard": _partition(shard), ":before": before_ms}
            ),
            Limit=limit,
        )
        return [refund_id_in(key) for key in keys]

    def take(self, refund_id: str, *, now_ms: int, until_ms: int) -> Unannounced | None:
        """Take what is owed of the refund, if due; no other call gets it before ``until_ms``."""
        values = {":until": until_ms, ":now": now_ms, ":none": 0, ":one": 1}
        taken = self._update(refund_id, _TAKE, "due_at <= :now", values, write_id=uuid4().hex)
        if taken is None:
            return None
        return Unannounced(
            refund_id=refund_id,
            from_seq=int(taken["from_seq"]),
            tries=int(taken["tries"]),
            revision=int(taken["revision"]),
        )

    def hold(self, taken: Unannounced, *, until_ms: int | None) -> None:
        """Make it due again at ``until_ms``; ``None``: not again, unless more becomes owed."""
        values = {":revision": taken.revision, ":one": 1}
        update = "SET revision = revision + :one REMOVE due_shard, due_at"
        if until_ms is not None:
            update = "SET revision = revision + :one, due_at = :until"
            values[":until"] = until_ms
        self._update(taken.refund_id, update, "revision = :revision", values)

    def paid(self, taken: Unannounced) -> None:
        """Note that it was published; changes nothing if more has become owed meanwhile."""
        self._update(
            taken.refund_id,
            "SET revision = revision + :one REMOVE from_seq, tries, due_shard, due_at",
            "revision = :revision",
            {":revision": taken.revision, ":one": 1},
        )

    def _update(
        self,
        refund_id: str,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        *,
        write_id: str | None = None,
    ) -> Item | None:
        """The item as the update left it; ``None`` if the condition did not hold."""
        if write_id is not None:
            values = {**values, ":write": write_id}
        try:
            answer = self._table.ask(
                "update_item",
                TableName=self._table.name,
                Key=encode_item({"pk": refund_key(refund_id)["pk"], "sk": "announcements"}),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=encode_item(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RequestRefusedError as refusal:
            if not refusal.objects(CONDITION_FAILED):
                unavailable_or_defect(refusal)
            # botocore may have sent the request twice; the condition then failed on our first copy.
            if write_id is not None and refusal.stored_by(write_id):
                return refusal.stored
            return None
        return decode_item(answer["Attributes"])


def _partition(shard: int) -> str:
    return f"announcements#{shard}"
