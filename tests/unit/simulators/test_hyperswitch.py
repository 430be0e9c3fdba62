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


def test_an_id_that_is_taken_is_refused(caller: JsonCaller, control: SimulatorControl) -> None:
    refund(caller)
    assert error_of(refund(caller)) == (400, "HE_01")
    control.set_processor("hyperswitch", repeat_code="RE_01")
    assert error_of(refund(caller)) == (400, "RE_01")
    assert len(control.processor_refunds("hyperswitch")) == 1


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


def test_a_payment_that_has_not_succeeded_is_refused(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    failed: JsonObject = {**PAYMENT, "id": "pay-2", "status": "failed"}
    control.seed_processor("hyperswitch", {"payments": [failed]})
    assert error_of(refund(caller, payment_id="pay-2")) == (400, "IR_14")


def test_only_so_many_refunds_are_made(caller: JsonCaller, control: SimulatorControl) -> None:
    control.set_processor("hyperswitch", refunds_max=1)
    refund(caller)
    assert error_of(refund(caller, refund_id="ours-2")) == (400, "IR_12")


def test_ids_may_be_limited_to_what_its_schema_says(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.set_processor("hyperswitch", refund_id_max=30)
    assert error_of(refund(caller, refund_id="x" * 31)) == (422, "IR_05")
    assert refund(caller, refund_id="x" * 30).status == 200


def test_a_connector_may_fail_when_the_refund_is_recorded(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.set_processor("hyperswitch", connector="fails_unclearly")
    assert error_of(refund(caller)) == (400, "CE_06")
    assert caller.get("/refunds/ours-1").body["status"] == "pending"


@pytest.mark.parametrize("status", ["pending", "review"])
def test_a_refund_may_wait_and_then_fail_with_an_error(
    caller: JsonCaller, control: SimulatorControl, status: str
) -> None:
    waiting: JsonObject = {**PAYMENT, "refunds_come_back": status}
    control.seed_processor("hyperswitch", {"payments": [waiting]})
    assert refund(caller).body["status"] == status
    error = {"error_code": "expired_card", "error_message": "The card has expired."}
    control.set_processor_refund("hyperswitch", "ours-1", "failed", **error)
    body = caller.get("/refunds/ours-1").body
    assert body["status"] == "failed"
    assert {name: body[name] for name in error} == error


def test_a_payment_lists_its_refunds_or_null(caller: JsonCaller, control: SimulatorControl) -> None:
    assert caller.get("/payments/pay-1").body["refunds"] is None
    refund(caller)
    control.refund_at_processor("hyperswitch", "pay-1", 1000)
    body = caller.get("/payments/pay-1").body
    refunds = body["refunds"]
    assert isinstance(refunds, list)
    assert [item["amount"] for item in refunds] == [2500, 1000]
    assert refunds[1]["refund_id"].startswith("ref_")
    assert (body["amount_received"], body["status"]) == (9999, "succeeded")


def test_unknown_ids_paths_and_keys_are_told_apart(caller: JsonCaller) -> None:
    assert error_of(caller.get("/refunds/none")) == (404, "HE_02")
    assert error_of(caller.get("/payments/none")) == (404, "HE_02")
    assert error_of(caller.get("/nowhere")) == (404, "IR_02")
    assert error_of(caller.get("/refunds")) == (405, "IR_03")
    caller.headers = {"api-key": "another"}
    assert error_of(caller.get("/refunds/none")) == (401, "IR_01")
