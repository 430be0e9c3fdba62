"""What is put right in the emulator, on stand-ins; test_emulator.py shows that it works there."""

import base64
import json
import sys
from types import ModuleType
from typing import Any

import pytest

from local import emulator_process

PREFIX = "arn:aws:ssm:eu-west-1:111122223333:parameter"


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"Names": ["/a/one", "two"]}, (f"{PREFIX}/a/one", f"{PREFIX}/two")),
        ({"Path": "/a/keys"}, (f"{PREFIX}/a/keys",)),
        ({}, ()),
        ([1], ()),
    ],
)
def test_a_request_asks_for_each_parameter_it_names(
    request_body: Any, expected: tuple[str, ...]
) -> None:
    body = json.dumps(request_body).encode()
    assert emulator_process.parameter_arns(body, "eu-west-1", "111122223333") == expected


def test_an_alarm_on_a_sum_is_kept_by_its_first_metric() -> None:
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": [{"Name": "F"}]}
    alarm = {
        "Threshold": 2,
        "Metrics": [
            {"Id": "together", "Expression": "SUM(METRICS())"},
            {"Id": "one", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}},
            {"Id": "two", "MetricStat": {"Metric": {}, "Period": 60, "Stat": "Average"}},
        ],
    }
    kept = {"Threshold": 2, "Period": 300, "Statistic": "Sum"} | metric
    assert emulator_process.by_first_metric(alarm) == kept
    assert emulator_process.by_first_metric(kept) == kept


def test_what_is_not_json_asks_for_nothing() -> None:
    assert emulator_process.parameter_arns(b"\xff", "eu-west-1", "111122223333") == ()
    assert emulator_process.named_stream(b"\xff") == (None, "")


ITERATOR = base64.urlsafe_b64encode(json.dumps({"t": "ledger", "arn": "the-arn"}).encode())


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"StreamArn": "the-arn"}, ("the-arn", "")),
        ({"ShardIterator": ITERATOR.decode()}, ("the-arn", "")),
        ({"ShardIterator": "eyJ0IjogInQifQ=="}, (None, "")),
        ({"TableName": "ledger"}, (None, "ledger")),
        ([1], (None, "")),
    ],
)
def test_a_request_about_a_stream_names_it_or_its_table(
    request_body: Any, expected: tuple[str | None, str]
) -> None:
    assert emulator_process.named_stream(json.dumps(request_body).encode()) == expected


@pytest.fixture
def fake_ministack(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Stand-ins for the modules that are changed: only one parameter may be read."""
    actions: Any = ModuleType("actions")
    evaluator: Any = ModuleType("evaluator")
    actions.extract_resource_arn = lambda *request: "*"

    def enforce(
        _key: str, _action: str, _service: str, _region: str, resource_arn: str = "*"
    ) -> str | None:
        return None if resource_arn in (f"{PREFIX}/allowed", "table") else f"no {resource_arn}"

    evaluator.enforce = enforce
    evaluator._resolve_condition_key = lambda key, context: "false"
    monkeypatch.setitem(sys.modules, "ministack.core.iam_actions", actions)
    monkeypatch.setitem(sys.modules, "ministack.core.iam_evaluator", evaluator)
    return actions, evaluator


def ask(fake_ministack: tuple[Any, Any], *names: str) -> Any:
    actions, evaluator = fake_ministack
    body = json.dumps({"Names": names}).encode()
    actions.extract_resource_arn("ssm", "POST", "/", {}, body, {}, "eu-west-1", "111122223333")
    return evaluator.enforce("key", "ssm:GetParameters", "ssm", "eu-west-1", resource_arn="*")


def test_one_forbidden_parameter_refuses_the_request(fake_ministack: tuple[Any, Any]) -> None:
    emulator_process.ask_about_each_parameter()
    assert ask(fake_ministack, "/allowed") is None
    assert ask(fake_ministack, "/allowed", "/other") == f"no {PREFIX}/other"


def test_other_actions_are_asked_about_as_before(fake_ministack: tuple[Any, Any]) -> None:
    emulator_process.ask_about_each_parameter()
    _, evaluator = fake_ministack
    ask(fake_ministack, "/allowed")
    question = ("key", "dynamodb:GetItem", "dynamodb", "eu-west-1")
    assert evaluator.enforce(*question, resource_arn="table") is None
    assert evaluator.enforce(*question) == "no *"


def test_loopback_counts_as_secure(fake_ministack: tuple[Any, Any]) -> None:
    emulator_process.count_loopback_as_secure()
    _, evaluator = fake_ministack
    assert evaluator._resolve_condition_key("aws:SecureTransport", None) == "true"
    assert evaluator._resolve_condition_key("aws:SourceIp", None) == "false"
