"""What a DynamoDB request costs, in request units, from the items before and after it.

Rules: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
and "Best practices for using secondary indexes". A write costs one unit for each KB or part of a KB
of the larger of the item's two images, and twice that in a transaction. A consistent read costs one
unit for each 4 KB or part of that; half if it is eventually consistent, twice in a transaction. An
index entry costs one unit when it appears, one when it disappears, and two when its keys change.
Our indexes project keys only, so an entry whose keys do not change costs nothing. (AWS does not say
whether an entry costs more in a transaction; it is counted once here.)
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Image = Mapping[str, Mapping[str, Any]]
"""An item in DynamoDB's own JSON, ``{"name": {"S": "value"}}``."""

WRITE_KB = 1024
READ_KB = 4 * 1024


def item_bytes(item: Image | None) -> int:
    """The size that DynamoDB counts: names and values, in bytes."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in (item or {}).items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(str(content).encode())
    if kind == "N":
        digits = str(content).strip("+-0.").replace(".", "")
        return math.ceil(len(digits) / 2) + 1 + str(content).startswith("-")
    if kind == "M":
        return 3 + item_bytes(content) + len(content)
    if kind == "L":
        return 3 + sum(1 + _value_bytes(one) for one in content)
    return len(content) if kind == "B" else 1


def read_units(items: Sequence[Image | None], *, consistent: bool, at_once: bool) -> float:
    """Units of reading these items; ``at_once``: as one query rather than each by its key."""
    sizes = [item_bytes(item) for item in items]
    chunks = [sum(sizes)] if at_once else sizes
    units = sum(max(1, math.ceil(size / READ_KB)) for size in chunks)
    return units if consistent else units / 2


def write_units(before: Image | None, after: Image | None, *, transaction: bool) -> int:
    """Units of replacing ``before`` by ``after`` in the table."""
    size = max(item_bytes(before), item_bytes(after))
    return max(1, math.ceil(size / WRITE_KB)) * (2 if transaction else 1)


def index_units(before: Image | None, after: Image | None, keys: Sequence[str]) -> int:
    """Units of updating an index with these key attributes, which projects keys only."""
    old, new = _entry(before, keys), _entry(after, keys)
    if old == new:
        return 0
    return (old is not None) + (new is not None)


def _entry(item: Image | None, keys: Sequence[str]) -> list[Mapping[str, Any]] | None:
    if item is None or any(key not in item for key in keys):
        return None
    return [item[key] for key in keys]
