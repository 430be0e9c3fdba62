"""Every refund is reported to Stripe once, despite outages, duplicates and dead letters."""

import json
from typing import Any

from deployed.polling import wait_for
from local.http_client import RefundApiClient
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


def dead_letters(stack: RunningStack) -> list[str]:
    """The bodies in the dead-letter queue, without taking them away."""
    answer = stack.client("sqs").receive_message(
        QueueUrl=stack.outputs["ReportDeadLetterQueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
    )
    return [message["Body"] for message in answer.get("Messages", [])]


def test_a_report_whose_answer_was_lost_is_not_made_twice(
    stack: RunningStack, api: RefundApiClient
) -> None:
    for fault in ("commit_then_reset", "status_after_commit"):
        stack.control.add_fault("stripe", "payment_record.report_refund", fault)
        payment, refund_id = refunded(stack, api, f"lost_{fault}")
        wait_for_report(api, refund_id, "reported")
        assert len(stack.control.reports(payment.record_id)) == 1, fault


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
