"""The OpenAPI document and the code say the same: routes, errors, requests, states."""

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from functions.refund_api.app import METHODS, handler
from refund_bridge.contract.refund_object import payment_summary, refund_object
from refund_bridge.contract.requests import CallBody, Expandable
from refund_bridge.domain.refund import PUBLIC_STATUSES, Failure
from refund_bridge.domain.refund_request import RefundType, Source
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refund_bridge.http.answers import (
    ALREADY_REFUNDED,
    SDK_STATUS,
    STATUS_OF_ERROR,
    answer_of,
    error_answer,
)
from refund_bridge.http.queries import parse_list, parse_sync
from refund_bridge.observing.observe_payment import Observed
from refund_bridge.reading.listing import LIMIT_DEFAULT, LIMIT_MAX
from refund_bridge.refunding.execute import Answer
from tests.fakes.world import World
from tests.openapi.document import document, followed, operations, problems

SCHEMAS = document()["components"]["schemas"]
# The gateway leads to another function there; this one only has the other methods.
OF_ANOTHER_FUNCTION = ("/v1/webhooks/hitpay", "POST")
HERE = [
    (pattern, method)
    for pattern in METHODS
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    if (pattern, method) != OF_ANOTHER_FUNCTION
]
# What the gateway answers by itself; tests/template holds it against the document.
OF_THE_GATEWAY = {(500, "gateway_error"), (502, "gateway_error"), (504, "gateway_timeout")}


def called(method: str, path: str) -> dict[str, Any]:
    """The answer of the function to a call without a key."""
    context = {"requestId": "request-1", "path": f"/sandbox{path}", "domainName": "api.example.com"}
    event = {
        "httpMethod": method,
        "path": path,
        "headers": {},
        "multiValueHeaders": {},
        "requestContext": context,
        "body": None,
        "isBase64Encoded": False,
    }
    lambda_context = SimpleNamespace(
        function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="r"
    )
    return handler(event, lambda_context)  # type: ignore[arg-type]


def documented_errors() -> Iterator[tuple[int, str]]:
    """Every status and code that some answer is documented to have."""
    responses = [
        (status, response)
        for operation in operations()
        for status, response in operation.definition["responses"].items()
    ]
    no_method = document()["components"]["responses"]["MethodNotAllowed"]
    responses += [("405", no_method), ("400", no_method)]
    for status, response in responses:
        if int(status) >= 400:
            schema = followed(followed(response)["content"]["application/json"]["schema"])
            for choice in schema.get("anyOf", [schema]):
                error = followed(choice)["properties"]["error"]
                yield int(status), error["properties"]["code"]["const"]


# --- routes ---------------------------------------------------------------------------------------


def test_every_route_is_documented_and_every_documented_route_is_there() -> None:
    routed = {
        (path.replace("<", "{").replace(">", "}"), method)
        for path, methods in METHODS.items()
        for method in methods
    }
    documented = {(operation.path, operation.method.upper()) for operation in operations()}
    assert documented == routed


