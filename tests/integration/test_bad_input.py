"""Bad input gets the contract's error; nothing is written and no instruction is sent."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from deployed.polling import wait_for
from local.http_client import Answer, RefundApiClient
from local.simulators import payments
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refund_bridge.contract.documents import FORM
from tests.integration.background import ledger_items

RECORD = payments.CARD_SGD.record_id
PARTLY_REFUNDED = DemoPayment("refunded_in_part", 9999)


@pytest.fixture(scope="module")
def quiet(stack: RunningStack) -> None:
    """Refund a part of a payment, and wait until everything is reported."""
    stack.control.seed(seed_of(PARTLY_REFUNDED))
    api = RefundApiClient(stack.api_url, stack.api_key)
    refunded = api.create_refund("quiet", payment_record=PARTLY_REFUNDED.record_id, amount=2500)
    assert refunded.status == 201
    wait_for(
        lambda: not any(p["report_due_count"] for p in ledger_items(stack, "payment")),
        "all reports made",
        at_most=150,
    )


@pytest.fixture(autouse=True)
def nothing_written_and_nothing_sent(stack: RunningStack, quiet: None) -> Iterator[None]:
    """Check at the end of every test that nothing was written and no instruction was sent."""
    items_before, sent_before = _items(stack), _sent(stack)
    yield
    assert _items(stack) == items_before
    assert _sent(stack) == sent_before


# Attributes that settling writes on a refund that it only checked; the schedule fires at any time.
LOOKED_AT = frozenset(
    {"looks", "look_ups", "last_look", "next_check_ms", "due_at", "due_shard", "revision"}
)


def _items(stack: RunningStack) -> list[Any]:
    scanned = stack.client("dynamodb").scan(
        TableName=stack.outputs["LedgerTable"], ConsistentRead=True
    )
    assert "LastEvaluatedKey" not in scanned
    items = (
        {name: value for name, value in item.items() if name not in LOOKED_AT}
        for item in scanned["Items"]
    )
    return sorted(items, key=json.dumps)


def _sent(stack: RunningStack) -> int:
    return len(stack.control.calls(operation="refund.create"))


def require_error(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Require an error of the contract's form; returns its details."""
    assert answer.status == status, answer.text
    assert set(answer.body) == {"error"}
    error = answer.body["error"]
    assert set(error) == {"code", "type", "param", "message", "details", "request_id"}
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"]
    details: dict[str, Any] = error["details"]
    return details


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"payment_record": "pr_card_sgd", "amount": 1, "amount": 9999}',
        b'{"payment_record": "pr_card_sgd", "amuont": 100}',
        b'{"payment_record": "pr_card_sgd", "amount": 1.5}',
    ],
)
def test_a_body_that_is_not_of_the_contracts_form(api: RefundApiClient, raw: bytes) -> None:
    answer = api.request("POST", "/v1/refunds", raw=raw, headers={"Idempotency-Key": "bad-body"})
    details = require_error(answer, 400, "invalid_request")
    assert details["fields"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data", "", "application/json5"]
)
def test_a_body_that_is_declared_neither_as_json_nor_as_a_form(
    api: RefundApiClient, content_type: str
) -> None:
    answer = api.request(
        "POST",
        "/v1/refunds",
        body={"payment_record": RECORD},
        headers={"Idempotency-Key": "bad-type", "Content-Type": content_type},
    )
    require_error(answer, 415, "unsupported_media_type")


OWN = payments.STRIPE_USD


@pytest.mark.parametrize(
    ("named", "param"),
    [
        ({"payment_intent": OWN.intent_id, "charge": "ch_another"}, "charge"),
        ({"payment_intent": payments.WITH_INTENT.intent_id, "charge": OWN.charge_id}, "charge"),
        ({"payment_record": f"pr_own_{OWN.name}"}, "payment_record"),
        ({"payment_record": RECORD, "charge": OWN.charge_id}, None),
        ({"invoice": "in_subscription", "charge": OWN.charge_id}, None),
    ],
)
@pytest.mark.parametrize("form", [False, True])
def test_what_names_two_payments_or_the_wrong_thing_of_one(
    api: RefundApiClient, named: dict[str, str], param: str | None, form: bool
) -> None:
    if form:
        answer = api.request(
            "POST",
            "/v1/refunds",
            raw=urlencode(named).encode(),
            headers={"Idempotency-Key": "bad-two", "Content-Type": FORM},
        )
    else:
        answer = api.create_refund("bad-two", **named)
    assert require_error(answer, 400, "invalid_request")["fields"]
    assert answer.body["error"]["param"] == param


