"""Read a stage's name, region and parameters from samconfig.toml, their only home."""

import tomllib
from dataclasses import dataclass
from typing import Any

from local import paths


@dataclass(frozen=True)
class Stage:
    """One deployment target of samconfig.toml."""

    name: str
    stack_name: str
    region: str
    parameters: dict[str, str]

    @property
    def secrets_prefix(self) -> str:
        """The SSM path under which this stage's secrets are."""
        return self.parameters["SecretsPrefix"]


class UnknownStageError(ValueError):
    """samconfig.toml has no such stage."""


def stage_names() -> list[str]:
    """List the stages of samconfig.toml."""
    return [name for name, table in _config().items() if isinstance(table, dict)]


def load_stage(name: str) -> Stage:
    """Read one stage."""
    if name not in stage_names():
        raise UnknownStageError(f"samconfig.toml has no stage {name!r}, only {stage_names()}")
    tables = _config()[name]
    shared = tables["global"]["parameters"]
    overrides = tables["deploy"]["parameters"]["parameter_overrides"]
    return Stage(
        name=name,
        stack_name=shared["stack_name"],
        region=shared["region"],
        parameters={name: value.strip('"') for name, value in map(_split, overrides)},
    )


def _split(override: str) -> tuple[str, str]:
    name, _, value = override.partition("=")
    return name, value


def _config() -> dict[str, Any]:
    with paths.SAM_CONFIG.open("rb") as file:
        return tomllib.load(file)
