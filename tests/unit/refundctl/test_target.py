"""Which deployment a command means: never AWS unless a stage is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployed import paths
from refundctl.exits import MisusedError, UnreachableError
from refundctl.target import target_of

FACTS = {
    "region": "ap-southeast-1",
    "aws_endpoint_url": "http://127.0.0.1:4566",
    "aws_access_key_id": "AKIA1",
    "aws_secret_access_key": "secret",
    "stack_name": "refund-bridge-local",
}


@pytest.fixture
def stack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a local stack would leave word of itself."""
    file = tmp_path / "stack.json"
    monkeypatch.setattr(paths, "STACK_FILE", file)
    return file


def endpoint_of(target: Any) -> str:
    address: str = target.client("ssm").meta.endpoint_url
    return address


@pytest.mark.parametrize("stage", [None, "local"])
def test_without_a_stage_it_is_what_runs_here(stack_file: Path, stage: str | None) -> None:
    stack_file.write_text(json.dumps(FACTS))
    target = target_of(stage, None)
    assert (target.stage, target.stack_name) == ("local", "refund-bridge-local")
    assert endpoint_of(target) == "http://127.0.0.1:4566"


def test_another_local_stack_is_named_by_its_file(stack_file: Path, tmp_path: Path) -> None:
    stack_file.write_text(json.dumps(FACTS))
    other = tmp_path / "other.json"
    other.write_text(json.dumps(FACTS | {"aws_endpoint_url": "http://127.0.0.1:4567"}))
    assert endpoint_of(target_of(None, other)) == "http://127.0.0.1:4567"


def test_a_stage_is_its_stack_on_aws_whatever_runs_here(stack_file: Path) -> None:
    stack_file.write_text(json.dumps(FACTS))
    target = target_of("production", None)
    assert (target.stage, target.stack_name) == ("production", "refund-bridge-production")
    assert endpoint_of(target) == "https://ssm.ap-southeast-1.amazonaws.com"


def test_an_unknown_stage_is_refused_with_the_known_ones(stack_file: Path) -> None:
    with pytest.raises(MisusedError, match="sandbox"):
        target_of("prod", None)


def test_nothing_named_and_nothing_running_is_no_target(stack_file: Path) -> None:
    with pytest.raises(MisusedError, match="--stage"):
        target_of(None, None)


def test_a_local_stack_that_does_not_run_cannot_be_reached(stack_file: Path) -> None:
    with pytest.raises(UnreachableError, match="make run"):
        target_of("local", None)
    with pytest.raises(UnreachableError, match="make run"):
        target_of(None, stack_file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"region": "x"}', "null"])
def test_a_file_that_says_something_else_is_no_target(stack_file: Path, text: str) -> None:
    stack_file.write_text(text)
    with pytest.raises(UnreachableError, match="does not say"):
        target_of(None, None)
