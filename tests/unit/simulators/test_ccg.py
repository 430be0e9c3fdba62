"""The Convenient Checkout Gateway as its documents describe it, and as they leave it open."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from local.simulators.ccg import KEY, MERCHANT
from local.simulators.client import SimulatorControl
from local.simulators.json_text import JsonObject
from tests.unit.simulators.callers import JsonCaller, Reply, member

PAYMENT: JsonObject = {"id": "pay-1", "amount": 9999, "currency": "usd"}
TOO_MUCH = "Refund amount cannot be more than the un-refunded amount of the original payment"


@pytest.fixture
def caller(control: SimulatorControl) -> Iterator[JsonCaller]:
    control.seed_processor("ccg", {"payments": [PAYMENT]})
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


def read(caller: JsonCaller, reply: Reply) -> JsonObject:
    data = caller.get(f"/v1/refunds/{member(reply.body, 'data', 'id')}").body["data"]
    assert isinstance(data, dict)
    return data


def test_the_first_answer_may_be_202_and_show_the_amount(
    caller: JsonCaller, control: SimulatorControl
) -> None:
    control.set_processor("ccg", created_amount="present", created_status=202)
    reply = linked(caller)
    assert (reply.status, member(reply.body, "data", "amount")) == (202, 2500)


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


def test_a_number_may_mean_dollars(caller: JsonCaller, control: SimulatorControl) -> None:
    control.set_processor("ccg", amount_unit="major")
    reply = linked(caller, amount=Decimal("25.00"))
    assert [item.amount for item in control.processor_refunds("ccg")] == [2500]
    assert read(caller, reply)["amount"] == Decimal("25.00")
    assert linked(caller, amount=Decimal("25.001"), merchantTransactionId="2").status == 400
