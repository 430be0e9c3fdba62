"""Rule 27 of AWS: alarms and dashboard read what is written, and all that is written is read.

What is written comes from the code: every event that is counted is noted, with every series that it
can have, and the lines of the embedded metric format are read as CloudWatch reads them.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import refund_bridge
from deployed import paths
from refund_bridge.adapters.telemetry.meters import METERS, Meter
from refund_bridge.adapters.telemetry.metric_telemetry import Meters, MetricTelemetry
from refund_bridge.domain.outcome import News
from refund_bridge.domain.stripe_knows import Alarm
from tests.fakes.world import FakeTelemetry
from tests.template.expansion import Expanded, expand

PRODUCT = Path(refund_bridge.__file__).parent
RUNBOOK = paths.ROOT / "docs" / "runbook.md"
# Where nothing is counted because nothing ran, that is the alarm; everywhere else it is well.
EVERY_MINUTE = {"OldestOpenAge", "SettleRuns"}
# What CodeDeploy takes the old version back for.
CANARIES = ["FunctionErrorsAlarm", "ServerErrorsAlarm"]
# AWS's own metrics, with the dimensions under which it counts them.
OF_AWS = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ["QueueName"],
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): ["QueueName"],
    ("AWS/Lambda", "Errors"): ["FunctionName"],
    ("AWS/Lambda", "Throttles"): ["FunctionName"],
    ("AWS/Lambda", "IteratorAge"): ["FunctionName"],
    ("AWS/ApiGateway", "Count"): ["ApiName", "Stage"],
    ("AWS/ApiGateway", "4XXError"): ["ApiName", "Stage"],
    ("AWS/ApiGateway", "5XXError"): ["ApiName", "Stage"],
    ("AWS/ApiGateway", "Latency"): ["ApiName", "Stage"],
}


# Of the processors the template does not know which are set up.
SEARCH = re.compile(
    r"SEARCH\('\{\"(?P<namespace>[^\"]+)\",(?P<names>[\w,]+)\} "
    r"MetricName=\"(?P<name>\w+)\"', '[\w.]+', 300\)"
)


@dataclass(frozen=True)
class Series:
    """One metric of one combination of dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


def written(namespace: str, capsys: pytest.CaptureFixture[str]) -> dict[Series, str]:
    """Every series that the functions write, with its unit."""
    meters = Meters(namespace)
    telemetry = MetricTelemetry(FakeTelemetry(), meters)
    for event, fed in METERS.items():
        for meter in fed:
            for words in meter.series:
                telemetry.note(event, **_facts(meter, words))
    capsys.readouterr()
    meters.write()
    return dict(
        found
        for line in capsys.readouterr().out.splitlines()
        for found in _series_of(json.loads(line))
    )


def _facts(meter: Meter, words: tuple[str, ...]) -> dict[str, Any]:
    value = {} if meter.value is None else {meter.value: 1}
    return dict(meter.where) | dict(zip(meter.dimensions, words, strict=True)) | value


def _series_of(line: dict[str, Any]) -> Iterator[tuple[Series, str]]:
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = tuple(sorted((name, line[name]) for name in names))
            for metric in directive["Metrics"]:
                assert metric["Name"] in line
                yield Series(directive["Namespace"], metric["Name"], dimensions), metric["Unit"]


def alarm_series(alarm: dict[str, Any]) -> list[Series]:
    """What an alarm looks at."""
    stats = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", ()) if "MetricStat" in one]
    return [
        Series(
            one["Namespace"],
            one["MetricName"],
            tuple(sorted((d["Name"], d["Value"]) for d in one.get("Dimensions", ()))),
        )
        for one in stats or [alarm]
    ]


def widgets(template: Expanded) -> list[dict[str, Any]]:
    """The dashboard's parts."""
    ((_, dashboard),) = template.of_type("AWS::CloudWatch::Dashboard")
    parts: list[dict[str, Any]] = json.loads(dashboard["DashboardBody"])["widgets"]
    return parts


