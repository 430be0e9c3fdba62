"""Secrets are put from the keyboard or from stdin, checked, and never shown."""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployed.clients import CloudClients
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.http.messages import ExchangeError, HttpAnswer, HttpRequest
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refundctl import secrets
from refundctl.checks.finding import Finding, fail, fine
from refundctl.checks.providers import Probe
from refundctl.command import main
from refundctl.exits import Exit
from refundctl.target import Stack, Target

PREFIX = "/refund-bridge/test"
CHANGED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
STRIPE, HITPAY, SALTS = (
    f"{PREFIX}/{name}" for name in ("stripe-secret-key", "hitpay-api-key", "hitpay-webhook-salts")
)


@dataclass
class Parameters(Target):
    """A stack, and the Systems Manager with its parameters."""

    values: dict[str, list[str]] = field(default_factory=dict)
    kms_keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("test", "refund-bridge-test", CloudClients("ap-southeast-1"))

    def client(self, service: str) -> Any:
        assert service == "ssm"
        return self

    @property
    def stack(self) -> Stack:
        return Stack(
            outputs={"SecretsPrefix": PREFIX},
            parameters={
                "Mode": "test",
                "KmsKeyArn": "the-key",
                "SecretsCacheSeconds": "60",
                "HitPayUrl": "https://hitpay.example",
                "HedgeUrl": "https://hedge.example",
                "StripeUrl": "https://stripe.example",
            },
        )

    def put_parameter(self, **asked: Any) -> dict[str, int]:
        assert (asked["Type"], asked["Overwrite"]) == ("SecureString", True)
        self.kms_keys.append(asked["KeyId"])
        versions = self.values.setdefault(asked["Name"], [])
        versions.append(asked["Value"])
        return {"Version": len(versions)}

    def get_parameters(self, **asked: Any) -> dict[str, Any]:
        decrypted = asked["WithDecryption"]
        return {
            "Parameters": [
                {
                    "Name": name,
                    "Type": "SecureString",
                    "Value": self.values[name][-1] if decrypted else "encrypted",
                    "Version": len(self.values[name]),
                    "LastModifiedDate": CHANGED,
                }
                for name in asked["Names"]
                if name in self.values
            ]
        }


