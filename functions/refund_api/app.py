"""``refund_api``: HTTP through API Gateway → command → use case → answer.

Thin on purpose: authorise, check, call once, say the answer. What a refund is and how it happens
stands in ``refunds.execute``.
"""

import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from refunds.answers import (
    HttpAnswer,
    answer_of,
    error_answer,
    payment_object,
    refund_list,
    refund_object,
)
from refunds.api_document import api_document
from refunds.bootstrap import RefundApi, metered, refund_api
from refunds.callers import READ, WRITE, Credentials
from refunds.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    PaymentNotFoundError,
    RefundBridgeError,
    RefundNotFoundError,
    UnsupportedMediaTypeError,
)
from refunds.ports import Deadline, LedgerUnavailableError
from refunds.queries import (
    Parameters,
    is_reference,
    parameters_of,
    parse_list,
    parse_sync,
    require_no_parameters,
)
from refunds.refund import Source, refund_id_of
from refunds.requests import idempotency_key, parse_body
from refunds.reserve import CreateRefund

# All provider calls of one request together; under the gateway's 29 s with room to answer.
PROVIDER_BUDGET_MS = 24_000
BODY_BYTES_MAX = 256 * 1024

# Which methods a path has, so that another one is answered 405 and another path 404.
METHODS = {
    "/health": {"GET"},
    "/v1/openapi.json": {"GET"},
    "/v1/refunds": {"GET", "POST"},
    "/v1/refunds/<refund_id>": {"GET"},
    "/v1/payments/<payment_record>": {"GET"},
    # Its POST is another function's.
    "/v1/webhooks/hitpay": {"POST"},
}

logger = Logger()
app = APIGatewayRestResolver()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway; every path ends in an answer of the contract's shape."""
    logger.append_keys(request_id=(event.get("requestContext") or {}).get("requestId"))
    return app.resolve(event, context)


@app.get("/health")
def health() -> Response[str]:
    """Say that the function runs; no secret is read and nobody is called."""
    return _response(HttpAnswer(200, {"status": "ok"}))


@app.get("/v1/openapi.json")
def read_document() -> Response[str]:
    """Tell the contract, to anybody: it changes with a deployment only."""
    context = app.current_event.raw_event.get("requestContext") or {}
    document = api_document(context.get("domainName"), str(context.get("path")))
    return _response(HttpAnswer(200, document, {"Cache-Control": "public, max-age=300"}))


@app.post("/v1/refunds")
def create_refund() -> Response[str]:
    """Execute a refund, or answer what became of it."""
    world = refund_api(logger)
    caller = _authorised(world, WRITE)
    require_no_parameters(_parameters())
    body = parse_body(_json_text())
    _require_one_key_header()
    key = idempotency_key(_header("Idempotency-Key"), body)
    command = CreateRefund(
        refund_id=refund_id_of(key, world.stage),
        request=body.normalised(),
        source=Source.API,
        actor=caller,
        token=world.new_token(),
    )
    logger.append_keys(refund_id=command.refund_id)
    answer = world.execute(command, Deadline.after(world.clock, PROVIDER_BUDGET_MS))
    return _response(answer_of(answer, _request_id()))


@app.get("/v1/refunds")
def list_refunds() -> Response[str]:
    """Answer a page of refunds from the ledger."""
    world = refund_api(logger)
    _authorised(world, READ)
    page = world.list_refunds(parse_list(_parameters()))
    return _response(HttpAnswer(200, refund_list(page)))


@app.get("/v1/refunds/<refund_id>")
def read_refund(refund_id: str) -> Response[str]:
    """Answer a refund from the ledger; with ``sync``, after asking the processor about it."""
    world = refund_api(logger)
    parameters = _parameters()
    # What a look finds may move the refund on, so asking for one takes the right to write.
    _authorised(world, WRITE if "true" in parameters.get("sync", ()) else READ)
    sync_until = None
    if parse_sync(parameters):
        sync_until = Deadline.after(world.clock, PROVIDER_BUDGET_MS)
    refund, payment = world.read_refund(refund_id, sync_until=sync_until)
    return _response(HttpAnswer(200, refund_object(refund, payment)))


@app.get("/v1/payments/<payment_record>")
def read_payment(payment_record: str) -> Response[str]:
    """Answer what was captured, refunded and is left of a payment."""
    world = refund_api(logger)
    _authorised(world, READ)
    require_no_parameters(_parameters())
    if not is_reference(payment_record):
        raise PaymentNotFoundError("There is no Payment Record of this id.")
    read = world.read_payment(payment_record, Deadline.after(world.clock, PROVIDER_BUDGET_MS))
    return _response(HttpAnswer(200, payment_object(read)))


