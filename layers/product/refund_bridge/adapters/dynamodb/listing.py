"""Implements ``ports.listing.Listing``: reads many refunds at a time from DynamoDB.

The indexes have only keys and lag behind the table. So they only say which refunds there may be;
each refund is then read from the table itself.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from refund_bridge.adapters.dynamodb.items import created_sort, payment_of, refund_of, status_month
from refund_bridge.adapters.dynamodb.keys import (
    can_exist,
    payment_item_key,
    payment_key_text,
    refund_id_in,
    refund_key,
)
from refund_bridge.adapters.dynamodb.table import DynamoDbTable
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.listing import (
    FIRST_PLACE,
    LAST_PLACE,
    OfInvoice,
    OfMonth,
    OfPayment,
    OfPaymentIntent,
    Position,
    Selection,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_random: Final = SystemRandom().random


class DynamoDbListing:
    """``ports.listing.Listing`` on the table ``table``, which is the ledger's.

    ``sleep`` (seconds) and ``random`` (0 to 1) set the pauses between tries while it is busy.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = _random,
    ) -> None:
        self._table = DynamoDbTable(client, table, sleep, random)

    def newest(
        self, selection: Selection, *, after: Position, before: Position, limit: int
    ) -> Sequence[Position]:
        """The places of the selected refunds between two, newest first, at most ``limit``."""
        return self._between(selection, after, before, limit, newest_first=True)

    def oldest(
        self,
        selection: Selection,
        *,
        after: Position = FIRST_PLACE,
        before: Position = LAST_PLACE,
        limit: int,
    ) -> Sequence[Position]:
        """As ``newest``, oldest first."""
        return self._between(selection, after, before, limit, newest_first=False)

    def _between(
        self,
        selection: Selection,
        after: Position,
        before: Position,
        limit: int,
        *,
        newest_first: bool,
    ) -> Sequence[Position]:
        index, attribute, value = _partition(selection)
        # DynamoDB refuses an empty range.
        if not after < before or not _names_a_partition(value):
            return []
        keys = self._table.query(
            IndexName=index,
            KeyConditionExpression="#name = :value AND created_sort BETWEEN :after AND :before",
            ExpressionAttributeNames={"#name": attribute},
            ExpressionAttributeValues=encode_item(
                {":value": value, ":after": _sort(after), ":before": _sort(before)}
            ),
            # BETWEEN includes the two places, and there may be a refund at each.
            Limit=limit + 2,
            ScanIndexForward=not newest_first,
        )
        found = [_position(key) for key in keys]
        return [position for position in found if after < position < before][:limit]

    def count(self, selection: Selection) -> int:
        """How many refunds are selected, as far as one page of the index tells."""
        index, attribute, value = _partition(selection)
        if not _names_a_partition(value):
            return 0
        return self._table.count(**_all_of(index, attribute, value))

    def refunds(self, refund_ids: Sequence[str]) -> Mapping[str, Refund]:
        """Those of these refunds that exist, as they are now, by their ids."""
        keys = [refund_key(refund_id) for refund_id in dict.fromkeys(refund_ids)]
        found = map(refund_of, self._table.batch_get(keys))
        return {refund.id: refund for refund in found}

    def payments(self, keys: Sequence[PaymentKey]) -> Mapping[PaymentKey, Payment]:
        """Those of these payments that exist, as they are now, by their keys."""
        items = [payment_item_key(key) for key in dict.fromkeys(keys)]
        found = map(payment_of, self._table.batch_get(items))
        return {payment.key: payment for payment in found}


def _partition(selection: Selection) -> tuple[str, str, str]:
    """The index for the selection, the attribute of its partition key, and the key's value."""
    match selection:
        case OfPayment(key):
            return "by_payment", "payment_key", payment_key_text(key)
        case OfPaymentIntent(payment_intent):
            return "by_payment_intent", "payment_intent", payment_intent
        case OfInvoice(invoice):
            return "by_invoice", "invoice", invoice
        case OfMonth(month, None):
            return "by_month", "list_month", month
        case OfMonth(month, status):
            return "by_status", "status_month", status_month(str(status), month)


def _names_a_partition(value: str) -> bool:
    """Whether DynamoDB takes the value as a key: it refuses empty and too long ones."""
    return bool(value) and can_exist({"pk": value})


def _all_of(index: str, attribute: str, value: str) -> dict[str, Any]:
    return {
        "IndexName": index,
        "KeyConditionExpression": "#name = :value",
        "ExpressionAttributeNames": {"#name": attribute},
        "ExpressionAttributeValues": encode_item({":value": value}),
    }


def _sort(position: Position) -> str:
    return created_sort(position.created_at_ms, position.refund_id)


def _position(key: Mapping[str, Any]) -> Position:
    created_at_ms, _, _ = str(key["created_sort"]).partition("#")
    return Position(int(created_at_ms), refund_id_in(key))
