"""Rules 11, 12, 15 and 17 of AWS: times in order, no reservations, logs in their place."""

from collections.abc import Callable
from typing import Any

import pytest

from refund_bridge.bootstrap.deliver_webhooks import DeliverWebhooksSettings
from refund_bridge.bootstrap.hitpay_webhook import HitPayWebhookSettings
from refund_bridge.bootstrap.money_path import MoneySettings
from refund_bridge.bootstrap.publish_events import PublishEventsSettings
from refund_bridge.bootstrap.refund_api import RefundApiSettings
from refund_bridge.bootstrap.refund_requested import RefundRequestedSettings
from refund_bridge.bootstrap.report_refund import ReportRefundSettings
from refund_bridge.bootstrap.settle_refunds import SettleRefundsSettings
from refund_bridge.bootstrap.settling import SETTLE_TAKE_MS
from refund_bridge.bootstrap.sweep_charges import SweepChargesSettings
from refund_bridge.processors.registry import REGISTRY, variable_of
from refund_bridge.reporting.credit_note import REPORTERS_MS
from refund_bridge.settling.run import ROW_MS
from tests.template.expansion import Expanded, expand

PROVIDERS_BUDGET = 24
GATEWAY_LIMIT = 29
SKEW = 15
SETTLE_RUNS = 100  # functions/settle_refunds/app.py begins nothing that could end later
STRIPE_PER_SECOND = 25
SHORTEST_RECEIVES = 5
Settings = (
    RefundApiSettings
    | DeliverWebhooksSettings
    | HitPayWebhookSettings
    | SweepChargesSettings
    | PublishEventsSettings
    | RefundRequestedSettings
    | ReportRefundSettings
    | SettleRefundsSettings
)
SETTINGS: dict[str, type[Settings]] = {
    "DeliverWebhooksFunction": DeliverWebhooksSettings,
    "HitPayWebhookFunction": HitPayWebhookSettings,
    "SweepChargesFunction": SweepChargesSettings,
    "PublishEventsFunction": PublishEventsSettings,
    "RefundApiFunction": RefundApiSettings,
    "RefundRequestedFunction": RefundRequestedSettings,
    "ReportRefundFunction": ReportRefundSettings,
    "SettleRefundsFunction": SettleRefundsSettings,
}
# The processors that those ask who do not ask all of them.
ASKED_BY = {"HitPayWebhookFunction": ["hitpay"], "SweepChargesFunction": ["hitpay", "stripe"]}
RECEIVES = "REPORT_MAX_RECEIVES"
READ_BY_LIBRARIES = (
    "LOG_LEVEL",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_TRACER_CAPTURE_ERROR",
    "POWERTOOLS_TRACER_CAPTURE_RESPONSE",
)


def timeout_problems(template: Expanded) -> list[str]:
    """Rule 11: whoever waits, waits longer than what it waits for."""
    problems = []
    api = template.properties("RefundApiFunction")["Timeout"]
    lease = int(template.environment("RefundApiFunction")["LEASE_SECONDS"])
    if not PROVIDERS_BUDGET < GATEWAY_LIMIT < api:
        problems.append(f"the gateway gives up after {GATEWAY_LIMIT} s, the function after {api}")
    if not api + SKEW <= lease:
        problems.append(f"a lease of {lease} s can end before the function does")
    for name, mapping, source in template.queue_mappings():
        function = _function_behind(template, mapping["FunctionName"])
        queue = template.properties(source)
        needed = 6 * template.properties(function)["Timeout"]
        if not queue["VisibilityTimeout"] >= needed:
            problems.append(f"{name}: visibility {queue['VisibilityTimeout']} < {needed}")
    report = template.properties("ReportRefundFunction")["Timeout"]
    lease = int(template.environment("ReportRefundFunction")["REPORT_LEASE_SECONDS"])
    if not report + SKEW <= lease <= template.properties("ReportQueue")["VisibilityTimeout"]:
        problems.append(f"a report's lease of {lease} s does not fit")
    if not report <= REPORTERS_MS // 1000:
        problems.append("settling may try a credit note beside the reporter")
    return problems


