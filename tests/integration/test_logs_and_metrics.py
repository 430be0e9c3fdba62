"""What deployed functions log: lines that machines can read, metrics, and no secrets."""

import json
from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators.hitpay import DEFAULT_KEY as HITPAY_KEY
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.simulators.stripe import DEFAULT_TEST_KEY as STRIPE_KEY
from local.stack import RunningStack

PERSONAL = ("Ada Lovelace", "ada@example.com", "4242424242424242")
# The metrics of one refund that goes well, as it passes through three functions.
OF_A_REFUND = {
    ("RefundOutcomes", "hitpay succeeded"),
    ("RefundedAmount", "sgd"),
    ("ProviderLatency", "hitpay read"),
    ("ProviderLatency", "hitpay refund"),
    ("ProviderLatency", "stripe read"),
    ("ProviderLatency", "stripe report"),
    ("ProviderFailures", "hitpay"),
    ("ProviderFailures", "stripe"),
    ("ReportLag", ""),
    ("EventsPublished", ""),
    ("SettleRuns", ""),
    ("OldestOpenAge", ""),
}

# How the log tells a refund's way.
WAY = {"refund_sending", "refund_moved", "refund_reported"}


def lines_of(stack: RunningStack) -> list[dict[str, Any]]:
    """Everything that the functions have written so far, each line by itself."""
    groups = [value for name, value in stack.outputs.items() if name.endswith("LogGroup")]
    found = []
    for group in groups:
        pages = stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        messages = [event["message"] for page in pages for event in page["events"]]
        found += [line for message in messages for line in message.splitlines()]
    # Lambda's own lines (START, END, REPORT) are not JSON.
    return [json.loads(line) for line in found if line.startswith("{")]


def metrics_in(lines: list[dict[str, Any]], namespace: str) -> set[tuple[str, str]]:
    """The names of the metrics that were written, with the values of their dimensions."""
    found = set()
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert directive["Namespace"] == namespace
            (dimensions,) = directive["Dimensions"]
            words = " ".join(line[name] for name in sorted(dimensions, reverse=True))
            found |= {(metric["Name"], words) for metric in directive["Metrics"]}
    return found


@pytest.fixture
def refund_id(stack: RunningStack, api: RefundApiClient) -> str:
    """A refund with personal data in the words of its caller."""
    payment = DemoPayment("logs", 5000)
    stack.control.seed(seed_of(payment))
    answer = api.create_refund(
        "logs",
        payment_record=payment.record_id,
        reason=f"{PERSONAL[0]} asked for it",
        metadata={"mail": PERSONAL[1], "card": PERSONAL[2]},
    )
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


def test_logs_and_metrics_of_a_refund_hold_what_they_should_and_no_more(
    stack: RunningStack, api: RefundApiClient, refund_id: str
) -> None:
    # Given that refund, reported and told, a key that is not known, and a run of settling
    RefundApiClient(stack.api_url, "rbk_somebody-elses-key").read_refund(refund_id)
    stack.client("lambda").invoke(
        FunctionName=stack.outputs["SettleRefundsFunctionName"], Qualifier="live", Payload=b"{}"
    )
    namespace = f"RefundBridge/{stack.stage.stack_name}"
    wanted = OF_A_REFUND | {("ApiKeysRefused", "")}

    def written() -> list[dict[str, Any]] | None:
        lines = lines_of(stack)
        # Other refunds of the stack write the same metrics: this one's own lines must be there too.
        told = {line["message"] for line in lines if line.get("refund_id") == refund_id}
        return lines if told >= WAY and wanted <= metrics_in(lines, namespace) else None

    # When the refund's way can be followed by its id, and all metrics are there
    lines = wait_for(written, "the lines and metrics of a refund", at_most=60, every=1)
    # Then no line holds a secret, or what its caller said of a person
    text = json.dumps(lines)
    secrets = (stack.api_key, "rbk_somebody-elses-key", HITPAY_KEY, STRIPE_KEY, *PERSONAL)
    assert [secret for secret in secrets if secret in text] == []
    # And every line of its log says by whom it was written, and in which invocation
    for line in lines:
        if "_aws" not in line and "message" in line:
            assert {"level", "timestamp", "service", "cold_start", "function_request_id"} <= set(
                line
            )
