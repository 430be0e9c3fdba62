"""JSON text with Decimals printed digit for digit, and without floats."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

JsonObject: TypeAlias = dict[str, object]


class MalformedError(ValueError):
    """The input is not as it must be; the sentence says how it must be."""


def encode(value: object) -> str:
    """Write a value as JSON; 50.00 stays 50.00, which json.dumps could only do through a float."""
    if value is None or isinstance(value, bool | int | str):
        return json.dumps(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"JSON has no {value}")
        return format(value, "f")
    if isinstance(value, Mapping):
        members = (f"{json.dumps(str(key))}: {encode(item)}" for key, item in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(encode(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} is not written to JSON here")


def decode(text: str | bytes) -> object:
    """Read JSON; numbers with a point become Decimals."""
    value: object = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    return value


def decode_object(text: str | bytes) -> JsonObject:
    """Read JSON that must be an object."""
    value = decode(text)
    if not isinstance(value, dict):
        raise MalformedError("a JSON object is expected")
    return value


def _no_constant(name: str) -> object:
    raise MalformedError(f"{name} is not JSON")
