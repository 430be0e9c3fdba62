"""Notes become metrics: the right ones, in bounds, and never to the harm of what is noted."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from refund_bridge.adapters.telemetry.meters import CALLS, METERS, PROCESSORS, SERIES_MAX, Meter
from refund_bridge.adapters.telemetry.metric_telemetry import Meters, MetricTelemetry, metered
from refund_bridge.processors.registry import REGISTRY
from tests.fakes.world import FakeTelemetry

NAMESPACE = "RefundBridge/test"
SUCCESS: dict[str, Any] = {
    "outcome": "succeeded",
    "processor": "hitpay",
    "amount": 2500,
    "currency": "sgd",
}


class Booth:
    """Telemetry, what it passes on, and what it has written."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.passed_on = FakeTelemetry()
        self.meters = Meters(NAMESPACE)
        self.note = MetricTelemetry(self.passed_on, self.meters).note

    def written(self) -> list[dict[str, Any]]:
        """The lines that are written when the invocation ends."""
        self.meters.write()
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def booth(capsys: pytest.CaptureFixture[str]) -> Booth:
    return Booth(capsys)


def test_a_note_is_passed_on_whether_it_is_counted_or_not(booth: Booth) -> None:
    booth.note("webhook_refused")
    booth.note("nobody_counts_this", refund_id="rfd_1")
    assert booth.passed_on.notes == [
        ("webhook_refused", {}),
        ("nobody_counts_this", {"refund_id": "rfd_1"}),
    ]


def test_an_event_is_counted_without_dimensions(booth: Booth) -> None:
    booth.note("webhook_refused")
    booth.note("webhook_refused")
    (line,) = booth.written()
    assert line["WebhooksRefused"] == [1, 1]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": NAMESPACE,
        "Dimensions": [[]],
        "Metrics": [{"Name": "WebhooksRefused", "Unit": "Count"}],
    }


def test_no_function_makes_series_of_its_own(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "refund_api")
    booth.note("webhook_refused")
    (line,) = booth.written()
    assert "service" not in line


def test_a_success_is_counted_by_processor_and_summed_by_currency(booth: Booth) -> None:
    booth.note("refund_moved", refund_id="rfd_1", **SUCCESS)
    (line,) = booth.written()
    outcomes, amounts = line["_aws"]["CloudWatchMetrics"]
    assert outcomes["Dimensions"] == [["processor", "outcome"]]
    assert (line["processor"], line["outcome"]) == ("hitpay", "succeeded")
    assert line["RefundOutcomes"] == [1]
    assert amounts["Dimensions"] == [["currency"]]
    assert (line["currency"], line["RefundedAmount"]) == ("sgd", [2500])
    assert amounts["Metrics"] == [{"Name": "RefundedAmount", "Unit": "None"}]


@pytest.mark.parametrize("event", ["webhook_delivered", "webhook_not_taken"])
def test_whether_a_webhook_was_taken_or_not_its_age_is_its_lag(booth: Booth, event: str) -> None:
    # When a webhook of a line that is a second old was tried
    booth.note(event, refund_id="rfd_1", age_ms=1000)
    # Then the attempt is counted, and how late it is, in milliseconds
    (line,) = booth.written()
    counted = {
        "webhook_delivered": "WebhooksDelivered",
        "webhook_not_taken": "WebhookAttemptsFailed",
    }
    assert {name: line[name] for name in line if name != "_aws"} == {
        counted[event]: [1],
        "WebhookLag": [1000],
    }
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {"Name": "WebhookLag", "Unit": "Milliseconds"} in directive["Metrics"]


def test_what_waits_although_no_address_refused_it_is_one_count(booth: Booth) -> None:
    # When an address's parameter is missing, and a message could not be looked at
    booth.note("webhook_address_missing", address_id="we_1", reason="missing")
    booth.note("webhook_not_tried", receive=3, error="LedgerUnavailableError")
    # Then both are counted as not tried
    (line,) = booth.written()
    assert line["WebhooksNotTried"] == [1, 1]


def called(provider: str, call: str, took_ms: int) -> dict[str, Any]:
    return {"provider": provider, "call": call, "took_ms": took_ms, "failed": 0}


def test_what_an_invocation_counted_stands_on_as_few_lines_as_hold_it(booth: Booth) -> None:
    # Given the calls of a refund, and what became of it
    for call in (("stripe", "read", 150), ("hitpay", "read", 100), ("hitpay", "refund", 600)):
        booth.note("provider_called", **called(*call))
    booth.note("refund_moved", refund_id="rfd_1", **SUCCESS)
    # Then whatever differs in a dimension has a line of its own, and the rest stands beside it
    lines = booth.written()
    told = [{name: line[name] for name in line if name != "_aws"} for line in lines]
    stripe = {"provider": "stripe", "call": "read", "ProviderLatency": [150]}
    hitpay = {"provider": "hitpay", "call": "read", "ProviderLatency": [100]}
    refund = {"provider": "hitpay", "call": "refund", "ProviderLatency": [600]}
    success = {"processor": "hitpay", "outcome": "succeeded", "RefundOutcomes": [1]}
    amount = {"currency": "sgd", "RefundedAmount": [2500]}
    assert told == [
        stripe | {"ProviderFailures": [0]} | success | amount,
        hitpay | {"ProviderFailures": [0, 0]},
        refund,
    ]
    # And every directive names its own dimensions, of which its line has the values
    dimensions = [
        [one["Dimensions"] for one in line["_aws"]["CloudWatchMetrics"]] for line in lines
    ]
    calls, failures = [["provider", "call"]], [["provider"]]
    assert dimensions == [
        [calls, failures, [["processor", "outcome"]], [["currency"]]],
        [calls, failures],
        [calls],
    ]


