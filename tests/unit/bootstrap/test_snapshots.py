"""What a copy of a started function takes over, and what it must not share with its siblings."""

import random
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from refund_bridge.adapters.aws_runtime import clients as aws_clients
from refund_bridge.bootstrap.refund_api import RefundApiSettings, refund_api
from refund_bridge.bootstrap.snapshots import keep_ready
from tests.template.expansion import expand

Hook = tuple[Any, tuple[Any, ...]]


class Runtime(ModuleType):
    """The part of Lambda's runtime that keeps the hooks."""

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.before: list[Hook] = []
        self.after: list[Hook] = []

    def register_before_snapshot(self, hook: Any, *given: Any) -> None:
        self.before.append((hook, given))

    def register_after_restore(self, hook: Any, *given: Any) -> None:
        self.after.append((hook, given))

    def restore(self) -> None:
        for hook, given in self.after:
            hook(*given)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """Lambda's runtime, and an environment in which a world can be made."""
    runtime = Runtime()
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    environment = expand("production").environment("RefundApiFunction")
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-1")
    state = random.getstate()
    yield runtime
    random.setstate(state)
    refund_api.cache_clear()
    for client in (aws_clients.dynamodb_client, aws_clients.sqs_client, aws_clients.ssm_client):
        client().close()
    aws_clients.forget_clients()


def test_a_woken_copy_makes_its_own_world_and_clients(runtime: Runtime) -> None:
    keep_ready(RefundApiSettings, refund_api.cache_clear)
    logger = Logger(service="test")
    world, client = refund_api(logger), aws_clients.dynamodb_client()
    assert refund_api(logger) is world
    runtime.restore()
    assert aws_clients.dynamodb_client() is not client
    assert refund_api(logger) is not world
    client.close()


def test_two_woken_copies_draw_different_chances(runtime: Runtime) -> None:
    keep_ready(RefundApiSettings, refund_api.cache_clear)
    kept, drawn = random.getstate(), []
    for _ in range(2):
        random.setstate(kept)
        runtime.restore()
        drawn.append(random.getrandbits(64))
    assert drawn[0] != drawn[1]


def test_without_snapshots_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)  # Python's word for: not there
    keep_ready(RefundApiSettings, refund_api.cache_clear)
    assert "snapshot_restore_py" in sys.modules
    assert sys.modules["snapshot_restore_py"] is None
