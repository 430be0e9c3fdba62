"""Hedge Payments as its documents describe it."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.hedge import KEY
from local.simulators.json_text import JsonObject
from tests.unit.simulators.callers import JsonCaller, Reply, member

PAYMENT: JsonObject = {"id": "pay-1", "amount": 9999, "currency": "usd"}


@pytest.fixture
def caller(control: SimulatorControl) -> Iterator[JsonCaller]:
    control.seed_processor("hedge", {"payments": [PAYMENT]})
    caller = JsonCaller(control.urls["hedge"], {"Authorization": f"Bearer {KEY}"})
    yield caller
    caller.close()


def refund(caller: JsonCaller, **body: object) -> Reply:
    return caller.post("/v1/payments/pay-1/refund", {"amount": 2500, **body})


def listed(body: JsonObject) -> list[JsonObject]:
    refunds = body["refunds"]
    assert isinstance(refunds, list)
    return refunds


def test_a_refund_is_answered_with_its_payment(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    reply = refund(caller, reason="customer_requested")
    assert reply.status == 200
    assert (reply.body["object"], reply.body["status"]) == ("payment", "partially_refunded")
    assert (reply.body["refunded_amount"], reply.body["currency"]) == (2500, "USD")
    (item,) = listed(reply.body)
    assert (item["amount"], item["status"]) == (2500, "succeeded")
    assert item["reason"] == "customer_requested"
    assert set(item) == {"id", "amount", "reason", "status", "created_at"}
    (made,) = control.processor_refunds("hedge", "pay-1")
    assert (made.id, made.key, made.amount) == (item["id"], None, 2500)


def test_an_amount_that_is_left_out_is_the_whole_payment(caller: JsonCaller) -> None:
    body = caller.post("/v1/payments/pay-1/refund", {}).body
    assert (body["refunded_amount"], body["status"]) == (9999, "refunded")


def test_too_much_is_refused_with_the_amounts(caller: JsonCaller) -> None:
    refund(caller, amount=7500)
    reply = refund(caller, amount=5000)
    assert reply.status == 422
    assert member(reply.body, "error", "code") == "refund_amount_exceeded"
    assert member(reply.body, "error", "details") == {
        "payment_id": "pay-1",
        "original_amount": 9999,
        "already_refunded": 7500,
        "remaining_refundable": 2499,
        "requested_refund": 5000,
    }


@pytest.mark.parametrize("amount", [0, -1, "2500", Decimal("25.5")])
def test_an_amount_that_is_none_is_refused(
    caller: JsonCaller, control: SimulatorControl, amount: object
) -> None:
    assert refund(caller, amount=amount).status == 400
    assert control.processor_refunds("hedge") == []
