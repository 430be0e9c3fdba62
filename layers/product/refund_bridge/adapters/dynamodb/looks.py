"""Recent looks in the ledger's table: a fixed number of slots, each an item ``look#<slot>``.

The slot is computed from what is looked at. If two looks have the same slot, the later one replaces
the other, which is then made again when asked for. So old looks never fill the table and nothing
has to delete them.
"""

import hashlib
from collections.abc import Callable, Mapping
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

from refund_bridge.adapters.dynamodb.items import payment_item, payment_of
from refund_bridge.adapters.dynamodb.keys import Item, UnreadableItemError
from refund_bridge.adapters.dynamodb.refusals import CONDITION_FAILED, RequestRefusedError
from refund_bridge.adapters.dynamodb.table import DynamoDbTable, unavailable_or_defect
from refund_bridge.adapters.dynamodb.values import encode_item, plain
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.refunding.recent_looks import LOOKING, REMEMBERED, Looked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
SLOTS: Final = 1024
_REFUSALS: Final = {one.code: one for one in REMEMBERED}


def _new_write_id() -> str:
    return token_urlsafe(12)


class DynamoDbLooks:
    """``recent_looks.Looks`` on the ledger's table; ``new_write_id`` identifies each ``take``."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        new_write_id: Callable[[], str] = _new_write_id,
    ) -> None:
        self._table = DynamoDbTable(client, table)
        self._new_write_id = new_write_id

    def take(self, what: str, *, now_ms: int, until_ms: int) -> Looked | None:
        """Take a look; ``None``: the caller has it now; see ``Looks``."""
        write_id = self._new_write_id()
        values = {":what": _digest(what), ":now": now_ms, ":until": until_ms}
        try:
            self._put(
                what,
                {"until_ms": until_ms, "write_id": write_id},
                ConditionExpression=(
                    "attribute_not_exists(pk) OR what <> :what"
                    " OR until_ms <= :now OR until_ms > :until"
                ),
                ExpressionAttributeValues=encode_item(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RequestRefusedError as refusal:
            if not refusal.objects(CONDITION_FAILED):
                unavailable_or_defect(refusal)
            # botocore may have sent the request twice; the condition then failed on our first copy.
            return None if refusal.stored_by(write_id) else _looked_in(refusal.stored)
        return None

    def keep(self, what: str, looked: Looked, *, until_ms: int) -> None:
        """Store the look's result."""
        self._replace(what, {"until_ms": until_ms, "looked": _item_of(looked)})

    def drop(self, what: str) -> None:
        """Forget the look."""
        self._replace(what, {"until_ms": 0})

    def _replace(self, what: str, facts: Item) -> None:
        try:
            self._put(what, facts)
        except RequestRefusedError as refusal:
            unavailable_or_defect(refusal)

    def _put(self, what: str, facts: Item, **conditions: Any) -> None:
        item = _key(what) | {"what": _digest(what), "schema_version": SCHEMA_VERSION} | facts
        self._table.ask(
            "put_item", TableName=self._table.name, Item=encode_item(item), **conditions
        )


def slot_of(what: str) -> int:
    """The number of the item, of ``SLOTS``, that remembers this look."""
    return int(_digest(what)[:8], 16) % SLOTS


def _key(what: str) -> Item:
    return {"pk": f"look#{slot_of(what)}", "sk": "look"}


def _digest(what: str) -> str:
    # The text comes from callers, who may send anything.
    return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()


def _item_of(looked: Looked) -> Item:
    item: Item = {}
    if looked.word is not None:
        item["word"] = looked.word
    if looked.payment is not None:
        item["payment"] = payment_item(looked.payment)
    if looked.refused is not None:
        error = looked.refused
        item["refused"] = {"code": error.code, "message": error.message, "details": error.details}
    stored: Item = plain(item)
    return stored


def _looked_in(item: Mapping[str, Any]) -> Looked:
    looked = item.get("looked")
    if looked is None:
        return LOOKING
    payment = looked.get("payment")
    return Looked(
        word=looked.get("word"),
        payment=None if payment is None else payment_of(payment),
        refused=_refusal_in(looked.get("refused")),
    )


def _refusal_in(item: Mapping[str, Any] | None) -> RefundBridgeError | None:
    if item is None:
        return None
    if item["code"] not in _REFUSALS:
        raise UnreadableItemError("a look ended as only another release can tell")
    return _REFUSALS[item["code"]](item["message"], details=item["details"])
