"""HitPay's calls as its documents describe them."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.payments import (
    CARD_IDR,
    CARD_JPY,
    CARD_KWD,
    CARD_SGD,
    LINK_REQUEST,
    PAYNOW_SGD,
)
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


def test_a_refund_can_be_read_again_and_shows_on_its_charge(hitpay: HitPayCaller) -> None:
    # Given a refund
    made = hitpay.refund(payment_id=CHARGE, amount="25.00").body

    # When it and its charge are read
    again = hitpay.get(f"/v1/refund/{made['id']}").body
    charge = hitpay.charge(CHARGE)

    # Then both show it
    assert again == made
    assert charge["status"] == "partially_refunded"
    assert charge["refunded_amount"] == Decimal("25.00")
    assert charge["refunds"] == [made]


def test_a_charge_that_is_refunded_whole_is_refunded(hitpay: HitPayCaller) -> None:
    # When everything goes back in two parts
    hitpay.refund(payment_id=CHARGE, amount="99.00")
    hitpay.refund(payment_id=CHARGE, amount="0.99")

    # Then the charge is refunded
    assert hitpay.charge(CHARGE)["status"] == "refunded"


def test_the_same_request_twice_moves_money_twice(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # When one request is sent twice: HitPay knows no idempotency key
    first = hitpay.refund(payment_id=CHARGE, amount="10.00").body
    second = hitpay.refund(payment_id=CHARGE, amount="10.00").body

    # Then there are two refunds
    assert first["id"] != second["id"]
    assert [refund.amount for refund in control.refunds(CHARGE)] == [Decimal("10.00")] * 2


def test_json_is_understood_as_well_as_a_form(hitpay: HitPayCaller) -> None:
    # When the amount is a JSON number
    reply = hitpay.refund_json(f'{{"payment_id": "{CHARGE}", "amount": 12.34}}')

    # Then it is exactly that amount
    assert reply.status == 200
    assert reply.body["amount_refunded"] == Decimal("12.34")


def test_a_pending_refund_reserves_its_amount_until_it_fails(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a PayNow payment of 50.00 and a pending refund of 30.00
    charge = PAYNOW_SGD.charge_id
    made = hitpay.refund(payment_id=charge, amount="30.00").body
    assert made["status"] == "pending"
    assert made["refunded_at"] is None
    assert hitpay.charge(charge)["status"] == "succeeded"
    assert hitpay.refund(payment_id=charge, amount="30.00").status == 403

    # When it fails
    control.set_refund_status(str(made["id"]), "failed")

    # Then the amount is free again
    assert hitpay.get(f"/v1/refund/{made['id']}").body["status"] == "failed"
    assert hitpay.refund(payment_id=charge, amount="30.00").status == 200


def test_a_pending_refund_may_succeed_and_a_success_may_be_taken_back(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # Given a pending refund
    charge = PAYNOW_SGD.charge_id
    refund_id = str(hitpay.refund(payment_id=charge, amount="50.00").body["id"])

    # When it succeeds, then the charge is refunded
    control.set_refund_status(refund_id, "succeeded")
    assert hitpay.get(f"/v1/refund/{refund_id}").body["refunded_at"] is not None
    assert hitpay.charge(charge)["status"] == "refunded"

    # When the wallet returns the money, then it is not
    control.set_refund_status(refund_id, "failed")
    assert hitpay.charge(charge)["status"] == "succeeded"


def test_a_dashboard_refund_is_there_like_any_other(
    hitpay: HitPayCaller, control: SimulatorControl
) -> None:
    # When somebody refunds in the dashboard
    refund_id = control.dashboard_refund(CHARGE, "40.00")

    # Then the API shows it and counts it
    assert hitpay.get(f"/v1/refund/{refund_id}").body["amount_refunded"] == Decimal("40.00")
    assert hitpay.refund(payment_id=CHARGE, amount="60.00").status == 403
    assert control.refunds(CHARGE)[0].made_in == "dashboard"


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


def test_a_payment_request_lists_its_payments(hitpay: HitPayCaller) -> None:
    # When the payment request of a payment is read
    body = hitpay.get(f"/v1/payment-requests/{LINK_REQUEST.request_id}").body

    # Then it names exactly one succeeded payment
    payments = body["payments"]
    assert isinstance(payments, list)
    assert [(p["id"], p["status"]) for p in payments] == [(LINK_REQUEST.charge_id, "succeeded")]


def test_charges_are_listed_newest_first_page_by_page(hitpay: HitPayCaller) -> None:
    # When all pages are followed
    seen: list[str] = []
    path = "/v1/charges?per_page=7"
    while path:
        body = hitpay.get(path).body
        data = body["data"]
        assert isinstance(data, list)
        seen += [charge["id"] for charge in data]
        path = str(body["next_page_url"] or "").removeprefix(hitpay.url)

    # Then every charge was there once, the newest first
    assert len(seen) == len(set(seen)) == body["total"]
    assert seen[0] == LINK_REQUEST.charge_id
    assert seen[-1] == CHARGE


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
