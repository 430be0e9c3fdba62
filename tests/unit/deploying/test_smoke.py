"""What is asked of a fresh deployment: a wrong answer is noticed, and nothing is left behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
import urllib3

from deployed.live import Source
from deployed.stages import Stage, load_stage
from deploying import smoke
from deploying.smoke import DOCUMENT, Smoke, SmokeError
from tests.unit.local.cloud import FakeClients

STAGE = load_stage("sandbox")
LIST = {"object": "list", "data": [], "has_more": False}


@dataclass
class Deployed:
    """A deployment in which everything is as it should be, until a test changes something."""

    health: list[int] = field(default_factory=lambda: [200])
    document: Any = field(default_factory=lambda: json.loads(DOCUMENT.read_text()))
    without_a_key: int = 401
    with_a_key: list[int] = field(default_factory=lambda: [200])
    to_a_stranger: int = 401
    source: list[str] = field(default_factory=lambda: ["Enabled"])
    requests: str = ""
    schedule: str = "ENABLED"
    fails: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    keys_seen: list[str] = field(default_factory=list)
    invoked: list[tuple[str, Any]] = field(default_factory=list)

    def smoke(self, stage: Stage = STAGE) -> Smoke:
        paginator = SimpleNamespace(paginate=lambda **_: [{"Parameters": []}])
        clients = FakeClients(
            ssm={
                "get_paginator": lambda _: paginator,
                "put_parameter": lambda **asked: self.keys.update({asked["Name"]: asked["Value"]}),
                "delete_parameters": lambda **asked: [self.keys.pop(n) for n in asked["Names"]],
            },
            **{"lambda": {"invoke": self.invoke}},
        )
        made: Any = Smoke(clients, stage, "http://api", settle_function="settle")
        made._http = self
        made._live = SimpleNamespace(
            sources=lambda: [
                Source("report", "1", _next(self.source)),
                Source("publish", "2", "Enabled"),
                *([Source("s-refund-requested", "3", self.requests)] if self.requests else []),
            ],
            schedules=lambda: {"every-minute": self.schedule},
        )
        asked: Smoke = made
        return asked

    def invoke(self, **asked: Any) -> dict[str, Any]:
        assert asked["Qualifier"] == "live"
        self.invoked.append((asked["FunctionName"], json.loads(asked["Payload"])))
        return {"FunctionError": "Unhandled"} if asked["FunctionName"] == self.fails else {}

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Any:
        path = url.removeprefix("http://api")
        status, content = 0, cast(Any, {})
        if path == "/health":
            status = _next(self.health)
        elif path == "/v1/openapi.json":
            status, content = 200, self.document
        elif method == "POST":
            status = self.to_a_stranger
        elif headers:
            self.keys_seen.append(headers["Authorization"])
            status, content = _next(self.with_a_key), LIST
        else:
            status = self.without_a_key
        if status == 0:
            raise urllib3.exceptions.NewConnectionError(None, "no such host")  # type: ignore[arg-type]
        return SimpleNamespace(status=status, data=json.dumps(content).encode())


def _next(answers: list[Any]) -> Any:
    """The next answer; the last one stays."""
    return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "SOON_SECONDS", 0.05)
    monkeypatch.setattr(smoke, "KEY_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(smoke, "LOOK_EVERY_SECONDS", 0.0)


def test_what_is_alive_is_told_line_by_line_and_nothing_is_left_behind() -> None:
    deployed = Deployed()
    lines = list(deployed.smoke().all())
    assert len(lines) == 8
    # A key was made to look with, which can only read, and it is gone
    assert len(deployed.keys_seen) == 1
    assert deployed.keys == {}
    # And every function that a queue, a stream or settling's schedule calls has run
    batch = {"Records": list[Any]()}
    assert deployed.invoked == [("publish", batch), ("report", batch), ("settle", {})]


def test_what_comes_with_a_delay_is_waited_for() -> None:
    deployed = Deployed(
        health=[0, 403, 200], with_a_key=[401, 401, 200], source=["Creating", "Enabled"]
    )
    assert len(list(deployed.smoke().all())) == 8


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": ["Creating"]}, "queues and streams"),
        ({"schedule": "DISABLED"}, "every-minute"),
        ({"health": [502]}, "/health"),
        ({"health": [0]}, "NewConnectionError at api"),
        ({"document": {"openapi": "3.1.0", "info": {"version": "0"}}}, "another release"),
        ({"document": None}, "openapi.json"),
        ({"without_a_key": 200}, "somebody without a key"),
        ({"with_a_key": [500]}, "/v1/refunds answers 500"),
        ({"to_a_stranger": 200}, "webhooks/hitpay answers 200"),
        ({"fails": "publish"}, "publish fails"),
    ],
)
def test_what_is_wrong_stops_it_and_leaves_no_key_behind(change: dict[str, Any], told: str) -> None:
    deployed = Deployed(**change)
    with pytest.raises(SmokeError, match=told):
        list(deployed.smoke().all())
    assert deployed.keys == {}


def test_a_new_key_that_never_becomes_known_is_revoked_again() -> None:
    hasty = Stage("s", "s", "x", STAGE.parameters | {"SecretsCacheSeconds": "0"})
    deployed = Deployed(with_a_key=[401])
    with pytest.raises(SmokeError, match="a new key known"):
        deployed.smoke(hasty).list()
    assert deployed.keys == {}


def test_what_is_paused_must_not_answer() -> None:
    stage = Stage("s", "s", "x", STAGE.parameters | {"Paused": "true"})
    paused = Deployed(health=[0, 403, 502], requests="Disabled", schedule="DISABLED")
    assert len(list(paused.smoke(stage).all())) == 1
    for change in (
        {"health": [200]},
        # Another queue that is not on yet does not excuse it.
        {"requests": "Enabled", "source": ["Creating"]},
        {"schedule": "ENABLED"},
    ):
        running = {"health": [502], "requests": "Disabled", "schedule": "DISABLED"} | change
        with pytest.raises(SmokeError, match="Paused, but"):
            list(Deployed(**running).smoke(stage).all())  # type: ignore[arg-type]


def test_where_callers_sign_it_signs_itself_and_makes_no_key() -> None:
    signed = Stage("s", "s", "ap-southeast-1", STAGE.parameters | {"ApiAuth": "AWS_IAM"})
    deployed = Deployed(without_a_key=404)
    assert deployed.smoke(signed).list().endswith("answers with a list")
    (authorization,) = deployed.keys_seen
    assert authorization.startswith("AWS4-HMAC-SHA256 ")
    assert "/ap-southeast-1/execute-api/" in authorization
    # And who may not call it has deployed it all the same
    forbidden = Deployed(with_a_key=[403])
    assert "was not tried" in forbidden.smoke(signed).list()
