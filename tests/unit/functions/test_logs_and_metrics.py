"""What the functions write while they work: lines that name what they are about, and no secret.

Every handler runs as Lambda runs it, on a world in memory; what lands in its log is read back.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Logger

import functions.refund_api.app as refund_api_app
import functions.refund_requested.app as refund_requested_app
import functions.report_refund.app as report_refund_app
import functions.settle_refunds.app as settle_refunds_app
import functions.sweep_charges.app as sweep_charges_app
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.bootstrap.refund_requested import RefundRequestedWorld
from refund_bridge.bootstrap.report_refund import ReportRefundWorld
from refund_bridge.bootstrap.settle_refunds import SettleRefundsWorld
from refund_bridge.bootstrap.sweep_charges import SweepChargesWorld
from refund_bridge.bootstrap.telemetry import meters, telemetry_of
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.events.accept import AcceptRefund, RefuseRequest
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import READ, WRITE, ApiKeyHolder, KeyCallers
from refund_bridge.settling.open_refunds import MeasureOpenRefunds
from tests.fakes.api import api_on
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.payouts import payout_rules
from tests.fakes.processor_fates import RequestLost
from tests.fakes.stripe_fates import ReportLost
from tests.fakes.world import STAGE, World
from tests.unit.events.test_requested import message

API_KEY = "rbk_of-the-shop"
# What callers and providers may send along, and no line may repeat.
PRIVATE = {
    "reason": "Ada Lovelace, ada@example.com, asked for it",
    "metadata": {"card": "4242424242424242", "iban": "GB33BUKB20201555555555"},
}
SECRETS = [API_KEY, "Bearer", "ada@example.com", "Ada Lovelace", "4242424242424242", "GB33BUKB"]
SECRETS += ["stripe-text-of-somebody", "203.0.113.7"]
# Every field that a line may have; a new one is looked at first.
FIELDS = {
    # of Powertools and Lambda
    *("level", "message", "timestamp", "service", "cold_start", "function_request_id"),
    "xray_trace_id",
    # which one
    *("request_id", "message_id", "event_id", "refund_id", "charge", "caller", "processor"),
    # what
    *(
        "attempt",
        "outcome",
        "before",
        "after",
        "amount",
        "currency",
        "code",
        "reason",
        "receive",
        "error",
    ),
    *("settled", "oldest_s", "pending", "unknown", "review", "age_ms", "lag_ms", "attempts"),
    *("provider", "operation", "call", "failed", "took_ms", "verdict", "rings"),
    *("pages", "payments", "differing", "events"),
}
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:x:1:function:f:live",
    aws_request_id="lambda-request",
)


class Stdout:
    """Whatever stands for standard output just now: pytest changes it from phase to phase."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


