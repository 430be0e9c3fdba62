"""``refund_api``: HTTP through API Gateway → command → use case → answer.

Thin on purpose: authorise, check, call once, say the answer. What a refund is and how it happens
stands in ``refunds.execute``.
"""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from refunds.adapters.function_log import function_log
from refunds.adapters.rest import RestFunction
from refunds.answers import (
    HttpAnswer,
    answer_of,
    error_answer,
    payment_object,
    refund_list,
    refund_object,
)
from refunds.api_document import api_document
from refunds.bootstrap.refund_api import RefundApi, RefundApiSettings, refund_api
from refunds.bootstrap.snapshots import keep_ready
from refunds.bootstrap.trails import metered
from refunds.callers import READ, WRITE, Credentials
from refunds.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    PaymentNotFoundError,
    RefundBridgeError,
    RefundNotFoundError,
    UnsupportedMediaTypeError,
)
from refunds.ports import Deadline
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
# Bodies are in UTF-8 whatever is said; to say so is allowed, in either of HTTP's spellings.
CHARSETS = ("", "charset=utf-8", 'charset="utf-8"')

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
# What a path names with an id of characters that no id has, so that the router took it for none.
ID_OF_NOTHING: dict[str, RefundBridgeError] = {
    "/v1/refunds/<refund_id>": RefundNotFoundError("There is no refund of this id."),
    "/v1/payments/<payment_record>": PaymentNotFoundError("There is no Payment Record of this id."),
}

logger = function_log()
rest = RestFunction(
    logger, challenge="Bearer", unknown="Something went wrong here; repeat with the same key."
)
app = rest.app
keep_ready(RefundApiSettings, refund_api.cache_clear)


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway; every path ends in an answer of the contract's shape."""
    return rest.resolve(event, context)


@app.get("/health")
def health() -> Response[str]:
    """Say that the function runs; no secret is read and nobody is called."""
    return rest.answer(HttpAnswer(200, {"status": "ok"}))


@app.get("/v1/openapi.json")
def read_document() -> Response[str]:
    """Tell the contract, to anybody: it changes with a deployment only."""
    document = api_document(rest.context.get("domainName"), str(rest.context.get("path")))
    return rest.answer(HttpAnswer(200, document, {"Cache-Control": "public, max-age=300"}))


@app.post("/v1/refunds")
def create_refund() -> Response[str]:
    """Execute a refund, or answer what became of it."""
    world = refund_api(logger)
    caller = _authorised(world, WRITE)
    require_no_parameters(_parameters())
    body = parse_body(_json_text())
    _require_one_key_header()
    key = idempotency_key(rest.header("Idempotency-Key"), body)
    command = CreateRefund(
        refund_id=refund_id_of(key, world.stage),
        request=body.normalised(),
        source=Source.API,
        actor=caller,
        token=world.new_token(),
    )
    logger.append_keys(refund_id=command.refund_id)
    answer = world.execute(command, Deadline.after(world.clock, PROVIDER_BUDGET_MS))
    return rest.answer(answer_of(answer, rest.request_id))


@app.get("/v1/refunds")
def list_refunds() -> Response[str]:
    """Answer a page of refunds from the ledger."""
    world = refund_api(logger)
    _authorised(world, READ)
    page = world.list_refunds(parse_list(_parameters()))
    return rest.answer(HttpAnswer(200, refund_list(page)))


@app.get("/v1/refunds/<refund_id>")
def read_refund(refund_id: str) -> Response[str]:
    """Answer a refund from the ledger; with ``sync``, after asking the processor about it."""
    world = refund_api(logger)
    parameters = _parameters()
    # What a look finds may move the refund on, so asking for one takes the right to write besides.
    _authorised(world, READ, *([WRITE] if "true" in parameters.get("sync", ()) else []))
    sync_until = None
    if parse_sync(parameters):
        sync_until = Deadline.after(world.clock, PROVIDER_BUDGET_MS)
    refund, payment = world.read_refund(refund_id, sync_until=sync_until)
    return rest.answer(HttpAnswer(200, refund_object(refund, payment)))


@app.get("/v1/payments/<payment_record>")
def read_payment(payment_record: str) -> Response[str]:
    """Answer what was captured, refunded and is left of a payment."""
    world = refund_api(logger)
    _authorised(world, READ)
    require_no_parameters(_parameters())
    if not is_reference(payment_record):
        raise PaymentNotFoundError("There is no Payment Record of this id.")
    read = world.read_payment(payment_record, Deadline.after(world.clock, PROVIDER_BUDGET_MS))
    return rest.answer(HttpAnswer(200, payment_object(read)))


@app.not_found
def no_such_route(_: Exception) -> Response[str]:
    """Tell a path that is not there from a method that it does not have."""
    path, method = app.current_event.path, app.current_event.http_method
    nowhere = NotFoundError(f"There is no {path}.")
    for pattern, methods in METHODS.items():
        if _matches(pattern, path):
            if method in methods:
                return rest.error(ID_OF_NOTHING.get(pattern, nowhere))
            answer = error_answer(
                MethodNotAllowedError(f"{path} has no {method}."), rest.request_id
            )
            allow = ", ".join(sorted(methods))
            return rest.answer(HttpAnswer(answer.status, answer.body, {"Allow": allow}))
    return rest.error(nowhere)


def _authorised(world: RefundApi, *scopes: str) -> str:
    """The caller's name, as it goes into the history."""
    identity = rest.context.get("identity") or {}
    credentials = Credentials(
        authorization=rest.header("Authorization"),
        source_ip=str(identity.get("sourceIp")),
        user_arn=identity.get("userArn"),
    )
    return world.callers.admitted(credentials, *scopes)


def _json_text() -> str:
    """The request's body, if it is declared as JSON and small enough."""
    media_type, _, parameters = (rest.header("Content-Type") or "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() != "application/json" or charset not in CHARSETS:
        raise UnsupportedMediaTypeError("Send Content-Type: application/json.")
    try:
        return rest.body().decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            "The body is not UTF-8.", details={"fields": [{"path": "", "reason": "not UTF-8"}]}
        ) from error


def _parameters() -> Parameters:
    return parameters_of(app.current_event.raw_event)


def _require_one_key_header() -> None:
    """Refuse a key that is given twice: which of the two the caller means cannot be known."""
    headers = app.current_event.raw_event.get("multiValueHeaders") or {}
    given = {
        key
        for name, keys in headers.items()
        if name.lower() == "idempotency-key"
        for key in keys or ()
    }
    if len(given) > 1:
        raise InvalidRequestError(
            "The Idempotency-Key header is given more than once.",
            details={"fields": [{"path": "Idempotency-Key", "reason": "given twice"}]},
        )


def _matches(pattern: str, path: str) -> bool:
    expected, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    return len(expected) == len(given) and all(
        part.startswith("<") or part == actual for part, actual in zip(expected, given, strict=True)
    )
