"""Converts plain values to DynamoDB's typed ones, and back."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)
_DIGITS_MAX: Final = 38


def plain(value: Any) -> Any:
    """``value`` in the types in which it will be read back: ``dict``, ``list``, ``str``, ``int``.

    Raises:
        TypeError: it contains another type. Above all a float: an amount that was a float is not
            exact any more, so floats are never stored.
    """
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case str():
            return str(value)
        case Mapping():
            return {_name(name): plain(member) for name, member in value.items()}
        case list() | tuple():
            return [plain(member) for member in value]
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be stored in the ledger")


def encode(value: Any) -> dict[str, Any]:
    """The typed form of a plain value."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": _number(value)}
        case str():
            return {"S": value}
        case dict():
            return {"M": encode_item(value)}
        case list():
            return {"L": [encode(member) for member in value]}
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be stored in the ledger")


def encode_item(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The typed form of an item or map."""
    return {name: encode(value) for name, value in item.items()}


def decode(typed: Mapping[str, Any]) -> Any:
    """The plain form of a typed value.

    Types that this product never writes (fractions, sets, bytes) are decoded too, because another
    release may have added such an attribute, which this one must leave alone.
    """
    ((kind, value),) = typed.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value) if _INTEGER.fullmatch(value) else Decimal(value)
        case "M":
            return decode_item(value)
        case "L":
            return [decode(member) for member in value]
        case _:
            return value


def decode_item(typed: Mapping[str, Any]) -> dict[str, Any]:
    """The plain form of a typed item or map."""
    return {name: decode(value) for name, value in typed.items()}


def size_of(value: Any) -> int:
    """How many bytes DynamoDB counts for a plain value, rounded up where its rule is vague."""
    match value:
        case None | bool():
            return 1
        case int():
            return len(str(value)) // 2 + 2
        case str():
            return len(value.encode())
        case dict():
            return 3 + sum(1 + len(name.encode()) + size_of(v) for name, v in value.items())
        case _:
            return 3 + _size_of_members(value)


def _size_of_members(values: Sequence[Any]) -> int:
    return sum(1 + size_of(value) for value in values)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"an attribute's name is a string, not a {type(name).__name__}")
    return str(name)


def _number(value: int) -> str:
    text = str(value)
    if len(text.lstrip("-")) > _DIGITS_MAX:
        raise TypeError(f"a number of more than {_DIGITS_MAX} digits cannot be stored exactly")
    return text
