"""The exercise: Stripe is unavailable for so long that reports are given up.

The test reads what an operator reads: the metrics that the alarms watch, `doctor`, and the dead
letters with their reasons. Then it does what `docs/runbook.md` says.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deployed.polling import wait_for
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment, Seed
from local.stack import RunningStack
from tests.integration.background import ledger_items, start_settling
from tests.integration.night import (
    PATIENT,
    REPORT,
    SOON,
    depth,
    night_stack,
    paid,
    refunded,
    wait_for_state,
)
from tests.integration.shell import Refundctl

# At most twelve reports a second are sent to Stripe, and each is tried five times.
REFUNDS = 30
CALLERS = 3
FAST = "20"
REFUSAL = {"message": "This payment cannot be refunded."}
# Shorter times, since speed is not what is tested here.
QUICK = {
    "ThrottleRate": "500",
    "ThrottleBurst": "500",
    "StripeReportsPerSecond": "12",
    "ReportConcurrency": "4",
    # Settling must not wake the reporter again for a report before its first try: a second message
    # would become a second dead letter.
    "SettleSeconds": "60",
    # Reports are tried without reading Stripe's sums first, which would wait while Stripe is down.
    "ExternalReportDelaySeconds": "1800",
}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Refundctl:
    return Refundctl(tmp_path_factory.mktemp("outage") / "stack.json")


@pytest.fixture(scope="module")
def night(operator: Refundctl) -> Iterator[RunningStack]:
    # No worker is killed here, and on a busy machine a batch may take long. A message that is
    # received again while a worker handles it would be given up before its report is.
    with night_stack(operator.stack_file, QUICK, visibility="180") as running:
        yield running


def test_reports_that_an_outage_of_stripe_cost_are_made_in_the_morning(
    night: RunningStack, operator: Refundctl
) -> None:
    # Given a Stripe that is down for longer than reports are tried
    night.control.add_fault("stripe", REPORT, "status", times=None, status=503)
    payments = [DemoPayment(f"outage_{number:03d}", 5000) for number in range(REFUNDS)]
    night.control.seed(sum(map(seed_of, payments), Seed()))
    with ThreadPoolExecutor(CALLERS) as callers:
        made = list(callers.map(lambda one: refunded(night, one, amount=1500), payments))
    # When every report has been given up
    wait_for(
        lambda: (
            depth(night, "ReportDeadLetterQueue") == REFUNDS and depth(night, "ReportQueue") == 0
        ),
        "the dead letters",
        at_most=PATIENT,
        every=1,
    )
    assert reports_of(night, made) == {"failed"}
    settling_leaves_them_alone(night, made)
    both_alarms_ring(night)
    the_operator_sees_what_it_is(operator, made)

    # When Stripe is back, each is made once
    night.control.clear_faults()
    dry = operator.json("dlq", "replay", "--all", "--dry-run")
    assert dry["messages"] == {"reports": REFUNDS, "requests": 0}
    assert depth(night, "ReportDeadLetterQueue") == REFUNDS
    first = operator.json("dlq", "replay", "--id", made[0])
    assert len(first["messages"]) == 1
    rest = operator.json("dlq", "replay", "--queue", "reports", "--all", "--rate", "50")
    assert rest["messages"] == {"reports": REFUNDS - 1}
    # And running it again, while they are worked on, is harmless
    assert operator.json("dlq", "replay", "--all")["messages"] == {}
    wait_for(lambda: len(night.control.reports()) == REFUNDS, "the reports", at_most=PATIENT)
    wait_for(
        lambda: reports_of(night, made) == {"reported"},
        "all of them written down",
        at_most=SOON,
        every=1,
    )
    assert operator.run("dlq", "replay", "--id", made[0]).returncode == 1
    told = [(one.payment_record, one.amount) for one in night.control.reports()]
    assert sorted(told) == sorted((one.record_id, 1500) for one in payments)
    # And no side differs from another, and nothing is left to be done
    ended = operator.run("reconcile", "--since", "1h", "--grace", "0s", "--rate", FAST, "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    compared = json.loads(ended.stdout)
    assert (compared["open"], compared["differences"], compared["not_compared"]) == (0, [], {})
    assert compared["payments"] == REFUNDS + 1  # and the one beside them
    assert operator.run("doctor").returncode == 0
    assert operator.json("list", "--report", "failed") == []


def settling_leaves_them_alone(night: RunningStack, made: list[str]) -> None:
    """Settling goes on, but wakes the reporter for none of them: they wait for a person."""
    before = refunds_of(night)
    assert sorted(before) == sorted(made)
    assert not any("next_check_ms" in one for one in before.values())
    # Settling has run once when it has settled a new refund; HitPay refuses that one, so there is
    # nothing to report.
    payment = paid(night, "outage_beside")
    night.control.add_fault(
        "hitpay", "refund.create", "status", status=400, body=REFUSAL, match=payment.charge_id
    )
    beside = refunded(night, payment, refund_type="scheduled")
    start_settling(night)
    wait_for_state(night, beside, "rejected")
    after = refunds_of(night)
    del after[beside]
    assert after == before
    assert (depth(night, "ReportQueue"), depth(night, "ReportDeadLetterQueue")) == (0, REFUNDS)


def both_alarms_ring(night: RunningStack) -> None:
    """What the alarms watch is above their thresholds: our own metric, and the queue's depth.

    The embedded cloud makes no metrics from EMF or queues. So the test reads the logs and the queue
    themselves, by the names in the deployed alarms.
    """
    stack = night.stage.stack_name
    failed = alarm(night, f"{stack}-reports-failed")
    # A line can be read when the invocation that wrote it has ended; the ledger is written before.
    wait_for(
        lambda: emitted(night, failed["Namespace"], failed["MetricName"]) >= REFUNDS,
        "the metric of each",
        at_most=SOON,
        every=1,
    )
    assert emitted(night, failed["Namespace"], failed["MetricName"]) == REFUNDS
    assert failed["ComparisonOperator"] == "GreaterThanThreshold"
    assert failed["Threshold"] < REFUNDS
    letters = alarm(night, f"{stack}-report-dead-letters")
    queue = {one["Name"]: one["Value"] for one in letters["Dimensions"]}["QueueName"]
    assert night.outputs["ReportDeadLetterQueueUrl"].endswith(f"/{queue}")
    asked = night.client("sqs").get_queue_attributes(
        QueueUrl=night.outputs["ReportDeadLetterQueueUrl"],
        AttributeNames=[letters["MetricName"].removesuffix("Visible")],
    )
    (seen,) = asked["Attributes"].values()
    assert int(seen) == REFUNDS > letters["Threshold"]
    for one in (failed, letters):
        assert "docs/runbook.md#" in one["AlarmDescription"]


def the_operator_sees_what_it_is(operator: Refundctl, made: list[str]) -> None:
    """`doctor` names the problem and what to do, and each dead letter has its reason."""
    exit_code, told = operator.ended("doctor")
    assert exit_code == 1
    named = {one["check"]: one for one in told["findings"]}
    letters = named["dead letters: reports"]
    assert (letters["level"], letters["found"]) == ("fail", f"there are {REFUNDS}")
    replay = f"dlq replay --queue reports --all --dry-run --stack-file {operator.stack_file}"
    assert any(line.endswith(f"refundctl {replay}") for line in letters["commands"])
    assert named["reports given up"]["found"].startswith(f"{REFUNDS} of the ")
    listed = operator.json("dlq", "list", "--queue", "reports", "--limit", "1000")
    assert sorted(one["refund_id"] for one in listed) == sorted(made)
    assert {one["report_status"] for one in listed} == {"failed"}
    assert all("503" in one["reason"] or "unclear" in one["reason"] for one in listed)
    failed = operator.json("list", "--report", "failed", "--since", "1h", "--limit", "1000")
    assert sorted(one["id"] for one in failed) == sorted(made)


def refunds_of(night: RunningStack) -> dict[str, Any]:
    """All refunds as they are stored, by their ids."""
    return {one["id"]: one for one in ledger_items(night, "refund")}


def reports_of(night: RunningStack, made: list[str]) -> set[str]:
    """The states of these refunds' reports."""
    stored = refunds_of(night)
    return {stored[one]["report"]["state"] for one in made}


def alarm(night: RunningStack, name: str) -> Any:
    """A deployed alarm."""
    (found,) = night.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found


def emitted(night: RunningStack, namespace: str, metric: str) -> int:
    """The sum of a metric without dimensions, in the lines that the functions have written."""
    pages = (
        night.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=night.outputs["ReportRefundLogGroup"], filterPattern=metric)
    )
    messages = [event["message"] for page in pages for event in page["events"]]
    lines = [line for message in messages for line in message.splitlines() if metric in line]
    total = 0
    for line in map(json.loads, lines):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            if metric in {one["Name"] for one in directive["Metrics"]}:
                assert (directive["Namespace"], directive["Dimensions"]) == (namespace, [[]])
                values = line[metric]
                total += sum(values) if isinstance(values, list) else values
    return total
