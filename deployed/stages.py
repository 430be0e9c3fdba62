"""A stage's name, region and parameters, in samconfig.toml, their only home."""

import tomllib
from dataclasses import dataclass, replace
from typing import Any

from deployed import paths

# Entries of samconfig.toml that are not stages: the format's version, and `sam`'s defaults.
NO_STAGES = ("version", "default")


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
    return [name for name, table in _config().items() if name not in NO_STAGES]


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


def keep_parameter(stage: Stage, name: str, value: str) -> Stage:
    """Write one parameter of a stage into samconfig.toml, and nothing else; returns the stage.

    Raises:
        ValueError: the file does not have the parameter exactly once, on a line of its own.
    """
    lines = paths.SAM_CONFIG.read_text().splitlines(keepends=True)
    start = lines.index(f"[{stage.name}.deploy.parameters]\n")
    end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("[")), len(lines))
    old = f'    "{name}={stage.parameters[name]}",\n'
    if lines[start:end].count(old) != 1:
        raise ValueError(f"samconfig.toml: {name} of {stage.name} is not on a line of its own")
    lines[lines.index(old, start)] = f'    "{name}={value}",\n'
    paths.SAM_CONFIG.write_text("".join(lines))
    return replace(stage, parameters=stage.parameters | {name: value})


def _split(override: str) -> tuple[str, str]:
    name, _, value = override.partition("=")
    return name, value


def _config() -> dict[str, Any]:
    with paths.SAM_CONFIG.open("rb") as file:
        return tomllib.load(file)
