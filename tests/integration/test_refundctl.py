"""A night of problems: see, decide and repair, with the commands as at a shell.

The long outage has a test of its own (`test_outage.py`), and so has the runbook.
"""

import csv
import io
import json
import time
from pathlib import Path

import pytest

from deployed.polling import wait_for
from local.event_client import EventProducer, listening
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.background import ledger_refund
from tests.integration.night import (
    PATIENT,
    REPORT,
    SOON,
    caller,
    paid,
    refunded,
    wait_for_report,
    wait_for_state,
)
from tests.integration.shell import Refundctl
from tests.unit.refundctl.test_json_schemas import schema_of

# Differences that are only on their way; with a grace of 0 they count.
STILL_COMING = ("not_settled", "not_reported", "movement_unclaimed")


@pytest.fixture
def night(troubled_stack: RunningStack) -> RunningStack:
    return troubled_stack


@pytest.fixture
def refundctl(night: RunningStack, troubled_file: Path) -> Refundctl:
    return Refundctl(troubled_file)


@pytest.fixture
def api(night: RunningStack) -> RefundApiClient:
    return caller(night)


def level_of(findings: list[dict[str, str]], check: str) -> str:
    (found,) = [one for one in findings if one["check"] == check]
    return found["level"]


def test_a_healthy_stack_is_found_to_be_one_and_no_secret_is_shown(
    night: RunningStack, refundctl: Refundctl
) -> None:
    ended = refundctl.run("doctor", "--json")
    assert ended.returncode == 0, ended.stdout
    told = json.loads(ended.stdout)
    findings = told["findings"]
    # Every check has a name of the schema, by which people page
    schema_of("doctor").validate(told)
    # Everything could be asked, and nothing fails
    assert [one for one in findings if "could be asked" in one["found"]] == []
    assert [one for one in findings if one["level"] == "fail"] == []
    for check in ("HitPay with this key", "Stripe with this key", "schedules", "ledger"):
        assert level_of(findings, check) == "ok"
    assert sum(one["check"].startswith("live of ") for one in findings) == 8
    for secret in (night.providers.stripe_key, night.providers.hitpay_key):
        assert secret not in ended.stdout + ended.stderr
    # And a person at a shell reads the same
    ended = refundctl.run_as_a_program("doctor")
    assert ended.returncode == 0, ended.stderr
    assert "live of refund-bridge-local-refund-api" in ended.stdout


def test_a_key_that_a_provider_refuses_is_named(night: RunningStack, refundctl: Refundctl) -> None:
    night.control.set_keys("hitpay", "another")
    try:
        exit_code, told = refundctl.ended("doctor", "--quiet")
    finally:
        night.control.set_keys("hitpay", night.providers.hitpay_key)
    assert exit_code == 1
    assert level_of(told["findings"], "HitPay with this key") == "fail"
    assert refundctl.run("doctor", "--quiet").returncode == 0


def test_an_outcome_that_nobody_knows_is_decided_by_a_person(
    night: RunningStack, refundctl: Refundctl, api: RefundApiClient
) -> None:
    # Given an instruction that HitPay never got
    payment = paid(night, "night_lost")
    night.control.add_fault("hitpay", "refund.create", "lost_request", match=payment.charge_id)
    refund_id = refunded(night, payment, amount=1200)
    # While it is looked for, it is nobody's to decide
    early = refundctl.run("resolve", refund_id, "--failed", "--reason", "x", "--yes")
    assert early.returncode == 1, early.stderr
    # When it was not found for the whole hold
    wait_for_state(night, refund_id, "review")
    # Then it is listed first, and doctor names it
    assert refundctl.json("list")[0]["id"] == refund_id
    assert "no processor refund found" in refundctl.done("show", refund_id)
    exit_code, told = refundctl.ended("doctor")
    assert (exit_code, level_of(told["findings"], "reviews")) == (1, "fail")
    # And the evidence says that nothing can be it
    (shown,) = refundctl.json("review")
    assert (shown["refund"]["id"], shown["candidates"]) == (refund_id, [])
    assert shown["stripe"]["refunded"] == 0
    # And what the evidence does not allow is refused, and nobody is asked at a script's keyboard
    for line in (("--succeeded", "nonsense"), ("--failed", "--reason", "x")):
        refused = refundctl.run("resolve", refund_id, *line)
        assert (refused.returncode, refused.stdout) == (1, ""), refused.stderr
    # When a person who asked HitPay decides
    done = refundctl.json(
        *("resolve", refund_id, "--failed", "--reason", "ticket 4711", "--as", "kim", "--yes")
    )
    # Then its amount is free again, and the history says who decided and why
    assert (done["written"], done["state"], done["refundable"]) == (True, "failed", 5000)
    entry = ledger_refund(night, refund_id)["history"][-1]
    assert entry["actor"] == "operator:arn:aws:iam::000000000000:root as kim"
    assert entry["evidence"]["reason"] == "ticket 4711"
    assert api.read_refund(refund_id).body["failure"]["code"] == "not_executed"
    again = refundctl.json("resolve", refund_id, "--failed", "--reason", "x", "--yes")
    assert again["written"] is False
    # And another refund may have the amount
    assert api.create_refund("night-lost-2", payment_record=payment.record_id).status == 201
    assert refundctl.json("review") == []