def widget_series(template: Expanded, ours: Iterable[Series] = ()) -> list[Series]:
    """What the dashboard shows; of ``ours``, those too that it finds by a search."""
    found = []
    for widget in widgets(template):
        for metric in widget["properties"].get("metrics", ()):
            if search := SEARCH.fullmatch(str(dict(metric[-1]).get("expression"))):
                found += _searched(ours, **search.groupdict())
                continue
            namespace, name, *pairs = [part for part in metric if isinstance(part, str)]
            found.append(
                Series(
                    namespace,
                    name,
                    tuple(sorted(zip(pairs[::2], pairs[1::2], strict=True))),
                )
            )
    return found


def _searched(ours: Iterable[Series], namespace: str, names: str, name: str) -> list[Series]:
    """What CloudWatch's SEARCH finds: exactly these dimensions, of any value."""
    dimensions = names.split(",")
    matches = [
        one
        for one in ours
        if (one.namespace, one.name) == (namespace, name)
        and {dimension for dimension, _ in one.dimensions} == set(dimensions)
    ]
    return matches or [Series(namespace, name, tuple((one, "any") for one in sorted(dimensions)))]


def alarms(template: Expanded) -> dict[str, dict[str, Any]]:
    """All alarms by their logical ids."""
    return dict(template.of_type("AWS::CloudWatch::Alarm"))


def series_problems(template: Expanded, ours: dict[Series, str]) -> list[str]:
    """Every series that is read and not written, written and not read, or of another unit."""
    problems = []
    shown = widget_series(template, ours)
    watched = [(name, a, one) for name, a in alarms(template).items() for one in alarm_series(a)]
    for where, one in [(name, one) for name, _, one in watched] + [("dashboard", s) for s in shown]:
        if one.namespace.startswith("RefundBridge/"):
            if one not in ours:
                problems.append(f"{where}: nobody writes {one}")
        elif [name for name, _ in one.dimensions] != OF_AWS.get((one.namespace, one.name)):
            problems.append(f"{where}: AWS counts no {one}")
    for name, alarm, one in watched:
        if one in ours and alarm.get("Unit") != ours[one]:
            problems.append(f"{name}: {alarm.get('Unit')}, but {one.name} is in {ours[one]}")
    problems += [f"nobody shows {one}" for one in ours.keys() - set(shown)]
    return problems


def alarm_problems(template: Expanded) -> list[str]:
    """An alarm says what to do, and knows what silence means."""
    problems = []
    for name, alarm in alarms(template).items():
        slug = alarm["AlarmName"].removeprefix(f"{template.stack_name}-")
        if not alarm["AlarmDescription"].endswith(f" See docs/runbook.md#{slug}"):
            problems.append(f"{name} names no page, or another's")
        own = alarm.get("MetricName")
        wanted = "breaching" if own in EVERY_MINUTE else "notBreaching"
        if alarm["TreatMissingData"] != wanted:
            problems.append(f"{name}: silence is {alarm['TreatMissingData']}, not {wanted}")
        if alarm.get("DatapointsToAlarm", 1) > alarm["EvaluationPeriods"]:
            problems.append(f"{name} can never ring")
    return problems


def dead_letter_problems(template: Expanded) -> list[str]:
    """Every queue of dead letters rings, and is shown."""
    dead = {
        properties["QueueName"]
        for queue, properties in template.of_type("AWS::SQS::Queue")
        if queue.endswith("DeadLetterQueue")
    }
    rung = {
        value
        for alarm in alarms(template).values()
        for one in alarm_series(alarm)
        for _, value in one.dimensions
        if one.name == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 0
    }
    shown = {value for one in widget_series(template) for _, value in one.dimensions}
    return [f"{name} is silent" for name in dead - rung] + [f"{n} is hidden" for n in dead - shown]


def function_problems(template: Expanded) -> list[str]:
    """The alarms on functions look at all of them."""
    functions = {p["FunctionName"] for _, p in template.of_type("AWS::Lambda::Function")}
    problems = []
    for name in ("ThrottlesAlarm", "FunctionErrorsAlarm"):
        series = alarm_series(alarms(template)[name])
        watched = {value for one in series for _, value in one.dimensions}
        problems += [f"{name} overlooks {one}" for one in functions - watched]
    return problems


