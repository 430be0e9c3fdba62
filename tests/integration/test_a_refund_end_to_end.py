"""A caller asks over HTTP, HitPay moves the money, Stripe's Payment Record shows it."""

from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators import payments
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.background import calling_nobody

REPORTED_WITHIN_S = 30


def reported(api: RefundApiClient, refund_id: str) -> dict[str, Any]:
    """Wait until the refund is reported to Stripe; returns the refund."""

    def look() -> dict[str, Any] | None:
        body: dict[str, Any] = api.read_refund(refund_id).body
        return body if body["stripe_report"]["status"] == "reported" else None

    return wait_for(look, f"{refund_id} reported to Stripe", at_most=REPORTED_WITHIN_S)


def one(stack: RunningStack, name: str, amount: int, currency: str = "sgd") -> DemoPayment:
    """A payment of the test's own, known to both providers."""
    payment = DemoPayment(name, amount, currency, has_intent=True, has_invoice=True)
    stack.control.seed(seed_of(payment))
    return payment


def test_a_partial_refund_reaches_hitpay_once_and_stripe_once(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a card payment of SGD 99.99
    payment = one(stack, "e2e_partial", 9999)
    # When a part of it is refunded
    answer = api.create_refund(
        "e2e-partial",
        payment_record=payment.record_id,
        amount=2500,
        reason="customer_requested",
        metadata={"order": "1007"},
    )
    # Then the caller is told of a success, with the payment as it stands now
    assert answer.status == 201, answer.text
    assert answer.body["status"] == "succeeded"
    assert answer.body["reason"] == "requested_by_customer"
    assert answer.body["metadata"] == {"order": "1007"}
    assert answer.body["payment"] == {
        "amount": 9999,
        "refunded_amount": 2500,
        "refundable_amount": 7499,
        "status": "partially_refunded",
    }
    # And when the customer can expect the money, since HitPay says it of cards
    assert answer.body["arrival"] == {"business_days": {"min": 3, "max": 5}}
    # And HitPay moved exactly that, once
    (made,) = stack.control.refunds(payment.charge_id)
    assert made.id == answer.body["processor_refund_id"]
    # And Stripe's record shows it, once, with HitPay's id as the reference and times in seconds
    shown = reported(api, answer.body["id"])
    (report,) = stack.control.reports(payment.record_id)
    assert (report.amount, report.refund_reference) == (2500, made.id)
    assert report.idempotency_key == f"{answer.body['id']}:0"
    assert shown["stripe_report"]["attempts"] == 1


@pytest.mark.parametrize("reference", ["payment_intent", "invoice"])
def test_a_merchant_who_wrote_no_metadata_of_ours_is_served(
    stack: RunningStack, api: RefundApiClient, reference: str
) -> None:
    # Given a PaymentIntent and an invoice that Stripe itself links to the Payment Record
    payment = DemoPayment(
        f"e2e_own_{reference}", 2900, has_intent=True, has_invoice=True, stripe_links=True
    )
    stack.control.seed(seed_of(payment))
    ids = {"payment_intent": payment.intent_id, "invoice": payment.invoice_id}

    # When it is refunded by one of them
    answer = api.create_refund(f"e2e-own-{reference}", **{reference: ids[reference]})

    # Then the money moves, and the record shows it
    assert answer.status == 201, answer.text
    assert answer.body["payment_record"] == payment.record_id
    reported(api, answer.body["id"])
    assert [one.amount for one in stack.control.reports(payment.record_id)] == [2900]


@pytest.mark.parametrize("reference", ["payment_record", "payment_intent", "invoice"])
def test_the_payment_may_be_named_in_three_ways(
    stack: RunningStack, api: RefundApiClient, reference: str
) -> None:
    payment = one(stack, f"e2e_by_{reference}", 2900)
    ids = {
        "payment_record": payment.record_id,
        "payment_intent": payment.intent_id,
        "invoice": payment.invoice_id,
    }
    answer = api.create_refund(f"e2e-by-{reference}", **{reference: ids[reference]})
    assert answer.status == 201, answer.text
    assert answer.body["amount"] == 2900
    assert answer.body["payment_record"] == payment.record_id
    assert answer.body[reference] == ids[reference]
    assert [made.payment_id for made in stack.control.refunds(payment.charge_id)] == [
        payment.charge_id
    ]


@pytest.mark.parametrize(
    ("payment", "amount", "printed"),
    [
        (payments.CARD_JPY, 3000, "3000"),
        (payments.CARD_KWD, 1250, "1.250"),
        (payments.CARD_IDR, 1_500_000, "15000.00"),
    ],
)
def test_amounts_are_told_to_each_side_in_its_own_unit(
    stack: RunningStack, api: RefundApiClient, payment: DemoPayment, amount: int, printed: str
) -> None:
    answer = api.create_refund(
        f"e2e-{payment.name}",
        payment_record=payment.record_id,
        amount=amount,
        currency=payment.currency,
    )
    assert answer.status == 201, answer.text
    reported(api, answer.body["id"])
    (call,) = [
        call
        for call in stack.control.calls("hitpay", "refund.create")
        if call.parameters.get("payment_id") == payment.charge_id
    ]
    assert call.parameters["amount"] == printed
    assert [report.amount for report in stack.control.reports(payment.record_id)] == [amount]


@pytest.mark.parametrize(
    "payment", [payments.LINK_CHARGE_ID, payments.LINK_REFERENCE, payments.LINK_REQUEST]
)
def test_the_charge_is_found_by_each_published_form_of_the_link(
    stack: RunningStack, api: RefundApiClient, payment: DemoPayment
) -> None:
    answer = api.create_refund(f"e2e-{payment.name}", payment_record=payment.record_id)
    assert answer.status == 201, answer.text
    assert answer.body["processor_payment_id"] == payment.charge_id


def test_what_was_refunded_before_is_taken_into_account_and_not_reported_again(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a payment of which HitPay and Stripe show SGD 25.00 as refunded, never seen here
    payment = DemoPayment("e2e_adopted", 9999, refunded=2500)
    stack.control.seed(seed_of(payment))
    # When the rest is refunded
    answer = api.create_refund("e2e-adopted", payment_record=payment.record_id)
    # Then it is the rest, and only that is reported
    assert (answer.status, answer.body["amount"]) == (201, 7499), answer.text
    reported(api, answer.body["id"])
    assert [report.amount for report in stack.control.reports(payment.record_id)] == [7499]


def test_health_needs_no_key_and_calls_nobody(stack: RunningStack, api: RefundApiClient) -> None:
    nobody = RefundApiClient(stack.api_url, "")
    answer = calling_nobody(stack, lambda: nobody.request("GET", "/health"))
    assert (answer.status, answer.body) == (200, {"status": "ok"})
