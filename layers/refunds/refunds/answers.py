"""What callers are told: the refund object and the error body, and which HTTP status says it.

Times are RFC 3339 in UTC here and nowhere else; amounts are minor units.
"""

import json
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
    RateLimitedError,
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
from refunds.listing import Page
from refunds.payment import Payment, payment_key_of
from refunds.read_payment import PaymentRead
from refunds.refund import CreditNote, Refund
from refunds.state_machine import PUBLIC_STATUS, CreditNoteState, State

# Lambda passes on at most 6 MB: a page that would be larger ends before, and says that more follow.
LIST_BYTES_MAX: Final = 5 * 1024 * 1024

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
    RateLimitedError: 429,
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
        "processor_payment_id": refund.refunded_payment,
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
        "credit_note": _credit_note(refund.credit_note),
        "payment": _payment(refund, payment),
        "arrival": _arrival(refund, payment),
        "refund_type": refund.request.refund_type.value,
        "source": refund.source.value,
        "created_at": _rfc3339(refund.created_at_ms),
        "updated_at": _rfc3339(refund.updated_at_ms),
    }
    if refund.request.is_unlinked:
        kind = refund.request.payment_method_type
        told["payment_method"] = {
            "id": refund.request.reference_id,
            "type": None if kind is None else kind.value,
        }
    if refund.late_failure_at_ms is not None:
        told["late_failure"] = {"seen_at": _rfc3339(refund.late_failure_at_ms)}
    return told


def refund_list(page: Page) -> dict[str, Any]:
    """A page of refunds as the contract shows it."""
    data: list[dict[str, Any]] = []
    size = 0
    for refund in page.refunds:
        told = refund_object(refund, page.payments.get(payment_key_of(refund)))
        # Twice, for the answer is handed to Lambda as a text within another JSON document.
        size += len(json.dumps(json.dumps(told)))
        if data and size > LIST_BYTES_MAX:
            return {"object": "list", "data": data, "has_more": True}
        data.append(told)
    return {"object": "list", "data": data, "has_more": page.has_more}


def payment_object(read: PaymentRead) -> dict[str, Any]:
    """A payment as the contract shows it, with its newest refunds."""
    payment = read.payment
    return {
        "object": "payment",
        "payment_record": payment.payment_record,
        "processor": payment.key.processor,
        "processor_payment_id": None if payment.key.is_unlinked else payment.key.charge_id,
        "currency": payment.currency,
        **payment_summary(payment),
        "refunds": refund_list(read.newest),
    }


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


def _arrival(refund: Refund, payment: Payment | None) -> dict[str, Any] | None:
    """When the customer can expect the money, counted from the success; none where none comes."""
    if payment is None or payment.arrival is None:
        return None
    if PUBLIC_STATUS[refund.state] == "failed" or refund.late_failure_at_ms is not None:
        return None
    return {"business_days": {"min": payment.arrival.days_min, "max": payment.arrival.days_max}}


def _payment(refund: Refund, payment: Payment | None) -> dict[str, Any] | None:
    """What is left of the payment; an unlinked refund that names no record has none."""
    if payment is None or (refund.request.is_unlinked and refund.payment_record is None):
        return None
    return payment_summary(payment)


def _credit_note(note: CreditNote) -> dict[str, Any] | None:
    if note.state is CreditNoteState.NOT_DUE:
        return None
    return {
        "status": note.state.value,
        "id": note.id,
        "attempts": note.attempts,
        "last_error": note.last_error,
        "issued_at": _rfc3339(note.issued_at_ms),
    }


def _error_of(refund: Refund) -> RefundBridgeError | None:
    """The error that a refund's state is answered with, if it is one."""
    failure = refund.failure
    if failure is None:
        return None
    if refund.state is State.REJECTED:
        return RefundRejectedError(
            failure.message,
            details={
                "status": failure.status,
                "code": failure.code,
                "refund": refund.id,
                **failure.details,
            },
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
