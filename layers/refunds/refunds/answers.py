"""What callers are told: the refund object and the error body, and which HTTP status says it.

Times are RFC 3339 in UTC here and nowhere else; amounts are minor units.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from refunds.errors import (
    AmountRefusedError,
    AttemptsSpentError,
    CurrencyMismatchError,
    ForbiddenError,
    IdempotencyKeyRequiredError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyInUseError,
    MethodNotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    RefundBridgeError,
    RefundNotFoundError,
    RefundRejectedError,
    StripeUnavailableError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from refunds.execute import Answer
from refunds.link import UNAVAILABLE_RETRY_AFTER_S
from refunds.payment import Payment
from refunds.refund import Refund
from refunds.state_machine import PUBLIC_STATUS, State

STATUS_OF_ERROR: Final[dict[type[RefundBridgeError], int]] = {
    InvalidRequestError: 400,
    IdempotencyKeyRequiredError: 400,
    PaymentNotLinkedError: 400,
    UnauthorizedError: 401,
    RefundRejectedError: 402,
    AttemptsSpentError: 402,
    ForbiddenError: 403,
    PaymentNotFoundError: 404,
    RefundNotFoundError: 404,
    NotFoundError: 404,
    MethodNotAllowedError: 405,
    KeyInUseError: 409,
    PaymentBusyError: 409,
    PaymentLinkConflictError: 409,
    PaymentNotRefundableError: 412,
    PayloadTooLargeError: 413,
    UnsupportedMediaTypeError: 415,
    RefundAmountExceededError: 422,
    CurrencyMismatchError: 422,
    AmountRefusedError: 422,
    IdempotencyKeyReusedError: 422,
    ProcessorUnavailableError: 503,
    StripeUnavailableError: 503,
    OutcomeUnknownError: 500,
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A status, a JSON body and the headers that the contract names."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def answer_of(answer: Answer, request_id: str) -> HttpAnswer:
    """The contract's answer to ``POST /v1/refunds``, by what the ledger holds."""
    refund = answer.refund
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    error = _error_of(refund)
    if error is not None:
        told = error_answer(error, request_id)
        return HttpAnswer(told.status, told.body, {**told.headers, **headers})
    body = refund_object(refund, answer.payment)
    if PUBLIC_STATUS[refund.state] in ("pending", "review"):
        return HttpAnswer(202, body, headers)
    first = not answer.replayed and refund.state is State.SUCCEEDED
    return HttpAnswer(201 if first else 200, body, headers)


def error_answer(error: RefundBridgeError, request_id: str) -> HttpAnswer:
    """The contract's error body and status."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    body = error_body(error.code, error.message, error.details, request_id)
    return HttpAnswer(STATUS_OF_ERROR[type(error)], body, headers)


def error_body(code: str, message: str, details: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The one shape of every error."""
    return {
        "error": {"code": code, "message": message, "details": details, "request_id": request_id}
    }


def refund_object(refund: Refund, payment: Payment | None) -> dict[str, Any]:
    """The refund as the contract shows it."""
    told = {
        "id": refund.id,
        "object": "refund",
        "status": PUBLIC_STATUS[refund.state],
        "amount": refund.amount,
        "currency": refund.currency,
        "payment_record": refund.payment_record,
        "payment_intent": refund.payment_intent,
        "invoice": refund.invoice,
        "processor": refund.processor,
        "processor_payment_id": refund.processor_payment_id,
        "processor_refund_id": refund.processor_refund_id,
        "reason": refund.request.reason,
        "metadata": dict(refund.request.metadata),
        "failure": _failure(refund),
        "stripe_report": {
            "status": refund.report.state.value,
            "attempts": refund.report.attempts,
            "reported_at": _rfc3339(refund.report.reported_at_ms),
            "last_error": refund.report.last_error,
        },
        "payment": None if payment is None else payment_summary(payment),
        "refund_type": refund.request.refund_type.value,
        "source": refund.source.value,
        "created_at": _rfc3339(refund.created_at_ms),
        "updated_at": _rfc3339(refund.updated_at_ms),
    }
    if refund.late_failure_at_ms is not None:
        told["late_failure"] = {"seen_at": _rfc3339(refund.late_failure_at_ms)}
    return told


def payment_summary(payment: Payment) -> dict[str, Any]:
    """The payment as the refund object shows it; amounts in minor units."""
    return {
        "amount": payment.captured,
        "refunded_amount": payment.refunded,
        "refundable_amount": payment.refundable,
        "status": payment.status,
    }


def _failure(refund: Refund) -> dict[str, Any] | None:
    if refund.failure is None:
        return None
    return {
        "code": refund.failure.code,
        "message": refund.failure.message,
        "retryable": refund.state is State.ABORTED,
    }


def _error_of(refund: Refund) -> RefundBridgeError | None:
    """The error that a refund's state is answered with, if it is one."""
    failure = refund.failure
    if failure is None:
        return None
    if refund.state is State.REJECTED:
        return RefundRejectedError(
            failure.message,
            details={"status": failure.status, "code": failure.code, "refund": refund.id},
        )
    if refund.state is State.ABORTED:
        return ProcessorUnavailableError(
            f"{failure.message} Repeat with the same key.",
            details={"refund": refund.id},
            retry_after_s=failure.retry_after_s or UNAVAILABLE_RETRY_AFTER_S,
        )
    return None


def _rfc3339(unix_ms: int | None) -> str | None:
    if unix_ms is None:
        return None
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
