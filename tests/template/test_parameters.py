"""Rule 5 of AWS, and the template's own rules: what each stage is deployed with."""

import tomllib
from typing import Any

import pytest

from deployed import paths
from deployed.stages import load_stage, stage_names
from refund_bridge.bootstrap.report_refund import ReportRefundSettings
from refund_bridge.bootstrap.settle_refunds import SettleRefundsSettings
from tests.template.expansion import PSEUDO_PARAMETERS, expand, refusals, source

SET_BY_THE_DEPLOY_COMMAND = {"BuildDigest"}
OF_THE_FIRST_ISSUE = {"local", "sandbox", "production"}


def config(stage: str) -> dict[str, Any]:
    tables: dict[str, Any] = tomllib.loads(paths.SAM_CONFIG.read_text())[stage]
    return tables


def test_all_stages_are_there() -> None:
    assert set(stage_names()) == OF_THE_FIRST_ISSUE


@pytest.mark.parametrize("stage", stage_names())
def test_rule_5_a_stage_lists_every_parameter_of_the_template(stage: str) -> None:
    declared = set(source()["Parameters"])
    assert set(load_stage(stage).parameters) == declared - SET_BY_THE_DEPLOY_COMMAND


@pytest.mark.parametrize("stage", stage_names())
def test_rule_5_no_parameter_is_listed_twice(stage: str) -> None:
    listed = config(stage)["deploy"]["parameters"]["parameter_overrides"]
    assert len({entry.partition("=")[0] for entry in listed}) == len(listed)


@pytest.mark.parametrize("stage", stage_names())
def test_rule_5_region_bucket_and_capabilities_are_explicit(stage: str) -> None:
    assert config(stage)["global"]["parameters"]["region"] == "ap-southeast-1"
    deploy = config(stage)["deploy"]["parameters"]
    assert deploy["resolve_s3"] is True
    assert deploy["capabilities"] == "CAPABILITY_IAM"


def test_rule_30_without_a_stage_sam_deploys_the_sandbox_and_asks_for_the_rest() -> None:
    declared = source()["Parameters"]
    tables = config("default")
    given = dict(
        entry.split("=", 1) for entry in tables["deploy"]["parameters"]["parameter_overrides"]
    )
    assert given.keys() == {name for name, one in declared.items() if "Default" not in one}
    sandbox = load_stage("sandbox")
    assert given.items() <= sandbox.parameters.items()
    assert tables["global"]["parameters"]["stack_name"] == sandbox.stack_name
    assert tables["deploy"]["parameters"]["resolve_s3"] is True


def test_rule_5_production_is_asked_about_first() -> None:
    assert config("production")["deploy"]["parameters"]["confirm_changeset"] is True


@pytest.mark.parametrize("stage", stage_names())
def test_values_are_ones_that_the_template_allows(stage: str) -> None:
    parameters = load_stage(stage).parameters
    for name, declaration in source()["Parameters"].items():
        if name in SET_BY_THE_DEPLOY_COMMAND:
            continue
        value = parameters[name]
        assert value in map(str, declaration.get("AllowedValues", [value])), name
        assert float(declaration.get("MinValue", "-inf")) <= _number(declaration, value), name
        assert _number(declaration, value) <= float(declaration.get("MaxValue", "inf")), name


def _number(declaration: dict[str, Any], value: str) -> float:
    return float(value) if declaration["Type"] == "Number" else 0.0


@pytest.mark.parametrize("stage", stage_names())
def test_the_template_accepts_its_stages(stage: str) -> None:
    assert refusals(stage) == []


@pytest.mark.parametrize("stage", ["sandbox", "production"])
@pytest.mark.parametrize(
    "hasty",
    [
        {"SettleSeconds": "59"},
        {"SettleSeconds": "1"},
        {"HoldSeconds": "86399"},
        {"HoldSeconds": "600"},
        {"LeaseSeconds": "59"},
        {"ReportLeaseSeconds": "74"},
    ],
)
def test_only_local_stages_may_be_hasty(stage: str, hasty: dict[str, str]) -> None:
    assert refusals(stage, **hasty)
    assert refusals("local", **hasty) == []