@dataclass
class Shell:
    """Somebody who types, or pipes, a secret; and a provider who takes it or not."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    target: Parameters = field(default_factory=Parameters)
    asked: list[Probe] = field(default_factory=list)
    answer: Callable[[str], Finding] = lambda provider: fine(provider, "answers")

    def __post_init__(self) -> None:
        def ask(probe: Probe, _clock: object) -> Finding:
            self.asked.append(probe)
            return self.answer(f"{probe.provider} with this key")

        self.monkeypatch.setattr(secrets, "ask", ask)

    def __call__(self, line: str, *, piped: str = "") -> tuple[int, str, str]:
        self.monkeypatch.setattr("sys.stdin", io.StringIO(piped))
        return self._run(line)

    def typed(self, line: str, text: str) -> tuple[int, str, str]:
        terminal = io.StringIO()
        terminal.isatty = lambda: True  # type: ignore[method-assign]
        self.monkeypatch.setattr("sys.stdin", terminal)
        self.monkeypatch.setattr(secrets, "getpass", lambda _: text)
        return self._run(line)

    def _run(self, line: str) -> tuple[int, str, str]:
        exit_code = main(line.split(), self._find)
        captured = self.capsys.readouterr()
        return exit_code, captured.out, captured.err

    def _find(self, _stage: str | None, _file: Path | None) -> Target:
        return self.target


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def request_of(probe: Probe) -> HttpRequest:
    """What the probe sends."""
    sent: list[HttpRequest] = []

    class Deaf(DeadlineHttp):
        def send(
            self, request: HttpRequest, deadline: Deadline, *, fresh: bool = False
        ) -> HttpAnswer:
            sent.append(request)
            raise ExchangeError("nobody answers")

    clock = SystemClock()
    with suppress(ExchangeError, ProviderUnavailableError):
        probe.ask(Deaf(clock), Deadline.after(clock, 1_000))
    return sent[0]


def test_a_key_is_typed_unseen_and_stored_under_the_customers_key(shell: Shell) -> None:
    exit_code, out, err = shell.typed("secrets set stripe-secret-key", " sk_test_new\n")
    assert exit_code == Exit.DONE
    assert shell.target.values == {STRIPE: ["sk_test_new"]}
    assert shell.target.kms_keys == ["the-key"]
    # And it is said when it works, and nothing is shown of it
    assert "within 60 s" in err
    assert "sk_test_new" not in out + err


def test_a_key_may_be_piped_in(shell: Shell) -> None:
    exit_code, out, _ = shell("secrets set hitpay-api-key --json", piped="hp_new\nand more\n")
    assert exit_code == Exit.DONE
    assert json.loads(out) == {
        "name": "hitpay-api-key",
        "version": 1,
        "effective_within_seconds": 60,
    }
    assert shell.target.values == {HITPAY: ["hp_new"]}


def test_the_provider_is_asked_with_the_new_key_before_it_replaces_the_old(shell: Shell) -> None:
    shell("secrets set stripe-secret-key", piped="sk_test_new")
    shell("secrets set hitpay-api-key", piped="hp_new")
    shell("secrets set hedge-api-key", piped="hedge_new")
    stripe, hitpay, hedge = map(request_of, shell.asked)
    assert stripe.headers["Authorization"] == "Bearer sk_test_new"
    assert stripe.url.startswith("https://stripe.example/")
    assert hitpay.headers["X-BUSINESS-API-KEY"] == "hp_new"
    assert hitpay.url.startswith("https://hitpay.example/")
    assert hedge.headers["Authorization"] == "Bearer hedge_new"
    assert hedge.url.startswith("https://hedge.example/v1/payments/")
    assert {one.method for one in (stripe, hitpay, hedge)} == {"GET"}


def test_the_key_of_a_processor_that_is_not_set_up_is_put_only_by_who_insists(shell: Shell) -> None:
    exit_code, _, err = shell("secrets set hyperswitch-api-key", piped="hs_new")
    assert exit_code == Exit.REFUSED
    assert "not set up" in err
    assert shell.asked == []
    assert shell.target.values == {}
    exit_code, _, _ = shell("secrets set hyperswitch-api-key --unchecked", piped="hs_new")
    assert exit_code == Exit.DONE
    assert shell.target.values == {f"{PREFIX}/hyperswitch-api-key": ["hs_new"]}


def test_a_key_that_the_provider_refuses_replaces_none(shell: Shell) -> None:
    shell("secrets set hitpay-api-key", piped="hp_old")
    shell.answer = lambda provider: fail(provider, "refuses the key (401)", "")
    exit_code, out, err = shell("secrets set hitpay-api-key", piped="hp_mistyped")
    assert (exit_code, out) == (Exit.REFUSED, "")
    assert "refuses the key (401)" in err
    assert "hp_mistyped" not in err
    assert shell.target.values == {HITPAY: ["hp_old"]}


def test_unless_one_insists(shell: Shell) -> None:
    shell.answer = lambda provider: fail(provider, "gives no answer", "")
    exit_code, _, _ = shell("secrets set hitpay-api-key --unchecked", piped="hp_new")
    assert exit_code == Exit.DONE
    assert shell.asked == []
    assert shell.target.values == {HITPAY: ["hp_new"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stripe-secret-key", "sk_live_1"),
        ("stripe-secret-key", "pk_test_1"),
        ("stripe-secret-key", ""),
        ("hitpay-api-key", "two words"),
        ("hitpay-api-key", "naïve"),
        ("hitpay-webhook-salts", ","),
        ("hitpay-webhook-salts", ",".join(f"a-salt-of-hitpays-{n}" for n in range(11))),
        ("hitpay-webhook-salts", f"too-short,{'x' * 16}"),
        ("hitpay-webhook-salts", "x" * 15),
    ],
)
def test_what_cannot_be_that_secret_is_refused_and_not_repeated(
    shell: Shell, name: str, text: str
) -> None:
    exit_code, out, err = shell(f"secrets set {name}", piped=text)
    assert (exit_code, out) == (Exit.REFUSED, "")
    assert "Nothing was changed" in err
    assert not text or text not in err
    assert shell.target.values == {}
    assert shell.asked == []


OLD, NEW = "the-old-salt-of-hitpay", "the-new-salt-of-hitpay"


def test_while_a_salt_is_changed_both_are_kept(shell: Shell) -> None:
    shell("secrets set hitpay-webhook-salts", piped=OLD)
    shell("secrets set hitpay-webhook-salts --another", piped=NEW)
    shell("secrets set hitpay-webhook-salts --another", piped=NEW)
    assert shell.target.values[SALTS][-1] == f"{NEW},{OLD}"
    shell("secrets set hitpay-webhook-salts", piped=NEW)
    assert shell.target.values[SALTS][-1] == NEW
    # And nobody is asked: a salt is no key
    assert shell.asked == []


def test_another_key_of_a_provider_is_not_kept_here(shell: Shell) -> None:
    exit_code, _, err = shell("secrets set hitpay-api-key --another", piped="hp_new")
    assert exit_code == Exit.MISUSED
    assert "valid at the provider" in err
    assert shell.target.values == {}


def test_what_is_there_is_listed_without_what_it_is(shell: Shell) -> None:
    shell("secrets set stripe-secret-key", piped="sk_test_1")
    shell("secrets set stripe-secret-key", piped="sk_test_2")
    exit_code, out, _ = shell("secrets list")
    assert exit_code == Exit.DONE
    assert "2026-03-01 09:30:00 UTC" in out
    assert out.count("(missing)") == 3
    assert "hyperswitch" not in out
    assert "sk_test" not in out
    first, *others = json.loads(shell("secrets list --json")[1])
    assert first == {
        "name": "stripe-secret-key",
        "kind": "SecureString",
        "version": 2,
        "changed_at": "2026-03-01T09:30:00Z",
    }
    assert [other["version"] for other in others] == [None, None, None]


@pytest.mark.parametrize("line", ["secrets", "secrets set", "secrets set api-key sk_test_1"])
def test_a_secret_is_never_taken_from_the_command_line(shell: Shell, line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        shell(line)
    assert ended.value.code == Exit.MISUSED
    assert shell.target.values == {}
