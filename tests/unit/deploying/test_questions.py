"""What the deploy command asks for, and what it does without anybody to ask."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployed import paths
from deployed.stages import Stage, load_stage
from deploying import questions
from deploying.questions import (
    UnansweredError,
    agree_to_take_back,
    ask_for_secrets,
    ask_for_sources,
)

PREFIX = "/refund-bridge/sandbox"


class Parameters:
    """The Systems Manager."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.kms_keys: set[str] = set()

    def put_parameter(self, **asked: Any) -> dict[str, int]:
        assert asked["Type"] == "SecureString"
        self.values[asked["Name"]] = asked["Value"]
        self.kms_keys.add(asked["KeyId"])
        return {"Version": 1}

    def get_parameters(self, **asked: Any) -> dict[str, Any]:
        return {"Parameters": [self._shown(name) for name in asked["Names"] if name in self.values]}

    def get_paginator(self, _operation: str) -> "Parameters":
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        found = [name for name in self.values if name.startswith(asked["Path"])]
        return [{"Parameters": [self._shown(name) for name in found]}]

    def _shown(self, name: str) -> dict[str, Any]:
        return {
            "Name": name,
            "Type": "SecureString",
            "Value": self.values[name],
            "Version": 1,
            "LastModifiedDate": datetime(2026, 3, 1, tzinfo=UTC),
        }


Typed = Callable[..., None]


