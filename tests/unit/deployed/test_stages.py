import pytest

from deployed.stages import UnknownStageError, load_stage
from deploying.build import overrides


def test_a_stage_has_its_name_region_and_parameters() -> None:
    stage = load_stage("sandbox")
    assert (stage.stack_name, stage.region) == ("refund-bridge-sandbox", "ap-southeast-1")
    assert stage.secrets_prefix == "/refund-bridge/sandbox"


def test_an_empty_value_is_written_as_sam_reads_it_and_read_as_empty() -> None:
    assert load_stage("sandbox").parameters["KmsKeyArn"] == ""
    assert overrides({"KmsKeyArn": "", "Mode": "test"}) == ['KmsKeyArn=""', "Mode=test"]


def test_a_value_with_a_space_is_quoted_since_sam_would_end_it_there() -> None:
    assert overrides({"SweepSchedule": "rate(1 day)"}) == ['SweepSchedule="rate(1 day)"']


def test_a_value_may_hold_an_equals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"global": {"parameters": {"stack_name": "s", "region": "r"}}}
    deploy = {"parameters": {"parameter_overrides": ["HitPayUrl=https://x?a=b"]}}
    monkeypatch.setattr("deployed.stages._config", lambda: {"own": config | {"deploy": deploy}})
    assert load_stage("own").parameters == {"HitPayUrl": "https://x?a=b"}


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownStageError, match="sandbox"):
        load_stage("prod")
