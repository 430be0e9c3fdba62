"""JSON read exactly: a number with a point is a ``Decimal``, never a float."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any


class NotJsonError(ValueError):
    """The bytes are no JSON that can be read exactly."""


def loads(body: bytes) -> Any:
    """The value that ``body`` holds: numbers are ``int`` or ``Decimal``.

    Raises:
        NotJsonError: empty, truncated, HTML, not UTF-8, nested too deeply, NaN or infinite.
    """
    try:
        return json.loads(body, parse_float=_decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"no JSON in {len(body)} bytes") from error


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that ``body`` holds, ``None`` if it holds anything else."""
    try:
        value = loads(body)
    except NotJsonError:
        return None
    return value if isinstance(value, dict) else None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:  # an exponent beyond what a Decimal can hold
        raise NotJsonError(f"{len(text)} characters are no number") from error


def _refuse(text: str) -> Decimal:
    raise NotJsonError(f"{text} is not JSON")
