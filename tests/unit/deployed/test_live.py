"""What is live of a stack, whichever functions, queues and schedules it has."""

from types import SimpleNamespace
from typing import Any

import pytest

from deployed.live import BrokenVersionError, LiveStack, Source, differences, has_its_snapshot
from tests.unit.local.cloud import FakeClients, Pages

VERSION: dict[str, Any] = {
    "CodeSha256": "new",
    "Timeout": 45,
    "Version": "7",
    "State": "Active",
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
}
SNAPPED = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}}
NOT_YET = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}}


def stack_of(
    *resources: tuple[str, str],
    latest: dict[str, Any] = VERSION,
    live: dict[str, Any] = VERSION,
    alias: dict[str, Any] | None = None,
) -> LiveStack:
    summaries = [{"ResourceType": kind, "PhysicalResourceId": name} for kind, name in resources]
    mapping = {
        "FunctionArn": "arn:aws:lambda:x:1:function:report:live",
        "State": "Enabled",
    }

    def configuration(**asked: str) -> dict[str, Any]:
        assert asked.get("Qualifier", "live") == "live"
        return live if "Qualifier" in asked else latest

    return LiveStack(
        FakeClients(
            cloudformation={
                "get_paginator": lambda _: Pages({"StackResourceSummaries": summaries})
            },
            scheduler={"get_schedule": lambda **asked: {"State": f"state of {asked['Name']}"}},
            **{
                "lambda": {
                    "get_function_configuration": configuration,
                    "get_alias": lambda **_: {"FunctionVersion": "7", **(alias or {})},
                    "get_event_source_mapping": lambda **asked: {**asked, **mapping},
                }
            },
        ),
        "stack",
    )


def test_what_is_in_nested_stacks_is_the_stacks_too() -> None:
    resources = {
        "stack": [("AWS::CloudFormation::Stack", "arn:inner"), ("AWS::Lambda::Function", "f")],
        "arn:inner": [("AWS::CloudWatch::Alarm", "b"), ("AWS::CloudWatch::Alarm", "a")],
    }

    def paginate(*, StackName: str) -> list[dict[str, Any]]:  # noqa: N803 - AWS's word
        found = [{"ResourceType": k, "PhysicalResourceId": n} for k, n in resources[StackName]]
        return [{"StackResourceSummaries": found}]

    paginator = SimpleNamespace(paginate=paginate)
    live = LiveStack(FakeClients(cloudformation={"get_paginator": lambda _: paginator}), "stack")
    assert live.alarms() == ["a", "b"]
    assert live.functions() == ["f"]


@pytest.mark.parametrize(
    ("live", "state"),
    [
        (VERSION, None),
        (VERSION | SNAPPED, "Active"),
        (VERSION | SNAPPED | {"State": "Inactive"}, "Inactive"),
    ],
)
def test_a_snapshot_that_fell_asleep_is_told_from_one_that_is_ready(
    live: dict[str, Any], state: str | None
) -> None:
    assert stack_of(live=live).snapshot_state("report") == state


def test_the_stack_says_what_there_is() -> None:
    stack = stack_of(
        ("AWS::Lambda::Function", "b"),
        ("AWS::Lambda::Function", "a"),
        ("AWS::SQS::Queue", "q"),
        ("AWS::Lambda::EventSourceMapping", "m"),
        ("AWS::Scheduler::Schedule", "s"),
    )
    assert stack.functions() == ["a", "b"]
    assert stack.sources() == [Source("report", "m", "Enabled")]
    assert stack.schedules() == {"s": "state of s"}


def test_live_that_is_what_was_uploaded_is_not_behind() -> None:
    stack = stack_of()
    assert stack.behind("a") == []
    assert stack.version("a") == "7"
    assert stack.is_ready("a")


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ({"CodeSha256": "old"}, "CodeSha256"),
        ({"Timeout": 30}, "Timeout"),
        ({"Layers": []}, "Layers"),
        (SNAPPED, "SnapStart"),
    ],
)
def test_live_that_stayed_behind_is_told_with_what_differs(old: dict[str, Any], told: str) -> None:
    assert stack_of(live=VERSION | old).behind("a") == [told]


def test_traffic_that_is_still_shared_is_not_live_yet() -> None:
    shared = {"RoutingConfig": {"AdditionalVersionWeights": {"6": 0.9}}}
    (told,) = stack_of(alias=shared).behind("a")
    assert "shared" in told


def test_a_snapshot_of_the_version_is_no_difference_but_one_has_to_wait_for_it() -> None:
    # The uploaded function itself never has one.
    assert differences(VERSION | NOT_YET, VERSION | SNAPPED) == []
    assert has_its_snapshot(SNAPPED)
    assert not stack_of(live=VERSION | NOT_YET).is_ready("a")
    assert not stack_of(live=VERSION | {"State": "Pending"}).is_ready("a")


def test_a_version_that_cannot_start_is_told_with_its_reason() -> None:
    broken = {"State": "Failed", "StateReason": "the snapshot failed"}
    with pytest.raises(BrokenVersionError, match="the snapshot failed"):
        stack_of(live=VERSION | broken).is_ready("a")