@pytest.mark.parametrize(("pattern", "method"), HERE)
def test_what_is_said_to_be_routed_is(
    pattern: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given no settings, so that whatever needs the world ends in a 500
    monkeypatch.delenv("STAGE", raising=False)
    # When the function is called
    answer = called(method, pattern.replace("<", "").replace(">", ""))
    # Then only a method that is not in the table is refused, with those that are
    if method in METHODS[pattern]:
        assert answer["statusCode"] in (200, 500)
    else:
        assert answer["statusCode"] == 405
        assert answer["multiValueHeaders"]["Allow"] == [", ".join(sorted(METHODS[pattern]))]


def test_the_document_is_served_with_the_address_that_it_was_asked_at() -> None:
    answer = called("GET", "/v1/openapi.json")
    assert answer["statusCode"] == 200
    assert answer["multiValueHeaders"]["Cache-Control"] == ["public, max-age=300"]
    served = json.loads(answer["body"])
    assert served.pop("servers") == [{"url": "https://api.example.com/sandbox"}]
    assert served == {name: each for name, each in document().items() if name != "servers"}


# --- errors ---------------------------------------------------------------------------------------


def test_every_error_is_documented_with_its_status_and_every_documented_one_is_there() -> None:
    told = {(status, error.code) for error, status in STATUS_OF_ERROR.items()}
    for_sdks = {
        (error_answer(error("Why."), "request-1", for_sdk=True).status, error.code)
        for error in STATUS_OF_ERROR
    }
    nothing_left = {(SDK_STATUS, ALREADY_REFUNDED)}
    assert set(documented_errors()) == told | for_sdks | nothing_left | OF_THE_GATEWAY


@pytest.mark.parametrize("error", STATUS_OF_ERROR, ids=lambda each: each.__name__)
def test_an_error_without_details_has_the_documented_shape(error: Any) -> None:
    told = error_answer(error("Why."), "request-1")
    assert problems(SCHEMAS["Error"], told.body) == []


# --- requests -------------------------------------------------------------------------------------


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What Pydantic says of a field that may be left out, less the null that stands for that."""
    choices = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    return choices[0] if choices else schema


def bare(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema without its prose and nulls, its references followed."""
    schema = without_null(schema)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        rest = {key: each for key, each in schema.items() if key != "$ref"}
        schema = {**definitions[name], **rest}
    prose = ("title", "description", "example")
    return {
        key: bare(each, definitions) if isinstance(each, dict) else each
        for key, each in schema.items()
        if key not in prose and not (key == "default" and each is None)
    }


def test_the_documented_request_is_the_one_that_is_checked() -> None:
    checked = CallBody.model_json_schema()
    documented = SCHEMAS["RefundRequest"]
    assert set(documented["properties"]) == set(checked["properties"])
    for name, field in checked["properties"].items():
        shape = {**without_null(field), "default": field["default"]}
        wanted = bare(shape, checked.get("$defs", {}))
        shown = bare(documented["properties"][name], SCHEMAS)
        # Pydantic's schema says nothing of a pattern of keys that a validator of ours checks.
        shown.get("propertyNames", {}).pop("pattern", None)
        assert shown == wanted, name
    assert documented["additionalProperties"] is checked["additionalProperties"] is False


UNLINKED = {
    "payment_method": {"id": "m"},
    "customer": {"hsid": "1"},
    "amount": 1,
    "currency": "usd",
    "processor": "ccg",
}


@pytest.mark.parametrize("body", [UNLINKED, UNLINKED | {"payment_record": "pr_1"}])
def test_an_unlinked_refund_is_of_the_documented_form(body: dict[str, Any]) -> None:
    assert problems(SCHEMAS["RefundRequest"], body) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"payment_record": "pr_1", "invoice": "in_1"},
        {"payment_record": "pr_1", "amount": None},
        {"payment_record": "pr_1", "amount": 0},
        {"payment_record": "pr_1", "amount": True},
        {"payment_record": "pr_1", "currency": "S9D"},
        {"payment_record": "pr_1", "metadata": {"k": 1}},
        {"payment_record": "pr_1", "metadata": {"": "v"}},
        {"payment_record": "pr 1"},
        {"payment_record": "pr_1", "refund_id": "a\n"},
        {"payment_record": "pr_1", "customer": {"hsid": "1"}},
        {"payment_method": {"id": "m"}},
        {"invoice": "in_1", "payment_method": {"id": "m"}},
        UNLINKED | {"payment_intent": "pi_1"},
        *(
            {name: value for name, value in UNLINKED.items() if name != missing}
            for missing in UNLINKED
        ),
    ],
)
def test_what_is_refused_is_not_of_the_documented_form(body: dict[str, Any]) -> None:
    assert problems(SCHEMAS["RefundRequest"], body)


def parameters(operation_id: str) -> dict[str, Any]:
    """The schemas of an operation's parameters in the query."""
    (operation,) = (
        each.definition for each in operations() if each.definition["operationId"] == operation_id
    )
    return {
        each["name"]: followed(each["schema"])
        for each in map(followed, operation["parameters"])
        if each["in"] == "query"
    }