@app.not_found
def no_such_route(_: Exception) -> Response[str]:
    """Tell a path that is not there from a method that it does not have."""
    path, method = app.current_event.path, app.current_event.http_method
    for pattern, methods in METHODS.items():
        if _matches(pattern, path):
            if method in methods:
                # An id of characters that no id has, so the router did not take it for one.
                error: RefundBridgeError = RefundNotFoundError("There is no refund of this id.")
                if pattern.startswith("/v1/payments/"):
                    error = PaymentNotFoundError("There is no Payment Record of this id.")
                return _response(error_answer(error, _request_id()))
            answer = error_answer(MethodNotAllowedError(f"{path} has no {method}."), _request_id())
            allow = ", ".join(sorted(methods))
            return _response(HttpAnswer(answer.status, answer.body, {"Allow": allow}))
    return _response(error_answer(NotFoundError(f"There is no {path}."), _request_id()))


@app.exception_handler(RefundBridgeError)  # type: ignore[untyped-decorator]
def told(error: RefundBridgeError) -> Response[str]:
    """Say one of the contract's errors."""
    logger.info("answered_with_error", code=error.code)
    return _response(error_answer(error, _request_id()))


@app.exception_handler(LedgerUnavailableError)  # type: ignore[untyped-decorator]
def ledger_unavailable(_: LedgerUnavailableError) -> Response[str]:
    """Nothing was sent by this call, but what an earlier one did cannot be said now."""
    logger.exception("ledger_unavailable")
    error = OutcomeUnknownError("The ledger gave no answer; repeat with the same key.")
    return _response(error_answer(error, _request_id()))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def defect(_: Exception) -> Response[str]:
    """A defect of ours: logged whole, told without its text."""
    logger.exception("internal_error")
    error = OutcomeUnknownError("Something went wrong here; repeat with the same key.")
    return _response(error_answer(error, _request_id()))


def _authorised(world: RefundApi, scope: str) -> str:
    """The caller's name, as it goes into the history."""
    context = app.current_event.raw_event.get("requestContext") or {}
    identity = context.get("identity") or {}
    credentials = Credentials(
        authorization=_header("Authorization"),
        source_ip=str(identity.get("sourceIp")),
        user_arn=identity.get("userArn"),
    )
    return world.callers.admitted(credentials, scope)


def _json_text() -> str:
    """The request's body, if it is declared as JSON and small enough."""
    media_type, _, parameters = (_header("Content-Type") or "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise UnsupportedMediaTypeError("Send Content-Type: application/json.")
    # Four thirds: what base64 adds, so that a huge body is refused before it is decoded.
    if len(app.current_event.body or "") > BODY_BYTES_MAX * 4 // 3 + 4:
        raise PayloadTooLargeError("The body is larger than 256 KB.")
    try:
        body = app.current_event.decoded_body or ""
    except ValueError as error:
        raise InvalidRequestError(
            "The body is not UTF-8.", details={"fields": [{"path": "", "reason": "not UTF-8"}]}
        ) from error
    if len(body.encode("utf-8", "surrogatepass")) > BODY_BYTES_MAX:
        raise PayloadTooLargeError("The body is larger than 256 KB.")
    return body


def _parameters() -> Parameters:
    return parameters_of(app.current_event.raw_event)


def _require_one_key_header() -> None:
    """Refuse a key that is given twice: which of the two the caller means cannot be known."""
    several = app.current_event.raw_event.get("multiValueHeaders") or {}
    for name, values in several.items():
        if name.lower() == "idempotency-key" and len(set(values or ())) > 1:
            raise InvalidRequestError(
                "The Idempotency-Key header is given more than once.",
                details={"fields": [{"path": "Idempotency-Key", "reason": "given twice"}]},
            )


def _header(name: str) -> str | None:
    return app.current_event.headers.get(name)


def _request_id() -> str:
    context = app.current_event.raw_event.get("requestContext") or {}
    return str(context.get("requestId"))


def _matches(pattern: str, path: str) -> bool:
    expected, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    return len(expected) == len(given) and all(
        part.startswith("<") or part == actual for part, actual in zip(expected, given, strict=True)
    )


def _response(answer: HttpAnswer) -> Response[str]:
    headers: dict[str, str | list[str]] = {"Cache-Control": "no-store", **answer.headers}
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        status_code=answer.status,
        content_type="application/json",
        body=json.dumps(answer.body),
        headers=headers,
    )
