"""PaymentIntents, Invoices and Credit Notes, driven by the official SDK."""

import pytest
import stripe
from stripe.params import CreditNoteCreateParams, CreditNoteListParams

from local.simulators.client import SimulatorControl
from local.simulators.payments import SUBSCRIPTION, WITH_INTENT
from tests.unit.simulators.reporting import report

NOTE: CreditNoteCreateParams = {
    "invoice": SUBSCRIPTION.invoice_id,
    "amount": 900,
    "metadata": {"refund_bridge_id": "rfd_1"},
    "reason": "order_change",
    "refunds": [
        {
            "type": "payment_record_refund",
            "payment_record_refund": {
                "payment_record": SUBSCRIPTION.record_id,
                "refund_group": "re_1",
            },
        }
    ],
}


def test_an_intent_leads_to_its_record(stripe_client: stripe.StripeClient) -> None:
    intent = stripe_client.v1.payment_intents.retrieve(WITH_INTENT.intent_id)
    assert intent.metadata["stripe_payment_record_id"] == WITH_INTENT.record_id
    assert (intent.amount, intent.currency, intent.status) == (4200, "sgd", "succeeded")


def test_an_invoice_leads_to_charge_and_record(stripe_client: stripe.StripeClient) -> None:
    invoice = stripe_client.v1.invoices.retrieve(SUBSCRIPTION.invoice_id)
    assert invoice.metadata is not None
    assert invoice.metadata["hitpay_payment_id"] == SUBSCRIPTION.charge_id
    assert invoice.metadata["stripe_payment_record_id"] == SUBSCRIPTION.record_id


@pytest.mark.parametrize("name", ["payment_intents", "invoices"])
def test_an_unknown_object_is_missing(stripe_client: stripe.StripeClient, name: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        getattr(stripe_client.v1, name).retrieve("xx_none")
    assert refused.value.code == "resource_missing"


def test_a_credit_note_is_tied_to_a_reported_refund(
    stripe_client: stripe.StripeClient,
) -> None:
    # Given a reported refund of a subscription's invoice
    report(stripe_client, SUBSCRIPTION.record_id, reference="re_1", amount=900)

    # When a credit note names it
    note = stripe_client.v1.credit_notes.create(NOTE)

    # Then it is of that amount, and can be found by its invoice
    assert (note.amount, note.status, note.currency) == (900, "issued", "sgd")
    found = stripe_client.v1.credit_notes.list({"invoice": SUBSCRIPTION.invoice_id})
    assert [item.id for item in found.data] == [note.id]
    assert found.data[0].metadata is not None
    assert found.data[0].metadata["refund_bridge_id"] == "rfd_1"
    assert stripe_client.v1.credit_notes.list({"invoice": "in_other"}).data == []


def test_a_credit_note_needs_a_refund_that_stripe_knows(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such refund group"):
        stripe_client.v1.credit_notes.create(NOTE)
    assert control.state("stripe")["credit_notes"] == []


def test_credit_notes_never_exceed_their_invoice(stripe_client: stripe.StripeClient) -> None:
    # Given an invoice that is credited whole
    report(stripe_client, SUBSCRIPTION.record_id, reference="re_1", amount=2900)
    whole: CreditNoteCreateParams = {**NOTE, "amount": 2900}
    stripe_client.v1.credit_notes.create(whole)

    # When another credit note is asked for
    with pytest.raises(stripe.InvalidRequestError, match="greater than the invoice"):
        stripe_client.v1.credit_notes.create(whole)


def test_a_credit_note_says_its_amount(stripe_client: stripe.StripeClient) -> None:
    report(stripe_client, SUBSCRIPTION.record_id, reference="re_1", amount=900)
    silent: CreditNoteCreateParams = {**NOTE}
    del silent["amount"]
    with pytest.raises(stripe.InvalidRequestError, match="amount, lines or shipping_cost"):
        stripe_client.v1.credit_notes.create(silent)


def test_credit_notes_are_listed_page_by_page_newest_first(
    stripe_client: stripe.StripeClient,
) -> None:
    # Given three notes on one invoice
    report(stripe_client, SUBSCRIPTION.record_id, reference="re_1", amount=900)
    made = [stripe_client.v1.credit_notes.create(NOTE).id for _ in range(3)]

    # When they are listed two at a time
    list_notes = stripe_client.v1.credit_notes.list
    first = list_notes({"invoice": SUBSCRIPTION.invoice_id, "limit": 2})
    rest = list_notes({"limit": 2, "starting_after": first.data[-1].id})

    # Then the newest come first, and it is told whether there are more
    assert [note.id for note in (*first.data, *rest.data)] == made[::-1]
    assert (first.has_more, rest.has_more) == (True, False)


@pytest.mark.parametrize("asked", [{"limit": 101}, {"limit": 0}, {"starting_after": "cn_none"}])
def test_a_page_that_cannot_be_is_refused(
    stripe_client: stripe.StripeClient, asked: CreditNoteListParams
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        stripe_client.v1.credit_notes.list(asked)


def test_a_credit_notes_parts_make_up_its_amount(stripe_client: stripe.StripeClient) -> None:
    report(stripe_client, SUBSCRIPTION.record_id, reference="re_1", amount=900)
    with pytest.raises(stripe.InvalidRequestError, match="900 is not 1000"):
        stripe_client.v1.credit_notes.create({**NOTE, "amount": 1000})


def test_a_url_that_does_not_exist_is_stripes_404(stripe_client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        stripe_client.v1.charges.retrieve("ch_1")