def test_the_documented_parameters_of_the_list_are_those_that_are_read() -> None:
    values = {
        "payment_record": "pr_1",
        "payment_intent": "pi_1",
        "invoice": "in_1",
        "charge": "ch_1",
        "status": "review,failed",
        "amount": "2500",
        "currency": "sgd",
        "processor": "hitpay",
        "reason": "duplicate",
        "created_after": "2026-01-01T00:00:00Z",
        "created_before": "2026-01-02T00:00:00+08:00",
        "limit": "100",
        "starting_after": f"rfd_{'a' * 32}",
        "ending_before": f"rfd_{'a' * 32}",
        "created[gt]": "1",
        "created[gte]": "1",
        "created[lt]": "1",
        "created[lte]": "1",
        "expand[]": "data.charge",
    }
    documented = parameters("listRefunds")
    nested = {f"created[{name}]" for name in documented.pop("created")["properties"]}
    assert set(documented) | nested == set(values)
    for name, value in values.items():
        parse_list({name: [value]})
    limit = documented["limit"]
    assert (limit["maximum"], limit["default"]) == (LIMIT_MAX, LIMIT_DEFAULT)


def test_the_documented_parameter_of_a_read_is_the_one_that_is_read() -> None:
    documented = parameters("readRefund")
    assert documented.pop("expand[]")["items"]["enum"] == list(get_args(Expandable))
    assert documented == {"sync": {"type": "boolean", "default": False}}
    assert parse_sync({"sync": ["true"], "expand[]": ["charge"]}) is True
    assert parse_sync({}) is False


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documented", "known"),
    [
        (SCHEMAS["RefundStatus"], PUBLIC_STATUSES),
        (SCHEMAS["StripeReport"]["properties"]["status"], {state.value for state in ReportState}),
        (
            SCHEMAS["CreditNote"]["properties"]["status"],
            {state.value for state in CreditNoteState} - {"not_due"},
        ),
        (SCHEMAS["Refund"]["properties"]["source"], {source.value for source in Source}),
        (SCHEMAS["Refund"]["properties"]["refund_type"], {kind.value for kind in RefundType}),
        (SCHEMAS["Heard"]["properties"]["status"], {each.value for each in Observed} | {"ignored"}),
    ],
)
def test_the_documented_words_are_those_of_the_code(documented: Any, known: set[str]) -> None:
    assert set(documented["enum"]) == known


def succeeded() -> Answer:
    """A first answer to a refund that succeeded."""
    world = World()
    world.pay()
    return world.refund("k", amount=2500)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("replayed", [False, True])
def test_what_is_answered_in_every_state_is_of_the_documented_form(
    state: State, replayed: bool
) -> None:
    # Given a refund in that state
    answer = succeeded()
    failed = state in (State.REJECTED, State.ABORTED, State.FAILED)
    failure = Failure(code="c", message="m", status=422) if failed else None
    refund = replace(answer.refund, state=state, failure=failure)
    # When it is told, as the answer to its own call and to a reader
    told = answer_of(replace(answer, refund=refund, replayed=replayed), "request-1")
    read = refund_object(refund, answer.payment, with_key=True)
    # Then both are documented
    responses = document()["paths"]["/v1/refunds"]["post"]["responses"]
    response = followed(responses[str(told.status)])
    assert problems(response["content"]["application/json"]["schema"], told.body) == []
    of_every_error = {"Stripe-Should-Retry"} if told.status >= 400 else set()
    assert set(told.headers) - of_every_error <= set(response.get("headers", {}))
    assert problems(SCHEMAS["Refund"], read) == []


def test_a_payment_is_told_in_the_documented_form_at_every_degree_of_being_refunded() -> None:
    payment = succeeded().payment
    assert payment is not None
    statuses = set()
    for moved in (0, 1, payment.captured):
        told = payment_summary(replace(payment, held=moved, moved=moved))
        statuses.add(told["status"])
        assert problems(SCHEMAS["PaymentSummary"], told) == []
    assert statuses == set(SCHEMAS["PaymentStatus"]["enum"])
