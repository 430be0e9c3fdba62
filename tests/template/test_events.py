"""Rules 11, 18, 19, 21 and 22 of AWS: the bus, who is let in, and what becomes of the rest."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.publish_events.app import PUBLISH_BUDGET_MS, RING_BUDGET_MS
from functions.refund_requested.app import BATCH_SIZE, PROVIDER_BUDGET_MS, TELL_BUDGET_MS
from refund_bridge.adapters.dynamodb.keys import payment_item_key, record_claim_key, refund_key
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.events.announcements import SOURCE
from refund_bridge.events.requested import DETAIL_TYPE
from refund_bridge.refunding.execute import RECORD_MS
from tests.template.expansion import PSEUDO_PARAMETERS, Expanded, expand

BUS, RULE = "EventBus", "RefundRequestRule"
QUEUE, DEAD_LETTERS = "RefundRequestQueue", "RefundRequestDeadLetterQueue"
REQUESTS, CHANGES = "RefundRequestedFunctionRequests", "PublishEventsFunctionLedgerChanges"
PUBLISHERS = {"PublishEventsFunction", "RefundRequestedFunction", "SettleRefundsFunction"}
SKEW = 15
FROM_THE_RULE = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Condition": {"ArnEquals": {"aws:SourceArn": f"{RULE}.Arn"}},
}
STREAM = {
    "StartingPosition": "TRIM_HORIZON",
    "MaximumRetryAttempts": 10,
    "MaximumRecordAgeInSeconds": 6 * 3600,
    "BisectBatchOnFunctionError": True,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}


def bus_problems(template: Expanded) -> list[str]:
    """Rules 16 and 20: one bus, named after its stack; only our functions put events on it."""
    problems = []
    buses = dict(template.of_type("AWS::Events::EventBus"))
    if {name: bus["Name"] for name, bus in buses.items()} != {BUS: template.stack_name}:
        problems.append(f"buses {sorted(buses)}")
    if list(template.of_type("AWS::Events::EventBusPolicy")):
        problems.append("other accounts may ask for refunds")
    if BUS in buses and "Policy" in buses[BUS]:
        problems.append("other accounts may ask for refunds")
    told = {
        name
        for name, _ in template.of_type("AWS::Lambda::Function")
        if "EVENT_BUS" in template.environment(name)
    }
    if told != PUBLISHERS:
        problems.append(f"the bus is told to {sorted(told)}")
    return problems


def source_problems(template: Expanded) -> list[str]:
    """Our own roles put events as the service's only, which asks for nothing."""
    condition = {"StringEquals": {"events:source": SOURCE}}
    statements = [
        (name, statement)
        for name, role in template.of_type("AWS::IAM::Role")
        for policy in role.get("Policies", ())
        for statement in policy["PolicyDocument"]["Statement"]
        if "events:PutEvents" in str(statement["Action"])
    ]
    problems = [
        f"{name} may call itself by any name"
        for name, statement in statements
        if statement.get("Condition") != condition
    ]
    if len(statements) != len(PUBLISHERS):
        problems.append(f"{[name for name, _ in statements]} put events")
    known = template.environment("RefundRequestedFunction")["REFUND_REQUEST_SOURCES"]
    if known.split(",") != template.parameters["RefundRequestSources"]:
        problems.append("the function obeys others than the rule")
    return problems


def redrive_problems(template: Expanded) -> list[str]:
    """No queue takes the dead letters of another one than its own; what is obeyed takes none."""
    problems = []
    own = {
        queue["RedrivePolicy"]["deadLetterTargetArn"].removesuffix(".Arn"): queue["QueueName"]
        for _, queue in template.of_type("AWS::SQS::Queue")
        if "RedrivePolicy" in queue
    }
    for name, queue in template.of_type("AWS::SQS::Queue"):
        allowed = queue.get("RedriveAllowPolicy")
        wanted: dict[str, Any] = {"redrivePermission": "denyAll"}
        if name in own:
            place = f"{PSEUDO_PARAMETERS['AWS::Region']}:{PSEUDO_PARAMETERS['AWS::AccountId']}"
            arns = [f"arn:aws:sqs:{place}:{own[name]}"]
            wanted = {"redrivePermission": "byQueue", "sourceQueueArns": arns}
        if allowed != wanted:
            problems.append(f"{name} takes dead letters by {allowed}")
    return problems