def settling_problems(template: Expanded) -> list[str]:
    """Rule 11: a refund in settling is its run's own until it is done, and is then soon free."""
    problems = []
    settle = template.properties("SettleRefundsFunction")["Timeout"]
    variables = template.environment("SettleRefundsFunction")
    lease, row, taken = int(variables["LEASE_SECONDS"]), ROW_MS // 1000, SETTLE_TAKE_MS // 1000
    if settle < SETTLE_RUNS + SKEW:
        problems.append(f"runs of {SETTLE_RUNS} s are cut off after {settle} s")
    if not row + SKEW <= min(lease, taken):
        problems.append(f"one refund takes {row} s, is leased for {lease} s and taken for {taken}")
    for name in ("LEASE_SECONDS", "VERIFY_CHARGE", *sorted(_of_processors(list(REGISTRY)))):
        if variables.get(name) != template.environment("RefundApiFunction")[name]:
            problems.append(f"{name} differs between the two functions that move money")
    for name in ("CREDIT_NOTES", "SETTLE_SECONDS"):
        if variables.get(name) != template.environment("ReportRefundFunction")[name]:
            problems.append(f"{name} differs between the two functions that issue credit notes")
    if variables[RECEIVES] != template.environment("ReportRefundFunction")[RECEIVES]:
        problems.append("who rings expects other receives than who hears")
    return problems


def environment_problems(template: Expanded) -> list[str]:
    """Each function is given exactly the settings that it reads."""
    problems = []
    for name, settings in SETTINGS.items():
        given = {key for key in template.environment(name) if key not in READ_BY_LIBRARIES}
        read = {field.upper() for field in settings.model_fields}
        if issubclass(settings, MoneySettings):
            read |= _of_processors(ASKED_BY.get(name, list(REGISTRY)))
        problems += [f"{name} lacks {key}" for key in sorted(read - given)]
        problems += [f"{name} never reads {key}" for key in sorted(given - read)]
        if not problems:
            settings.from_environment(template.environment(name))
    return problems


def _of_processors(names: list[str]) -> set[str]:
    """The variables that these processors' adapters read."""
    return {
        variable_of(name, field)
        for name in names
        for field in REGISTRY[name].settings_form.model_fields
    }


def _function_behind(template: Expanded, alias: str) -> str:
    function: str = template.properties(alias)["FunctionName"]
    return function


def capacity_problems(template: Expanded) -> list[str]:
    """Rule 12: bounded by concurrency and throttles, never by reserving what an account lacks."""
    problems = []
    for name, function in template.of_type("AWS::Lambda::Function"):
        if "ReservedConcurrentExecutions" in function:
            problems.append(f"{name} reserves concurrency")
        if "MemorySize" not in function:
            problems.append(f"{name} leaves its memory to chance")
    for name, alias in template.of_type("AWS::Lambda::Alias"):
        if "ProvisionedConcurrencyConfig" in alias:
            problems.append(f"{name} provisions concurrency")
    for name, mapping, _ in template.queue_mappings():
        if not int(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0)) >= 2:
            problems.append(f"{name} is not bounded")
    for name, mapping in template.of_type("AWS::Lambda::EventSourceMapping"):
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            problems.append(f"{name}: one bad message would fail its whole batch")
    for name, queue in template.of_type("AWS::SQS::Queue"):
        redrive = queue.get("RedrivePolicy")
        if redrive and not int(redrive["maxReceiveCount"]) >= SHORTEST_RECEIVES:
            problems.append(f"{name} gives up too early")
    return problems


def test_rule_12_memory_is_a_parameter_and_only_callers_are_waited_for_with_more() -> None:
    template = expand("production", RefundApiMemory="1769", BackgroundMemory="600")
    memory = {
        name: str(function["MemorySize"])
        for name, function in template.of_type("AWS::Lambda::Function")
    }
    assert memory.pop("RefundApiFunction") == "1769"
    assert len(memory) == 7
    assert set(memory.values()) == {"600"}


def pace_problems(template: Expanded) -> list[str]:
    """All workers together stay under Stripe's rate."""
    workers = template.properties("ReportRefundFunctionReports")["ScalingConfig"]
    pace = template.environment("ReportRefundFunction")["STRIPE_REPORTS_PER_SECOND"]
    total = int(workers["MaximumConcurrency"]) * int(pace)
    return [] if total < STRIPE_PER_SECOND else [f"{total} reports a second"]


def snapstart_problems(template: Expanded) -> list[str]:
    """Rule 15: snapshots of published versions only, and not kept when no longer used."""
    problems = []
    for name, function in template.of_type("AWS::Lambda::Function"):
        if "SnapStart" not in function:
            continue
        if function["SnapStart"] != {"ApplyOn": "PublishedVersions"}:
            problems.append(f"{name}: {function['SnapStart']}")
        for version, properties in template.of_type("AWS::Lambda::Version"):
            kept = template.resources[version].get("DeletionPolicy") != "Delete"
            if properties["FunctionName"] == name and kept:
                problems.append(f"{version} would be kept, and billed")
    return problems


