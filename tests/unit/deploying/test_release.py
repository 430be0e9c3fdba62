"""`make deploy`, as far as it goes without an account."""

from types import SimpleNamespace
from typing import Any

import pytest

from deployed import paths
from deployed.live import BrokenVersionError, LiveStack
from deployed.polling import NotInTimeError
from deployed.stages import load_stage
from deploying import release
from deploying.account import AccountError
from deploying.build import BuildError
from deploying.release import ReleaseError
from tests.unit.local.cloud import FakeClients, raising, refused


class Versions(LiveStack):
    """Functions with what is said of each."""

    def __init__(self, **behind: list[str]) -> None:
        super().__init__(FakeClients(), "stack")
        self._behind = behind
        self.looks = 0
        self.ready_after = 1

    def functions(self) -> list[str]:
        return list(self._behind)

    def behind(self, function: str) -> list[str]:
        return self._behind[function]

    def is_ready(self, function: str) -> bool:
        self.looks += 1
        return self.looks >= self.ready_after

    def version(self, function: str) -> str:
        return "7"


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(release, "READY_SECONDS", 0.05)


@pytest.mark.parametrize("stage", ["", "local", "elsewhere"])
def test_it_wants_to_be_told_a_stage_of_aws(
    stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGE", stage)
    assert release.main() == 1
    assert "sandbox" in capsys.readouterr().err


def test_every_function_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    release._require_live(Versions(a=[], b=[]))
    assert capsys.readouterr().out.splitlines() == [
        "  a: live is version 7",
        "  b: live is version 7",
    ]


def test_live_that_stayed_behind_stops_the_release() -> None:
    with pytest.raises(ReleaseError, match=r"b: live is not what was deployed \(Layers\)"):
        release._require_live(Versions(a=[], b=["Layers"]))


def test_a_snapshot_is_waited_for_and_not_for_ever() -> None:
    slow = Versions(a=[])
    slow.ready_after = 3
    release._require_live(slow)
    assert slow.looks == 3
    never = Versions(a=[])
    never.ready_after = 10**9
    with pytest.raises(NotInTimeError, match="a: its version"):
        release._require_live(never)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (AccountError("No credentials"), "No credentials"),
        (BrokenVersionError("api: no"), "api: no"),
        (refused("AccessDenied", "not authorized to do so"), "AWS refused: AccessDenied: not auth"),
    ],
)
def test_what_stops_it_is_said_in_one_sentence(
    trouble: Exception,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STAGE", "sandbox")
    monkeypatch.setattr(release, "release", raising(trouble))
    assert release.main() == 1
    assert capsys.readouterr().err.startswith(told)


def test_neither_the_ledger_nor_the_stack_goes_by_mistake() -> None:
    policies: list[dict[str, Any]] = []
    protections: list[dict[str, Any]] = []
    cloudformation: Any = SimpleNamespace(
        set_stack_policy=lambda **given: policies.append(given),
        update_termination_protection=lambda **given: protections.append(given),
    )
    release._protect_ledger(cloudformation, load_stage("production"))
    policy = (paths.ROOT / "stack-policy.json").read_text()
    name = "refund-bridge-production"
    assert policies == [{"StackName": name, "StackPolicyBody": policy}]
    assert protections == [{"StackName": name, "EnableTerminationProtection": True}]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account of no concern, and nothing that has to be asked for."""
    monkeypatch.setattr(release, "identity", lambda _: SimpleNamespace(account="1", arn="a"))
    monkeypatch.setattr(release, "ask_for_sources", lambda stage: stage)
    for step in ("concerns", "refuse_stranding", "ask_for_secrets"):
        monkeypatch.setattr(release, step, lambda *_: ())


@pytest.mark.usefixtures("answered")
def test_a_change_set_that_somebody_said_no_to_is_an_end_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a first deployment, at whose change set somebody says no
    unapplied = {"Stacks": [{"StackStatus": "REVIEW_IN_PROGRESS"}]}
    clients = FakeClients(cloudformation={"describe_stacks": lambda **_: unapplied}, ssm={})
    monkeypatch.setattr(release, "has_kept_ledger", lambda *_: False)
    for step in ("_build", "build_digest", "_deploy"):
        monkeypatch.setattr(release, step, lambda *_: "")
    # Then it ends, and nothing of the stack was touched
    with pytest.raises(ReleaseError, match="the change set was not applied"):
        release.release(load_stage("production"), clients)


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(("rows", "asked"), [(0, []), (1, ["refund-bridge-production-ledger"])])
def test_only_a_kept_ledger_that_holds_something_is_asked_about(
    rows: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = FakeClients(dynamodb={"scan": lambda **_: {"Count": rows}}, ssm={})
    names: list[str] = []
    monkeypatch.setattr(release, "has_kept_ledger", lambda *_: True)
    monkeypatch.setattr(release, "agree_to_take_back", names.append)
    monkeypatch.setattr(release, "_build", raising(BuildError("far enough")))
    with pytest.raises(BuildError):
        release.release(load_stage("production"), clients)
    assert names == asked


def test_the_sam_cli_goes_where_the_clients_go() -> None:
    elsewhere: Any = FakeClients()
    assert release._elsewhere(elsewhere)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    elsewhere.endpoint_url = None
    assert release._elsewhere(elsewhere) == {}