def test_of_two_that_can_be_ours_a_person_names_the_right_one(
    night: RunningStack, refundctl: Refundctl, api: RefundApiClient
) -> None:
    # Given a payment that has been known for a while: what is as old as our first sight of it is
    # taken to be in Stripe's book already, and HitPay's times have whole seconds
    payment = paid(night, "night_two")
    first = api.create_refund("night-two-first", payment_record=payment.record_id, amount=100)
    wait_for_report(night, first.body["id"], "reported")
    known_since = time.time()
    wait_for(lambda: time.time() > known_since + 1, "the next second", at_most=SOON)
    # And a HitPay that executes a refund, resets the connection, and hides it for a while
    night.control.add_fault("hitpay", "refund.create", "commit_then_reset", match=payment.charge_id)
    hidden = night.control.add_fault
    hidden("hitpay", "charge.read", "hide", times=None, match=payment.charge_id, what="refunds")
    refund_id = refunded(night, payment, amount=700)
    # When somebody refunds the same amount in the dashboard meanwhile
    other = night.control.dashboard_refund(payment.charge_id, "7.00")
    night.control.clear_faults()
    wait_for_state(night, refund_id, "review")
    # Then both stand there as candidates
    (shown,) = refundctl.json("review", refund_id)
    (mine,) = [
        one.id
        for one in night.control.refunds(payment.charge_id)
        if (one.made_in, str(one.amount)) == ("api", "7.00")
    ]
    assert sorted(shown["candidates"]) == sorted([mine, other])
    # And a failure is refused, since either can be it, also when no instruction can arrive any more
    wait_for(
        lambda: mine in refused_failure(refundctl, refund_id),
        "a refusal that names it",
        at_most=SOON,
    )
    # When a person says which
    ended = refundctl.run("resolve", refund_id, "--succeeded", mine, "--yes")
    assert ended.returncode == 0, ended.stderr
    assert f"reference {mine}" in ended.stderr
    # Then Stripe hears of it, once
    wait_for_report(night, refund_id, "reported")
    references = [one.refund_reference for one in night.control.reports(payment.record_id)]
    assert references[1:] == [mine]
    # And that one is nobody else's
    stolen = refundctl.run("resolve", refund_id, "--succeeded", other, "--yes")
    assert stolen.returncode == 1
    # And when the sweep has learnt of the other one, all sides agree
    night.client("lambda").invoke(
        FunctionName=night.outputs["SweepChargesFunctionName"], Qualifier="live"
    )
    wait_for(
        lambda: len(night.control.reports(payment.record_id)) == 3,
        "the other one reported",
        at_most=SOON,
    )
    wait_until_reconciled(refundctl)


def refused_failure(refundctl: Refundctl, refund_id: str) -> str:
    """Why it may not be said to have failed."""
    refused = refundctl.run("resolve", refund_id, "--failed", "--reason", "x", "--yes")
    assert refused.returncode == 1
    return refused.stderr


def wait_until_reconciled(refundctl: Refundctl) -> None:
    """No side differs from another, not even in what is only on its way."""

    def look() -> bool:
        exit_code, told = refundctl.ended("reconcile", "--since", "1h", "--grace", "0s")
        assert told["not_compared"] == {}
        lasting = [one for one in told["differences"] if one["kind"] not in STILL_COMING]
        assert lasting == []
        return exit_code == 0

    wait_for(look, "nothing differs", at_most=SOON, every=1)