PLAIN = f"payment_record={RECORD}&"


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ("amount=25.00", "amount"),
        ("amount=2_500", "amount"),
        ("amount=", "amount"),
        ("amount=1&amount=1", "amount"),
        ("amuont=1", "amuont"),
        ("metadata[a]=1&metadata[a]=2", "metadata[a]"),
        ("metadata=x", "metadata"),
        ("&".join(f"metadata[{n}]=" for n in range(51)), "metadata"),
        ("metadata[a]=%FF", "metadata[a]"),
        ("reason=%ED%A0%80", "reason"),
        ("reverse_transfer=true", "reverse_transfer"),
        ("customer=cus_1", "customer"),
        ("expand[0]=payment_intent", "expand[0]"),
        ('{"amount": 1}', '{"amount": 1}'),
        ('{"payment_record": "pr_card_sgd"}&amount=1', '{"payment_record": "pr_card_sgd"}'),
    ],
)
def test_a_form_that_is_not_of_the_contracts_form_names_what_is_wrong(
    api: RefundApiClient, raw: str, param: str
) -> None:
    answer = api.request(
        "POST",
        "/v1/refunds",
        raw=(PLAIN + raw).encode(),
        headers={"Idempotency-Key": "bad-form", "Content-Type": FORM},
    )
    assert require_error(answer, 400, "invalid_request")["fields"]
    error = answer.body["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert answer.headers["Stripe-Should-Retry"] == "false"


@pytest.mark.parametrize(
    ("header", "text"),
    [("Stripe-Account", "acct_another"), ("Stripe-Version", "2026 01")],
)
def test_a_header_that_means_something_else(api: RefundApiClient, header: str, text: str) -> None:
    given = {"Idempotency-Key": "bad-header", "Content-Type": FORM, header: text}
    answer = api.request("POST", "/v1/refunds", raw=PLAIN.encode(), headers=given)
    require_error(answer, 400, "invalid_request")
    assert answer.body["error"]["param"] == header


def test_a_form_in_a_body_that_is_declared_as_json(api: RefundApiClient) -> None:
    answer = api.request(
        "POST", "/v1/refunds", raw=PLAIN.encode(), headers={"Idempotency-Key": "bad-type"}
    )
    require_error(answer, 400, "invalid_request")


@pytest.mark.parametrize("size", [256 * 1024 + 1, 7 * 1024 * 1024])
def test_a_body_that_is_too_large(api: RefundApiClient, size: int) -> None:
    raw = json.dumps({"payment_record": RECORD, "reason": "x" * size}).encode()
    answer = api.request("POST", "/v1/refunds", raw=raw, headers={"Idempotency-Key": "too-large"})
    require_error(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"payment_record": "pr_nowhere"}, 404, "payment_not_found"),
        ({"payment_intent": "pi_nowhere"}, 404, "payment_not_found"),
        ({"invoice": "in_nowhere"}, 404, "payment_not_found"),
        ({"payment_record": "../../v1/charges"}, 404, "payment_not_found"),
        ({"payment_record": payments.LIVE_MODE.record_id}, 404, "payment_not_found"),
        ({"payment_record": payments.WITHOUT_LINK.record_id}, 400, "payment_not_linked"),
        ({"payment_record": payments.NEVER_CAPTURED.record_id}, 412, "payment_not_refundable"),
        ({"payment_record": payments.CANCELED.record_id}, 412, "payment_not_refundable"),
        ({"payment_record": payments.OTHER_CURRENCY.record_id}, 422, "currency_mismatch"),
        ({"payment_record": RECORD, "currency": "usd"}, 422, "currency_mismatch"),
        ({"payment_record": RECORD, "amount": 10_000}, 422, "refund_amount_exceeded"),
        ({"payment_record": PARTLY_REFUNDED.record_id, "amount": 7500}, 422,
         "refund_amount_exceeded"),
        ({"payment_record": payments.CARD_KWD.record_id, "amount": 1001}, 422,
         "amount_not_representable"),
    ],
)  # fmt: skip
def test_a_payment_or_amount_that_cannot_be_refunded(
    api: RefundApiClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = api.create_refund(f"bad-payment-{code}", **body)
    require_error(answer, status, code)


def test_what_is_missing_and_where_it_should_have_been_written(api: RefundApiClient) -> None:
    answer = api.create_refund("bad-link", payment_record=payments.WITHOUT_LINK.record_id)
    details = require_error(answer, 400, "payment_not_linked")
    assert details["object"] == payments.WITHOUT_LINK.record_id
    assert details["missing"] == "processor payment id"
    assert "metadata.hitpay_payment_id" in details["expected_in"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nobody",
        "Basic cmJrOg==",
        "nobody",
        "Bearer sk_live_51abcdefghijklmnop",
    ],
)
def test_a_call_without_a_valid_key(stack: RunningStack, authorization: str | None) -> None:
    # An address of its own, where few other unknown keys have been counted.
    address = f"203.0.113.{len(authorization or '')}"
    headers = {"Idempotency-Key": "no-key", "X-Forwarded-For": address}
    if authorization is not None:
        headers["Authorization"] = authorization
    nobody = RefundApiClient(stack.api_url, "rbk_nobody")
    for method, path in (("POST", "/v1/refunds"), ("GET", "/v1/refunds/rfd_x")):
        answer = nobody.request(method, path, body={"payment_record": RECORD}, headers=headers)
        require_error(answer, 401, "unauthorized")


def test_ids_and_routes_that_do_not_exist(api: RefundApiClient) -> None:
    require_error(api.read_refund("rfd_nowhere"), 404, "refund_not_found")
    require_error(api.read_refund("x" * 3000), 404, "refund_not_found")
    require_error(api.request("GET", "/v1/nowhere"), 404, "not_found")
    require_error(api.request("DELETE", "/v1/refunds"), 405, "method_not_allowed")
    require_error(api.request("PUT", "/v1/refunds/rfd_x", body={}), 405, "method_not_allowed")