def rule_problems(template: Expanded) -> list[str]:
    """Rule 19: the pattern pins the sources; rule 18: the target has its dead letters, no role."""
    problems = []
    rules = dict(template.of_type("AWS::Events::Rule"))
    if set(rules) != {RULE}:
        return [f"rules {sorted(rules)}"]
    rule = rules[RULE]
    sources = template.parameters["RefundRequestSources"]
    pattern = rule["EventPattern"]
    if pattern != {"source": sources, "detail-type": [DETAIL_TYPE]}:
        problems.append(f"the rule lets in {pattern}")
    if not isinstance(sources, list) or not all(sources):
        problems.append("the rule lets in anybody")
    elif SOURCE in sources:
        problems.append("the service would obey itself")
    if rule["EventBusName"] != BUS or rule.get("State", "ENABLED") != "ENABLED":
        problems.append("the rule does not listen on the bus")
    wanted = {
        "Id": QUEUE,
        "Arn": f"{QUEUE}.Arn",
        "RetryPolicy": {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400},
        "DeadLetterConfig": {"Arn": f"{DEAD_LETTERS}.Arn"},
    }
    if rule["Targets"] != [wanted]:
        problems.append(f"targets {rule['Targets']}")
    return problems


def queue_problems(template: Expanded) -> list[str]:
    """Rules 18 and 22: the rule, and nobody else, may fill the queue and its dead letters."""
    problems = []
    for queue in (QUEUE, DEAD_LETTERS):
        policy = template.properties(f"{queue}Policy")["PolicyDocument"]
        allowed = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
        if [{**s, "Sid": ""} for s in allowed] != [
            {**FROM_THE_RULE, "Sid": "", "Resource": f"{queue}.Arn"}
        ]:
            problems.append(f"{queue} may be filled by {allowed}")
    redrive = template.properties(QUEUE)["RedrivePolicy"]
    if redrive["deadLetterTargetArn"] != f"{DEAD_LETTERS}.Arn":
        problems.append("requests have other dead letters than the function fills")
    variables = template.environment("RefundRequestedFunction")
    if str(redrive["maxReceiveCount"]) != str(variables["REQUEST_MAX_RECEIVES"]):
        problems.append("the queue gives up at another receive than the function")
    if variables["REQUEST_DEAD_LETTER_QUEUE_URL"] != DEAD_LETTERS:
        problems.append("the function fills other dead letters than the queue")
    for queue in (DEAD_LETTERS, "EventDeadLetterQueue"):
        if template.properties(queue)["MessageRetentionPeriod"] != 14 * 86400:
            problems.append(f"{queue} forgets too early")
    return problems


def request_problems(template: Expanded) -> list[str]:
    """Rule 11: one request fits its function, the function its lease, the batch its threads."""
    problems = []
    needed_ms = PROVIDER_BUDGET_MS + RECORD_MS + TELL_BUDGET_MS
    timeout = template.properties("RefundRequestedFunction")["Timeout"]
    lease = int(template.environment("RefundRequestedFunction")["LEASE_SECONDS"])
    if not needed_ms < timeout * 1000:
        problems.append(f"a request may take {needed_ms} ms of {timeout} s")
    if not timeout + SKEW <= lease:
        problems.append(f"a lease of {lease} s can end before the function does")
    if template.properties(REQUESTS)["BatchSize"] != BATCH_SIZE:
        problems.append("some requests of a batch would wait for others")
    return problems


