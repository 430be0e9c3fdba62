"""Hyperswitch as its documents and its source describe it."""

from collections.abc import Iterator

import pytest

from local.simulators.client import SimulatorControl
from local.simulators.hyperswitch import KEY
from local.simulators.json_text import JsonObject
from tests.unit.simulators.callers import JsonCaller, Reply, member

PAYMENT: JsonObject = {"id": "pay-1", "amount": 9999, "currency": "usd"}


@pytest.fixture
def caller(control: SimulatorControl) -> Iterator[JsonCaller]:
    control.seed_processor("hyperswitch", {"payments": [PAYMENT]})
    caller = JsonCaller(control.urls["hyperswitch"], {"api-key": KEY})
    yield caller
    caller.close()


def refund(caller: JsonCaller, **changes: object) -> Reply:
    body: JsonObject = {"payment_id": "pay-1", "refund_id": "ours-1", "amount": 2500, **changes}
    return caller.post("/refunds", body)


def error_of(reply: Reply) -> tuple[int, object]:
    return reply.status, member(reply.body, "error", "code")


def test_a_refund_has_the_id_that_the_merchant_gave_it(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    reply = refund(caller, reason="duplicate", metadata={"order": "1007"})
    assert reply.status == 200
    assert reply.body["refund_id"] == "ours-1"
    assert (reply.body["amount"], reply.body["currency"]) == (2500, "USD")
    assert (reply.body["status"], reply.body["reason"]) == ("succeeded", "duplicate")
    assert caller.get("/refunds/ours-1?force_sync=true").body == reply.body
    (made,) = control.processor_refunds("hyperswitch", "pay-1")
    assert (made.id, made.key, made.amount, made.made_in) == ("ours-1", "ours-1", 2500, "api")
    assert made.metadata == {"order": "1007"}


def test_an_amount_that_is_left_out_is_the_whole_payment(caller: JsonCaller) -> None:
    assert refund(caller, amount=None).body["amount"] == 9999


def test_after_a_part_an_amount_that_is_left_out_is_too_much(caller: JsonCaller) -> None:
    # It means the payment, not what is left of it.
    refund(caller)
    assert error_of(refund(caller, refund_id="ours-2", amount=None)) == (400, "IR_13")


def test_the_amount_is_checked_before_the_id(caller: JsonCaller) -> None:
    refund(caller, amount=9999)
    assert error_of(refund(caller, amount=9999)) == (400, "IR_13")


def test_old_versions_answer_a_repeat_with_what_there_is(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.set_processor("hyperswitch", repeat="returned")
    first = refund(caller)
    assert refund(caller).body == first.body
    assert len(control.processor_refunds("hyperswitch")) == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"payment_id": "pay-9"}, 404, "HE_02"),
        ({"amount": 0}, 422, "IR_05"),
        ({"amount": "25.00"}, 422, "IR_05"),
        ({"amount": 10_000}, 400, "IR_13"),
        ({"refund_id": "x" * 65}, 422, "IR_05"),
    ],
)
def test_what_cannot_be_refunded_is_refused(
    caller: JsonCaller, control: SimulatorControl, changes: JsonObject, status: int, code: str
) -> None:
    assert error_of(refund(caller, **changes)) == (status, code)
    assert control.processor_refunds("hyperswitch") == []


def test_ids_may_be_limited_to_what_its_schema_says(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.set_processor("hyperswitch", refund_id_max=30)
    assert error_of(refund(caller, refund_id="x" * 31)) == (422, "IR_05")
    assert refund(caller, refund_id="x" * 30).status == 200
