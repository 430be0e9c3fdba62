"""Every point that HitPay's documents leave open is a switch."""

import pytest

from local.simulators.client import ControlError, SimulatorControl
from local.simulators.payments import CARD_JPY, CARD_SGD, PAYNOW_SGD
from tests.unit.simulators.callers import HitPayCaller

CHARGE = CARD_SGD.charge_id


def test_a_null_status_still_carries_the_time_of_the_refund(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given the form of older samples
    control.set_hitpay(refund_status="null", created_status=201)

    # When a refund succeeds
    reply = hitpay.refund(payment_id=CHARGE, amount="1.00")

    # Then its status is null, and refunded_at says that it happened
    assert reply.status == 201
    assert reply.body["status"] is None
    assert reply.body["refunded_at"] is not None


def test_a_pending_refund_never_hides_behind_null(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.set_hitpay(refund_status="null")
    assert hitpay.refund(payment_id=PAYNOW_SGD.charge_id, amount="1.00").body["status"] == "pending"


@pytest.mark.parametrize(
    ("zero_decimal_form", "number_form", "printed"),
    [
        ("integer", "fixed", b'"amount_refunded": 5000,'),
        ("two_decimals", "fixed", b'"amount_refunded": 5000.00,'),
        ("two_decimals", "shortest", b'"amount_refunded": 5000,'),
    ],
)
def test_the_printed_form_of_yen_changes_and_the_value_does_not(
    hitpay: HitPayCaller,
    control: SimulatorControl,
    zero_decimal_form: str,
    number_form: str,
    printed: bytes,
) -> None:
    control.set_hitpay(zero_decimal_form=zero_decimal_form, number_form=number_form)
    reply = hitpay.refund(payment_id=CARD_JPY.charge_id, amount="5000")
    assert printed in reply.raw
    assert reply.body["amount_refunded"] == 5000


def test_a_fee_is_a_number_in_the_major_unit_of_its_own_currency(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    control.set_hitpay(provider_fee="0.65")
    made = hitpay.refund(payment_id=CHARGE, amount="1.00")
    assert b'"provider_fee": 0.65, "provider_fee_currency": "SGD"' in made.raw
    control.set_hitpay(provider_fee_currency="usd")
    made = hitpay.refund(payment_id=CHARGE, amount="1.00")
    assert b'"provider_fee": 0.65, "provider_fee_currency": "USD"' in made.raw


def test_a_wrong_switch_is_refused_with_a_sentence(control: SimulatorControl) -> None:
    with pytest.raises(ControlError, match="no setting 'colour'"):
        control.set_hitpay(colour="red")
    with pytest.raises(ControlError, match="number_form must be one of"):
        control.set_hitpay(number_form="long")
    with pytest.raises(ControlError, match="webhook_copies cannot be"):
        control.set_hitpay(webhook_copies="two")
