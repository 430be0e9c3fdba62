"""The template as AWS would see it: SAM expanded offline, parameters and conditions worked out.

What only AWS knows becomes a word that reads like what it stands for: `{Ref: Ledger}` is `Ledger`,
`{GetAtt: Ledger.Arn}` is `Ledger.Arn`. So a rule is a plain look into plain values.
"""

import copy
import logging
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from samtranslator.translator.transform import transform  # type: ignore[import-untyped]

from deployed import paths
from deployed.stages import load_stage
from deploying.template_yaml import read_template

Resource = dict[str, Any]
CODE = ("CodeUri", "ContentUri")
NESTED = "AWS::CloudFormation::Stack"
NO_VALUE = object()
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Fn::Join": lambda given: str(given[0]).join(map(str, given[1])),
    "Fn::Equals": lambda given: str(given[0]) == str(given[1]),
    "Fn::Not": lambda given: not given[0],
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Contains": lambda given: str(given[1]) in map(str, given[0]),
    "Fn::Select": lambda given: given[1][int(given[0])],
    "Fn::Split": lambda given: str(given[1]).split(given[0]),
}
PSEUDO_PARAMETERS = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "ap-southeast-1",
    "AWS::StackId": "arn:aws:cloudformation:ap-southeast-1:111122223333:stack/name/5e1f",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": NO_VALUE,
}


@dataclass
class Expanded:
    """One stage's resources. Free to be broken: every test gets its own copy."""

    parameters: dict[str, Any]
    stack_name: str
    resources: dict[str, Resource]

    def of_type(self, kind: str) -> Iterator[tuple[str, Resource]]:
        """The properties of all resources of one type, by logical id."""
        for name, resource in self.resources.items():
            if resource["Type"] == kind:
                yield name, resource["Properties"]

    def properties(self, name: str) -> Resource:
        """The properties of one resource."""
        properties: Resource = self.resources[name]["Properties"]
        return properties

    def queue_mappings(self) -> Iterator[tuple[str, Resource, str]]:
        """What hands a queue's messages to a function: id, properties, and the queue's id."""
        for name, mapping in self.of_type("AWS::Lambda::EventSourceMapping"):
            source = mapping["EventSourceArn"].removesuffix(".Arn")
            if self.resources.get(source, {}).get("Type") == "AWS::SQS::Queue":
                yield name, mapping, source

    def environment(self, function: str) -> dict[str, Any]:
        """The environment variables of a function."""
        variables: dict[str, Any] = self.properties(function)["Environment"]["Variables"]
        return variables


def source() -> dict[str, Any]:
    """The template as it is written, in its long form."""
    template: dict[str, Any] = _copied(_read(paths.TEMPLATE))
    return template


def expand(
    stage_name: str, stack_name: str | None = None, *, edited: str = "", **overrides: str
) -> Expanded:
    """Expand the template for a stage, with some of its parameters changed.

    ``edited`` names a function or layer whose code is another than that of the checkout.
    """
    given = tuple(sorted(overrides.items()))
    expanded: Expanded = _copied(_expand(stage_name, stack_name, edited, given))
    return expanded


def refusals(stage_name: str, **overrides: str) -> list[str]:
    """What CloudFormation's rules say to a deployment of a stage with these parameters."""
    template = source()
    stack_name = load_stage(stage_name).stack_name
    values = _values(template, _parameters(stage_name, overrides), stack_name)
    rules = _Resolver(values, template["Conditions"])(template["Rules"])
    return [
        assertion["AssertDescription"]
        for rule in rules.values()
        if rule.get("RuleCondition", True)
        for assertion in rule["Assertions"]
        if not assertion["Assert"]
    ]


def _copied(pickled: bytes) -> Any:
    # This takes a tenth of the time that reading, expanding or a deep copy takes.
    return pickle.loads(pickled)  # noqa: S301 - pickled below, by this process


@cache
def _read(path: Path) -> bytes:
    return pickle.dumps(read_template(path))


def _parameters(stage_name: str, overrides: Mapping[str, str]) -> dict[str, str]:
    return load_stage(stage_name).parameters | {"BuildDigest": "0" * 64} | dict(overrides)


