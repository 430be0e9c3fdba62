"""What is read of a charge, and what of it is refused as unreadable."""

from typing import Any

import pytest

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.charge import Charge, ChargeStatus, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import UnreadableAnswerError
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
    (processor_refund,) = charge.processor_refunds
    assert (processor_refund.id, processor_refund.payment_id, processor_refund.money) == (
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
    written = (b"5000", b"5000.00", b'"5000"', b"5E3", b"5000.0", b'"5,000.00"', b'"5,000"')
    for text in written:
        body = b'{"id":"c","status":"succeeded","currency":"jpy","amount":' + text + b"}"
        with RawServer(answer(200, body)) as server:
            charge = make_hitpay(server.url).charge("c", clock.deadline())
        assert charge.money == Money(5000, "jpy")


@pytest.mark.parametrize("amount", ["50,00", "5,00.00", ",500", "1,000,00", "5,000,", "5 000", "٥"])
def test_a_comma_is_of_thousands_or_the_amount_is_unreadable(read_charge: Any, amount: str) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_charge(amount=amount)


@pytest.mark.parametrize("method", ["card", {"name": "card", "data": {"brand": "visa"}}])
def test_a_method_is_a_word_or_an_object_with_a_name(read_charge: Any, method: object) -> None:
    charge = read_charge(payment_method=method)
    assert (charge.method, charge.arrival) == ("card", Arrival(3, 5))


def test_a_payment_that_somebody_marked_as_paid_is_one(read_charge: Any) -> None:
    charge = read_charge(status="succeeded_manually", refunded_amount=None, refunds=[])
    assert (charge.status, charge.refunded) == (ChargeStatus.REFUNDABLE, 0)


def test_more_than_was_paid_is_read_where_its_refunds_make_it_up(read_charge: Any) -> None:
    # A refund that HitPay had called failed, and that moved after all
    listed = [{"id": f"ref-{n}", "amount_refunded": "60.00", "status": "succeeded"} for n in "12"]
    charge = read_charge(status="refunded", refunded_amount="120.00", refunds=listed)
    assert (charge.refunded, charge.left) == (12000, -2001)


PENDING = {"id": "ref-9", "amount_refunded": "10.00", "status": "pending"}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "partially_refunded", "amount": 100, "refunded_amount": None, "refunds": []},
        {"status": "partially_refunded", "refunded_amount": None, "refunds": None},
        {"status": "partially_refunded", "refunded_amount": 0, "refunds": []},
        {"status": "refunded", "refunded_amount": 99.98, "refunds": []},
        {"status": "refunded", "refunded_amount": 0, "refunds": [PENDING]},
        {"status": "partially_refunded", "refunded_amount": 100, "refunds": []},
    ],
)
def test_a_charge_that_contradicts_itself_cannot_be_read(
    read_charge: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_charge(**changes)


def test_a_pending_refund_explains_what_is_not_refunded_yet(read_charge: Any) -> None:
    charge = read_charge(status="partially_refunded", refunded_amount=0, refunds=[PENDING])
    assert (charge.refunded, charge.processor_refunds[0].status) == (
        0,
        ProcessorRefundStatus.PENDING,
    )


def item(refund_id: str, amount: object, status: str | None = None) -> dict[str, Any]:
    """An item of ``refunds`` that says neither when nor, perhaps, whether."""
    return {"id": refund_id, "amount_refunded": amount, "status": status}


@pytest.mark.parametrize(
    ("refunded", "items", "statuses"),
    [
        ("10.00", [item("a", "10.00")], ["succeeded"]),
        (30, [item("a", 10), item("b", 20)], ["succeeded", "succeeded"]),
        (30, [item("a", 10), item("b", 20, "succeeded")], ["succeeded", "succeeded"]),
        (20, [item("a", 10), item("b", 20, "succeeded")], ["pending", "succeeded"]),
        (10, [item("a", 10), item("b", 20, "pending")], ["succeeded", "pending"]),
        (30, [item("a", 10), item("b", 20, "pending")], ["succeeded", "pending"]),
        (10, [item("a", 10), item("b", 10, "pending")], ["pending", "pending"]),
        (10, [item("a", 10), item("b", 20, "failed")], ["succeeded", "failed"]),
        (0, [item("a", 10)], ["pending"]),
    ],
)
def test_a_refund_without_a_status_has_happened_if_the_charges_sum_holds_it(
    read_charge: Any, refunded: object, items: list[dict[str, Any]], statuses: list[str]
) -> None:
    charge = read_charge(refunded_amount=refunded, refunds=items)
    assert [processor_refund.status for processor_refund in charge.processor_refunds] == statuses
