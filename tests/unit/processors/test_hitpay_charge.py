"""What is read of a charge, and what of it is refused as unreadable."""

from typing import Any

import pytest

from refunds.arrival import Arrival
from refunds.money import Money
from refunds.ports import (
    Charge,
    ChargeStatus,
    MovementStatus,
    UnreadableAnswerError,
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
    ("word", "status"),
    [
        ("succeeded", ChargeStatus.REFUNDABLE),
        ("partially_refunded", ChargeStatus.REFUNDABLE),
        ("refunded", ChargeStatus.REFUNDED),
        ("void", ChargeStatus.NOT_REFUNDABLE),
        ("failed", ChargeStatus.NOT_REFUNDABLE),
        ("pending", ChargeStatus.NOT_REFUNDABLE),
        ("a new word", ChargeStatus.NOT_REFUNDABLE),
    ],
)
def test_only_known_words_make_a_charge_refundable(
    read_charge: Any, word: str, status: ChargeStatus
) -> None:
    assert read_charge(status=word).status is status


@pytest.mark.parametrize(
    ("item", "status"),
    [
        ({"status": "succeeded"}, MovementStatus.SUCCEEDED),
        ({"status": None, "refunded_at": "2024-05-01T02:03:04Z"}, MovementStatus.SUCCEEDED),
        ({"status": None}, MovementStatus.PENDING),
        ({}, MovementStatus.PENDING),
        ({"status": "pending"}, MovementStatus.PENDING),
        ({"status": "failed"}, MovementStatus.FAILED),
        ({"status": "Canceled"}, MovementStatus.FAILED),
        ({"status": "reversed"}, MovementStatus.PENDING),
    ],
)
def test_an_item_needs_no_more_than_an_id_and_an_amount(
    read_charge: Any, item: dict[str, Any], status: MovementStatus
) -> None:
    charge = read_charge(refunds=[{"id": "ref-1", "amount": "25.00", **item}], refunded_amount=0)
    assert [movement.status for movement in charge.movements] == [status]


@pytest.mark.parametrize(
    "refunds",
    [
        None,
        {},
        "none",
        [{"id": "ref-1"}],
        [{"amount": 25}],
        ["ref-1"],
        [{"id": "ref-1", "amount": 25}, None],
        [{"id": "ref-1", "amount": 25, "status": 1}],
        [{"id": "ref-1", "amount": 25.001}],
        [{"id": "ref-1", "amount": 25, "currency": "usd"}],
        [{"id": "ref-1", "amount": 25, "payment_id": "pay-2"}],
        [{"id": "ref-1", "amount": 25}, {"id": "ref-1", "amount": 25}],
        [],
        [{"id": "ref-1", "amount": 24.99}],
    ],
)
def test_a_list_that_is_not_whole_counts_as_none(read_charge: Any, refunds: Any) -> None:
    assert read_charge(refunds=refunds).movements is None


def test_an_empty_list_of_an_untouched_charge_is_a_list(read_charge: Any) -> None:
    charge = read_charge(status="succeeded", refunds=[], refunded_amount=0)
    assert charge.movements == ()


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


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": 1},
        {"id": "pay-2"},
        {"id": "pay-1\x00"},
        {"status": None},
        {"status": 7},
        {"amount": None},
        {"amount": "1e2"},
        {"amount": -1},
        {"amount": [1]},
        {"amount": 99.999},
        {"currency": None},
        {"currency": "S$"},
        {"refunded_amount": "much"},
        {"refunded_amount": None, "refunds": None},
    ],
)
def test_a_charge_without_its_facts_is_unreadable(
    read_charge: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_charge(**changes)


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
