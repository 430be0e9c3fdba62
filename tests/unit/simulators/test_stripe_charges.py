"""Payments that Stripe itself took, as its simulator has them, asked by the official SDK."""

import pytest
import stripe

from local.simulators.client import SimulatorControl
from local.simulators.payments import STRIPE_USD
from local.simulators.stripe_charges import UNCAPTURED

INTENT, CHARGE = STRIPE_USD.intent_id, STRIPE_USD.charge_id
A_DAY_AND_AN_HOUR = 25 * 3600


def refund(client: stripe.StripeClient, key: str, amount: int = 100) -> stripe.Refund:
    return client.v1.refunds.create({"charge": CHARGE, "amount": amount}, {"idempotency_key": key})


def test_there_is_a_record_of_it_that_says_who_reported_it(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    refund(stripe_client, "k")
    intent = stripe_client.v1.payment_intents.retrieve(
        INTENT, {"expand": ["payment_record", "latest_charge"]}
    ).to_dict()
    assert intent["payment_record"]["reported_by"] == "stripe"
    charge = intent["latest_charge"]
    assert (charge["id"], charge["amount_refunded"]) == (CHARGE, 100)
    assert (charge["payment_intent"], charge["captured"]) == (INTENT, True)


def test_nobody_reports_on_that_record(stripe_client: stripe.StripeClient) -> None:
    record = f"pr_own_{STRIPE_USD.name}"
    with pytest.raises(stripe.InvalidRequestError, match="not reported by you"):
        stripe_client.v1.payment_records.report_refund(
            record,
            {
                "outcome": "refunded",
                "processor_details": {"type": "custom", "custom": {"refund_reference": "r-1"}},
                "refunded": {"refunded_at": 1_730_253_453},
            },
        )


def test_what_is_authorised_has_succeeded_and_is_not_captured(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    held = {"id": "ch_held", "amount": 500, "currency": "usd", "status": UNCAPTURED}
    control.seed_processor("stripe", {"payments": [held]})
    charge = stripe_client.v1.charges.retrieve("ch_held")
    assert (charge.status, charge.captured, charge.amount_captured) == ("succeeded", False, 0)


def test_refunds_come_ten_to_a_page(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    made = [control.refund_at_processor("stripe", CHARGE, 1) for _ in range(23)]
    page = stripe_client.v1.refunds.list({"charge": CHARGE})
    assert (len(page.data), page.has_more) == (10, True)
    assert [one.id for one in page.auto_paging_iter()] == made[::-1]


def test_a_key_is_forgotten_after_a_day_of_its_clock(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    first = refund(stripe_client, "k")
    assert refund(stripe_client, "k").id == first.id
    control.set_stripe(clock_offset_seconds=A_DAY_AND_AN_HOUR)
    assert refund(stripe_client, "k").id != first.id
    assert len(control.processor_refunds("stripe", CHARGE)) == 2


def test_a_stored_500_is_the_answer_as_long_as_its_key_is_kept(
    stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    control.add_fault("stripe", "refund.create", "status_after_commit", status=500, stored=True)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            refund(stripe_client, "k")
        assert failed.value.http_status == 500
    assert len(control.processor_refunds("stripe", CHARGE)) == 1


@pytest.mark.parametrize(("count", "taken"), [(50, True), (51, False)])
def test_fifty_metadata_keys_are_taken_and_no_more(
    stripe_client: stripe.StripeClient, control: SimulatorControl, count: int, taken: bool
) -> None:
    metadata = {f"key{number}": "x" for number in range(count)}
    if taken:
        stripe_client.v1.refunds.create({"charge": CHARGE, "amount": 1, "metadata": metadata})
    else:
        with pytest.raises(stripe.InvalidRequestError, match="more than 50"):
            stripe_client.v1.refunds.create({"charge": CHARGE, "amount": 1, "metadata": metadata})
    assert len(control.processor_refunds("stripe", CHARGE)) == int(taken)
