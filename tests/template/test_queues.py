"""Rules 18, 20, 22 and 27 of AWS: queues that only TLS reaches, names that leave room."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.template.expansion import Expanded, expand

NAMES = ("Name", "FunctionName", "LogGroupName", "LayerName", "QueueName", "TableName")
NAMED_BY_US = (
    "AWS::ApiGateway::RestApi",
    "AWS::DynamoDB::Table",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
)


def policy_problems(template: Expanded) -> list[str]:
    """Rule 18: exactly one policy for each queue, which refuses everybody without TLS."""
    problems = []
    policies: dict[str, list[str]] = {name: [] for name, _ in template.of_type("AWS::SQS::Queue")}
    for name, policy in template.of_type("AWS::SQS::QueuePolicy"):
        for queue in policy["Queues"]:
            policies[queue].append(name)
    for queue, names in policies.items():
        if len(names) != 1:
            problems.append(f"{queue} has the policies {names}")
            continue
        statements = template.properties(names[0])["PolicyDocument"]["Statement"]
        refusal = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": f"{queue}.Arn",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        if refusal not in statements:
            problems.append(f"{queue} lets callers without TLS in")
        allowed = [s for s in statements if s["Effect"] == "Allow"]
        problems += [f"{queue} is opened to {s['Principal']}" for s in allowed if _is_open(s)]
    return problems


def _is_open(statement: dict[str, Any]) -> bool:
    return "aws:SourceArn" not in str(statement.get("Condition"))


def encryption_problems(template: Expanded) -> list[str]:
    """Rule 18: encrypted by SQS, or by a key that can be granted; never by AWS's own alias."""
    problems = []
    for name, queue in template.of_type("AWS::SQS::Queue"):
        key = str(queue.get("KmsMasterKeyId", ""))
        if "alias/aws/" in key:
            problems.append(f"{name}: no service can be allowed to use {key}")
        if not key and queue.get("SqsManagedSseEnabled") is not True:
            problems.append(f"{name} is not encrypted")
    return problems


# The function puts the dead letters of these there itself, so that their age counts from then.
SENT_ANEW = ("WebhookQueue",)


def dead_letter_problems(template: Expanded) -> list[str]:
    """Rule 22: what ends in a dead-letter queue stays there long enough to be seen."""
    problems = []
    dead_letters = {}
    for name, queue in template.of_type("AWS::SQS::Queue"):
        if redrive := queue.get("RedrivePolicy"):
            dead_letters[name] = redrive["deadLetterTargetArn"].removesuffix(".Arn")
    for name, dead_letter_queue in dead_letters.items():
        kept = template.properties(dead_letter_queue)["MessageRetentionPeriod"]
        waits = template.properties(name)["MessageRetentionPeriod"]
        if not (kept > waits or (kept == waits and name in SENT_ANEW)):
            problems.append(f"{dead_letter_queue} forgets before {name} does")
    for mapping, _, source in template.queue_mappings():
        if source not in dead_letters:
            problems.append(f"{mapping} reads {source}, which has no dead-letter queue")
    return problems


def names_of(template: Expanded) -> dict[str, str]:
    """The names that we give to resources, by logical id."""
    return {
        name: str(resource["Properties"][key])
        for name, resource in template.resources.items()
        if resource["Type"] in NAMED_BY_US
        for key in NAMES
        if key in resource["Properties"]
    }


def namespace_problems(template: Expanded) -> list[str]:
    """Rule 27: metrics of two stages do not mix, and each function says who it is."""
    problems = []
    services = []
    for name, _ in template.of_type("AWS::Lambda::Function"):
        variables = template.environment(name)
        services.append(variables.get("POWERTOOLS_SERVICE_NAME"))
        namespace = variables.get("POWERTOOLS_METRICS_NAMESPACE")
        if namespace != f"RefundBridge/{template.stack_name}":
            problems.append(f"{name}: {namespace}")
    if None in services or len(set(services)) != len(services):
        problems.append(f"services {services}")
    return problems


Check = Callable[[Expanded], list[str]]
CHECKS: dict[str, Check] = {
    "rule_18_one_tls_only_policy_per_queue": policy_problems,
    "rule_18_queues_are_encrypted": encryption_problems,
    "rule_22_dead_letters_outlive_messages": dead_letter_problems,
    "rule_27_metrics_have_the_stacks_namespace": namespace_problems,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules_of_queues_and_names(template: Expanded, check: Check) -> None:
    assert check(template) == []


def _statement(template: Expanded) -> dict[str, Any]:
    policy = template.properties("ReportQueuePolicy")["PolicyDocument"]
    statement: dict[str, Any] = policy["Statement"][0]
    return statement


def _open(template: Expanded) -> None:
    policy = template.properties("ReportQueuePolicy")["PolicyDocument"]
    policy["Statement"].append({"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"})


@pytest.mark.parametrize(
    ("check", "breaking"),
    [
        (policy_problems, lambda t: t.resources.pop("ReportQueuePolicy")),
        (
            policy_problems,
            lambda t: t.resources.update(Second=t.resources["ReportQueuePolicy"]),
        ),
        (policy_problems, lambda t: _statement(t).update(Effect="Allow")),
        (policy_problems, lambda t: _statement(t).update(Resource="ReportDeadLetterQueue.Arn")),
        (policy_problems, _open),
        (
            encryption_problems,
            lambda t: t.properties("ReportQueue").update(SqsManagedSseEnabled=False),
        ),
        (
            encryption_problems,
            lambda t: t.properties("ReportQueue").update(KmsMasterKeyId="alias/aws/sqs"),
        ),
        (
            dead_letter_problems,
            lambda t: t.properties("ReportDeadLetterQueue").update(MessageRetentionPeriod=345600),
        ),
        (dead_letter_problems, lambda t: t.properties("ReportQueue").pop("RedrivePolicy")),
        (
            namespace_problems,
            lambda t: t.environment("RefundApiFunction").update(
                POWERTOOLS_METRICS_NAMESPACE="RefundBridge"
            ),
        ),
        (
            namespace_problems,
            lambda t: t.environment("RefundApiFunction").pop("POWERTOOLS_SERVICE_NAME"),
        ),
    ],
)
def test_their_checks_notice(
    to_break: Expanded, check: Check, breaking: Callable[[Any], Any]
) -> None:
    breaking(to_break)
    assert check(to_break)


def test_rule_20_two_stacks_share_no_name() -> None:
    one, other = (expand("sandbox", stack_name=name) for name in ("one", "other"))
    assert names_of(one).keys() == names_of(other).keys()
    assert len(names_of(one)) >= 8
    assert not set(names_of(one).values()) & set(names_of(other).values())


def test_rule_20_its_check_notices_a_fixed_name() -> None:
    one, other = (expand("sandbox", stack_name=name) for name in ("one", "other"))
    for template in (one, other):
        template.properties("ReportQueue")["QueueName"] = "reports"
    assert set(names_of(one).values()) & set(names_of(other).values())
