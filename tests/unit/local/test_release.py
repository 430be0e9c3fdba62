"""`make deploy`, as far as it goes without an account."""

import io
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from local import release
from local.clients import CloudClients
from local.release import ReleaseError
from local.stages import load_stage

LIVE, LATEST = {"CodeSha256": "new", "Timeout": 45}, {"CodeSha256": "new", "Timeout": 45}
OUTPUTS = {
    "RefundApiFunctionName": "api",
    "ReportRefundFunctionName": "report",
    "SettleRefundsFunctionName": "settle",
}


def client(service: str) -> Any:
    return CloudClients("eu-west-1", "http://127.0.0.1:1").client(service)


@pytest.mark.parametrize("stage", ["", "local", "elsewhere"])
def test_it_wants_to_be_told_a_stage_of_aws(
    stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGE", stage)
    assert release.main() == 1
    assert "sandbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ("sandbox", "sk_live_1"),
        ("production", "sk_test_1"),
        ("production", ""),
        ("sandbox", "nonsense"),
    ],
)
def test_a_stripe_key_of_the_other_mode_is_refused_and_not_shown(stage: str, key: str) -> None:
    with pytest.raises(ReleaseError) as refused:
        release._check_mode("/p/stripe-secret-key", key, load_stage(stage))
    assert not key or key not in str(refused.value)


def test_keys_of_the_right_mode_and_of_hitpay_are_taken() -> None:
    release._check_mode("/p/stripe-secret-key", "sk_live_1", load_stage("production"))
    release._check_mode("/p/stripe-secret-key", "rk_test_1", load_stage("sandbox"))
    release._check_mode("/p/hitpay-api-key", "anything", load_stage("production"))


def test_without_a_terminal_a_missing_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    ssm = client("ssm")
    with Stubber(ssm) as stubber:
        missing = {"Parameters": [], "InvalidParameters": ["/p/hitpay-api-key"]}
        stubber.add_response("get_parameters", missing, {"Names": ANY, "WithDecryption": False})
        with pytest.raises(ReleaseError, match="/p/hitpay-api-key is missing"):
            release._put_missing_secrets(ssm, load_stage("sandbox"))


def compare(*configurations: dict[str, Any]) -> None:
    functions = client("lambda")
    with Stubber(functions) as stubber:
        for configuration in configurations:
            stubber.add_response(
                "get_function_configuration", {"Version": "7", **configuration}, None
            )
        release._compare_live(functions, OUTPUTS)


def test_live_that_is_what_was_deployed_is_fine() -> None:
    compare(LATEST, LIVE, LATEST, LIVE, LATEST, LIVE)


@pytest.mark.parametrize("old", [{"CodeSha256": "old"}, {"Timeout": 30}, {"Layers": []}])
def test_live_that_stayed_behind_stops_the_release(old: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError, match="live is not what was deployed"):
        compare(LATEST, LIVE | old)
