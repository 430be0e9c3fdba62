"""Typed reading of members of a JSON object; what is wrong is said in one sentence."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from local.simulators.json_text import JsonObject, MalformedError


def text(source: Mapping[str, object], key: str, default: str | None = None) -> str:
    """Return a member that must be a string."""
    value = source.get(key, default)
    if not isinstance(value, str):
        raise MalformedError(f"{key} must be a string, not {value!r}")
    return value


def optional_text(source: Mapping[str, object], key: str) -> str | None:
    """Return a member that is a string or absent (or null)."""
    return None if source.get(key) is None else text(source, key)


def whole(source: Mapping[str, object], key: str, default: int | None = None) -> int:
    """Return a member that must be an integer."""
    value = source.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError(f"{key} must be an integer, not {value!r}")
    return value


def flag(source: Mapping[str, object], key: str, default: bool = False) -> bool:
    """Return a member that must be true or false."""
    value = source.get(key, default)
    if not isinstance(value, bool):
        raise MalformedError(f"{key} must be true or false, not {value!r}")
    return value


def amount(source: Mapping[str, object], key: str) -> Decimal:
    """Return a member that is a decimal amount, written as a string or a JSON number."""
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise MalformedError(f"{key} must be a decimal amount, not {value!r}")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise MalformedError(f"{key} must be a decimal amount, not {value!r}") from error
    if not number.is_finite():
        raise MalformedError(f"{key} must be finite")
    return number


def seconds(source: Mapping[str, object], key: str) -> float | None:
    """Return a member that is a length of time in seconds, or absent."""
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        raise MalformedError(f"{key} must be a number of seconds, not {value!r}")
    return float(value)


def objects(source: Mapping[str, object], key: str) -> list[JsonObject]:
    """Return a member that is a list of objects; absent is empty."""
    value = source.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedError(f"{key} must be a list of objects")
    return value


def texts(source: Mapping[str, object], key: str) -> dict[str, str]:
    """Return a member that is an object of strings; absent is empty."""
    value = source.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise MalformedError(f"{key} must be an object of strings")
    return value


def mapping(source: JsonObject, name: str) -> JsonObject:
    """Return an object that may be absent."""
    value = source.get(name, {})
    if not isinstance(value, dict):
        raise MalformedError(f"{name} must be an object")
    return value
