"""The descriptions of the providers' APIs: what they let through, and what they do not."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from refund_bridge.adapters.http.messages import HttpAnswer, HttpRequest
from tests.descriptions.description import Description
from tests.descriptions.hitpay_api import HitPayApi, schema
from tests.descriptions.stripe_api import StripeApi
from tests.unit.adapters.test_stripe.bodies import error_body, record_body

Path = tuple[str, ...]
HITPAY, STRIPE = HitPayApi(), StripeApi()
REPORT_PATH = "/v1/payment_records/pr_1/report_refund"
FORM = "application/x-www-form-urlencoded"
HEADERS: Mapping[str, dict[str, str]] = {
    "hitpay": {"X-BUSINESS-API-KEY": "key", "X-Requested-With": "XMLHttpRequest"},
    "stripe": {"Authorization": "Bearer key"},
}
REPORT = {
    "outcome": "refunded",
    "amount[value]": "2500",
    "amount[currency]": "sgd",
    "initiated_at": "1714528980",
    "processor_details[type]": "custom",
    "processor_details[custom][refund_reference]": "ref-1",
    "refunded[refunded_at]": "1714528984",
}
INSTRUCTION = {"payment_id": "pay-1", "amount": "25.00"}
REFUND = {
    "id": "ref-1",
    "refunded_by": None,
    "payment_id": "pay-1",
    "amount_refunded": 25,
    "total_amount": 99.99,
    "currency": "sgd",
    "status": "succeeded",
    "payment_method": "card",
    "refunded_at": "2025-05-21T09:17:52.000000Z",
    "created_at": "2025-05-21T17:17:52",
}
INTENT = {"id": "pi_1", "object": "payment_intent", "livemode": False, "metadata": {"a": "b"}}


def get(api: Description, path: str) -> HttpRequest:
    return HttpRequest("GET", f"http://provider{path}", HEADERS[api.provider])


def post(api: Description, path: str, form: Mapping[str, str]) -> HttpRequest:
    headers = HEADERS[api.provider] | {"Content-Type": FORM}
    return HttpRequest("POST", f"http://provider{path}", headers, urlencode(form).encode())


def answer(body: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("api", "request_"),
    [
        (HITPAY, post(HITPAY, "/v1/refund", INSTRUCTION)),
        (HITPAY, get(HITPAY, "/v1/charges/pay-1")),
        (HITPAY, get(HITPAY, "/v1/charges?per_page=50&statuses[]=refunded&cursor=abc")),
        (STRIPE, post(STRIPE, REPORT_PATH, REPORT)),
        (STRIPE, get(STRIPE, "/v1/payment_intents/pi_1?expand[0]=payment_record")),
    ],
)
def test_what_is_described_may_be_asked(api: Description, request_: HttpRequest) -> None:
    assert api.of_request(request_) == []


@pytest.mark.parametrize(
    ("api", "request_", "said"),
    [
        (
            HITPAY,
            post(HITPAY, "/v1/refund", INSTRUCTION | {"amount": "2.5e1"}),
            "instruction.amount",
        ),
        (
            HITPAY,
            post(HITPAY, "/v1/refund", INSTRUCTION | {"amount": "0.00"}),
            "instruction.amount",
        ),
        (HITPAY, post(HITPAY, "/v1/refund", {"amount": "25.00"}), "payment_id"),
        (HITPAY, post(HITPAY, "/v1/refund", INSTRUCTION | {"currency": "sgd"}), "currency"),
        (HITPAY, get(HITPAY, "/v1/charges?statuses[]=returned"), "list_query.statuses.0"),
        (HITPAY, get(HITPAY, "/v1/charges/pay-1?expand=refunds"), "nothing"),
        (HITPAY, get(HITPAY, "/v1/refunds"), "is no call of this API"),
        (HITPAY, HttpRequest("GET", "http://provider/v1/charges/pay-1", {}), "x-business-api-key"),
        (STRIPE, post(STRIPE, REPORT_PATH, REPORT | {"outcome": "failed"}), "outcome"),
        (STRIPE, post(STRIPE, REPORT_PATH, REPORT | {"amount[value]": "25.00"}), "amount.value"),
        (STRIPE, post(STRIPE, REPORT_PATH, REPORT | {"amuont": "1"}), "amuont"),
        (STRIPE, post(STRIPE, REPORT_PATH, REPORT | {"api_key": "1"}), "api_key"),
        (
            STRIPE,
            post(STRIPE, REPORT_PATH, {"outcome": "refunded"}),
            "details is missing",
        ),
        (STRIPE, get(STRIPE, "/v1/payment_intents/pi_1?expand=payment_record"), "expand"),
        (STRIPE, get(STRIPE, "/v1/payment_records/pr_1/report_refund"), "is no call of this API"),
        (STRIPE, HttpRequest("GET", "http://provider/v1/invoices/in_1", {}), "authorization"),
    ],
)
def test_what_is_not_described_is_named(api: Description, request_: HttpRequest, said: str) -> None:
    assert said in " ".join(api.of_request(request_))


INSTRUCTED, CHARGE_READ = post(HITPAY, "/v1/refund", INSTRUCTION), get(HITPAY, "/v1/charges/pay-1")
REPORTED = post(STRIPE, REPORT_PATH, REPORT)
INTENT_READ = get(STRIPE, "/v1/payment_intents/pi_1")


@pytest.mark.parametrize(
    ("api", "request_", "given"),
    [
        (HITPAY, INSTRUCTED, answer(REFUND)),
        (HITPAY, INSTRUCTED, answer(REFUND | {"amount_refunded": "1,025.00", "status": None})),
        (HITPAY, CHARGE_READ, answer({"message": "Invalid business api key"}, 403)),
        (HITPAY, CHARGE_READ, HttpAnswer(502, {}, b"<html>")),
        (STRIPE, REPORTED, answer(record_body())),
        (STRIPE, REPORTED, answer(error_body(code="resource_missing"), 404)),
        (STRIPE, INTENT_READ, answer(INTENT | {"payment_record": record_body()})),
    ],
)
def test_what_is_described_may_be_answered(
    api: Description, request_: HttpRequest, given: HttpAnswer
) -> None:
    assert api.of_answer(request_, given) == []


@pytest.mark.parametrize(
    ("api", "request_", "given", "said"),
    [
        (HITPAY, INSTRUCTED, answer(REFUND | {"amount_refunded": "25,00"}), "amount_refunded"),
        (HITPAY, INSTRUCTED, answer(REFUND | {"created_at": "yesterday"}), "created_at"),
        (HITPAY, INSTRUCTED, answer(REFUND | {"reference": "ours"}), "reference"),
        (HITPAY, INSTRUCTED, answer({"id": "ref-1"}), "payment_id"),
        (HITPAY, CHARGE_READ, answer({"error": "no"}, 404), "refusal"),
        (HITPAY, CHARGE_READ, HttpAnswer(200, {}, b"null"), "without a JSON object"),
        (STRIPE, REPORTED, answer(record_body(livemode="no")), "livemode"),
        (STRIPE, REPORTED, answer(record_body(refunds=[])), "refunds is no member"),
        (STRIPE, REPORTED, answer(record_body(amount_refunded=5)), "amount_refunded"),
        (STRIPE, REPORTED, answer({"message": "no"}, 404), "404 error is no object"),
        (STRIPE, INTENT_READ, answer(INTENT | {"payment_record": {"id": 5}}), "payment_record.id"),
    ],
)
def test_an_answer_that_is_not_described_is_named(
    api: Description, request_: HttpRequest, given: HttpAnswer, said: str
) -> None:
    assert said in " ".join(api.of_answer(request_, given))


def test_every_member_of_hitpays_description_names_a_source() -> None:
    described = schema()
    nameless = [
        path
        for path, member in members(described["$defs"], ())
        if not any(source in member.get("$comment", "") for source in described["sources"])
    ]
    assert nameless == []
    assert sum(1 for _ in members(described["$defs"], ())) > 50


def members(
    part: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Each member that a schema describes, wherever that stands."""
    if isinstance(part, list):
        part = {str(number): item for number, item in enumerate(part)}
    if not isinstance(part, dict):
        return
    for name, inner in part.items():
        if name == "properties":
            yield from (((*path, member), inner[member]) for member in inner)
        yield from members(inner, (*path, name))
