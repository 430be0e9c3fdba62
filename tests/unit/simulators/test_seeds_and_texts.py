"""The demo payments, the exponents, and the texts that go over the wire."""

from decimal import Decimal

import pytest

from local.simulators.client import ControlError, SimulatorControl
from local.simulators.currency import exponent, major, representable
from local.simulators.form_text import parse_form
from local.simulators.json_text import decode, encode
from local.simulators.payments import CARD_SGD
from local.simulators.seeding import Seed


def test_ids_are_the_same_in_every_run() -> None:
    assert CARD_SGD.record_id == "pr_card_sgd"
    assert CARD_SGD.charge_id == "24d478ef-4cef-5169-a176-f0e6ac5a16b7"


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
