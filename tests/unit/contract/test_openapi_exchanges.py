"""The check of exchanges notices whatever does not keep to the OpenAPI document."""

import json
from dataclasses import replace
from typing import Any

import pytest

from local.http_client import Answer, Exchange
from tests.openapi.document import document, exchange_problems
from tests.openapi.watch import Watch

SUCCEEDED = document()["components"]["examples"]["SucceededRefund"]["value"]
INVALID = document()["components"]["examples"]["InvalidRequest"]["value"]
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def answer(status: int, body: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    retry = {"Stripe-Should-Retry": "false"} if status >= 400 else {}
    always = {**JSON, "Request-Id": "r", **retry}
    return Answer(status, {**always, **named}, body, json.dumps(body))


def asked(method: str, path: str, told: Answer, body: Any = None, **headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = None if body is None else json.dumps(body).encode()
    return Exchange(method, path, {**JSON, **named}, raw, told)


CREATED = asked(
    "POST",
    "/v1/refunds",
    answer(201, SUCCEEDED),
    {"payment_record": "pr_card_sgd", "amount": 2500},
    Idempotency_Key="order-1007",
)
READ = asked("GET", f"/v1/refunds/{SUCCEEDED['id']}?sync=true", answer(200, SUCCEEDED))
LISTED = asked(
    "GET",
    "/v1/refunds?limit=100&created_after=2026-01-01T00%3A00%3A00Z",
    answer(200, {"object": "list", "url": "/v1/refunds", "data": [SUCCEEDED], "has_more": False}),
)
BY_FORM = replace(
    CREATED,
    headers={**CREATED.headers, **FORM},
    body=b"payment_intent=pi_1&amount=2500&metadata[order]=1007&expand[0]=charge",
)
REFUSED = asked("POST", "/v1/refunds", answer(400, INVALID), {"amuont": 1})


@pytest.mark.parametrize(
    "exchange",
    [
        CREATED,
        READ,
        LISTED,
        REFUSED,
        BY_FORM,
        replace(LISTED, path="/v1/refunds?created[gte]=1&expand[]=data.charge"),
    ],
)
def test_what_keeps_to_the_document_is_left_alone(exchange: Exchange) -> None:
    assert exchange_problems(exchange) == []


@pytest.mark.parametrize(
    "exchange",
    [
        # a status, a body, a type or a header that is not documented
        replace(CREATED, answer=answer(204, None)),
        replace(CREATED, answer=answer(201, {**SUCCEEDED, "status": "pending"})),
        replace(CREATED, answer=answer(201, {**SUCCEEDED, "undocumented": 1})),
        replace(CREATED, answer=answer(400, {**INVALID, "undocumented": 1})),
        replace(CREATED, answer=replace(CREATED.answer, headers={"Content-Type": "text/html"})),
        replace(CREATED, answer=replace(CREATED.answer, headers={})),
        replace(CREATED, answer=answer(201, SUCCEEDED, Idempotent_Replayed="true")),
        replace(REFUSED, answer=answer(400, INVALID, Retry_After="1")),
        # a header that is documented, and missing or of another form
        replace(REFUSED, answer=answer(401, {"error": {**INVALID["error"], "details": {}}})),
        replace(READ, answer=answer(429, INVALID, Retry_After="soon")),
        # a header that every answer has
        replace(CREATED, answer=replace(CREATED.answer, headers=JSON)),
        replace(REFUSED, answer=answer(400, INVALID, Stripe_Should_Retry="true")),
        # a request that should have been refused
        replace(BY_FORM, body=b"payment_intent=pi_1&amuont=2500"),
        replace(BY_FORM, body=b"payment_intent=pi_1&amount=2500.0"),
        replace(BY_FORM, body=b"payment_intent=pi_1&payment_intent=pi_2"),
        replace(BY_FORM, body=b"payment_intent"),
        replace(LISTED, path="/v1/refunds?created[gte]=soon"),
        replace(LISTED, path="/v1/refunds?expand[]=data.payment"),
        replace(CREATED, body=b'{"amuont": 1}'),
        replace(CREATED, body=b"{"),
        replace(CREATED, body=None),
        replace(CREATED, headers={**CREATED.headers, "Content-Type": "text/plain"}),
        replace(CREATED, headers={**CREATED.headers, "Idempotency-Key": "schlüssel"}),
        replace(READ, path="/v1/refunds/rfd_x"),
        replace(READ, path=f"/v1/refunds/{SUCCEEDED['id']}?sync=yes"),
        replace(READ, path=f"/v1/refunds/{SUCCEEDED['id']}?sync=true&sync=true"),
        replace(LISTED, path="/v1/refunds?limit=0"),
        replace(LISTED, path="/v1/refunds?limit=1.0"),
        replace(LISTED, path="/v1/refunds?limmit=1"),
        replace(LISTED, path="/v1/refunds?created_after=yesterday"),
        # a path or a method that is not documented
        replace(READ, path="/v1/nowhere"),
        replace(READ, method="DELETE"),
    ],
)
def test_what_does_not_is_noticed(exchange: Exchange) -> None:
    assert exchange_problems(exchange)


def test_the_watch_tells_each_problem_once_and_leaves_the_gateways_own_answers_alone() -> None:
    watch = Watch()
    watch(CREATED)
    watch(replace(CREATED, answer=answer(502, {"message": "Internal server error"})))
    assert watch.taken() == []
    watch(replace(CREATED, answer=answer(204, None)))
    assert len(watch.taken()) == 1
    assert watch.taken() == []
    assert watch.count == 3