@pytest.mark.parametrize(
    "patient",
    [
        {"SettleSeconds": "300"},
        {"HoldSeconds": "604800"},
        {"LeaseSeconds": "120"},
        {"AfterHold": "failed"},
    ],
)
def test_and_every_stage_may_be_more_patient(patient: dict[str, str]) -> None:
    assert refusals("production", **patient) == []


@pytest.mark.parametrize("stage", ["sandbox", "production"])
def test_a_refund_that_hitpay_never_showed_is_for_a_person_for_a_day_at_least(stage: str) -> None:
    parameters = load_stage(stage).parameters
    assert parameters["AfterHold"] == "review"
    assert int(parameters["HoldSeconds"]) >= 86_400


@pytest.mark.parametrize(("stage", "is_on"), [("local", True), ("sandbox", False)])
def test_credit_notes_are_issued_only_where_somebody_asked_for_them(
    stage: str, is_on: bool
) -> None:
    assert source()["Parameters"]["CreditNotes"]["Default"] == "off"
    assert load_stage("production").parameters["CreditNotes"] == "off"
    template = expand(stage)
    for function, settings in (
        ("ReportRefundFunction", ReportRefundSettings),
        ("SettleRefundsFunction", SettleRefundsSettings),
    ):
        variables = template.environment(function)
        assert settings.from_environment(variables).credit_notes is is_on


@pytest.mark.parametrize(("stage", "sends"), [("sandbox", "off"), ("local", "on")])
def test_money_goes_to_whom_a_caller_names_only_where_somebody_asked_for_it(
    stage: str, sends: str
) -> None:
    # Given a deployment that says nothing of it, and those of this repository
    declared = source()["Parameters"]
    production = load_stage("production").parameters
    # Then none is sent, by events neither, and what is allowed one day has an end
    for name in ("UnlinkedRefunds", "UnlinkedRefundsByEvents"):
        assert (declared[name]["Default"], production[name]) == ("off", "off")
    for name in ("PayoutAmountMax", "PayoutDayMax"):
        assert int(declared[name]["Default"]) > 0
    # And the functions are told so
    template = expand(stage)
    for function in ("RefundApiFunction", "RefundRequestedFunction"):
        variables = template.environment(function)
        assert variables["UNLINKED_REFUNDS"] == sends
        assert variables["UNLINKED_REFUNDS_BY_EVENTS"] == "off"


@pytest.mark.parametrize(
    ("stage", "overrides"),
    [
        ("production", {"Mode": "test", "HitPayUrl": "https://api.sandbox.hit-pay.com"}),
        ("production", {"HitPayUrl": "https://api.sandbox.hit-pay.com"}),
        ("production", {"StripeUrl": "https://stripe.example"}),
        ("sandbox", {"HitPayUrl": "https://api.hit-pay.com"}),
        ("sandbox", {"Mode": "live"}),
    ],
)
def test_the_template_refuses_a_mix_of_test_and_live(stage: str, overrides: dict[str, str]) -> None:
    assert refusals(stage, **overrides)


CERTIFICATE = "arn:aws:acm:ap-southeast-1:111122223333:certificate/1"
OWN_NAME = {"DomainName": "refunds.example.com", "CertificateArn": CERTIFICATE}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"DomainName": "refunds.example.com"}, "DomainName needs CertificateArn"),
        ({"CertificateArn": CERTIFICATE}, "are for a DomainName"),
        ({"HostedZoneId": "Z1"}, "are for a DomainName"),
        ({"HitPayUrl": ""}, "No processor is set up"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_what_to_do(
    given: dict[str, str], told: str
) -> None:
    assert any(told in sentence for sentence in refusals("sandbox", **given))


@pytest.mark.parametrize("zone", ["", "Z1"])
def test_a_name_with_its_certificate_is_accepted_with_and_without_its_zone(zone: str) -> None:
    assert refusals("sandbox", **OWN_NAME, HostedZoneId=zone) == []


@pytest.mark.parametrize("region", ["ap-east-2", "ap-southeast-6"])
def test_a_region_without_snapshots_is_refused_unless_they_are_off(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PSEUDO_PARAMETERS, "AWS::Region", region)
    assert "give SnapStart off" in refusals("sandbox")[0]
    assert refusals("sandbox", SnapStart="off") == []
