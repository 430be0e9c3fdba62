"""What is live in a stack, read from AWS: its functions' versions, and what calls them.

The functions, queues, streams and schedules are listed from the stack itself, so that none can be
forgotten here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployed.clients import CloudClients

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

ALIAS = "live"
# If one of these settings differs, the alias does not run what was deployed.
COMPARED = ("CodeSha256", "Layers", "Environment", "Runtime", "Timeout", "MemorySize", "Role")

ALARM = "AWS::CloudWatch::Alarm"
FUNCTION = "AWS::Lambda::Function"
MAPPING = "AWS::Lambda::EventSourceMapping"
SCHEDULE = "AWS::Scheduler::Schedule"
STACK = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Source:
    """An event source mapping: it passes a queue's messages or a stream's changes to a function."""

    function: str
    id: str
    state: str


class LiveStack:
    """A deployed stack. Every method may raise botocore's errors."""

    def __init__(self, clients: CloudClients, stack_name: str) -> None:
        self._clients = clients
        self._stack_name = stack_name
        self._found: list[tuple[str, str]] | None = None

    def functions(self) -> list[str]:
        """The names of all functions."""
        return sorted(self._of(FUNCTION))

    def behind(self, function: str) -> list[str]:
        """The settings in which the alias differs from what was uploaded last; empty once all of
        the traffic goes to that."""
        client: LambdaClient = self._clients.client("lambda")
        latest: Any = client.get_function_configuration(FunctionName=function)
        live: Any = client.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        alias = client.get_alias(FunctionName=function, Name=ALIAS)
        return [*differences(latest, live), *_not_whole(alias)]

    def is_ready(self, function: str) -> bool:
        """Whether the version behind the alias can be called: a snapshot takes minutes to make.

        Raises:
            BrokenVersionError: the version cannot be started, now or later.
        """
        client: LambdaClient = self._clients.client("lambda")
        live: Any = client.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        if live.get("State") == "Failed":
            raise BrokenVersionError(f"{function}: {live.get('StateReason', 'no reason is given')}")
        return live.get("State", "Active") == "Active" and has_its_snapshot(live)

    def snapshot_state(self, function: str) -> str | None:
        """Lambda's state of the version behind the alias; None if the version has no snapshot.

        A version that nobody called for 14 days, or whose snapshot Lambda renews, is ``Inactive``.
        """
        client: LambdaClient = self._clients.client("lambda")
        live: Any = client.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        wanted = _snapshot(live).get("ApplyOn", "None") != "None"
        return live.get("State", "Active") if wanted else None

    def alarms(self) -> list[str]:
        """The names of all alarms, those of nested stacks too."""
        return sorted(self._of(ALARM))

    def version(self, function: str) -> str:
        """The version behind the alias."""
        client: LambdaClient = self._clients.client("lambda")
        return client.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"]

    def sources(self) -> list[Source]:
        """The queues and streams that call functions."""
        client: LambdaClient = self._clients.client("lambda")
        found = [client.get_event_source_mapping(UUID=one) for one in self._of(MAPPING)]
        return [Source(_name(one["FunctionArn"]), one["UUID"], one["State"]) for one in found]

    def schedules(self) -> dict[str, str]:
        """The state of every schedule, by name."""
        client: EventBridgeSchedulerClient = self._clients.client("scheduler")
        return {one: client.get_schedule(Name=one)["State"] for one in self._of(SCHEDULE)}

    def _of(self, kind: str) -> Iterator[str]:
        if self._found is None:
            self._found = list(self._resources(self._stack_name))
        return (name for of_kind, name in self._found if of_kind == kind)

    def _resources(self, stack: str) -> Iterator[tuple[str, str]]:
        """Type and name of every resource in a stack and in its nested stacks."""
        cloudformation: CloudFormationClient = self._clients.client("cloudformation")
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for page in pages:
            for one in page["StackResourceSummaries"]:
                kind, name = one["ResourceType"], one.get("PhysicalResourceId", "")
                yield kind, name
                if kind == STACK and name:
                    yield from self._resources(name)


class BrokenVersionError(RuntimeError):
    """A version that was published cannot be started."""


def differences(latest: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """The settings among ``COMPARED`` in which two configurations of a function differ."""
    different = [key for key in COMPARED if latest.get(key) != live.get(key)]
    if _snapshot(latest).get("ApplyOn") != _snapshot(live).get("ApplyOn"):
        different.append("SnapStart")
    return different


def has_its_snapshot(live: Mapping[str, Any]) -> bool:
    """Whether a version has its snapshot, or needs none."""
    wanted = _snapshot(live).get("ApplyOn", "None") != "None"
    return not wanted or _snapshot(live).get("OptimizationStatus") == "On"


def _name(function_arn: str) -> str:
    return function_arn.partition(":function:")[2].partition(":")[0]


def _snapshot(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    snapshot: Mapping[str, Any] = configuration.get("SnapStart") or {}
    return snapshot


def _not_whole(alias: Mapping[str, Any]) -> list[str]:
    shared = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    return ["traffic is still shared with another version"] if shared else []