@pytest.fixture
def ssm() -> Any:
    return Parameters()


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage as it is checked in, in a samconfig.toml of the test's own."""
    copy = tmp_path / "samconfig.toml"
    shutil.copy(paths.SAM_CONFIG, copy)
    monkeypatch.setattr(paths, "SAM_CONFIG", copy)
    return load_stage("sandbox")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Somebody at a terminal, who answers so."""

    def sit_down(*answers: str) -> None:
        terminal = io.StringIO()
        terminal.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr("sys.stdin", terminal)
        left = iter(answers)
        monkeypatch.setattr(questions, "getpass", lambda _: next(left))
        monkeypatch.setattr("builtins.input", lambda _: next(left))

    return sit_down


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


class TestSecrets:
    def test_what_is_missing_is_asked_for_and_a_key_for_callers_made(
        self,
        ssm: Any,
        sandbox: Stage,
        typed: Typed,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        typed("sk_test_1", "hp_1\n", "a-salt-of-hitpays-1, a-salt-of-hitpays-2")
        ask_for_secrets(ssm, sandbox)
        callers = [name for name in ssm.values if "/api-keys/" in name]
        assert len(callers) == 1
        assert {n: v for n, v in ssm.values.items() if n not in callers} == {
            f"{PREFIX}/stripe-secret-key": "sk_test_1",
            f"{PREFIX}/hitpay-api-key": "hp_1",
            f"{PREFIX}/hitpay-webhook-salts": "a-salt-of-hitpays-1,a-salt-of-hitpays-2",
        }
        # And of all that only the new key is shown, which is stored nowhere
        shown = capsys.readouterr().out
        assert "rbk_" in shown
        assert "sk_test_1" not in shown
        assert not any("rbk_" in value for value in ssm.values.values())
        assert ssm.kms_keys == {"alias/aws/ssm"}

    def test_what_is_there_is_not_asked_for_again(
        self, ssm: Any, sandbox: Stage, typed: Typed
    ) -> None:
        typed("sk_test_1", "hp_1", "a-salt-of-hitpays")
        ask_for_secrets(ssm, sandbox)
        before = dict(ssm.values)
        typed()
        ask_for_secrets(ssm, sandbox)
        assert ssm.values == before

    def test_the_salt_may_come_later(
        self, ssm: Any, sandbox: Stage, typed: Typed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        typed("sk_test_1", "hp_1", "")
        ask_for_secrets(ssm, sandbox)
        assert f"{PREFIX}/hitpay-webhook-salts" not in ssm.values
        assert "refundctl secrets set hitpay-webhook-salts" in capsys.readouterr().out

    def test_the_customers_key_encrypts_them(self, ssm: Any, sandbox: Stage, typed: Typed) -> None:
        arn = "arn:aws:kms:ap-southeast-1:111122223333:key/1"
        typed("sk_test_1", "hp_1", "a-salt-of-hitpays")
        own = replace(sandbox, parameters=sandbox.parameters | {"KmsKeyArn": arn})
        ask_for_secrets(ssm, own)
        assert ssm.kms_keys == {arn}

    def test_a_key_of_the_other_mode_is_refused(
        self, ssm: Any, sandbox: Stage, typed: Typed
    ) -> None:
        typed("sk_live_1")
        with pytest.raises(UnansweredError, match="mode test needs"):
            ask_for_secrets(ssm, sandbox)
        assert ssm.values == {}

    def test_without_a_terminal_a_missing_key_is_named(
        self, ssm: Any, sandbox: Stage, nobody: None
    ) -> None:
        ssm.values[f"{PREFIX}/stripe-secret-key"] = "sk_test_1"
        with pytest.raises(UnansweredError, match=f"{PREFIX}/hitpay-api-key is missing"):
            ask_for_secrets(ssm, sandbox)

    def test_without_a_terminal_a_missing_salt_is_passed_over(
        self, ssm: Any, sandbox: Stage, nobody: None
    ) -> None:
        for name in ("stripe-secret-key", "hitpay-api-key"):
            ssm.values[f"{PREFIX}/{name}"] = "sk_test_1"
        ask_for_secrets(ssm, sandbox)
        assert f"{PREFIX}/hitpay-webhook-salts" not in ssm.values

    def test_callers_who_sign_get_no_key(self, ssm: Any, sandbox: Stage, typed: Typed) -> None:
        typed("sk_test_1", "hp_1", "a-salt-of-hitpays")
        ask_for_secrets(
            ssm, replace(sandbox, parameters=sandbox.parameters | {"ApiAuth": "AWS_IAM"})
        )
        assert not any("/api-keys/" in name for name in ssm.values)


class TestSources:
    @pytest.mark.parametrize("stage", ["sandbox", "production"])
    def test_as_checked_in_it_must_be_said_who_may_ask(self, stage: str, nobody: None) -> None:
        with pytest.raises(UnansweredError, match=r"com\.example\.orders"):
            ask_for_sources(load_stage(stage))

    def test_the_answer_is_kept_for_that_stage_and_nothing_else_is_touched(
        self, sandbox: Stage, typed: Typed
    ) -> None:
        before = paths.SAM_CONFIG.read_text()
        typed("com.shop.orders, com.shop.support")
        told = ask_for_sources(sandbox)
        assert told == load_stage("sandbox")
        assert told.parameters["RefundRequestSources"] == "com.shop.orders,com.shop.support"
        after = paths.SAM_CONFIG.read_text()
        changed = set(after.splitlines()) - set(before.splitlines())
        assert changed == {'    "RefundRequestSources=com.shop.orders,com.shop.support",'}
        assert len(after.splitlines()) == len(before.splitlines())
        assert "com.example.orders" in load_stage("production").parameters["RefundRequestSources"]

    def test_once_said_it_is_not_asked_again(self, sandbox: Stage, nobody: None) -> None:
        told = replace(sandbox, parameters=sandbox.parameters | {"RefundRequestSources": "none"})
        assert ask_for_sources(told) == told

    @pytest.mark.parametrize("answer", ["", " , ", "-x", "a b!", '"quoted"', "refund(bridge)"])
    def test_what_the_template_would_refuse_is_not_kept(
        self, sandbox: Stage, typed: Typed, answer: str
    ) -> None:
        before = paths.SAM_CONFIG.read_text()
        typed(answer)
        with pytest.raises(UnansweredError, match="separated by commas"):
            ask_for_sources(sandbox)
        assert paths.SAM_CONFIG.read_text() == before


class TestAKeptLedger:
    def test_somebody_has_to_name_it(
        self, typed: Typed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        typed("sandbox-ledger")
        agree_to_take_back("sandbox-ledger")
        assert "Paused=true" in capsys.readouterr().out
        typed("yes")
        with pytest.raises(UnansweredError, match="not its name"):
            agree_to_take_back("sandbox-ledger")

    def test_and_to_be_there(self, nobody: None) -> None:
        with pytest.raises(UnansweredError, match="sandbox-ledger"):
            agree_to_take_back("sandbox-ledger")