def stream_problems(template: Expanded) -> list[str]:
    """Rule 21: nothing skipped, nothing repeated for ever, refunds only, the rest told of."""
    problems = []
    mapping = template.properties(CHANGES)
    problems += [f"{key}: {mapping.get(key)}" for key, v in STREAM.items() if mapping.get(key) != v]
    if mapping["EventSourceArn"] != "Ledger.StreamArn":
        problems.append("it reads another stream")
    if mapping["FunctionName"] != "PublishEventsFunctionAliaslive":
        problems.append("it does not call the live version")
    if mapping.get("DestinationConfig") != {
        "OnFailure": {"Destination": "EventDeadLetterQueue.Arn"}
    }:
        problems.append("what is given up is not told of")
    budget_ms = PUBLISH_BUDGET_MS + RING_BUDGET_MS
    if not template.properties("PublishEventsFunction")["Timeout"] * 1000 > budget_ms:
        problems.append("publishing is cut off")
    view = template.properties("Ledger")["StreamSpecification"]["StreamViewType"]
    if view != "NEW_AND_OLD_IMAGES":
        problems.append(f"the stream shows {view}")
    filters = mapping.get("FilterCriteria", {}).get("Filters", [])
    patterns = [json.loads(one["Pattern"]) for one in filters]
    payment = payment_item_key(PaymentKey("hitpay", "charge"))
    for key, is_refund in (
        (refund_key("rfd_1"), True),
        (payment, False),
        (record_claim_key("pr_1"), False),
        (refund_key("rfd_1") | {"sk": "announcements"}, False),
        (refund_key("rfd_1") | {"sk": "webhook#we_00000000000000aa"}, False),
        ({"pk": "webhook#we_00000000000000aa", "sk": "webhook"}, False),
    ):
        for event in ("INSERT", "MODIFY", "REMOVE"):
            typed = {name: {"S": value} for name, value in key.items()}
            record = {"eventName": event, "dynamodb": {"Keys": typed, "NewImage": typed}}
            shown = any(_matches(pattern, record) for pattern in patterns)
            if shown != (is_refund and event != "REMOVE"):
                problems.append(f"{event} of {key['pk']} {key['sk']}: shown {shown}")
    return problems


def _matches(pattern: Any, value: Any) -> bool:
    """EventBridge's rule, as far as the filter uses it: every member, one of its values."""
    if isinstance(pattern, list):
        return value in pattern
    return isinstance(value, dict) and all(
        name in value and _matches(inner, value[name]) for name, inner in pattern.items()
    )