class Keys:
    """A ring with one key that may do everything, and one that may only read."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        if bearer_token == API_KEY:
            return ApiKeyHolder("shop", frozenset({READ, WRITE}))
        return ApiKeyHolder("kiosk", frozenset({READ})) if bearer_token == "reader" else None


class Running:
    """The functions on one world, and what they have written."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logger: Logger
    ) -> None:
        self._capsys = capsys
        self.world = world = World()
        world.pay()
        telemetry = telemetry_of(logger)
        monkeypatch.setattr(world.telemetry, "note", telemetry.note)
        self.calls = ProviderCalls("hitpay", world.clock, telemetry)
        self.dead = FakeDeadLetters()
        anything: Any = SimpleNamespace(wait=lambda: None, hide=self._hide, hurry=self._hide)
        worlds = {
            "refund_api": api_on(
                world, KeyCallers(Keys(), AddressThrottle(world.clock), telemetry)
            ),
            "report_refund": ReportRefundWorld(
                report=world.report_refund,
                clock=world.clock,
                pace=anything,
                backoff=anything,
                concurrency=2,
                max_receives=8,
            ),
            "settle_refunds": SettleRefundsWorld(
                run=world.settle_run,
                measure=MeasureOpenRefunds(
                    listing=world.listing, clock=world.clock, telemetry=telemetry
                ),
                announce=lambda _: 0,  # type: ignore[arg-type]
                ring_again=lambda _: 0,  # type: ignore[arg-type]
                clock=world.clock,
                settle_seconds=60,
            ),
            "sweep_charges": SweepChargesWorld(sweep=world.sweep, clock=world.clock),
            "refund_requested": RefundRequestedWorld(
                stage=STAGE,
                accept=AcceptRefund(execute=world.execute, stage=STAGE, new_token=world.new_token),
                refuse=RefuseRequest(
                    bus=FakeEventBus(),
                    dead_letters=self.dead,
                    clock=world.clock,
                    telemetry=telemetry,
                ),
                clock=world.clock,
                backoff=anything,
                max_receives=8,
                payouts=payout_rules(),
                sources=frozenset({"demo.orders"}),
            ),
        }
        for name, one in worlds.items():
            monkeypatch.setattr(f"functions.{name}.app.{name}", lambda _, one=one: one)

    def _hide(self, *_: object, **__: object) -> None:
        return

    def post(self, key: str, body: dict[str, Any], *, token: str = API_KEY) -> dict[str, Any]:
        """A call of a shop that asks for a refund."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        sent = json.dumps({"payment_record": "pr_1"} | body)
        return self._call("POST", "/v1/refunds", token, headers, sent)

    def read(self, path: str, *, token: str) -> dict[str, Any]:
        """A call that only reads."""
        return self._call("GET", path, token, {}, None)

    def _call(
        self, method: str, path: str, token: str, headers: dict[str, str], body: str | None
    ) -> dict[str, Any]:
        return refund_api_app.handler(
            {
                "httpMethod": method,
                "path": path,
                "resource": "/v1/{proxy+}",
                "headers": headers | {"Authorization": f"Bearer {token}"},
                "requestContext": {
                    "requestId": "gateway-request",
                    "identity": {"sourceIp": "203.0.113.7"},
                },
                "body": body,
            },
            CONTEXT,  # type: ignore[arg-type]
        )

    def report(self, *bodies: str) -> Any:
        """The reporter hears these messages."""
        return report_refund_app.handler({"Records": _records(bodies)}, CONTEXT)  # type: ignore[arg-type]

    def request(self, *bodies: str) -> Any:
        """These events ask for refunds."""
        return refund_requested_app.handler({"Records": _records(bodies)}, CONTEXT)  # type: ignore[arg-type]

    def settle(self) -> None:
        settle_refunds_app.handler({}, CONTEXT)  # type: ignore[arg-type]

    def sweep(self) -> None:
        sweep_charges_app.handler({}, CONTEXT)  # type: ignore[arg-type]

    def written(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The lines of the log, and those that are metrics."""
        out = self._capsys.readouterr().out
        for secret in SECRETS:
            assert secret not in out
        lines = [json.loads(line) for line in out.splitlines()]
        return [one for one in lines if "_aws" not in one], [one for one in lines if "_aws" in one]


