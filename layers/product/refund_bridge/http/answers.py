"""Makes the answers to calls: the HTTP status for each result, and the form of errors.

Callers with Stripe's SDKs get the same errors, with statuses that the SDKs know.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.errors import (
    AmountRefusedError,
    AttemptsSpentError,
    CurrencyMismatchError,
    ForbiddenError,
    IdempotencyKeyRequiredError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyInUseError,
    KeysUnavailableError,
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
    RefundNotCancelableError,
    RefundNotFoundError,
    RefundRejectedError,
    StripeUnavailableError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.refunding.execute import Answer
from refund_bridge.refunding.provider_errors import UNAVAILABLE_RETRY_AFTER_S

STATUS_OF_ERROR: Final[dict[type[RefundBridgeError], int]] = {
    InvalidRequestError: 400,
    IdempotencyKeyRequiredError: 400,
    PaymentNotLinkedError: 400,
    RefundNotCancelableError: 400,
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
    KeysUnavailableError: 503,
    OutcomeUnknownError: 500,
}
# Stripe's SDKs raise their invalid-request error, and show the code, only for 400 and 404. For the
# statuses below they would raise an API error, as if Stripe had failed.
SDK_STATUS: Final = 400
STATUSES_NOT_FOR_SDKS: Final = frozenset({405, 412, 413, 415, 422})
# Callers of Stripe expect this code if nothing is left to refund.
ALREADY_REFUNDED: Final = "charge_already_refunded"
_TYPE_OF_STATUS: Final = {
    401: "authentication_error",
    402: "card_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
}
_ABOUT_THE_KEY: Final = (KeyInUseError, IdempotencyKeyReusedError)
_PASSING: Final = (KeyInUseError, PaymentBusyError)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A status, a JSON body and the headers that the contract names."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def answer_of(answer: Answer, request_id: str, *, for_sdk: bool = False) -> ApiAnswer:
    """The contract's answer to ``POST /v1/refunds``, made from the refund in the ledger."""
    refund = answer.refund
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    error = _error_of(refund)
    if error is not None:
        told = error_answer(error, request_id, for_sdk=for_sdk)
        return ApiAnswer(told.status, told.body, {**told.headers, **headers})
    body = refund_object(refund, answer.payment)
    if refund.public_status in ("pending", "review"):
        return ApiAnswer(202, body, headers)
    first = not answer.replayed and refund.state is State.SUCCEEDED
    return ApiAnswer(201 if first else 200, body, headers)


def error_answer(error: RefundBridgeError, request_id: str, *, for_sdk: bool = False) -> ApiAnswer:
    """The contract's error body, status and headers; ``for_sdk``: as Stripe's SDKs expect."""
    status = STATUS_OF_ERROR[type(error)]
    worth_repeating = status == 429 or status >= 500 or isinstance(error, _PASSING)
    headers = {"Stripe-Should-Retry": "true" if worth_repeating else "false"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    told = {
        "code": _code_for_sdk(error) if for_sdk else error.code,
        "message": error.message,
        "type": _type_of(error, status),
        "param": error.param,
        "details": error.details,
        "request_id": request_id,
    }
    if for_sdk and (status in STATUSES_NOT_FOR_SDKS or isinstance(error, PaymentLinkConflictError)):
        status = SDK_STATUS
    return ApiAnswer(status, {"error": told}, headers)


def _type_of(error: RefundBridgeError, status: int) -> str:
    """Stripe's error type, by which its SDKs choose the exception to raise."""
    if isinstance(error, _ABOUT_THE_KEY):
        return "idempotency_error"
    return _TYPE_OF_STATUS.get(status, "invalid_request_error")


def _code_for_sdk(error: RefundBridgeError) -> str:
    nothing_left = error.details.get("remaining_refundable") == 0
    if isinstance(error, PaymentNotRefundableError) and nothing_left:
        return ALREADY_REFUNDED
    return error.code


def _error_of(refund: Refund) -> RefundBridgeError | None:
    """The error that answers a call if the refund's state is an error; else ``None``."""
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
