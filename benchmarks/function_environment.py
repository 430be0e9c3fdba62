"""The environment and memory that the template gives a function, to run its handler elsewhere."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from deployed import paths
from deployed.stages import load_stage
from deploying.template_yaml import read_template

STACK = "benchmark"
NO_VALUE = "AWS::NoValue"
PSEUDO = {"AWS::StackName": STACK, "AWS::Region": "ap-southeast-1", "AWS::Partition": "aws"}


def function_environment(function: str, references: Mapping[str, str]) -> dict[str, str]:
    """Read the variables of the template's function ``function``, with these values for references.

    Parameters have the template's defaults, as production does; those without one are the local
    stage's. A resource that ``references`` does not name is given its logical name.
    """
    template = _template()
    values = {**_values(template), **references}
    declared: dict[str, Any] = {}
    for properties in _properties(template, function):
        declared |= properties.get("Environment", {}).get("Variables", {})
    resolved = {name: _resolved(value, values) for name, value in declared.items()}
    return {name: value for name, value in resolved.items() if value != NO_VALUE}


def function_memory_mb(function: str) -> int:
    """The memory of the template's function ``function`` by the template's defaults, in MB."""
    template = _template()
    declared: dict[str, Any] = {}
    for properties in _properties(template, function):
        declared |= properties
    return int(_resolved(declared["MemorySize"], _values(template)))


@cache
def _template() -> Mapping[str, Any]:
    return read_template(paths.TEMPLATE)


def _properties(template: Mapping[str, Any], function: str) -> tuple[dict[str, Any], ...]:
    """The properties that all functions have, then this function's own, which override them."""
    return template["Globals"]["Function"], template["Resources"][function]["Properties"]


def _values(template: Mapping[str, Any]) -> dict[str, str]:
    defaults = {
        name: str(declared["Default"])
        for name, declared in template["Parameters"].items()
        if "Default" in declared
    }
    return {**load_stage("local").parameters, **defaults, **PSEUDO}


def _resolved(value: object, values: Mapping[str, str]) -> str:
    if not isinstance(value, dict):
        return str(value)
    ((kind, argument),) = value.items()
    if kind == "Ref":
        return values.get(argument, argument)
    if kind == "Fn::GetAtt":
        resource, attribute = argument
        return values.get(f"{resource}.{attribute}", values.get(resource, resource))
    if kind == "Fn::If":
        # A value that depends on an optional parameter: use the one for the parameter's absence.
        return _resolved(argument[2], values)
    if kind == "Fn::Join":
        between, parts = argument
        texts = parts if isinstance(parts, list) else [_resolved(parts, values)]
        return str(between).join(_resolved(part, values) for part in texts)
    if kind == "Fn::Sub":
        text = str(argument)
        for name, known in values.items():
            text = text.replace(f"${{{name}}}", known)
        return text
    raise ValueError(f"the benchmark cannot resolve {kind}")