Check = Callable[[Expanded], list[str]]
CHECKS: dict[str, Check] = {
    "rule_20_one_bus_of_our_own": bus_problems,
    "rule_19_the_pattern_pins_the_sources": rule_problems,
    "rule_19_our_own_roles_cannot_ask": source_problems,
    "rule_18_each_queue_takes_its_own_dead_letters": redrive_problems,
    "rule_18_only_the_rule_fills_the_queues": queue_problems,
    "rule_11_a_request_fits_its_times": request_problems,
    "rule_21_the_stream_loses_nothing": stream_problems,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules_of_events(template: Expanded, check: Check) -> None:
    assert check(template) == []


def _rule(template: Expanded) -> dict[str, Any]:
    return template.properties(RULE)


def _putting(template: Expanded) -> dict[str, Any]:
    statements = template.properties("PublishEventsRole")["Policies"][0]["PolicyDocument"]
    statement: dict[str, Any] = next(
        s for s in statements["Statement"] if s["Action"] == "events:PutEvents"
    )
    return statement


def _target(template: Expanded) -> dict[str, Any]:
    target: dict[str, Any] = template.properties(RULE)["Targets"][0]
    return target


def _allowing(template: Expanded, queue: str) -> dict[str, Any]:
    statements = template.properties(f"{queue}Policy")["PolicyDocument"]["Statement"]
    statement: dict[str, Any] = next(s for s in statements if s["Effect"] == "Allow")
    return statement


def _filter(template: Expanded, **pattern: Any) -> None:
    criteria = {"Filters": [{"Pattern": json.dumps(pattern)}]}
    template.properties(CHANGES).update(FilterCriteria=criteria)


@pytest.mark.parametrize(
    ("check", "breaking"),
    [
        (bus_problems, lambda t: t.properties(BUS).update(Name="refunds")),
        (bus_problems, lambda t: t.properties(BUS).update(Policy={"Statement": []})),
        (
            bus_problems,
            lambda t: t.resources.update(
                Open={"Type": "AWS::Events::EventBusPolicy", "Properties": {}}
            ),
        ),
        (bus_problems, lambda t: t.environment("RefundApiFunction").update(EVENT_BUS=BUS)),
        (source_problems, lambda t: _putting(t).pop("Condition")),
        (
            source_problems,
            lambda t: _putting(t)["Condition"]["StringEquals"].update({"events:source": "*"}),
        ),
        (
            source_problems,
            lambda t: t.environment("RefundRequestedFunction").update(REFUND_REQUEST_SOURCES="a"),
        ),
        (redrive_problems, lambda t: t.properties(QUEUE).pop("RedriveAllowPolicy")),
        (redrive_problems, lambda t: t.properties("ReportQueue").pop("RedriveAllowPolicy")),
        (
            redrive_problems,
            lambda t: t.properties(DEAD_LETTERS)["RedriveAllowPolicy"].update(
                redrivePermission="allowAll"
            ),
        ),
        (rule_problems, lambda t: t.resources.pop(RULE)),
        (rule_problems, lambda t: _rule(t)["EventPattern"].pop("source")),
        (rule_problems, lambda t: _rule(t)["EventPattern"].update(source=[{"prefix": ""}])),
        (rule_problems, lambda t: _rule(t)["EventPattern"].pop("detail-type")),
        (rule_problems, lambda t: _rule(t).update(EventBusName="default")),
        (rule_problems, lambda t: _rule(t).update(State="DISABLED")),
        (rule_problems, lambda t: t.parameters.update(RefundRequestSources=[SOURCE])),
        (rule_problems, lambda t: _target(t).pop("DeadLetterConfig")),
        (rule_problems, lambda t: _target(t).update(RoleArn="arn:aws:iam::x:role/y")),
        (rule_problems, lambda t: _target(t).update(InputPath="$.detail")),
        (queue_problems, lambda t: _allowing(t, QUEUE).pop("Condition")),
        (queue_problems, lambda t: _allowing(t, DEAD_LETTERS).update(Principal="*")),
        (queue_problems, lambda t: _allowing(t, QUEUE).update(Resource=f"{DEAD_LETTERS}.Arn")),
        (
            queue_problems,
            lambda t: t.properties(QUEUE)["RedrivePolicy"].update(maxReceiveCount="9"),
        ),
        (
            queue_problems,
            lambda t: t.properties(QUEUE)["RedrivePolicy"].update(
                deadLetterTargetArn="ReportDeadLetterQueue.Arn"
            ),
        ),
        (
            queue_problems,
            lambda t: t.environment("RefundRequestedFunction").update(
                REQUEST_DEAD_LETTER_QUEUE_URL="ReportDeadLetterQueue"
            ),
        ),
        (
            queue_problems,
            lambda t: t.properties("EventDeadLetterQueue").update(MessageRetentionPeriod=345600),
        ),
        (request_problems, lambda t: t.properties("RefundRequestedFunction").update(Timeout=40)),
        (
            request_problems,
            lambda t: t.environment("RefundRequestedFunction").update(LEASE_SECONDS="50"),
        ),
        (request_problems, lambda t: t.properties(REQUESTS).update(BatchSize=10)),
        (stream_problems, lambda t: t.properties(CHANGES).update(StartingPosition="LATEST")),
        (stream_problems, lambda t: t.properties(CHANGES).pop("MaximumRetryAttempts")),
        (stream_problems, lambda t: t.properties(CHANGES).pop("BisectBatchOnFunctionError")),
        (stream_problems, lambda t: t.properties(CHANGES).pop("FunctionResponseTypes")),
        (stream_problems, lambda t: t.properties(CHANGES).pop("DestinationConfig")),
        (stream_problems, lambda t: t.properties(CHANGES).update(FunctionName="other")),
        (stream_problems, lambda t: t.properties(CHANGES).pop("FilterCriteria")),
        (stream_problems, lambda t: _filter(t, eventName=["INSERT", "MODIFY"])),
        (
            stream_problems,
            lambda t: _filter(
                t, eventName=["INSERT"], dynamodb={"Keys": {"sk": {"S": ["refund"]}}}
            ),
        ),
        (
            stream_problems,
            lambda t: t.properties("Ledger")["StreamSpecification"].update(
                StreamViewType="NEW_IMAGE"
            ),
        ),
        (stream_problems, lambda t: t.properties("PublishEventsFunction").update(Timeout=45)),
    ],
)
def test_their_checks_notice(
    to_break: Expanded, check: Check, breaking: Callable[[Any], Any]
) -> None:
    breaking(to_break)
    assert check(to_break)


def test_the_sources_are_the_parameters_own() -> None:
    template = expand("sandbox", RefundRequestSources="shop,support.desk")
    assert _rule(template)["EventPattern"]["source"] == ["shop", "support.desk"]
