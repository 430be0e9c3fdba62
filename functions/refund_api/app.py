"""``refund_api``: HTTP through API Gateway → command → use case → answer.

Thin on purpose: authorise, check, call once, answer. ``refunding/execute.py`` says how a refund is
made.
"""

from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.aws_runtime.rest import STRIPE_VERSION, RestFunction, is_version
from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.refund_api import RefundApi, RefundApiSettings, refund_api
from refund_bridge.bootstrap.snapshots import keep_ready
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.contract.api_document import api_document
from refund_bridge.contract.documents import parse_document
from refund_bridge.contract.refund_object import payment_object, refund_list, refund_object
from refund_bridge.contract.requests import (
    CallBody,
    CancelBody,
    idempotency_key,
    validate,
    validate_body,
)
from refund_bridge.domain.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    PaymentNotFoundError,
    RefundBridgeError,
    RefundNotCancelableError,
    RefundNotFoundError,
)
from refund_bridge.domain.payouts import AskedAt, require_no_payout, require_payout
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import Source
from refund_bridge.http.answers import ApiAnswer, answer_of, error_answer
from refund_bridge.http.callers import PAYOUT, READ, WRITE, Credentials
from refund_bridge.http.queries import (
    Parameters,
    is_reference,
    parameters_of,
    parse_list,
    parse_sync,
    require_no_parameters,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.withdraw import WithdrawalRefusedError

# All provider calls of one request together; under the gateway's 29 s with room to answer.
PROVIDER_BUDGET_MS = 24_000
# The reason in a canceled refund's history, beside the caller's name.
CANCELED_BY_CALLER = "its caller canceled it"
# Stripe's headers that name the account of a call; a stage serves one account.
ACCOUNT_HEADERS = ("Stripe-Account", "Stripe-Context")

# The methods of each path: another method is answered with 405, an unknown path with 404.
METHODS = {
    "/health": {"GET"},
    "/v1/openapi.json": {"GET"},
    "/v1/payouts": {"POST"},
    "/v1/refunds": {"GET", "POST"},
    "/v1/refunds/<refund_id>": {"GET"},
    "/v1/refunds/<refund_id>/cancel": {"POST"},
    "/v1/payments/<payment_record>": {"GET"},
    # Another function handles its POST.
    "/v1/webhooks/hitpay": {"POST"},
}
# The errors for paths whose id has characters that no id has, so that the router did not match.
ID_OF_NOTHING: dict[str, RefundBridgeError] = {
    "/v1/refunds/<refund_id>": RefundNotFoundError("There is no refund of this id."),
    "/v1/refunds/<refund_id>/cancel": RefundNotFoundError("There is no refund of this id."),
    "/v1/payments/<payment_record>": PaymentNotFoundError("There is no Payment Record of this id."),
}

logger = function_log()
rest = RestFunction(
    logger,
    challenge="Bearer",
    unknown="Something went wrong here; repeat with the same key.",
    takes_sdks=True,
)
app = rest.app
keep_ready(RefundApiSettings, refund_api.cache_clear)


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway; every path ends in an answer of the contract's form."""
    return rest.resolve(event, context)


@app.get("/health")
def health() -> Response[str]:
    """Say that the function runs; reads no secret and calls no other service."""
    return rest.answer(ApiAnswer(200, {"status": "ok"}))


@app.get("/v1/openapi.json")
def read_document() -> Response[str]:
    """Answer with the OpenAPI document, to anybody; it changes only with a deployment."""
    document = api_document(rest.context.get("domainName"), str(rest.context.get("path")))
    return rest.answer(ApiAnswer(200, document, {"Cache-Control": "public, max-age=300"}))


@app.post("/v1/refunds")
def create_refund() -> Response[str]:
    """Execute a refund, or answer with what became of it."""
    return _created(WRITE, AskedAt.REFUNDS)


@app.post("/v1/payouts")
def create_payout() -> Response[str]:
    """Send money to the payment method that the caller names, or answer with what became of it."""
    return _created(PAYOUT, AskedAt.PAYOUTS)


def _created(scope: str, asked_at: AskedAt) -> Response[str]:
    world = refund_api(logger)
    caller = _admitted(world, scope)
    require_no_parameters(_parameters())
    body = _body(asked_at)
    _require_one_key_header()
    key = idempotency_key(rest.header("Idempotency-Key"), body)
    command = CreateRefund(
        refund_id=refund_id_of(key, world.stage),
        request=body.normalised(),
        source=Source.API,
        actor=caller,
        token=world.new_token(),
        idempotency_key=key,
    )
    logger.append_keys(refund_id=command.refund_id)
    if asked_at is AskedAt.PAYOUTS:
        require_payout(command.request)
    allow = partial(world.payouts.require_allowed, command.request, asked_at)
    answer = world.execute(command, Deadline.after(world.clock, PROVIDER_BUDGET_MS), allow)
    return rest.answer(answer_of(answer, rest.request_id, for_sdk=rest.is_for_sdk))


@app.post("/v1/refunds/<refund_id>/cancel")
def cancel_refund(refund_id: str) -> Response[str]:
    """Withdraw a scheduled refund that was not sent yet; a second call changes nothing."""
    world = refund_api(logger)
    caller = _admitted(world, WRITE)
    require_no_parameters(_parameters())
    if rest.body():
        validate(_document(), CancelBody)
    logger.append_keys(refund_id=refund_id)
    try:
        done = world.withdraw(caller).carry_out(refund_id, CANCELED_BY_CALLER)
    except WithdrawalRefusedError as error:
        raise RefundNotCancelableError(
            "Only a scheduled refund that was not sent yet can be canceled.",
            details={"refund": refund_id},
        ) from error
    return rest.answer(ApiAnswer(200, refund_object(done.refund, done.payment)))


@app.get("/v1/refunds")
def list_refunds() -> Response[str]:
    """Answer with a page of refunds from the ledger."""
    world = refund_api(logger)
    _admitted(world, READ)
    page = world.list_refunds(parse_list(_parameters()))
    return rest.answer(ApiAnswer(200, refund_list(page)))


@app.get("/v1/refunds/<refund_id>")
def read_refund(refund_id: str) -> Response[str]:
    """Answer with a refund from the ledger; with ``sync``, after a check at the processor."""
    world = refund_api(logger)
    parameters = _parameters()
    # A check may change the refund, so the caller also needs the right to write for it.
    _admitted(world, READ, *([WRITE] if "true" in parameters.get("sync", ()) else []))
    sync_until = None
    if parse_sync(parameters):
        sync_until = Deadline.after(world.clock, PROVIDER_BUDGET_MS)
    refund, payment = world.read_refund(refund_id, sync_until=sync_until)
    return rest.answer(ApiAnswer(200, refund_object(refund, payment, with_key=True)))


@app.get("/v1/payments/<payment_record>")
def read_payment(payment_record: str) -> Response[str]:
    """Answer with what was captured and refunded of a payment, and what is left."""
    world = refund_api(logger)
    _admitted(world, READ)
    require_no_parameters(_parameters())
    if not is_reference(payment_record):
        raise PaymentNotFoundError("There is no Payment Record of this id.")
    read = world.read_payment(payment_record, Deadline.after(world.clock, PROVIDER_BUDGET_MS))
    return rest.answer(ApiAnswer(200, payment_object(read)))


@app.not_found
def no_such_route(_: Exception) -> Response[str]:
    """Answer with 404 for an unknown path, and with 405 for a method that a path does not have."""
    path, method = app.current_event.path, app.current_event.http_method
    nowhere = NotFoundError(f"There is no {path}.")
    for pattern, methods in METHODS.items():
        if _matches(pattern, path):
            if method in methods:
                return rest.error(ID_OF_NOTHING.get(pattern, nowhere))
            refused = MethodNotAllowedError(f"{path} has no {method}.")
            answer = error_answer(refused, rest.request_id, for_sdk=rest.is_for_sdk)
            headers = {"Allow": ", ".join(sorted(methods)), **answer.headers}
            return rest.answer(ApiAnswer(answer.status, answer.body, headers))
    return rest.error(nowhere)


def _admitted(world: RefundApi, *scopes: str) -> str:
    """Let the caller in, check its headers, and return its name for the history and the log."""
    identity = rest.context.get("identity") or {}
    credentials = Credentials(
        authorization=rest.header("Authorization"),
        source_ip=str(identity.get("sourceIp")),
        user_arn=identity.get("userArn"),
    )
    caller = world.callers.admitted(credentials, *scopes)
    logger.append_keys(caller=caller)
    logger.info("call_admitted")
    for name in ACCOUNT_HEADERS:
        if _values_of(name) - {world.stripe_account_id or None}:
            raise InvalidRequestError.at(
                name, "is not the account of this stage", "This stage serves one Stripe account."
            )
    version = rest.header(STRIPE_VERSION)
    if version is not None and not is_version(version):
        raise InvalidRequestError.at(
            STRIPE_VERSION, "is not a version", f"{STRIPE_VERSION} is not a version of Stripe's."
        )
    return caller


def _body(asked_at: AskedAt) -> CallBody:
    """The checked body. An invalid payout at the route of refunds is told the right route."""
    document = _document()
    try:
        return validate_body(document)
    except InvalidRequestError:
        if asked_at is AskedAt.REFUNDS:
            require_no_payout(document)
        raise


def _document() -> object:
    """The document in the request's body, JSON or a form."""
    return parse_document(rest.text(), rest.header("Content-Type"))


def _parameters() -> Parameters:
    return parameters_of(app.current_event.raw_event)


def _require_one_key_header() -> None:
    """Refuse a key that is given twice: it is not known which of the two the caller means."""
    if len(_values_of("Idempotency-Key")) > 1:
        raise InvalidRequestError.at(
            "Idempotency-Key", "given twice", "The Idempotency-Key header is given more than once."
        )


def _values_of(header: str) -> set[str | None]:
    """All values of a header, also if it is given several times, in upper or lower case."""
    headers = app.current_event.raw_event.get("multiValueHeaders") or {}
    given = {
        value
        for name, values in headers.items()
        if name.lower() == header.lower()
        for value in values or ()
    }
    return given or {rest.header(header)} - {None}


def _matches(pattern: str, path: str) -> bool:
    expected, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    return len(expected) == len(given) and all(
        part.startswith("<") or part == actual for part, actual in zip(expected, given, strict=True)
    )
