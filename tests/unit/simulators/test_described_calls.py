"""The journal tells what HitPay and Stripe are not described to take, whoever asked for it."""

import stripe

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_SGD
from tests.descriptions.journal import undescribed
from tests.unit.simulators.callers import HitPayCaller


def test_calls_as_described_are_nothing_to_tell_of(
    hitpay: HitPayCaller, stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    hitpay.refund(payment_id=CARD_SGD.charge_id, amount="1.00")
    hitpay.get("/v1/charges?statuses[]=refunded")
    stripe_client.v1.payment_records.retrieve(CARD_SGD.record_id, {"expand": ["metadata"]})
    assert len(control.calls()) == 3
    assert undescribed(control) == []


def test_what_an_api_does_not_take_is_told(
    hitpay: HitPayCaller, stripe_client: stripe.StripeClient, control: SimulatorControl
) -> None:
    hitpay.post({"payment_id": CARD_SGD.charge_id, "amount": "1.00", "reason": "none"})
    stripe_client.raw_request("get", f"/v1/payment_records/{CARD_SGD.record_id}", colour="red")
    of_hitpay, of_stripe = undescribed(control)
    assert "reason" in of_hitpay
    assert of_stripe == "payment_record.read.colour is no member of PaymentRecordRetrieveParams"
