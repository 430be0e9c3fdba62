"""Batches in the ledger's table: ``batch#<name>``, one item and its rows in items of their own.

::

    batch#<name> / batch               who, when, how many parts, revision
    batch#<name> / <revision>#<part>   rows, as one text of fixed width

A revision's parts are written before the batch's own item, so a reader always finds all parts. The
parts of earlier revisions stay; a batch is rewritten only by a person, and seldom.
"""

import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from refund_bridge.adapters.dynamodb.keys import Item, UnreadableItemError
from refund_bridge.adapters.dynamodb.refusals import CONDITION_FAILED, RequestRefusedError
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.ports.batches import Batch, BatchRow
from refund_bridge.ports.ledger import LedgerConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
_PREFIX: Final = "rfd_"
_ID_LENGTH: Final = 32
_DIGEST_LENGTH: Final = 11
_WIDTH: Final = _ID_LENGTH + _DIGEST_LENGTH
# An item holds 400 KB.
_ROWS_PER_PART: Final = 8_000


class DynamoDbBatches:
    """``ports.batches.BatchLog`` on the ledger's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = DynamoDbTable(client, table)

    def batch(self, name: str) -> Batch | None:
        """The batch of that name."""
        head = self._table.get(_key(name))
        if head is None:
            return None
        revision, parts, written = int(head["revision"]), int(head["parts"]), str(head["written"])
        rows: list[BatchRow] = []
        for part in range(parts):
            item = self._table.get(_key(name, f"{written}#{part}"))
            if item is None:
                raise UnreadableItemError(f"the batch {name} is not whole")
            rows += _rows_in(str(item["rows"]))
        return Batch(
            name=name,
            rows=tuple(rows),
            actor=str(head["actor"]),
            at_ms=int(head["at_ms"]),
            revision=revision,
        )

    def keep(self, batch: Batch) -> Batch:
        """Write the batch over the stored one with its revision (0: there is none); durable.

        Raises:
            LedgerConflictError: somebody else has written it meanwhile; nothing was written.
        """
        revision = batch.revision + 1
        # A unique name: another writer at the same time has parts of its own, even if refused.
        written = uuid.uuid4().hex
        parts = list(_parts_of(batch.rows))
        for number, text in enumerate(parts):
            part = _key(batch.name, f"{written}#{number}")
            self._put(batch, part | {"rows": text, "schema_version": SCHEMA_VERSION})
        head = _key(batch.name) | {
            "actor": batch.actor,
            "at_ms": batch.at_ms,
            "parts": len(parts),
            "written": written,
            "rows": len(batch.rows),
            "revision": revision,
            "schema_version": SCHEMA_VERSION,
        }
        condition = "revision = :r" if batch.revision else "attribute_not_exists(pk)"
        self._put(batch, head, condition, batch.revision)
        return Batch(
            name=batch.name,
            rows=batch.rows,
            actor=batch.actor,
            at_ms=batch.at_ms,
            revision=revision,
        )

    def _put(self, batch: Batch, item: Item, condition: str = "", before: int = 0) -> None:
        given = {"ConditionExpression": condition} if condition else {}
        values = {"ExpressionAttributeValues": encode_item({":r": before})} if before else {}
        try:
            self._table.ask(
                "put_item", TableName=self._table.name, Item=encode_item(item), **given, **values
            )
        except RequestRefusedError as refusal:
            if refusal.objects(CONDITION_FAILED):
                raise LedgerConflictError(f"the batch {batch.name} has changed") from refusal
            unavailable_or_defect(refusal)


def _key(name: str, part: str = "batch") -> Item:
    return {"pk": f"batch#{name}", "sk": part}


def _parts_of(rows: Sequence[BatchRow]) -> Iterator[str]:
    for start in range(0, len(rows), _ROWS_PER_PART):
        some = rows[start : start + _ROWS_PER_PART]
        yield "".join(one.refund_id.removeprefix(_PREFIX) + one.digest for one in some)


def _rows_in(text: str) -> Iterator[BatchRow]:
    for start in range(0, len(text), _WIDTH):
        row = text[start : start + _WIDTH]
        yield BatchRow(_PREFIX + row[:_ID_LENGTH], row[_ID_LENGTH:])
