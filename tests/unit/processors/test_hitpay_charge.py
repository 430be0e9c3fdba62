"""What is read of a charge, and what of it is refused as unreadable."""

from typing import Any

import pytest

from refunds.arrival import Arrival
from refunds.money import Money
from refunds.ports import (
    Charge,
    ChargeStatus,
)
from tests.unit.processors.adapters import hitpay_charge
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import RawServer, answer


@pytest.fixture
def read_charge(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> Any:
    def read(**changes: Any) -> Charge:
        with RawServer(answer(200, hitpay_charge(**changes))) as server:
            return make_hitpay(server.url).charge("pay-1", clock.deadline())

    return read


def test_a_charge_is_read_in_minor_units_of_its_own_currency(read_charge: Any) -> None:
    charge = read_charge()
    assert charge.money == Money(9999, "sgd")
    assert charge.refunded == 2500
    assert (charge.status, charge.processor_status) == (
        ChargeStatus.REFUNDABLE,
        "partially_refunded",
    )
    assert charge.method == "card"
    assert charge.arrival == Arrival(3, 5)
    (movement,) = charge.movements
    assert (movement.id, movement.payment_id, movement.money) == (
        "ref-1",
        "pay-1",
        Money(2500, "sgd"),
    )


@pytest.mark.parametrize(
    ("changes", "refunded"),
    [
        ({"refunded_amount": None}, 2500),
        ({"refunded_amount": None, "status": "refunded", "refunds": None}, 9999),
        ({"refunded_amount": None, "status": "succeeded", "refunds": None}, 0),
    ],
)
def test_a_refunded_amount_that_is_left_out_follows_from_the_rest(
    read_charge: Any, changes: dict[str, Any], refunded: int
) -> None:
    assert read_charge(**changes).refunded == refunded


def test_an_id_in_another_case_is_the_same_charge_as_hitpay_spells_it(read_charge: Any) -> None:
    assert read_charge(id="PAY-1").id == "PAY-1"


def test_amounts_written_in_full_or_short_are_one_value(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    written = (b"5000", b"5000.00", b'"5000"', b"5E3", b"5000.0")
    for text in written:
        body = b'{"id":"c","status":"succeeded","currency":"jpy","amount":' + text + b"}"
        with RawServer(answer(200, body)) as server:
            charge = make_hitpay(server.url).charge("c", clock.deadline())
        assert charge.money == Money(5000, "jpy")
