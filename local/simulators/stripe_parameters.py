"""Form parameters of a Stripe call, read as strictly as Stripe reads them."""

import re
from collections.abc import Collection, Mapping

from local.simulators.json_text import JsonObject
from local.simulators.stripe_errors import invalid, missing

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def only(parameters: JsonObject, known: Collection[str]) -> None:
    """Refuse a parameter that the call does not have."""
    for name in parameters:
        if name not in known:
            raise invalid(
                f"Received unknown parameter: {name}", param=name, code="parameter_unknown"
            )


def group(source: Mapping[str, object], name: str, path: str) -> JsonObject:
    """Return a required hash."""
    value = source.get(name)
    if value is None:
        raise missing(path)
    if not isinstance(value, dict):
        raise invalid(f"Invalid object: {path}", param=path)
    return value


def string(source: Mapping[str, object], name: str, path: str) -> str:
    """Return a required string; the empty one counts as missing."""
    value = source.get(name)
    if value is None or value == "":
        raise missing(path)
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {path}", param=path)
    return value


def optional_string(source: Mapping[str, object], name: str) -> str | None:
    """Return a string, or None where it is absent or empty."""
    return None if source.get(name) in (None, "") else string(source, name, name)


def integer(source: Mapping[str, object], name: str, path: str) -> int:
    """Return a required integer; 1.5 and 1e3 are not integers."""
    written = string(source, name, path)
    if not _INTEGER.fullmatch(written):
        raise invalid(f"Invalid integer: {written}", param=path, code="parameter_invalid_integer")
    return int(written)


def optional_integer(source: Mapping[str, object], name: str) -> int | None:
    """Return an integer, or None where it is absent or empty."""
    return None if source.get(name) in (None, "") else integer(source, name, name)


def metadata(parameters: JsonObject) -> dict[str, str]:
    """Return the metadata within Stripe's limits; an empty value asks to unset its key."""
    value = parameters.get("metadata", {})
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid("Invalid object: metadata", param="metadata")
    if len(value) > 50:
        raise invalid("You cannot have more than 50 metadata keys.", param="metadata")
    for key, item in value.items():
        path = f"metadata[{key}]"
        if len(key) > 40:
            raise invalid(f"Metadata key {key[:40]}... is longer than 40 characters.", param=path)
        if not isinstance(item, str) or len(item) > 500:
            raise invalid("Metadata values are strings of up to 500 characters.", param=path)
    return dict(value)


def listed(parameters: JsonObject, name: str) -> list[JsonObject]:
    """Return a list of hashes, given with positions in brackets."""
    value = parameters.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise invalid(f"Invalid array: {name}", param=name)
    return list(value.values())
