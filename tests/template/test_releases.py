"""Rules 1 to 3 and 6 of AWS: what a deployment changes, and what it must never lose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployed import paths
from tests.template.expansion import Expanded, expand

LEDGER_SCHEMA = Path(__file__).with_name("ledger_schema.json")
OTHER_DIGEST = "f" * 64
DEPLOYMENT_GROUP = "AWS::CodeDeploy::DeploymentGroup"


def alias_problems(template: Expanded) -> list[str]:
    """Rule 1: each function has the alias `live`, and every way in goes to it, not to $LATEST."""
    problems = []
    aliases = {p["FunctionName"]: n for n, p in template.of_type("AWS::Lambda::Alias")}
    for function, _ in template.of_type("AWS::Lambda::Function"):
        alias = aliases.get(function)
        if alias is None or template.properties(alias)["Name"] != "live":
            problems.append(f"{function} has no alias live")
    for mapping, properties in template.of_type("AWS::Lambda::EventSourceMapping"):
        if properties["FunctionName"] not in aliases.values():
            problems.append(f"{mapping} invokes {properties['FunctionName']}, not an alias")
    for schedule, properties in template.of_type("AWS::Scheduler::Schedule"):
        if properties["Target"]["Arn"] not in aliases.values():
            problems.append(f"{schedule} invokes {properties['Target']['Arn']}, not an alias")
    for api, properties in template.of_type("AWS::ApiGateway::RestApi"):
        for path, methods in properties["Body"]["paths"].items():
            for method, operation in methods.items():
                uri = operation["x-amazon-apigateway-integration"]["uri"]
                if not any(f"/{alias}/" in uri for alias in aliases.values()):
                    problems.append(f"{api} {method} {path} goes to {uri}")
    return problems


def ledger_problems(template: Expanded) -> list[str]:
    """Rule 2: nothing that an update or a deletion of the stack does can take the ledger away."""
    ledger = template.resources["Ledger"]
    properties = ledger["Properties"]
    wanted: dict[str, tuple[Any, Any]] = {
        "DeletionPolicy": (ledger.get("DeletionPolicy"), "Retain"),
        "UpdateReplacePolicy": (ledger.get("UpdateReplacePolicy"), "Retain"),
        "TableName": (properties.get("TableName"), f"{template.stack_name}-ledger"),
        "DeletionProtectionEnabled": (properties.get("DeletionProtectionEnabled"), True),
        "BillingMode": (properties.get("BillingMode"), "PAY_PER_REQUEST"),
        "PointInTimeRecovery": (
            properties.get("PointInTimeRecoverySpecification"),
            {"PointInTimeRecoveryEnabled": True},
        ),
        "no TimeToLive": (properties.get("TimeToLiveSpecification"), None),
        # These replace the table, as its name and keys do.
        "no LocalSecondaryIndexes": (properties.get("LocalSecondaryIndexes"), None),
        "no ImportSourceSpecification": (properties.get("ImportSourceSpecification"), None),
        "StreamViewType": (
            properties.get("StreamSpecification"),
            {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        ),
    }
    return [f"{name}: {is_!r}" for name, (is_, should) in wanted.items() if is_ != should]


def schema_of_ledger(template: Expanded) -> dict[str, Any]:
    """What of the table a change would replace or index anew."""
    properties = template.properties("Ledger")
    names = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
    return {name: properties[name] for name in names}


def deployment_resources(template: Expanded) -> list[str]:
    """The resources of gradual deployment that are there."""
    return [n for n, r in template.resources.items() if r["Type"].startswith("AWS::CodeDeploy")]


def test_rule_1_every_way_in_uses_the_alias_live(template: Expanded) -> None:
    assert alias_problems(template) == []


@pytest.mark.parametrize(
    "breaking",
    [
        lambda t: t.resources.pop("RefundApiFunctionAliaslive"),
        lambda t: t.properties("ReportRefundFunctionAliaslive").update(Name="dead"),
        lambda t: t.properties("ReportRefundFunctionReports").update(
            FunctionName="ReportRefundFunction"
        ),
        lambda t: t.properties("SettleRefundsFunctionEveryMinute")["Target"].update(
            Arn="SettleRefundsFunction.Arn"
        ),
    ],
)
def test_rule_1_its_check_notices(to_break: Expanded, breaking: Callable[[Any], Any]) -> None:
    breaking(to_break)
    assert alias_problems(to_break)


def test_rule_1_another_build_digest_publishes_another_version_of_every_function() -> None:
    versions = [
        {name for name, _ in expand("sandbox", BuildDigest=digest).of_type("AWS::Lambda::Version")}
        for digest in ("0" * 64, OTHER_DIGEST)
    ]
    functions = list(expand("sandbox").of_type("AWS::Lambda::Function"))
    assert len(versions[0]) == len(versions[1]) == len(functions)
    assert not versions[0] & versions[1]


def _versions(**changes: str) -> set[str]:
    return {name for name, _ in expand("sandbox", **changes).of_type("AWS::Lambda::Version")}


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"edited": "SweepChargesFunction"}, 1),
        ({"edited": "RefundsLayer"}, 8),
        ({"edited": "DependenciesLayer"}, 8),
        # What `make deploy` is for: its digest changes with every parameter.
        ({"LogLevel": "DEBUG"}, 0),
    ],
)
def test_rule_30_without_a_digest_changed_code_makes_a_version(
    changes: dict[str, str], made: int
) -> None:
    plain = {"BuildDigest": ""}
    assert len(_versions(**plain, **changes) - _versions(**plain)) == made


def test_rule_2_the_ledger_cannot_be_lost(template: Expanded) -> None:
    assert ledger_problems(template) == []


@pytest.mark.parametrize(
    "breaking",
    [
        lambda t: t.resources["Ledger"].pop("DeletionPolicy"),
        lambda t: t.resources["Ledger"].update(UpdateReplacePolicy="Delete"),
        lambda t: t.properties("Ledger").pop("TableName"),
        lambda t: t.properties("Ledger").update(DeletionProtectionEnabled=False),
        lambda t: t.properties("Ledger").pop("PointInTimeRecoverySpecification"),
        lambda t: t.properties("Ledger").update(TimeToLiveSpecification={"Enabled": True}),
        lambda t: t.properties("Ledger").pop("StreamSpecification"),
        lambda t: t.properties("Ledger").update(LocalSecondaryIndexes=[]),
        lambda t: t.properties("Ledger").update(ImportSourceSpecification={}),
    ],
)
def test_rule_2_its_check_notices(to_break: Expanded, breaking: Callable[[Any], Any]) -> None:
    breaking(to_break)
    assert ledger_problems(to_break)


@pytest.mark.parametrize(
    "overrides",
    [
        {"BuildDigest": OTHER_DIGEST},
        {"Gradual": "true"},
        {"Tracing": "on"},
        {"Runtime": "python3.14"},
        {"KmsKeyArn": "arn:aws:kms:ap-southeast-1:111122223333:key/1"},
    ],
)
def test_rule_2_no_parameter_changes_what_would_replace_the_ledger(
    overrides: dict[str, str],
) -> None:
    changed = expand("production", **overrides)
    assert ledger_problems(changed) == []
    assert schema_of_ledger(changed) == json.loads(LEDGER_SCHEMA.read_text())


def test_rule_2_the_stack_policy_lets_no_deployment_change_the_ledger() -> None:
    """Such a policy knows no properties: neither its protection nor its recovery can be changed."""
    policy = json.loads((paths.ROOT / "stack-policy.json").read_text())
    denied = [s for s in policy["Statement"] if s["Effect"] == "Deny"]
    assert [s["Resource"] for s in denied] == ["LogicalResourceId/Ledger"]
    assert denied[0]["Action"] == "Update:*"
    assert denied[0]["Principal"] == "*"


def test_rules_2_and_3_keys_and_indexes_are_those_of_the_first_release(template: Expanded) -> None:
    assert schema_of_ledger(template) == json.loads(LEDGER_SCHEMA.read_text())


def test_rules_2_and_3_their_check_notices_a_missing_index(to_break: Expanded) -> None:
    to_break.properties("Ledger")["GlobalSecondaryIndexes"].pop()
    assert schema_of_ledger(to_break) != json.loads(LEDGER_SCHEMA.read_text())


def test_rule_3_indexes_use_every_declared_attribute_and_hold_keys_only(template: Expanded) -> None:
    schema = schema_of_ledger(template)
    keys = [schema["KeySchema"], *(i["KeySchema"] for i in schema["GlobalSecondaryIndexes"])]
    used = {part["AttributeName"] for key in keys for part in key}
    assert used == {a["AttributeName"] for a in schema["AttributeDefinitions"]}
    assert all(
        index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
        for index in schema["GlobalSecondaryIndexes"]
    )


def test_rule_6_gradual_deployment_is_off_unless_asked_for(template: Expanded) -> None:
    assert deployment_resources(template) == []


def gradual_problems(template: Expanded) -> list[str]:
    """Rule 6: with gradual deployment every alias is shifted under alarms that are quiet by day."""
    problems = []
    groups = dict(template.of_type(DEPLOYMENT_GROUP))
    alarms = dict(template.of_type("AWS::CloudWatch::Alarm"))
    for alias, resource in template.resources.items():
        if resource["Type"] != "AWS::Lambda::Alias":
            continue
        update = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
        group = groups.get(update.get("DeploymentGroupName", ""), {})
        watched = group.get("AlarmConfiguration", {}).get("Alarms", [])
        if not watched:
            problems.append(f"{alias} is shifted without an alarm")
        for name in (alarm["Name"] for alarm in watched):
            if alarms.get(name, {}).get("TreatMissingData") != "notBreaching":
                problems.append(f"{alias}: {name} rings when nothing happens")
        rollback = group.get("AutoRollbackConfiguration", {})
        if "DEPLOYMENT_STOP_ON_ALARM" not in rollback.get("Events", []):
            problems.append(f"{alias} is not taken back when an alarm rings")
    return problems


def test_rule_6_and_on_if_asked_for_for_every_function() -> None:
    template = expand("production", Gradual="true")
    functions = list(template.of_type("AWS::Lambda::Function"))
    assert len(list(template.of_type(DEPLOYMENT_GROUP))) == len(functions)
    assert gradual_problems(template) == []


@pytest.mark.parametrize(
    "breaking",
    [
        lambda t: t.resources["RefundApiFunctionAliaslive"].pop("UpdatePolicy"),
        lambda t: t.properties("SweepChargesFunctionDeploymentGroup").pop("AlarmConfiguration"),
        lambda t: t.properties("ServerErrorsAlarm").update(TreatMissingData="breaching"),
        lambda t: t.properties("RefundApiFunctionDeploymentGroup").pop("AutoRollbackConfiguration"),
    ],
)
def test_rule_6_its_check_notices(breaking: Callable[[Any], Any]) -> None:
    template = expand("production", Gradual="true")
    breaking(template)
    assert gradual_problems(template)
