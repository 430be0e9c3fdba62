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


def test_nothing_tells_a_repeat_from_a_second_refund(caller: JsonCaller) -> None:
    refund(caller)
    assert [item["amount"] for item in listed(refund(caller).body)] == [2500, 2500]


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


@pytest.mark.parametrize("status", ["pending", "failed", "canceled"])
def test_a_payment_that_was_not_paid_is_refused(
    caller: JsonCaller, control: SimulatorControl, status: str
) -> None:
    control.seed_processor("hedge", {"payments": [{**PAYMENT, "status": status}]})
    reply = refund(caller)
    assert reply.status == 412
    assert member(reply.body, "error", "code") == "payment_not_refundable"
    assert caller.get("/v1/payments/pay-1").body["status"] == status


def test_a_payment_that_was_refunded_is_refused(caller: JsonCaller) -> None:
    refund(caller, amount=9999)
    assert refund(caller).status == 412


@pytest.mark.parametrize("amount", [0, -1, "2500", Decimal("25.5")])
def test_an_amount_that_is_none_is_refused(
    caller: JsonCaller, control: SimulatorControl, amount: object
) -> None:
    assert refund(caller, amount=amount).status == 400
    assert control.processor_refunds("hedge") == []


def test_a_payment_may_list_no_refunds(caller: JsonCaller, control: SimulatorControl) -> None:
    control.set_processor("hedge", payment_refunds="absent")
    assert len(listed(refund(caller).body)) == 1
    body = caller.get("/v1/payments/pay-1").body
    assert "refunds" not in body
    assert body["refunded_amount"] == 2500


def test_metadata_may_be_shown_again(caller: JsonCaller, control: SimulatorControl) -> None:
    control.set_processor("hedge", refund_metadata="shown")
    (item,) = listed(refund(caller, metadata={"order": "1007"}).body)
    assert item["metadata"] == {"order": "1007"}


def test_pending_refunds_may_count_as_refunded(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.seed_processor("hedge", {"payments": [{**PAYMENT, "refunds_come_back": "pending"}]})
    assert refund(caller).body["refunded_amount"] == 0
    control.set_processor("hedge", pending_counts=True)
    assert caller.get("/v1/payments/pay-1").body["refunded_amount"] == 2500


def test_unknown_ids_and_keys_are_told_apart(caller: JsonCaller) -> None:
    reply = caller.get("/v1/payments/none")
    assert (reply.status, member(reply.body, "error", "code")) == (404, "not_found")
    assert caller.get("/v1/refunds/ref_1").status == 404
    caller.headers = {"Authorization": "Bearer another"}
    reply = caller.get("/v1/payments/pay-1")
    assert (reply.status, member(reply.body, "error", "code")) == (401, "unauthorized")