def _records(bodies: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "messageId": f"message-{number}",
            "receiptHandle": f"receipt-{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:x:1:q",
        }
        for number, body in enumerate(bodies)
    ]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Running:
    """The functions, whose loggers write where the test reads."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RefundBridge/test")
    for app in APPS:
        monkeypatch.setattr(app.logger.registered_handler, "stream", Stdout())
    meters.write()
    capsys.readouterr()
    return Running(monkeypatch, capsys, refund_api_app.logger)


APPS = (
    refund_api_app,
    refund_requested_app,
    report_refund_app,
    settle_refunds_app,
    sweep_charges_app,
)


def doorbell(refund_id: str) -> str:
    return json.dumps({"refund_id": refund_id, "schema_version": 1})


def values_of(metrics: list[dict[str, Any]]) -> dict[str, list[float]]:
    """All values of each metric."""
    found: dict[str, list[float]] = {}
    for line in metrics:
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                found.setdefault(metric["Name"], []).extend(line[metric["Name"]])
    return found


def test_a_refund_is_told_by_its_ids_and_counted(running: Running) -> None:
    assert running.post("k", {"amount": 2500, **PRIVATE})["statusCode"] == 201
    lines, metrics = running.written()
    assert {line["message"] for line in lines} >= {"refund_sending", "refund_moved"}
    for line in lines[1:]:
        assert line["refund_id"] == refund_id_of("k", STAGE)
        assert line["request_id"] == "gateway-request"
        assert line["function_request_id"] == "lambda-request"
        assert isinstance(line["cold_start"], bool)
    assert values_of(metrics) == {"RefundOutcomes": [1.0], "RefundedAmount": [2500.0]}


@pytest.mark.parametrize(("token", "status"), [("rbk_misspelt", 401), ("reader", 403), ("", 401)])
def test_a_refused_key_is_counted_and_told_without_itself(
    running: Running, token: str, status: int
) -> None:
    assert running.post("k", PRIVATE, token=token)["statusCode"] == status
    lines, metrics = running.written()
    assert [line["message"] for line in lines] == ["api_key_refused", "answered_with_error"]
    assert "rbk_misspelt" not in str(lines)
    assert values_of(metrics) == {"ApiKeysRefused": [1.0]}


def test_a_body_that_is_refused_is_not_repeated(running: Running) -> None:
    assert running.post("k", PRIVATE | {"amuont": 5})["statusCode"] == 400
    lines, metrics = running.written()
    assert [line["message"] for line in lines] == ["call_admitted", "answered_with_error"]
    assert metrics == []


@pytest.mark.parametrize(("token", "name"), [(API_KEY, "shop"), ("reader", "kiosk")])
def test_every_line_of_a_call_that_is_let_in_names_whose_key_asked(
    running: Running, token: str, name: str
) -> None:
    # Given a call that changes nothing, so that no history tells who asked
    assert running.read("/v1/refunds/rfd_none", token=token)["statusCode"] == 404
    # Then the log does, by the key's name and never by the key
    lines, _ = running.written()
    assert [line["message"] for line in lines] == ["call_admitted", "answered_with_error"]
    assert {line["caller"] for line in lines} == {f"api_key:{name}"}
    assert {line["request_id"] for line in lines} == {"gateway-request"}
    assert token not in str(lines).replace(f"api_key:{name}", "")


def test_who_asked_a_moment_ago_stands_on_no_line_of_the_next_call(running: Running) -> None:
    running.read("/v1/refunds/rfd_none", token=API_KEY)
    running.written()
    assert running.read("/v1/refunds/rfd_none", token="rbk_misspelt")["statusCode"] == 401
    lines, _ = running.written()
    assert "shop" not in str(lines)


def test_a_report_is_told_by_its_message_and_its_refund(running: Running) -> None:
    # Given a refund that succeeded half a minute ago
    running.post("k", {"amount": 2500, **PRIVATE})
    running.world.clock.advance(30_000)
    running.written()
    # When the reporter hears of it, beside a message that is nothing
    answer = running.report(doorbell(refund_id_of("k", STAGE)), "nothing")
    # Then each line names its own message, and only the first one a refund
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    lines, metrics = running.written()
    by_message = {line["message_id"]: line for line in lines}
    assert by_message["message-0"]["refund_id"] == refund_id_of("k", STAGE)
    assert "refund_id" not in by_message["message-1"]
    assert values_of(metrics) == {"ReportLag": [30_000.0]}


def test_a_report_in_vain_is_counted_with_its_age(running: Running) -> None:
    running.post("k", {"amount": 2500})
    running.world.clock.advance(1_000_000)
    running.world.stripe.fates.append(ReportLost())
    running.written()
    running.report(doorbell(refund_id_of("k", STAGE)))
    _, metrics = running.written()
    assert values_of(metrics) == {"ReportAge": [1_000_000.0]}


def test_settling_beats_and_measures(running: Running) -> None:
    # Given a refund of unknown outcome, a minute old
    running.world.processor.fates.append(RequestLost())
    running.post("k", {"amount": 2500, **PRIVATE})
    running.world.clock.advance(60_000)
    running.written()
    # When settling runs
    running.settle()
    # Then its heartbeat is written once, with what is open
    _, metrics = running.written()
    assert values_of(metrics) == {
        "OldestOpenAge": [60.0],
        "UnknownRefunds": [1.0],
        "ReviewRefunds": [0.0],
        "SettleRuns": [1.0],
    }


def test_sweeping_beats(running: Running) -> None:
    running.sweep()
    _, metrics = running.written()
    assert values_of(metrics) == {"SweepRuns": [1.0]}


def test_a_request_by_event_is_told_by_its_message(running: Running) -> None:
    asked = {"payment_record": "pr_1", "idempotency_key": "k"} | PRIVATE
    running.request(message(asked), message(asked | {"amuont": 1}))
    lines, metrics = running.written()
    assert {line["message_id"] for line in lines} == {"message-0", "message-1"}
    assert values_of(metrics) == {"RequestsRefused": [1.0]}
    assert len(running.dead.letters) == 1


def test_a_providers_words_come_into_no_line_of_its_call(running: Running) -> None:
    with pytest.raises(ValueError, match="somebody"):
        running.calls.watch("charge", _raises)
    lines, _ = running.written()
    assert [(line["operation"], line["outcome"]) for line in lines] == [("charge", "error")]


def _raises() -> None:
    raise ValueError("stripe-text-of-somebody")


def test_no_line_has_a_field_that_nobody_has_looked_at(running: Running) -> None:
    running.post("k", {"amount": 2500, **PRIVATE})
    running.post("k", {"amount": 2500, **PRIVATE})
    running.world.processor.fates.append(RequestLost())
    running.post("lost", {"amount": 100, **PRIVATE})
    running.post("key", PRIVATE, token="misspelt")
    running.report(doorbell(refund_id_of("k", STAGE)), "nothing")
    running.request(message({"payment_record": "pr_9", "idempotency_key": "e"} | PRIVATE))
    running.world.clock.advance(60_000)
    running.settle()
    running.sweep()
    lines, _ = running.written()
    assert len(lines) > 10
    assert {field for line in lines for field in line} - FIELDS == set()
