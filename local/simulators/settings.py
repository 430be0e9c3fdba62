"""Changing a frozen settings object from JSON, refusing names and values it does not have."""

from collections.abc import Mapping
from dataclasses import Field, asdict, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from local.simulators.json_text import JsonObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)
else:
    Settings = TypeVar("Settings")


def choice(*values: str | int) -> Any:
    """Declare a setting with the values it may take; the first is the default."""
    return field(default=values[0], metadata={"values": values})


def changed(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """Return the settings with these changes; ValueError says which one is not possible."""
    known = {item.name: item for item in fields(settings)}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"no setting {name!r}; there are {', '.join(sorted(known))}")
        _check(known[name], value)
    return replace(settings, **changes)


def shown(settings: "DataclassInstance") -> JsonObject:
    """Return the settings as the control API shows them."""
    return asdict(settings)


def _check(item: "Field[Any]", value: object) -> None:
    allowed = item.metadata.get("values")
    if allowed is not None:
        if value not in allowed or isinstance(value, bool):
            raise ValueError(f"{item.name} must be one of {allowed}, not {value!r}")
        return
    if item.default is None:  # an optional text
        possible = value is None or isinstance(value, str)
    else:
        possible = type(value) is type(item.default)
    if not possible:
        raise ValueError(f"{item.name} cannot be {value!r}")
