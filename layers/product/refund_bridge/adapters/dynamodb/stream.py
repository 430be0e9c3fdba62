"""Reads changes of refunds from the ledger's DynamoDB stream (new and old images)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from refund_bridge.adapters.dynamodb.items import refund_of
from refund_bridge.adapters.dynamodb.keys import UnreadableItemError, refund_id_in, refund_key
from refund_bridge.adapters.dynamodb.values import decode, decode_item
from refund_bridge.events.announce import Change

Record = Mapping[str, Any]


def changes_in(records: Iterable[Record]) -> Iterator[Change]:
    """The changes that added to a refund's history, in the stream's order.

    A write that adds nothing to the history, such as a lease, is left out; so is every item that is
    not a refund.
    """
    for record in records:
        shown = record["dynamodb"]
        key, new = decode_item(shown["Keys"]), shown.get("NewImage")
        if new is None or key["sk"] != refund_key("")["sk"]:
            continue
        seen = _last_line(shown.get("OldImage", {}))
        if _last_line(new) == seen:
            continue
        yield Change(
            id=shown["SequenceNumber"],
            refund_id=refund_id_in(key),
            refund=_refund(new),
            seen=seen,
        )


def _refund(image: Record) -> Any:
    try:
        return refund_of(decode_item(image))
    except UnreadableItemError:
        return None  # a newer release wrote it during a deployment


def _last_line(image: Record) -> int:
    """The number of the last line of a stored history; 0 if there is none that can be read."""
    lines = decode(image["history"]) if "history" in image else []
    numbers = [line.get("seq") for line in lines if isinstance(line, dict)]
    return max((number for number in numbers if isinstance(number, int)), default=0)