def test_two_series_of_a_metric_never_share_a_line(booth: Booth) -> None:
    # Given two series of equal values, which differ in a dimension that is all that they have
    for currency in ("sgd", "usd"):
        booth.note("refund_moved", refund_id="rfd_1", **SUCCESS | {"currency": currency})
    first, second = booth.written()
    assert (first["currency"], first["RefundedAmount"]) == ("sgd", [2500])
    assert (second["currency"], second["RefundedAmount"]) == ("usd", [2500])
    assert "RefundOutcomes" not in second


def test_only_what_succeeded_is_summed(booth: Booth) -> None:
    booth.note("refund_moved", refund_id="rfd_1", **SUCCESS | {"outcome": "failed"})
    (line,) = booth.written()
    assert line["RefundOutcomes"] == [1]


def test_no_id_comes_into_a_metric(booth: Booth) -> None:
    for event, meters in METERS.items():
        facts = dict.fromkeys(("refund_id", "charge", "caller", "reason"), "rfd_secret")
        booth.note(event, **facts, **example(meters))
    lines = booth.written()
    assert lines
    assert "rfd_secret" not in json.dumps(lines)


def example(meters: tuple[Meter, ...]) -> dict[str, Any]:
    """Facts of an event that all of these meters count."""
    facts: dict[str, Any] = {}
    for meter in meters:
        facts |= dict(zip(meter.dimensions, meter.series[0], strict=True)) | dict(meter.where)
        facts |= {} if meter.value is None else {meter.value: 7}
    return facts


@pytest.mark.parametrize(
    "strange",
    [{"currency": "xxx"}, {"currency": None}, {"amount": "25.00"}, {"amount": None}],
)
def test_what_is_on_no_list_is_not_counted_by_it(booth: Booth, strange: dict[str, Any]) -> None:
    booth.note("refund_moved", **SUCCESS | strange)
    (line,) = booth.written()
    assert "RefundedAmount" not in line


def test_a_word_of_somebody_elses_makes_no_series(booth: Booth) -> None:
    booth.note("provider_called", provider="hitpay", call="anything", took_ms=1, failed=0)
    (line,) = booth.written()
    assert (line["provider"], line["ProviderFailures"]) == ("hitpay", [0])


def test_with_two_processors_all_series_together_are_few() -> None:
    others = PROCESSORS[2:]
    series = {
        (meter.name, words)
        for meters in METERS.values()
        for meter in meters
        for words in meter.series
        if not set(words) & set(others)
    }
    assert len(series) <= SERIES_MAX


def test_whoever_moves_money_is_told_apart() -> None:
    assert set(PROCESSORS) == set(REGISTRY)
    assert {provider for provider, _ in CALLS} == {*REGISTRY, "stripe"}


def test_a_metric_has_one_form_wherever_it_is_fed() -> None:
    forms: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for meters in METERS.values():
        for meter in meters:
            forms.setdefault(meter.name, set()).add((meter.unit.value, meter.dimensions))
    assert [name for name, found in forms.items() if len(found) > 1] == []


def test_many_values_are_written_before_there_are_too_many(
    booth: Booth, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(250):
        booth.note("webhook_refused")
    early = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(line["WebhooksRefused"]) for line in early] == [100, 100]
    assert [len(line["WebhooksRefused"]) for line in booth.written()] == [50]


def test_nothing_is_written_twice_and_nothing_without_values(booth: Booth) -> None:
    booth.note("webhook_refused")
    assert len(booth.written()) == 1
    assert booth.written() == []
    for _ in range(100):
        booth.note("webhook_refused")
    assert len(booth.written()) == 1
    assert booth.written() == []


def test_threads_lose_no_count(booth: Booth) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: booth.note("webhook_refused"), range(800)):
            pass
    assert sum(len(line["WebhooksRefused"]) for line in booth.written()) == 800


class Handlers:
    """Handlers of a function whose meters are full."""

    def __init__(self, meters: Meters) -> None:
        @metered(meters)
        def answers(event: dict[str, int], context: None) -> int:
            MetricTelemetry(FakeTelemetry(), meters).note("webhook_refused")
            return event["answer"]

        @metered(meters)
        def fails(event: dict[str, int], context: None) -> int:
            MetricTelemetry(FakeTelemetry(), meters).note("webhook_refused")
            raise LookupError("the handler's own")

        self.answers, self.fails = answers, fails


@pytest.mark.parametrize("fails", [False, True])
def test_an_invocations_metrics_are_written_when_it_ends(
    fails: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = Handlers(Meters(NAMESPACE))
    if fails:
        with pytest.raises(LookupError, match="the handler's own"):
            handlers.fails({}, None)
    else:
        assert handlers.answers({"answer": 42}, None) == 42
    assert json.loads(capsys.readouterr().out)["WebhooksRefused"] == [1]


@pytest.fixture
def no_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics that cannot be written: they have nowhere to belong."""
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE", raising=False)


def test_metrics_that_cannot_be_written_are_no_failure(
    no_namespace: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert Handlers(Meters()).answers({"answer": 42}, None) == 42
    assert caplog.messages == ["metrics_not_written: SchemaValidationError"]


def test_nor_is_a_note_that_cannot_be_counted(no_namespace: None) -> None:
    passed_on = FakeTelemetry()
    telemetry = MetricTelemetry(passed_on, Meters())
    for _ in range(100):
        telemetry.note("webhook_refused")
    assert passed_on.notes[-1] == (
        "not_counted",
        {"metric": "WebhooksRefused", "error": "SchemaValidationError"},
    )
