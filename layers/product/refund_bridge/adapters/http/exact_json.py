"""Reads and writes JSON exactly: a number with a point is a ``Decimal``, never a float."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


class NotJsonError(ValueError):
    """The bytes are not JSON that can be read exactly."""


def loads(body: bytes) -> Any:
    """Read the JSON value in ``body``; numbers become ``int`` or ``Decimal``.

    Raises:
        NotJsonError: empty, truncated, HTML, not UTF-8, nested too deeply, NaN or infinite.
    """
    try:
        return json.loads(body, parse_float=_decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"no JSON in {len(body)} bytes") from error


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in ``body``; ``None`` if it is anything else."""
    try:
        value = loads(body)
    except NotJsonError:
        return None
    return value if isinstance(value, dict) else None


def dumps(members: Mapping[str, Any]) -> bytes:
    """Write a JSON object; a ``Decimal`` keeps all of its digits: 200.00, not 200.0.

    Values are texts, whole numbers, finite decimals and such objects.

    Raises:
        TypeError: a value is of another type.
    """
    return _written(members).encode()


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(name)}: {_written(item)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, str) or type(value) is int:
        return json.dumps(value)
    raise TypeError(f"{type(value).__name__} is not written to JSON here")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:  # an exponent beyond what a Decimal can hold
        raise NotJsonError(f"{len(text)} characters are no number") from error


def _refuse(text: str) -> Decimal:
    raise NotJsonError(f"{text} is not JSON")