def name_problems(template: Expanded) -> list[str]:
    """What is looked at by its name is there: a queue, a function, an API."""
    there = {
        name
        for kind, word in (("SQS::Queue", "QueueName"), ("Lambda::Function", "FunctionName"))
        for _, properties in template.of_type(f"AWS::{kind}")
        for name in [properties[word]]
    }
    of_alarms = [one for alarm in alarms(template).values() for one in alarm_series(alarm)]
    return [
        f"{one.name} of {value}, which is not there"
        for one in [*of_alarms, *widget_series(template)]
        for word, value in one.dimensions
        if word in ("QueueName", "FunctionName") and value not in there
    ]


def dashboard_problems(template: Expanded) -> list[str]:
    """No part covers another, none leaves the page, and every alarm is on it."""
    problems = []
    taken: set[tuple[int, int]] = set()
    for widget in widgets(template):
        x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
        cells = {(x + i, y + j) for i in range(width) for j in range(height)}
        title = widget["properties"]["title"]
        if cells & taken or x + width > 24:
            problems.append(f"{title} has no room")
        taken |= cells
    (listed,) = [w["properties"]["alarms"] for w in widgets(template) if w["type"] == "alarm"]
    missing = {f"{name}.Arn" for name in alarms(template)} ^ set(listed)
    return problems + [f"{name} is in one of template and dashboard" for name in missing]


