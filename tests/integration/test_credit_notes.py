"""A refunded invoice gets one credit note, and refund and report don't depend on it."""

from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators import fields
from local.simulators.json_text import JsonObject
from local.simulators.payments import seed_of
from local.simulators.records import RecordedCall
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.bus import said

SOON = 90
CREATE, LIST = "credit_note.create", "credit_note.list"
REFUSAL = {"error": {"type": "invalid_request_error", "message": "The invoice is void."}}


def paid(stack: RunningStack, name: str) -> DemoPayment:
    """An invoice of the test's own, paid through HitPay."""
    payment = DemoPayment(name, 5000, has_invoice=True)
    stack.control.seed(seed_of(payment))
    return payment


def refunded(api: RefundApiClient, payment: DemoPayment, **more: Any) -> str:
    """The id of a refund that was asked for by the invoice."""
    body = {"amount": 2000} | more
    answer = api.create_refund(payment.name, invoice=payment.invoice_id, **body)
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


def shown(
    api: RefundApiClient, refund_id: str, status: str, *, at_most: float = SOON
) -> dict[str, Any]:
    """The refund, once its credit note has that status."""

    def look() -> dict[str, Any] | None:
        body: dict[str, Any] = api.read_refund(refund_id).body
        note = body["credit_note"]
        return body if note is not None and note["status"] == status else None

    return wait_for(look, f"the note of {refund_id} {status}", at_most=at_most, every=0.2)


def notes_on(stack: RunningStack, payment: DemoPayment) -> list[JsonObject]:
    """The credit notes that Stripe has issued on the invoice."""
    notes = fields.objects(stack.control.state("stripe"), "credit_notes")
    return [note for note in notes if note["invoice"] == payment.invoice_id]


def calls_about(stack: RunningStack, payment: DemoPayment) -> list[RecordedCall]:
    """The calls to Stripe about credit notes on the invoice."""
    return [
        call
        for operation in (LIST, CREATE)
        for call in stack.control.calls("stripe", operation)
        if call.parameters.get("invoice") == payment.invoice_id
    ]


def reported_once(stack: RunningStack, payment: DemoPayment) -> bool:
    """Whether money moved once and Stripe was told once."""
    moved = [str(refund.amount) for refund in stack.control.refunds(payment.charge_id)]
    told = [report.amount for report in stack.control.reports(payment.record_id)]
    return (moved, told) == (["20.00"], [2000])


def test_a_refund_by_invoice_issues_one_note_that_is_tied_to_its_report(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    payment = paid(hasty_stack, "note_issued")
    refund_id = refunded(hasty_api, payment, reason="duplicate")
    # When it was reported, then Stripe has a note of what was reported
    refund = shown(hasty_api, refund_id, "issued")
    [note] = notes_on(hasty_stack, payment)
    [report] = hasty_stack.control.reports(payment.record_id)
    assert (note["amount"], note["currency"], note["reason"]) == (2000, "sgd", "duplicate")
    assert note["metadata"] == {"refund_bridge_id": refund_id}
    assert note["refunds"] == [
        {
            "type": "payment_record_refund",
            "payment_record_refund": {
                "payment_record": payment.record_id,
                "refund_group": report.refund_reference,
            },
            "amount_refunded": 2000,
        }
    ]
    # And the refund says so
    assert refund["stripe_report"]["status"] == "reported"
    told = refund["credit_note"]
    assert (told["id"], told["attempts"], told["last_error"]) == (note["id"], 1, None)
    assert told["issued_at"] >= refund["stripe_report"]["reported_at"]
    # And Stripe was asked no more than once for each
    operations = [call.operation for call in calls_about(hasty_stack, payment)]
    assert operations == [LIST, CREATE]


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (LIST, {"fault": "status", "status": 503}),
        (CREATE, {"fault": "status", "status": 500}),
        (CREATE, {"fault": "status_after_commit", "status": 500}),
        (CREATE, {"fault": "commit_then_reset"}),
        (CREATE, {"fault": "lost_request", "hold_seconds": 0}),
    ],
)
def test_a_stripe_that_issues_no_notes_delays_the_note_and_nothing_else(
    hasty_stack: RunningStack, hasty_api: RefundApiClient, operation: str, fault: dict[str, Any]
) -> None:
    # Given a Stripe that fails at this invoice's notes
    payment = paid(hasty_stack, f"note_{operation[12:]}_{fault['fault']}")
    rule = {"times": None, "match": payment.invoice_id} | fault
    hasty_stack.control.add_fault("stripe", operation, **rule)
    # When it is refunded, then refund and report are as ever, and the note is owed
    refund_id = refunded(hasty_api, payment)
    owed = shown(hasty_api, refund_id, "due")
    assert (owed["status"], owed["stripe_report"]["status"]) == ("succeeded", "reported")
    assert reported_once(hasty_stack, payment)
    wait_for(
        lambda: hasty_api.read_refund(refund_id).body["credit_note"]["last_error"],
        "an attempt that failed",
        at_most=SOON,
    )
    # And once Stripe is well again, settling finds or issues it
    hasty_stack.control.clear_faults()
    refund = shown(hasty_api, refund_id, "issued")
    [note] = notes_on(hasty_stack, payment)
    assert refund["credit_note"]["id"] == note["id"]
    assert refund["credit_note"]["attempts"] >= 2
    # And the report was not touched
    assert refund["stripe_report"] == owed["stripe_report"]
    assert reported_once(hasty_stack, payment)


def test_a_note_that_stripe_refuses_is_shown_as_failed_and_told_of(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    payment = paid(hasty_stack, "note_refused")
    hasty_stack.control.add_fault(
        "stripe", CREATE, "status", times=None, match=payment.invoice_id, status=400, body=REFUSAL
    )
    refund_id = refunded(hasty_api, payment)
    refund = shown(hasty_api, refund_id, "failed")
    assert refund["credit_note"] == {
        "status": "failed",
        "id": None,
        "attempts": 1,
        "last_error": "refused: The invoice is void.",
        "issued_at": None,
    }
    assert (refund["status"], refund["stripe_report"]["status"]) == ("succeeded", "reported")
    assert reported_once(hasty_stack, payment)
    # Its line can be read when the invocation that wrote it has ended.
    line = (hasty_stack, "ReportRefund", "credit_note_failed", refund_id)
    assert wait_for(lambda: said(*line), "the line", at_most=SOON) == 1
