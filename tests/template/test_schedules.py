"""Rules 20 and 32 of AWS: what fires by the clock has no name of ours, no retries, and one right.

One of them keeps the snapshot of ``refund_api`` awake.
"""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from functions.refund_api.app import handler
from tests.template.expansion import PSEUDO_PARAMETERS, Expanded, expand

PATIENCE = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
SCHEDULES = {
    "RefundApiFunctionDaily": "rate(1 day)",
    "SettleRefundsFunctionEveryMinute": "rate(1 minute)",
    "SweepChargesFunctionDaily": "rate(1 day)",
}


def schedule_problems(template: Expanded) -> list[str]:
    """The schedules that there should be: on time, once, unnamed, and on."""
    problems = []
    schedules = dict(template.of_type("AWS::Scheduler::Schedule"))
    if {name: s["ScheduleExpression"] for name, s in schedules.items()} != SCHEDULES:
        problems.append(f"schedules {sorted(schedules)}")
    for name, schedule in schedules.items():
        if "Name" in schedule:
            problems.append(f"{name} has a name, which a second stage would collide with")
        if schedule["Target"].get("RetryPolicy") != PATIENCE:
            problems.append(f"{name} is repeated: the next minute comes anyway")
        if schedule.get("FlexibleTimeWindow") != {"Mode": "OFF"}:
            problems.append(f"{name} may come late")
        if schedule.get("State", "ENABLED") != "ENABLED":
            problems.append(f"{name} is off")
    return problems


def asynchronous_problems(template: Expanded) -> list[str]:
    """The schedule hands over to Lambda's own queue, which would repeat a failed run twice."""
    patient = {
        (config["FunctionName"], config["Qualifier"])
        for _, config in template.of_type("AWS::Lambda::EventInvokeConfig")
        if {key: config.get(key) for key in PATIENCE} == PATIENCE
    }
    return [
        f"{name}: {schedule['Target']['Arn']} repeats what failed"
        for name, schedule in template.of_type("AWS::Scheduler::Schedule")
        if _invoked(template, schedule) not in patient
    ]


def _invoked(template: Expanded, schedule: dict[str, Any]) -> tuple[str, str]:
    alias = template.resources.get(schedule["Target"]["Arn"], {}).get("Properties", {})
    return (alias.get("FunctionName", ""), alias.get("Name", ""))


def role_problems(template: Expanded) -> list[str]:
    """A schedule may invoke its target and do nothing else, and only our own account's may."""
    problems = []
    for name, schedule in template.of_type("AWS::Scheduler::Schedule"):
        target = schedule["Target"]
        role = template.properties(target["RoleArn"].removesuffix(".Arn"))
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        if trust["Principal"] != {"Service": "scheduler.amazonaws.com"}:
            problems.append(f"{name}: its role is trusted by {trust['Principal']}")
        own = {"aws:SourceAccount": PSEUDO_PARAMETERS["AWS::AccountId"]}
        if trust.get("Condition") != {"StringEquals": own}:
            problems.append(f"{name}: somebody else's schedule could use its role")
        allowed = [
            (statement["Action"], statement["Resource"])
            for policy in role["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        if allowed != [("lambda:InvokeFunction", target["Arn"])] or "ManagedPolicyArns" in role:
            problems.append(f"{name}: its role may {allowed}")
    return problems


Check = Callable[[Expanded], list[str]]
CHECKS: dict[str, Check] = {
    "schedules": schedule_problems,
    "no_retries_behind_the_schedule": asynchronous_problems,
    "one_right": role_problems,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rule_20_schedules(template: Expanded, check: Check) -> None:
    assert check(template) == []


def _schedule(template: Expanded) -> dict[str, Any]:
    return template.properties("SettleRefundsFunctionEveryMinute")


def _invoke_config(template: Expanded) -> dict[str, Any]:
    configs = dict(template.of_type("AWS::Lambda::EventInvokeConfig"))
    return configs["SettleRefundsFunctionEventInvokeConfig"]


def _statement(template: Expanded) -> dict[str, Any]:
    role = template.properties("SettleScheduleRole")
    statement: dict[str, Any] = role["Policies"][0]["PolicyDocument"]["Statement"][0]
    return statement


def _trust(template: Expanded) -> dict[str, Any]:
    role = template.properties("SettleScheduleRole")
    statement: dict[str, Any] = role["AssumeRolePolicyDocument"]["Statement"][0]
    return statement


@pytest.mark.parametrize(
    ("check", "breaking"),
    [
        (schedule_problems, lambda t: t.resources.pop("SettleRefundsFunctionEveryMinute")),
        (schedule_problems, lambda t: _schedule(t).update(Name="settle")),
        (schedule_problems, lambda t: _schedule(t).update(ScheduleExpression="rate(1 hour)")),
        (schedule_problems, lambda t: _schedule(t).update(State="DISABLED")),
        (
            schedule_problems,
            lambda t: _schedule(t).update(
                FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
            ),
        ),
        (
            schedule_problems,
            lambda t: _schedule(t)["Target"]["RetryPolicy"].update(MaximumRetryAttempts=185),
        ),
        (schedule_problems, lambda t: _schedule(t)["Target"].pop("RetryPolicy")),
        (asynchronous_problems, lambda t: _invoke_config(t).update(MaximumRetryAttempts=2)),
        (asynchronous_problems, lambda t: _invoke_config(t).pop("MaximumEventAgeInSeconds")),
        (asynchronous_problems, lambda t: _invoke_config(t).update(Qualifier="$LATEST")),
        (role_problems, lambda t: _statement(t).update(Action="lambda:*")),
        (role_problems, lambda t: _statement(t).update(Resource="*")),
        (role_problems, lambda t: _trust(t).pop("Condition")),
        (role_problems, lambda t: _trust(t).update(Principal={"Service": "lambda.amazonaws.com"})),
        (
            role_problems,
            lambda t: t.properties("SettleScheduleRole").update(ManagedPolicyArns=["arn:aws:x"]),
        ),
    ],
)
def test_rule_20_their_checks_notice(
    to_break: Expanded, check: Check, breaking: Callable[[Any], Any]
) -> None:
    breaking(to_break)
    assert check(to_break)


def test_rule_20_the_name_is_left_to_aws_in_every_stage() -> None:
    for stack in ("one", "other"):
        assert "Name" not in _schedule(expand("sandbox", stack_name=stack))


def test_rule_32_the_daily_call_is_a_question_that_the_function_answers() -> None:
    # Given the function that starts from a snapshot, and what its daily schedule calls it with
    template = expand("production")
    assert "SnapStart" in template.properties("RefundApiFunction")
    target = template.properties("RefundApiFunctionDaily")["Target"]
    assert _invoked(template, {"Target": target}) == ("RefundApiFunction", "live")
    # When that call comes
    context: Any = SimpleNamespace(
        function_name="f", memory_limit_in_mb=1024, invoked_function_arn="a", aws_request_id="l"
    )
    answer = handler(json.loads(target["Input"]), context)
    # Then the function has run, and not failed
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})