def test_a_report_whose_dead_letter_is_gone_is_rung_for(
    night: RunningStack, refundctl: Refundctl, api: RefundApiClient
) -> None:
    # Given a failed report, and a queue that has forgotten it
    night.control.add_fault("stripe", REPORT, "status", times=None, status=503)
    refund_id = refunded(night, paid(night, "night_forgotten"))
    wait_for_report(night, refund_id, "failed")
    wait_for(lambda: refundctl.json("dlq", "list"), "the dead letter", at_most=SOON, every=1)
    night.client("sqs").purge_queue(QueueUrl=night.outputs["ReportDeadLetterQueueUrl"])
    night.control.clear_faults()
    assert refundctl.json("dlq", "replay", "--id", refund_id)["rung"] == [refund_id]
    wait_for_report(night, refund_id, "reported")


def test_a_request_that_was_not_accepted_is_listed_with_its_reason_and_tried_again(
    night: RunningStack, refundctl: Refundctl
) -> None:
    # Given an event that asks for a refund of a payment that Stripe does not know yet
    payment = DemoPayment("night_early", 5000)
    detail = {"payment_record": payment.record_id, "idempotency_key": "night-early"}
    EventProducer(night.clients, night.outputs["EventBusName"]).ask(detail)
    (letter,) = wait_for(
        lambda: refundctl.json("dlq", "list", "--queue", "requests"),
        "the dead letter",
        at_most=SOON,
        every=0.5,
    )
    assert "payment_not_found" in letter["reason"]
    assert letter["refund_id"].startswith("rfd_")
    # When it does, and the request is tried again
    night.control.seed(seed_of(payment))
    told = refundctl.json("dlq", "replay", "--id", letter["refund_id"])
    assert told["messages"] == [letter["message_id"]]
    # Then it is refunded, once
    wait_for(lambda: len(night.control.reports(payment.record_id)) == 1, "the report", at_most=SOON)
    assert refundctl.json("dlq", "list", "--queue", "requests") == []


def test_the_accountants_get_one_exact_line_per_refund(
    night: RunningStack, refundctl: Refundctl, api: RefundApiClient
) -> None:
    payment = DemoPayment("night_kwd", 5000, "kwd")
    night.control.seed(seed_of(payment))
    refund_id = refunded(night, payment, amount=1230, reason="=HYPERLINK(1)")
    wait_for_report(night, refund_id, "reported")
    rows = list(csv.DictReader(io.StringIO(refundctl.done("export", "--since", "1h"))))
    (row,) = [row for row in rows if row["refund"] == refund_id]
    assert (row["amount_minor"], row["amount"], row["currency"]) == ("1230", "1.230", "kwd")
    assert (row["reason"], row["report_status"]) == ("'=HYPERLINK(1)", "reported")
    (made,) = night.control.refunds(payment.charge_id)
    assert row["processor_refund"] == made.id
    # And the list of one payment shows the same
    (listed,) = refundctl.json("list", "--payment", payment.charge_id)
    assert (listed["id"], listed["payment"]["refundable_amount"]) == (refund_id, 3770)


def test_what_subscribers_lost_is_published_again(
    night: RunningStack, refundctl: Refundctl, api: RefundApiClient
) -> None:
    # Given a refund that was told of before somebody subscribed
    refund_id = refunded(night, paid(night, "night_events"))
    wait_for_report(night, refund_id, "reported")
    with listening(night.clients, night.outputs["EventBusName"]) as listener:
        # When what happened is published again
        assert refundctl.json("events", "republish", "--since", "1h", "--dry-run")["refunds"] >= 1
        assert refundctl.json("events", "republish", "--since", "1h")["refunds"] >= 1
        # Then it is told, each line under its own id
        wait_for(
            lambda: (
                {"Refund Succeeded", "Refund Reported"}
                <= {event.name for event in listener.of(refund_id)}
            ),
            "the events",
            at_most=PATIENT,
            every=0.5,
        )
        ids = {event.id for event in listener.of(refund_id)}
        assert {name.rpartition(":")[0] for name in ids} == {refund_id}


def test_what_cannot_be_meant_or_reached_has_an_exit_code_of_its_own(
    refundctl: Refundctl,
) -> None:
    assert refundctl.run("resolve", "rfd_x").returncode == 2
    assert refundctl.run("list", "--limit", "0").returncode == 2
    assert refundctl.run("show", "rfd_nobody").returncode == 1
