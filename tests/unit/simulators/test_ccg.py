"""The Convenient Checkout Gateway as its documents describe it, and as they leave it open."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from local.simulators.ccg import KEY, MERCHANT
from local.simulators.client import SimulatorControl
from local.simulators.json_text import JsonObject
from tests.unit.simulators.callers import JsonCaller, Reply, member

PAYMENT: JsonObject = {"id": "pay-1", "amount": 9999, "currency": "usd"}
CARD: JsonObject = {"id": "card-1", "kind": "card"}
ACCOUNT: JsonObject = {"id": "bank-1", "kind": "bank_account"}
TOO_MUCH = "Refund amount cannot be more than the un-refunded amount of the original payment"


@pytest.fixture
def caller(control: SimulatorControl) -> Iterator[JsonCaller]:
    seed: JsonObject = {"payments": [PAYMENT], "payment_methods": [CARD, ACCOUNT]}
    control.seed_processor("ccg", seed)
    headers = {"Authorization": f"Bearer {KEY}", "X-Merchant-Id": MERCHANT}
    caller = JsonCaller(control.urls["ccg"], headers)
    yield caller
    caller.close()


def linked(caller: JsonCaller, **changes: object) -> Reply:
    body: JsonObject = {
        "amount": 2500,
        "reason": "DUPLICATE",
        "paymentId": "pay-1",
        "merchantTransactionId": "ours-1",
        **changes,
    }
    return caller.post("/v1/refunds", {k: v for k, v in body.items() if v is not None})


def unlinked(caller: JsonCaller, **changes: object) -> Reply:
    method = {"paymentId": None, "paymentMethodId": "card-1", "customer": {"hsid": "9c80e161"}}
    return linked(caller, **{**method, **changes})


def read(caller: JsonCaller, reply: Reply) -> JsonObject:
    data = caller.get(f"/v1/refunds/{member(reply.body, 'data', 'id')}").body["data"]
    assert isinstance(data, dict)
    return data


def test_a_linked_refund_is_initiated_and_polled_to_its_end(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    reply = linked(caller)
    assert reply.status == 200
    assert member(reply.body, "data", "status") == "INITIATED"
    assert member(reply.body, "data", "merchantTransactionId") == "ours-1"
    assert "amount" not in str(reply.body)
    data = read(caller, reply)
    assert (data["status"], data["amount"], data["paymentId"]) == ("COMPLETED", 2500, "pay-1")
    (made,) = control.processor_refunds("ccg", "pay-1")
    assert (made.key, made.amount, made.reason) == ("ours-1", 2500, "DUPLICATE")


def test_the_first_answer_may_be_202_and_show_the_amount(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.set_processor("ccg", created_amount="present", created_status=202)
    reply = linked(caller)
    assert (reply.status, member(reply.body, "data", "amount")) == (202, 2500)


def test_a_refund_stays_initiated_until_it_is_ended(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.seed_processor("ccg", {"payments": [{**PAYMENT, "refunds_come_back": "INITIATED"}]})
    reply = linked(caller)
    assert read(caller, reply)["status"] == "INITIATED"
    (made,) = control.processor_refunds("ccg")
    control.set_processor_refund("ccg", made.id, "FAILED")
    assert read(caller, reply)["status"] == "FAILED"


def test_a_merchants_id_that_is_taken_is_refused_for_any_refund(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    linked(caller)
    for reply in (linked(caller), unlinked(caller)):
        assert reply.status == 400
        assert reply.body["detail"] == "merchantTransactionId already exists"
    assert len(control.processor_refunds("ccg")) == 1


def test_an_amount_that_is_left_out_is_the_whole_payment(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    linked(caller, amount=None)
    assert [item.amount for item in control.processor_refunds("ccg")] == [9999]


@pytest.mark.parametrize(
    ("changes", "title", "detail"),
    [
        ({"paymentId": "pay-9"}, "INVALID_REQUEST", "Payment not found"),
        ({"paymentId": None}, "INVALID_REQUEST", "paymentId or paymentMethodId is required"),
        ({"paymentMethodId": "card-1"}, "INVALID_REQUEST", None),
        ({"merchantTransactionId": None}, "INVALID_REQUEST", "merchantTransactionId is required"),
        ({"merchantTransactionId": "x" * 51}, "INVALID_REQUEST", None),
        ({"amount": 10_000}, "INVALID_REQUEST", TOO_MUCH),
        ({"amount": 0}, "INVALID_REQUEST", "amount is not valid"),
        ({"amount": Decimal("25.50")}, "INVALID_REQUEST", "amount is not valid"),
        ({"amount": "a lot"}, "INVALID_REQUEST", None),
    ],
)
def test_what_cannot_be_refunded_is_refused(
    caller: JsonCaller,
    control: SimulatorControl,
    changes: JsonObject,
    title: str,
    detail: str | None,
) -> None:
    reply = linked(caller, **changes)
    assert (reply.status, reply.body["status"], reply.body["title"]) == (400, 400, title)
    assert detail in (None, reply.body["detail"])
    assert control.processor_refunds("ccg") == []


@pytest.mark.parametrize("status", ["INITIATED", "AUTHORIZED", "FAILED"])
def test_a_payment_that_is_not_completed_is_refused(
    caller: JsonCaller, control: SimulatorControl, status: str
) -> None:
    control.seed_processor("ccg", {"payments": [{**PAYMENT, "status": status}]})
    reply = linked(caller)
    assert (reply.status, reply.body["title"]) == (400, "PAYMENT_ERROR")


def test_an_unlinked_refund_goes_to_a_card(caller: JsonCaller, control: SimulatorControl) -> None:
    reply = unlinked(caller)
    assert member(reply.body, "data", "paymentMethodId") == "card-1"
    assert member(reply.body, "data", "amount") == 2500
    (made,) = control.processor_refunds("ccg")
    assert (made.payment_id, made.payment_method, made.amount) == (None, "card-1", 2500)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"paymentMethodId": "bank-1"}, "Unlinked refunds are not supported for bank accounts"),
        ({"paymentMethodId": "card-9"}, "Payment method not found"),
        ({"customer": None}, "customer is required"),
        ({"customer": {}}, "customer is required"),
        ({"amount": None}, "When paymentMethodId is present, amount is required"),
    ],
)
def test_an_unlinked_refund_that_cannot_be_made_is_refused(
    caller: JsonCaller, control: SimulatorControl, changes: JsonObject, detail: str
) -> None:
    reply = unlinked(caller, **changes)
    assert (reply.status, reply.body["detail"]) == (400, detail)
    assert control.processor_refunds("ccg") == []


def test_a_number_may_mean_dollars(caller: JsonCaller, control: SimulatorControl) -> None:
    control.set_processor("ccg", amount_unit="major")
    reply = linked(caller, amount=Decimal("25.00"))
    assert [item.amount for item in control.processor_refunds("ccg")] == [2500]
    assert read(caller, reply)["amount"] == Decimal("25.00")
    assert linked(caller, amount=Decimal("25.001"), merchantTransactionId="2").status == 400


def test_a_refund_may_be_found_by_the_merchants_id(caller: JsonCaller) -> None:
    path = "/v1/refunds?merchantTransactionId=ours-1"
    assert caller.get(path).body["data"] is None
    linked(caller)
    assert member(caller.get(path).body, "data", "merchantTransactionId") == "ours-1"


def test_that_question_may_be_ignored_or_not_known(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    linked(caller)
    control.set_processor("ccg", look_up="ignored")
    data = caller.get("/v1/refunds?merchantTransactionId=another").body["data"]
    assert isinstance(data, list)
    assert len(data) == 1
    control.set_processor("ccg", look_up="absent")
    reply = caller.get("/v1/refunds?merchantTransactionId=ours-1")
    assert reply.status == 405
    assert "detail" not in reply.body


def test_a_call_needs_the_token_and_the_merchant(caller: JsonCaller) -> None:
    assert caller.get("/v1/refunds/none").body["detail"] == "Refund not found"
    caller.headers = {"Authorization": f"Bearer {KEY}", "X-Merchant-Id": "another"}
    assert caller.get("/v1/refunds/none").status == 403
    caller.headers = {"Authorization": "Bearer another", "X-Merchant-Id": MERCHANT}
    reply = caller.get("/v1/refunds/none")
    assert (reply.status, "detail" in reply.body) == (401, False)