@cache
def _expand(
    stage_name: str, stack_name: str | None, edited: str, overrides: tuple[tuple[str, str], ...]
) -> bytes:
    stage = load_stage(stage_name)
    name = stack_name or stage.stack_name
    parameters = _parameters(stage_name, dict(overrides))
    template = source()
    for logical_id, resource in template["Resources"].items():
        bucket = "edited" if logical_id == edited else "bucket"
        for code in set(CODE) & set(resource["Properties"]):
            resource["Properties"][code] = f"s3://{bucket}/{resource['Properties'][code]}"
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    # The region is all that SAM wants of an AWS session, and the policies all it would ask IAM for.
    with patch.dict("os.environ", {"AWS_DEFAULT_REGION": stage.region}):
        expanded = transform(template, dict(parameters), SimpleNamespace(load=lambda: {}))
    values = _values(expanded, parameters, name)
    work_out = _Resolver(values, expanded.get("Conditions", {}))
    nested: dict[str, Resource] = {}
    for logical_id, resource in expanded["Resources"].items():
        if resource["Type"] == NESTED:
            found, outputs = _nested(work_out(resource["Properties"]))
            nested |= found
            values |= {f"{logical_id}.Outputs.{name}": value for name, value in outputs.items()}
    return pickle.dumps(
        Expanded(
            parameters={
                name: value if isinstance(value, list) else str(value)
                for name, value in values.items()
                if name in expanded["Parameters"]
            },
            stack_name=name,
            resources=work_out.resources(expanded["Resources"]) | nested,
        )
    )


def _nested(stack: Resource) -> tuple[dict[str, Resource], dict[str, Any]]:
    """Resources and outputs of a template inside the template, with the values that it is given."""
    template = _copied(_read(paths.ROOT / stack["TemplateURL"]))
    assert template["Parameters"].keys() == stack["Parameters"].keys()
    values = _values(template, stack["Parameters"], f"{stack['Parameters']['StackName']}-nested")
    work_out = _Resolver(values, template["Conditions"])
    outputs = {name: work_out(output["Value"]) for name, output in template["Outputs"].items()}
    return work_out.resources(template["Resources"]), outputs


def _without_condition(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if key != "Condition"}


def _values(
    template: Mapping[str, Any], parameters: Mapping[str, str], stack_name: str
) -> dict[str, Any]:
    declared = template["Parameters"]
    defaults = {k: v["Default"] for k, v in declared.items() if "Default" in v}
    given: dict[str, Any] = {**defaults, **parameters}
    for name, value in given.items():
        if declared[name]["Type"] == "CommaDelimitedList":
            given[name] = value.split(",")
    return {**PSEUDO_PARAMETERS, "AWS::StackName": stack_name, **given}


class _Resolver:
    """Works out the functions of CloudFormation."""

    def __init__(self, values: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
        self._values = values
        self._conditions = conditions

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        return bool(self(self._conditions[name]))

    def resources(self, declared: Mapping[str, Resource]) -> dict[str, Resource]:
        """Those resources of a template whose conditions hold."""
        return {
            key: self(_without_condition(resource))
            for key, resource in declared.items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def __call__(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for value in map(self, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return copy.deepcopy(node)
        if len(node) == 1:
            (name, argument), *_ = node.items()
            if name == "Ref":
                return self._values.get(argument, argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        worked_out = {key: self(value) for key, value in node.items()}
        return {key: value for key, value in worked_out.items() if value is not NO_VALUE}

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::If":
            return self(argument[1] if self.condition(argument[0]) else argument[2])
        if name == "Fn::Sub":
            return self._sub(self(argument))
        if name == "Fn::GetAtt":
            attribute = ".".join(argument)
            return self._values.get(attribute, attribute)
        if name not in FUNCTIONS:
            raise NotImplementedError(f"{name} is not known here; teach it to FUNCTIONS")
        return FUNCTIONS[name](self(argument))

    def _sub(self, given: Any) -> str:
        text, own = given if isinstance(given, list) else (given, {})
        known = {**self._values, **own}
        return re.sub(r"\$\{([^!}]+)\}", lambda m: str(known.get(m[1], m[1])), text)
