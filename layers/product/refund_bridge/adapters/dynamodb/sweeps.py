"""Sweeps in the ledger's table: one small item a processor, ``sweep#<processor>``."""

from typing import TYPE_CHECKING, Final

from refund_bridge.adapters.dynamodb.keys import Item
from refund_bridge.adapters.dynamodb.refusals import CONDITION_FAILED, RequestRefusedError
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.ports.ledger import LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.sweeps import Sweep

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1


class DynamoDbSweeps:
    """``ports.sweeps.SweepLog`` on the ledger's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = DynamoDbTable(client, table)

    def sweep(self, processor: str, *, begin_ms: int) -> Sweep:
        """The sweep of that processor; the first call begins it, durably, with ``begin_ms``."""
        found = self._found(processor)
        if found is not None:
            return found
        begun = Sweep(processor=processor, since_ms=begin_ms, revision=1)
        try:
            self._put(begun, "attribute_not_exists(pk)", {})
        except LedgerConflictError:
            # Another run has just begun it, or the first copy of our own request has.
            found = self._found(processor)
            if found is None:
                raise LedgerUnavailableError(f"the sweep of {processor} comes and goes") from None
            return found
        return begun

    def move_sweep(self, before: Sweep, cursor: str | None, *, tries: int = 0) -> Sweep:
        """Move the sweep to ``cursor``, durably; ``tries`` as in ``Sweep``.

        Raises:
            LedgerConflictError: another run has moved it, or an earlier copy of this request has.
        """
        moved = Sweep(
            processor=before.processor,
            since_ms=before.since_ms,
            cursor=cursor,
            tries=tries,
            revision=before.revision + 1,
        )
        self._put(moved, "revision = :before", {":before": before.revision})
        return moved

    def _found(self, processor: str) -> Sweep | None:
        item = self._table.get(_key(processor))
        if item is None:
            return None
        return Sweep(
            processor=processor,
            since_ms=int(item["since_ms"]),
            cursor=item.get("cursor"),
            # An item of an earlier release does not have it.
            tries=int(item.get("tries", 0)),
            revision=int(item["revision"]),
        )

    def _put(self, sweep: Sweep, condition: str, values: Item) -> None:
        item: Item = _key(sweep.processor) | {
            "since_ms": sweep.since_ms,
            "revision": sweep.revision,
            "tries": sweep.tries,
            "schema_version": SCHEMA_VERSION,
        }
        if sweep.cursor is not None:
            item["cursor"] = sweep.cursor
        given = {"ExpressionAttributeValues": encode_item(values)} if values else {}
        try:
            self._table.ask(
                "put_item",
                TableName=self._table.name,
                Item=encode_item(item),
                ConditionExpression=condition,
                **given,
            )
        except RequestRefusedError as refusal:
            if refusal.objects(CONDITION_FAILED):
                raise LedgerConflictError(f"the sweep of {sweep.processor} has moved") from refusal
            unavailable_or_defect(refusal)


def _key(processor: str) -> Item:
    return {"pk": f"sweep#{processor}", "sk": "sweep"}
