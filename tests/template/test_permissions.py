"""Rules 16 and 26 of AWS: one role per function, with exactly the rights of `permissions.toml`."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployed.secrets import PROCESSOR_KEYS
from tests.template.expansion import PSEUDO_PARAMETERS, Expanded, expand

PERMISSIONS = Path(__file__).with_name("permissions.toml")
NEVER_ON_THE_LEDGER = ("DeleteItem", "Scan", "BatchWriteItem", "DeleteTable", "UpdateTable", "*")
KEY = "arn:aws:kms:ap-southeast-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Rights = dict[str, list[str]]


def _role_of(template: Expanded, function: str) -> dict[str, Any]:
    role: str = template.properties(function)["Role"]
    return template.properties(role.removesuffix(".Arn"))


def _statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _named(template: Expanded, resource: str) -> str:
    """A resource as the table names it."""
    place = f"{PSEUDO_PARAMETERS['AWS::Region']}:{PSEUDO_PARAMETERS['AWS::AccountId']}"
    secrets = f"arn:aws:ssm:{place}:parameter{template.parameters['SecretsPrefix']}/"
    return resource.replace(secrets, "secret:").removesuffix(".Arn")


def rights_of(template: Expanded, function: str) -> Rights:
    """What the role of a function allows, action by action."""
    rights: Rights = {}
    for statement in _statements(_role_of(template, function)):
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            named = [_named(template, resource) for resource in _listed(statement["Resource"])]
            rights[action] = sorted(rights.get(action, []) + named)
    return rights


def permission_problems(template: Expanded) -> list[str]:
    """Every difference between the roles and the table."""
    wanted: dict[str, Rights] = tomllib.loads(PERMISSIONS.read_text())
    given = template.parameters
    idle = {f"secret:{key}" for url, key in PROCESSOR_KEYS.items() if not given[url]}
    functions = {name for name, _ in template.of_type("AWS::Lambda::Function")}
    problems = [f"{name}: in one of template and table" for name in functions ^ wanted.keys()]
    for function in functions & wanted.keys():
        rights = rights_of(template, function)
        for action in rights.keys() | wanted[function].keys():
            named = [one for one in wanted[function].get(action, []) if one not in idle]
            if rights.get(action) != named:
                problems.append(f"{function} {action}: {rights.get(action)}")
    return problems


def role_problems(template: Expanded) -> list[str]:
    """Each function has a role to itself, trusted by Lambda alone, without borrowed policies."""
    problems = []
    roles = [function["Role"] for _, function in template.of_type("AWS::Lambda::Function")]
    if len(set(roles)) != len(roles):
        problems.append("functions share a role")
    for name in (role.removesuffix(".Arn") for role in roles):
        role = template.properties(name)
        if role.get("ManagedPolicyArns"):
            problems.append(f"{name} has managed policies")
        trusted = json.dumps(role["AssumeRolePolicyDocument"]["Statement"])
        if trusted.count("Service") != 1 or '"Service": "lambda.amazonaws.com"' not in trusted:
            problems.append(f"{name} is trusted by others")
        for statement in _statements(role):
            for resource in _listed(statement["Resource"]):
                if resource == "*" or resource.endswith(":*"):
                    problems.append(f"{name}: {statement['Action']} on {resource}")
                if "//" in resource:
                    problems.append(f"{name}: a doubled slash in {resource}")
            for action in _listed(statement["Action"]):
                verb = action.partition(":")[2]
                if "*" in action or (
                    action.startswith("dynamodb:") and verb in NEVER_ON_THE_LEDGER
                ):
                    problems.append(f"{name}: {action}")
    return problems


def named_iam_resources(template: Expanded) -> list[str]:
    """IAM resources with names of their own would need CAPABILITY_NAMED_IAM."""
    named = ("RoleName", "ManagedPolicyName", "UserName", "GroupName")
    return [
        name
        for name, resource in template.resources.items()
        if resource["Type"].startswith("AWS::IAM::") and set(named) & set(resource["Properties"])
    ]


def secret_problems(template: Expanded) -> list[str]:
    """Rule 26: the template knows where secrets are, and none of them."""
    text = json.dumps(template.resources) + json.dumps(template.parameters)
    marks = ("sk_test_", "sk_live_", "rk_live_", "rbk_", "resolve:ssm-secure", "AKIA")
    problems = [mark for mark in marks if mark in text]
    for name, _ in template.of_type("AWS::Lambda::Function"):
        for variable in template.environment(name):
            if any(word in variable for word in ("PASSWORD", "TOKEN", "SALT", "SECRET_KEY")):
                problems.append(f"{name}: {variable}")
    return problems


Check = Callable[[Expanded], list[str]]
CHECKS: dict[str, Check] = {
    "rule_16_rights_are_those_of_the_table": permission_problems,
    "rule_16_one_narrow_role_per_function": role_problems,
    "rule_20_no_named_iam_resources": named_iam_resources,
    "rule_26_no_secret_in_the_template": secret_problems,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules_of_permissions(template: Expanded, check: Check) -> None:
    assert check(template) == []


def _grant(template: Expanded, action: str, resource: str) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    _statements_to_change(template).append(statement)


def _statements_to_change(template: Expanded) -> list[dict[str, Any]]:
    policy = template.properties("ReportRefundRole")["Policies"][0]["PolicyDocument"]
    statements: list[dict[str, Any]] = policy["Statement"]
    return statements


def _query(template: Expanded) -> dict[str, Any]:
    statements = _statements(template.properties("SettleRefundsRole"))
    (statement,) = [s for s in statements if s["Action"] == "dynamodb:Query"]
    return statement


@pytest.mark.parametrize(
    ("check", "breaking"),
    [
        (permission_problems, lambda t: _grant(t, "sqs:SendMessage", "ReportQueue.Arn")),
        (permission_problems, lambda t: _grant(t, "dynamodb:GetItem", "Ledger.Arn/index/*")),
        (permission_problems, lambda t: _query(t).update(Resource="Ledger.Arn/index/*")),
        (permission_problems, lambda t: _query(t).update(Action="dynamodb:Scan")),
        (permission_problems, lambda t: _statements_to_change(t).pop()),
        (permission_problems, lambda t: t.resources.pop("ReportRefundFunction")),
        (role_problems, lambda t: _grant(t, "dynamodb:DeleteItem", "Ledger.Arn")),
        (role_problems, lambda t: _grant(t, "dynamodb:*", "Ledger.Arn")),
        (role_problems, lambda t: _grant(t, "sqs:SendMessage", "*")),
        (role_problems, lambda t: _grant(t, "ssm:GetParameters", "arn:aws:ssm:parameter//x")),
        (
            role_problems,
            lambda t: t.properties("ReportRefundFunction").update(Role="RefundApiRole.Arn"),
        ),
        (
            role_problems,
            lambda t: t.properties("RefundApiRole").update(ManagedPolicyArns=["arn:aws:iam::x"]),
        ),
        (
            role_problems,
            lambda t: t.properties("RefundApiRole")["AssumeRolePolicyDocument"]["Statement"].append(
                {"Principal": {"Service": "ec2.amazonaws.com"}}
            ),
        ),
        (named_iam_resources, lambda t: t.properties("RefundApiRole").update(RoleName="mine")),
        (secret_problems, lambda t: t.environment("RefundApiFunction").update(KEY="sk_test_1")),
        (secret_problems, lambda t: t.environment("RefundApiFunction").update(HITPAY_TOKEN="1")),
    ],
)
def test_their_checks_notice(
    to_break: Expanded, check: Check, breaking: Callable[[Any], Any]
) -> None:
    breaking(to_break)
    assert check(to_break)


def _added(**overrides: str) -> dict[str, list[dict[str, Any]]]:
    """The statements that these parameters add to the roles of the functions, by function."""
    plain, changed = expand("production"), expand("production", **overrides)
    added = {}
    for function, _ in plain.of_type("AWS::Lambda::Function"):
        before = _statements(_role_of(plain, function))
        after = _statements(_role_of(changed, function))
        added[function] = [one for one in after if one not in before]
        assert [one for one in after if one in before] == before
    return added


def test_rule_16_a_customer_key_adds_its_use_for_what_is_kept_and_nothing_else() -> None:
    for function, statements in _added(KmsKeyArn=KEY).items():
        (statement,) = statements
        assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"], function
        assert statement["Resource"] == KEY
        services = statement["Condition"]["StringEquals"]["kms:ViaService"]
        assert services == [
            f"{name}.ap-southeast-1.amazonaws.com" for name in ("dynamodb", "sqs", "ssm")
        ]


def test_rule_16_tracing_adds_the_right_to_send_traces_and_nothing_else() -> None:
    for function, statements in _added(Tracing="on").items():
        (statement,) = statements
        assert statement["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        # X-Ray knows no resources.
        assert statement["Resource"] == "*", function