def layer_problems(template: Expanded) -> list[str]:
    """Rule 37: a layer's name is shared by the account, so it carries the stack's."""
    return [
        f"{name}: {layer['LayerName']}"
        for name, layer in template.of_type("AWS::Lambda::LayerVersion")
        if not layer["LayerName"].startswith(f"{template.stack_name}-")
    ]


def log_problems(template: Expanded) -> list[str]:
    """Rule 17: each function writes to one group of its own, which forgets, and to no other."""
    problems = []
    groups = []
    for name, function in template.of_type("AWS::Lambda::Function"):
        group = function.get("LoggingConfig", {}).get("LogGroup")
        groups.append(group)
        if group not in template.resources:
            problems.append(f"{name} logs to a group that Lambda makes up")
            continue
        if not int(template.properties(group).get("RetentionInDays", 0)) > 0:
            problems.append(f"{group} never forgets")
        role = template.properties(function["Role"].removesuffix(".Arn"))
        written = [
            (statement["Action"], statement["Resource"])
            for policy in role["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            if "logs:" in str(statement["Action"])
        ]
        if written != [(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}.Arn")]:
            problems.append(f"{name}: {written}")
        if function.get("TracingConfig"):
            variables = function["Environment"]["Variables"]
            silent = ("POWERTOOLS_TRACER_CAPTURE_RESPONSE", "POWERTOOLS_TRACER_CAPTURE_ERROR")
            problems += [f"{name}: {v}" for v in silent if variables.get(v) != "false"]
    if len(set(groups)) != len(groups):
        problems.append("functions share a log group")
    return problems


Check = Callable[[Expanded], list[str]]
CHECKS: dict[str, Check] = {
    "rule_11_timeouts_are_in_order": timeout_problems,
    "rule_11_settling_fits_its_times": settling_problems,
    "settings_are_those_that_are_read": environment_problems,
    "rule_12_nothing_is_reserved_and_everything_bounded": capacity_problems,
    "rule_12_reports_stay_under_stripes_rate": pace_problems,
    "rule_15_snapshots_of_published_versions_only": snapstart_problems,
    "rule_37_layers_are_the_stacks_own": layer_problems,
    "rule_17_every_function_has_its_own_log_group": log_problems,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules_of_functions(template: Expanded, check: Check) -> None:
    assert check(template) == []


@pytest.mark.parametrize(("given", "mode"), [("off", "PassThrough"), ("on", "Active")])
def test_tracing_is_one_switch(given: str, mode: str) -> None:
    template = expand("production", Tracing=given)
    for name, function in template.of_type("AWS::Lambda::Function"):
        assert function["TracingConfig"] == {"Mode": mode}, name
    for name, settings in SETTINGS.items():
        is_traced = settings.from_environment(template.environment(name)).tracing
        assert is_traced is (given == "on"), name
    assert template.properties("RestApiStage")["TracingEnabled"] is (given == "on")


@pytest.mark.parametrize(
    ("runtime", "starting"),
    [
        ("python3.11", []),
        ("python3.12", ["RefundApiFunction"]),
        ("python3.14", ["RefundApiFunction"]),
    ],
)
def test_only_the_function_that_somebody_waits_for_starts_from_a_snapshot(
    runtime: str, starting: list[str]
) -> None:
    functions = expand("production", Runtime=runtime).of_type("AWS::Lambda::Function")
    assert [name for name, function in functions if "SnapStart" in function] == starting


def test_a_snapshot_can_be_done_without() -> None:
    functions = expand("production", SnapStart="off").of_type("AWS::Lambda::Function")
    assert [name for name, function in functions if "SnapStart" in function] == []


def test_authorities_of_a_private_gateway_come_by_a_layer_of_every_function() -> None:
    layer = "arn:aws:lambda:ap-southeast-1:111122223333:layer:our-authorities:1"
    template = expand("production", PrivateCaLayerArn=layer)
    for name, function in template.of_type("AWS::Lambda::Function"):
        assert function["Layers"][-1] == layer, name
        assert template.environment(name)["PRIVATE_CA"] == "/opt/private-ca.pem"
    without = expand("production")
    for name, function in without.of_type("AWS::Lambda::Function"):
        assert len(function["Layers"]) == 2, name
        assert "PRIVATE_CA" not in without.environment(name)


def _keep_versions_of(template: Expanded, function: str) -> None:
    for version, properties in template.of_type("AWS::Lambda::Version"):
        if properties["FunctionName"] == function:
            template.resources[version]["DeletionPolicy"] = "Retain"


def _snapstart(template: Expanded, **changes: str) -> None:
    template.properties("RefundApiFunction")["SnapStart"] = changes


def _statement(template: Expanded, role: str, number: int) -> dict[str, Any]:
    policy = template.properties(role)["Policies"][0]["PolicyDocument"]
    statement: dict[str, Any] = policy["Statement"][number]
    return statement


@pytest.mark.parametrize(
    ("check", "breaking"),
    [
        (timeout_problems, lambda t: t.properties("RefundApiFunction").update(Timeout=29)),
        (timeout_problems, lambda t: t.properties("RefundApiFunction").update(Timeout=60)),
        (timeout_problems, lambda t: t.properties("ReportQueue").update(VisibilityTimeout=300)),
        (timeout_problems, lambda t: t.environment("RefundApiFunction").update(LEASE_SECONDS="45")),
        (
            timeout_problems,
            lambda t: t.environment("ReportRefundFunction").update(REPORT_LEASE_SECONDS="60"),
        ),
        (settling_problems, lambda t: t.properties("SettleRefundsFunction").update(Timeout=100)),
        (
            settling_problems,
            lambda t: t.environment("SettleRefundsFunction").update(LEASE_SECONDS="30"),
        ),
        (
            settling_problems,
            lambda t: t.environment("SettleRefundsFunction").update(REPORT_MAX_RECEIVES="9"),
        ),
        (
            settling_problems,
            lambda t: t.environment("SettleRefundsFunction").update(CREDIT_NOTES="?"),
        ),
        (
            environment_problems,
            lambda t: t.environment("SettleRefundsFunction").pop("HOLD_SECONDS"),
        ),
        (
            environment_problems,
            lambda t: t.environment("ReportRefundFunction").update(HOLD_SECONDS="86400"),
        ),
        (
            capacity_problems,
            lambda t: t.properties("RefundApiFunction").update(ReservedConcurrentExecutions=5),
        ),
        (capacity_problems, lambda t: t.properties("RefundApiFunction").pop("MemorySize")),
        (
            layer_problems,
            lambda t: next(p for _, p in t.of_type("AWS::Lambda::LayerVersion")).update(
                LayerName="dependencies"
            ),
        ),
        (
            capacity_problems,
            lambda t: t.properties("RefundApiFunctionAliaslive").update(
                ProvisionedConcurrencyConfig={"ProvisionedConcurrentExecutions": 1}
            ),
        ),
        (
            capacity_problems,
            lambda t: t.properties("ReportRefundFunctionReports").pop("ScalingConfig"),
        ),
        (
            capacity_problems,
            lambda t: t.properties("ReportRefundFunctionReports").pop("FunctionResponseTypes"),
        ),
        (
            capacity_problems,
            lambda t: t.properties("ReportQueue")["RedrivePolicy"].update(maxReceiveCount="4"),
        ),
        (
            pace_problems,
            lambda t: t.environment("ReportRefundFunction").update(STRIPE_REPORTS_PER_SECOND="13"),
        ),
        (snapstart_problems, lambda t: _keep_versions_of(t, "RefundApiFunction")),
        (snapstart_problems, lambda t: _snapstart(t, ApplyOn="Everything")),
        (log_problems, lambda t: t.properties("RefundApiFunction").pop("LoggingConfig")),
        (log_problems, lambda t: t.properties("RefundApiLogs").pop("RetentionInDays")),
        (
            log_problems,
            lambda t: t.properties("RefundApiFunction")["LoggingConfig"].update(
                LogGroup="ReportRefundLogs"
            ),
        ),
        (log_problems, lambda t: _statement(t, "RefundApiRole", 0).update(Resource="*")),
        (
            log_problems,
            lambda t: t.environment("RefundApiFunction").pop("POWERTOOLS_TRACER_CAPTURE_ERROR"),
        ),
    ],
)
def test_their_checks_notice(
    to_break: Expanded, check: Check, breaking: Callable[[Any], Any]
) -> None:
    breaking(to_break)
    assert check(to_break)
