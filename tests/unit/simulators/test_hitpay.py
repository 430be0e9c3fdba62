"""HitPay's calls as its documents describe them."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.payments import CARD_IDR, CARD_JPY, CARD_KWD, CARD_SGD
from tests.unit.simulators.callers import HitPayCaller, eventually

CHARGE = CARD_SGD.charge_id


def test_a_refund_answers_with_exactly_the_documented_members(hitpay: HitPayCaller) -> None:
    # When a part of a card payment is refunded
    reply = hitpay.refund(payment_id=CHARGE, amount="25.00")

    # Then the answer has the documented members, in the documented forms
    assert reply.status == 200
    assert list(reply.body) == [
        "id",
        "refunded_by",
        "payment_id",
        "amount_refunded",
        "total_amount",
        "currency",
        "status",
        "payment_method",
        "provider_fee",
        "provider_fee_currency",
        "refunded_at",
        "created_at",
    ]
    assert b'"amount_refunded": 25.00' in reply.raw
    assert b'"total_amount": 99.99' in reply.raw
    assert reply.body["status"] == "succeeded"
    assert str(reply.body["refunded_at"]).endswith("Z")
    assert "+" not in str(reply.body["created_at"])
    assert "Z" not in str(reply.body["created_at"])


def test_the_two_times_of_a_refund_are_one_moment_eight_hours_apart(hitpay: HitPayCaller) -> None:
    # When a refund succeeds at once
    body = hitpay.refund(payment_id=CHARGE, amount="1.00").body

    # Then created_at is Singapore's time and refunded_at is UTC
    created = datetime.fromisoformat(str(body["created_at"]))
    refunded = datetime.fromisoformat(str(body["refunded_at"])).replace(tzinfo=None)
    assert created - refunded == timedelta(hours=8)


def test_json_is_understood_as_well_as_a_form(hitpay: HitPayCaller) -> None:
    # When the amount is a JSON number
    reply = hitpay.refund_json(f'{{"payment_id": "{CHARGE}", "amount": 12.34}}')

    # Then it is exactly that amount
    assert reply.status == 200
    assert reply.body["amount_refunded"] == Decimal("12.34")


@pytest.mark.parametrize(
    ("charge_id", "asked", "printed"),
    [
        (CARD_JPY.charge_id, "1200", b'"amount_refunded": 1200,'),
        (CARD_KWD.charge_id, "1.250", b'"amount_refunded": 1.250,'),
        (CARD_IDR.charge_id, "15000.00", b'"amount_refunded": 15000.00,'),
    ],
)
def test_each_currency_has_its_decimals(
    hitpay: HitPayCaller, charge_id: str, asked: str, printed: bytes
) -> None:
    assert printed in hitpay.refund(payment_id=charge_id, amount=asked).raw


def test_a_fraction_of_a_yen_is_refused_but_a_written_zero_is_none(hitpay: HitPayCaller) -> None:
    assert hitpay.refund(payment_id=CARD_JPY.charge_id, amount="10.50").status == 422
    assert hitpay.refund(payment_id=CARD_JPY.charge_id, amount="10.00").status == 200


def test_the_journal_knows_every_call_and_no_key(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # When a refund is asked for
    hitpay.refund(payment_id=CHARGE, amount="1.00")

    # Then the journal says what was asked and answered, without the key
    call = eventually(lambda: control.calls("hitpay"), lambda calls: calls[0].finished)[0]
    assert (call.operation, call.method, call.path) == ("refund.create", "POST", "/v1/refund")
    assert call.parameters == {"payment_id": CHARGE, "amount": "1.00"}
    assert (call.status, call.fault, call.processed) == (200, None, True)
    assert hitpay.key not in repr(control.calls())
