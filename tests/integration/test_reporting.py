"""Stripe hears of every refund, once: through outages, duplicates and the dead-letter queue."""

import json
from typing import Any

from local.http_client import RefundApiClient
from local.polling import wait_for
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack


def refunded(stack: RunningStack, api: RefundApiClient, name: str) -> tuple[DemoPayment, str]:
    """A payment of the test's own and the id of its full refund."""
    payment = DemoPayment(name, 5000)
    stack.control.seed(seed_of(payment))
    answer = api.create_refund(name, payment_record=payment.record_id)
    assert answer.status == 201, answer.text
    return payment, str(answer.body["id"])


def wait_for_report(
    api: RefundApiClient, refund_id: str, status: str, *, at_most: float = 60
) -> dict[str, Any]:
    """The refund, once its report has that status."""

    def look() -> dict[str, Any] | None:
        body: dict[str, Any] = api.read_refund(refund_id).body
        return body if body["stripe_report"]["status"] == status else None

    return wait_for(look, f"the report of {refund_id} {status}", at_most=at_most)


def attempts(api: RefundApiClient, refund_id: str) -> int:
    """How often Stripe was asked."""
    return int(api.read_refund(refund_id).body["stripe_report"]["attempts"])


def dead_letters(stack: RunningStack) -> list[str]:
    """The bodies in the dead-letter queue, without taking them away."""
    answer = stack.client("sqs").receive_message(
        QueueUrl=stack.outputs["ReportDeadLetterQueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
    )
    return [message["Body"] for message in answer.get("Messages", [])]


def test_a_stripe_that_is_away_for_a_while_loses_nothing(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a Stripe that answers every report with 503
    stack.control.add_fault(
        "stripe", "payment_record.report_refund", "status", times=None, status=503
    )
    # When refunds are made meanwhile
    made = [refunded(stack, api, f"away_{n}") for n in range(5)]
    wait_for(
        lambda: all(attempts(api, refund_id) >= 2 for _, refund_id in made),
        "a second attempt for each",
        at_most=60,
    )
    # And Stripe comes back
    stack.control.clear_faults()
    # Then each is reported, exactly once
    for payment, refund_id in made:
        shown = wait_for_report(api, refund_id, "reported", at_most=120)
        assert shown["stripe_report"]["attempts"] >= 2
        assert [report.amount for report in stack.control.reports(payment.record_id)] == [5000]


def test_a_report_whose_answer_was_lost_is_not_made_twice(
    stack: RunningStack, api: RefundApiClient
) -> None:
    for fault in ("commit_then_reset", "status_after_commit"):
        stack.control.add_fault("stripe", "payment_record.report_refund", fault)
        payment, refund_id = refunded(stack, api, f"lost_{fault}")
        wait_for_report(api, refund_id, "reported")
        assert len(stack.control.reports(payment.record_id)) == 1, fault


def test_a_duplicated_message_reports_nothing_twice(
    stack: RunningStack, api: RefundApiClient
) -> None:
    payment, refund_id = refunded(stack, api, "duplicated")
    wait_for_report(api, refund_id, "reported")
    calls = times_asked(stack, payment)
    queue = stack.outputs["ReportQueueUrl"]
    sqs = stack.client("sqs")
    message = json.dumps({"refund_id": refund_id, "schema_version": 1})
    for _ in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=message)
    wait_for(
        lambda: nothing_due_said(stack, refund_id) >= 3, "the duplicates dealt with", at_most=30
    )
    assert times_asked(stack, payment) == calls
    assert len(stack.control.reports(payment.record_id)) == 1


def times_asked(stack: RunningStack, payment: DemoPayment) -> int:
    """How often Stripe was asked to book a refund of the payment."""
    calls = stack.control.calls("stripe", "payment_record.report_refund")
    return sum(payment.record_id in call.path for call in calls)


def nothing_due_said(stack: RunningStack, refund_id: str) -> int:
    """How many messages the function has said to owe nothing, for this refund."""
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=stack.outputs["ReportRefundLogGroup"])
    )
    lines = [event["message"] for page in pages for event in page["events"]]
    return sum('"nothing_due"' in line and refund_id in line for line in lines)


def test_messages_that_nothing_can_mend_end_in_the_dead_letter_queue(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given messages that are not JSON, and that name no refund
    poison = ["not json", json.dumps({"refund_id": "rfd_nobody", "schema_version": 1})]
    for body in poison:
        stack.client("sqs").send_message(QueueUrl=stack.outputs["ReportQueueUrl"], MessageBody=body)
    # Then they end in the dead-letter queue
    wait_for(lambda: set(poison) <= set(dead_letters(stack)), "the messages set aside", at_most=120)
    # And a good refund is reported all the same
    _, refund_id = refunded(stack, api, "beside_poison")
    wait_for_report(api, refund_id, "reported")


def test_a_report_that_stripe_refuses_is_failed_set_aside_and_can_be_redriven(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a Stripe that refuses the report
    stack.control.add_fault(
        "stripe",
        "payment_record.report_refund",
        "status",
        times=None,
        status=400,
        body={"error": {"type": "invalid_request_error", "message": "No."}},
    )
    payment, refund_id = refunded(stack, api, "refused")
    # Then the report is failed, and its message set aside
    wait_for_report(api, refund_id, "failed")
    wait_for(
        lambda: [body for body in dead_letters(stack) if refund_id in body],
        "the message set aside",
        at_most=120,
    )
    assert stack.control.reports(payment.record_id) == []
    # And when the cause is mended and the message is redriven, Stripe hears of it once
    stack.control.clear_faults()
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["ReportQueueUrl"],
        MessageBody=json.dumps({"refund_id": refund_id, "schema_version": 1}),
    )
    wait_for_report(api, refund_id, "reported")
    assert [report.amount for report in stack.control.reports(payment.record_id)] == [5000]
