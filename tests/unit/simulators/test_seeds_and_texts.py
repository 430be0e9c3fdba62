"""The demo payments, the exponents, and the texts that go over the wire."""

from decimal import Decimal

import pytest

from local.simulators.client import ControlError, SimulatorControl
from local.simulators.currency import exponent, major, representable
from local.simulators.form_text import parse_form
from local.simulators.json_text import decode, encode
from local.simulators.payments import (
    AWKWARD_PAYMENTS,
    CARD_SGD,
    GOOD_PAYMENTS,
    LIVE_MODE,
    OTHER_CURRENCY,
    PARTLY_REFUNDED,
    SHARED_ONE,
    SHARED_TWO,
    fresh_payments,
    seed_of,
)
from local.simulators.seeding import Seed
from tests.unit.simulators.callers import HitPayCaller


def records(control: SimulatorControl) -> dict[str, dict[str, dict[str, object]]]:
    listed = control.state("stripe")["payment_records"]
    assert isinstance(listed, list)
    return {record["id"]: record for record in listed}


def test_both_sides_agree_on_every_good_payment(
    control: SimulatorControl, hitpay: HitPayCaller
) -> None:
    stripe_side = records(control)
    for payment in GOOD_PAYMENTS:
        charge, record = hitpay.charge(payment.charge_id), stripe_side[payment.record_id]
        requested, refunded = record["amount_requested"], record["amount_refunded"]
        assert charge["currency"] == requested["currency"] == payment.currency
        assert charge["amount"] == major(payment.amount, payment.currency)
        assert requested["value"] == payment.amount
        assert charge["refunded_amount"] == major(payment.refunded, payment.currency)
        assert refunded["value"] == payment.refunded


def test_the_partly_refunded_payment_has_one_reference_on_both_sides(
    control: SimulatorControl,
) -> None:
    (refund,) = control.refunds(PARTLY_REFUNDED.charge_id)
    (report,) = control.reports(PARTLY_REFUNDED.record_id, with_seeded=True)
    assert (refund.id, refund.made_in) == (report.refund_reference, "seed")
    assert control.reports() == []


def test_the_awkward_payments_are_as_awkward_as_they_say(
    control: SimulatorControl, hitpay: HitPayCaller
) -> None:
    stripe_side = records(control)
    assert SHARED_ONE.charge_id == SHARED_TWO.charge_id
    assert SHARED_ONE.record_id != SHARED_TWO.record_id
    assert hitpay.charge(OTHER_CURRENCY.charge_id)["currency"] == "usd"
    assert stripe_side[LIVE_MODE.record_id]["livemode"]
    links = {
        payment.name: (
            stripe_side[payment.record_id]["metadata"],
            stripe_side[payment.record_id]["processor_details"]["custom"],
        )
        for payment in AWKWARD_PAYMENTS
    }
    charge = {item.name: item.charge_id for item in AWKWARD_PAYMENTS}
    request = {item.name: item.request_id for item in AWKWARD_PAYMENTS}
    assert links["without_link"] == ({}, None)
    assert links["link_charge_id"] == ({"hitpay_charge_id": charge["link_charge_id"]}, None)
    assert links["link_reference"] == ({}, {"payment_reference": charge["link_reference"]})
    assert links["link_request"] == ({}, {"payment_reference": request["link_request"]})


def test_ids_are_the_same_in_every_run() -> None:
    assert CARD_SGD.record_id == "pr_card_sgd"
    assert CARD_SGD.charge_id == "24d478ef-4cef-5169-a176-f0e6ac5a16b7"


def test_fresh_payments_are_as_many_and_as_much_as_asked(
    control: SimulatorControl, hitpay: HitPayCaller
) -> None:
    # When three payments of KWD 1.234 are made
    payments = fresh_payments(3, currency="kwd", amount=1234, prefix="mine")
    control.seed(seed_of(*payments))

    # Then they are three different ones, on both sides
    assert [payment.record_id for payment in payments] == [
        "pr_mine_0001",
        "pr_mine_0002",
        "pr_mine_0003",
    ]
    assert hitpay.charge(payments[2].charge_id)["amount"] == Decimal("1.234")
    assert records(control)["pr_mine_0003"]["amount"] == {"currency": "kwd", "value": 1234}


def test_a_wrong_seed_changes_nothing(control: SimulatorControl) -> None:
    good = CARD_SGD.seed().charges[0] | {"id": "new"}
    with pytest.raises(ControlError, match="amount must be a decimal amount"):
        control.seed(Seed(charges=(good, {"id": "bad", "currency": "sgd", "amount": "x"})))
    state = control.state("hitpay")["charges"]
    assert isinstance(state, list)
    assert "new" not in [charge["id"] for charge in state]


@pytest.mark.parametrize(
    ("currency", "places"),
    [("JPY", 0), ("vnd", 0), ("KWD", 3), ("sgd", 2), ("IDR", 2), ("UGX", 2), ("ISK", 2)],
)
def test_exponents_are_stripes(currency: str, places: int) -> None:
    assert exponent(currency) == places
    assert str(major(1_500_000, currency)) == f"{1_500_000 / 10**places:.{places}f}"


def test_an_amount_is_representable_or_not() -> None:
    assert representable(Decimal("10.00"), "jpy")
    assert not representable(Decimal("10.01"), "jpy")
    assert representable(Decimal("1.234"), "kwd")
    assert not representable(Decimal("1.234"), "sgd")


def test_json_prints_a_decimal_digit_for_digit_and_refuses_floats() -> None:
    assert encode({"a": Decimal("50.00"), "b": [1, None, True, 'x"']}) == (
        '{"a": 50.00, "b": [1, null, true, "x\\""]}'
    )
    assert encode(Decimal("1E+3")) == "1000"
    assert decode("0.1") == Decimal("0.1")
    with pytest.raises(TypeError):
        encode(0.5)
    with pytest.raises(ValueError, match="NaN"):
        encode(Decimal("NaN"))


def test_forms_nest_by_their_brackets() -> None:
    text = "a=1&m[x]=2&m[y][z]=3&r[0][type]=p&r[1][type]=q&e[]=one&e[]=two&empty="
    assert parse_form(text) == {
        "a": "1",
        "m": {"x": "2", "y": {"z": "3"}},
        "r": {"0": {"type": "p"}, "1": {"type": "q"}},
        "e": {"0": "one", "1": "two"},
        "empty": "",
    }
