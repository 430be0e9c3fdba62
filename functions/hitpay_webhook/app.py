"""``hitpay_webhook``: HitPay's webhook → is it genuine? → the charge is re-read, the ledger learns.

What is learnt and how stands in ``refunds.observe``. Anything that is not signed leaves no trace
but a count. Any answer but 2xx makes HitPay send the webhook again.
"""

import json
from base64 import b64decode
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from refunds.adapters.api_key import KeyUnavailableError
from refunds.answers import HttpAnswer, error_answer
from refunds.bootstrap import hitpay_webhook, metered
from refunds.errors import (
    OutcomeUnknownError,
    PayloadTooLargeError,
    RefundBridgeError,
    UnauthorizedError,
)
from refunds.payment import PaymentKey
from refunds.ports import Deadline, LedgerConflictError, LedgerUnavailableError
from refunds.webhooks import CHARGE, charge_id_in, is_signed

# All provider calls of one webhook together; under the gateway's 29 s with room to answer.
PROVIDER_BUDGET_MS = 24_000
BODY_BYTES_MAX = 256 * 1024
PROCESSOR = "hitpay"

logger = Logger()
app = APIGatewayRestResolver()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one webhook; every path ends in an answer of the contract's shape."""
    logger.append_keys(request_id=(event.get("requestContext") or {}).get("requestId"))
    return app.resolve(event, context)


@app.post("/v1/webhooks/hitpay")
def receive() -> Response[str]:
    """Look at the charge that a genuine webhook speaks of; what is learnt is durable by then."""
    world = hitpay_webhook(logger)
    body = _raw_body()
    headers = app.current_event.headers
    if not is_signed(body, headers.get("Hitpay-Signature"), world.salts.current()):
        world.trail.note("webhook_refused")
        raise UnauthorizedError("The signature is not that of this body.")
    if headers.get("Hitpay-Event-Object", CHARGE) != CHARGE:
        return _response(HttpAnswer(200, {"status": "ignored"}))
    key = PaymentKey(PROCESSOR, charge_id_in(body))
    observed = world.observe(key, Deadline.after(world.clock, PROVIDER_BUDGET_MS))
    return _response(HttpAnswer(200, {"status": observed}))


@app.exception_handler(RefundBridgeError)  # type: ignore[untyped-decorator]
def told(error: RefundBridgeError) -> Response[str]:
    """Say one of the contract's errors."""
    logger.info("answered_with_error", code=error.code)
    return _response(error_answer(error, _request_id()))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def not_learnt(error: Exception) -> Response[str]:
    """The ledger or the secrets gave no answer, or a defect of ours; told without its text."""
    passing = LedgerConflictError | LedgerUnavailableError | KeyUnavailableError
    logger.exception("ledger_unavailable" if isinstance(error, passing) else "internal_error")
    told_as = OutcomeUnknownError("The webhook could not be handled now; send it again.")
    return _response(error_answer(told_as, _request_id()))


def _raw_body() -> bytes:
    """The body as it was signed, byte for byte."""
    event = app.current_event
    # Four thirds: what base64 adds, so that a huge body is refused before it is decoded.
    if len(event.body or "") > BODY_BYTES_MAX * 4 // 3 + 4:
        raise PayloadTooLargeError("The body is larger than 256 KB.")
    if event.is_base64_encoded:
        try:
            return b64decode(event.body or "", validate=True)
        except ValueError:
            return b""
    return (event.body or "").encode("utf-8", "surrogatepass")


def _request_id() -> str:
    context = app.current_event.raw_event.get("requestContext") or {}
    return str(context.get("requestId"))


def _response(answer: HttpAnswer) -> Response[str]:
    headers: dict[str, str | list[str]] = {"Cache-Control": "no-store", **answer.headers}
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "HMAC-SHA256"
    return Response(
        status_code=answer.status,
        content_type="application/json",
        body=json.dumps(answer.body),
        headers=headers,
    )