Check = Callable[[Expanded], list[str]]
CHECKS: dict[str, Check] = {
    "alarms_name_their_page_and_know_silence": alarm_problems,
    "dead_letters_are_never_silent": dead_letter_problems,
    "no_function_is_overlooked": function_problems,
    "what_is_looked_at_is_there": name_problems,
    "the_dashboard_has_room_for_everything": dashboard_problems,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules_of_metrics(template: Expanded, check: Check) -> None:
    assert check(template) == []


def test_what_is_read_is_written_and_what_is_written_is_read(
    template: Expanded, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = template.environment("RefundApiFunction")["POWERTOOLS_METRICS_NAMESPACE"]
    assert namespace == f"RefundBridge/{template.stack_name}"
    assert series_problems(template, written(namespace, capsys)) == []


def _in_dashboard(template: Expanded, text: str, other: str) -> None:
    dashboard = template.properties("Dashboard")
    dashboard["DashboardBody"] = dashboard["DashboardBody"].replace(text, other)


@pytest.mark.parametrize(
    "breaking",
    [
        lambda t: t.properties("ReviewAlarm").update(MetricName="Reviews"),
        lambda t: t.properties("ReviewAlarm").update(Namespace="RefundBridge/another"),
        lambda t: t.properties("ReviewAlarm").update(Unit="Seconds"),
        lambda t: t.properties("ReviewAlarm").pop("Unit"),
        lambda t: t.properties("ReviewAlarm").update(Dimensions=[{"Name": "a", "Value": "b"}]),
        lambda t: t.properties("ServerErrorsAlarm").update(MetricName="5XX"),
        lambda t: t.properties("Dashboard").update(DashboardBody='{"widgets": []}'),
        lambda t: _in_dashboard(t, "RefundOutcomes", "RefundResults"),
        lambda t: _in_dashboard(t, "outcome,processor", "outcome"),
    ],
)
def test_a_misspelling_would_be_noticed(
    to_break: Expanded, breaking: Callable[[Any], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(to_break)
    assert series_problems(to_break, written(f"RefundBridge/{to_break.stack_name}", capsys))


@pytest.mark.parametrize(
    ("check", "breaking"),
    [
        (alarm_problems, lambda t: t.properties("ReviewAlarm").update(AlarmDescription="Look!")),
        (alarm_problems, lambda t: t.properties("ReviewAlarm").update(TreatMissingData="missing")),
        (
            alarm_problems,
            lambda t: t.properties("SettleHeartbeatAlarm").update(TreatMissingData="notBreaching"),
        ),
        (alarm_problems, lambda t: t.properties("ReportLagAlarm").update(DatapointsToAlarm=5)),
        (dead_letter_problems, lambda t: t.resources.pop("EventDeadLettersAlarm")),
        (dead_letter_problems, lambda t: t.properties("EventDeadLettersAlarm").update(Threshold=9)),
        (function_problems, lambda t: t.properties("ThrottlesAlarm")["Metrics"].pop()),
        (name_problems, lambda t: t.properties("ReportQueue").update(QueueName="reports")),
        (name_problems, lambda t: t.properties("SweepChargesFunction").update(FunctionName="s")),
        (dashboard_problems, lambda t: t.resources.pop("ReviewAlarm")),
    ],
)
def test_their_checks_notice(
    to_break: Expanded, check: Check, breaking: Callable[[Any], Any]
) -> None:
    breaking(to_break)
    assert check(to_break)


def test_every_alarm_has_its_page_and_no_page_is_left_over(template: Expanded) -> None:
    named = {alarm["AlarmDescription"].rpartition("#")[2] for alarm in alarms(template).values()}
    text = RUNBOOK.read_text()
    pages = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.M)}
    assert named - pages == set()
    for page in re.split(r"^(?=## )", text, flags=re.M):
        heading = page.partition("\n")[0].removeprefix("## ").lower().replace(" ", "-")
        if heading in named:
            for part in ("**What it means.**", "**How to look.**", "**What to do.**", "**Never**"):
                assert part in page, f"{heading} lacks {part}"


def test_without_a_topic_nobody_is_told_and_nothing_is_made(template: Expanded) -> None:
    assert not list(template.of_type("AWS::SNS::Topic"))
    assert [name for name, alarm in alarms(template).items() if "AlarmActions" in alarm] == []


def test_by_mail_there_is_a_topic_that_only_these_alarms_may_use() -> None:
    template = expand("production", AlarmEmail="night@example.com")
    for alarm in alarms(template).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["AlarmTopic"]
    assert template.properties("AlarmSubscription") == {
        "TopicArn": "AlarmTopic",
        "Protocol": "email",
        "Endpoint": "night@example.com",
    }
    deny, allow = template.properties("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )
    assert (allow["Effect"], allow["Principal"]) == (
        "Allow",
        {"Service": "cloudwatch.amazonaws.com"},
    )
    assert allow["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {
            "aws:SourceArn": "arn:aws:cloudwatch:ap-southeast-1:111122223333:"
            "alarm:refund-bridge-production-*"
        },
    }


def test_a_topic_that_is_there_already_is_used_as_it_is() -> None:
    topic = "arn:aws:sns:ap-southeast-1:111122223333:nights"
    template = expand("production", AlarmTopicArn=topic)
    assert not [k for k in template.resources.values() if k["Type"].startswith("AWS::SNS::")]
    for alarm in alarms(template).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]


def test_rule_6_a_new_version_that_fails_is_taken_back() -> None:
    gradual = expand("production", Gradual="true")
    groups = dict(gradual.of_type("AWS::CodeDeploy::DeploymentGroup"))
    assert len(groups) == len(list(gradual.of_type("AWS::Lambda::Function")))
    for name, group in groups.items():
        watching = group["AlarmConfiguration"]
        assert [one["Name"] for one in watching["Alarms"]] == CANARIES, name
        assert watching["Enabled"] is True
    for canary in CANARIES:
        assert gradual.properties(canary)["TreatMissingData"] == "notBreaching"


# Events whose name is computed, by the expression that names them.
COMPUTED: dict[str, Sequence[str]] = {
    "f'refund_{news}'": [f"refund_{news}" for news in News],
    "found.alarm": list(Alarm),
}


@cache
def noted_facts() -> dict[str, list[set[str]]]:
    """Every event that the code notes, with the facts that it gives."""
    found: dict[str, list[set[str]]] = {}
    sources = [*PRODUCT.rglob("*.py"), *(paths.ROOT / "functions").rglob("*.py")]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if _is_note(node):
                facts = {keyword.arg or "" for keyword in node.keywords}  # type: ignore[attr-defined]
                for name in _names(node.args[0]):  # type: ignore[attr-defined]
                    found.setdefault(name, []).append(facts)
    return found


def _names(name: ast.expr) -> list[str]:
    """The events that an expression can name."""
    if isinstance(name, ast.Constant):
        return [str(name.value)]
    return [str(one) for one in COMPUTED.get(ast.unparse(name), ())]


def _is_note(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "note"
        and bool(node.args)
    )


@pytest.mark.parametrize("event", METERS)
def test_what_is_counted_is_noted_with_the_facts_that_it_is_counted_by(event: str) -> None:
    needed = {
        name
        for meter in METERS[event]
        for name in (*meter.dimensions, *meter.where, *([meter.value] if meter.value else ()))
    }
    noted = noted_facts()[event]
    assert noted
    assert [needed - facts for facts in noted if needed - facts] == []
