"""The errors that callers are told, as the contract names them.

::

    RefundBridgeError                     code, message, details, retry_after_s
    ├── InvalidRequestError               400 invalid_request
    ├── IdempotencyKeyRequiredError       400 idempotency_key_required
    ├── PaymentNotLinkedError             400 payment_not_linked
    ├── RefundNotCancelableError          400 refund_not_cancelable
    ├── UnauthorizedError                 401 unauthorized
    ├── RefundRejectedError               402 refund_rejected          the key is spent
    ├── ForbiddenError                    403 forbidden
    ├── PaymentNotFoundError              404 payment_not_found
    ├── RefundNotFoundError               404 refund_not_found
    ├── NotFoundError                     404 not_found
    ├── MethodNotAllowedError             405 method_not_allowed
    ├── KeyInUseError                     409 idempotency_key_in_use   outcome: unknown
    ├── PaymentBusyError                  409 payment_busy
    ├── AttemptsSpentError                402 refund_rejected          the key is spent
    ├── PaymentLinkConflictError          409 payment_link_conflict
    ├── PaymentNotRefundableError         412 payment_not_refundable
    ├── PayloadTooLargeError              413 payload_too_large
    ├── UnsupportedMediaTypeError         415 unsupported_media_type
    ├── RefundAmountExceededError         422 refund_amount_exceeded
    ├── CurrencyMismatchError             422 currency_mismatch
    ├── AmountRefusedError                422 amount_not_representable
    ├── IdempotencyKeyReusedError         422 idempotency_key_reused
    ├── RateLimitedError                  429 rate_limited
    ├── ProcessorUnavailableError         503 processor_unavailable    nothing was executed
    ├── StripeUnavailableError            503 stripe_unavailable       nothing was executed
    ├── KeysUnavailableError              503 service_unavailable      nothing was executed
    └── OutcomeUnknownError               500 internal_error           outcome: unknown

Each class says whether it is final and whether it promises that nothing moved. The codes are the
contract's; their HTTP statuses are in ``http/answers.py``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

# The members of a request that have members of their own.
_WITH_MEMBERS: Final = frozenset({"metadata", "payment_method", "expand"})


class RefundBridgeError(Exception):
    """An answer of the contract that is not a refund.

    Attributes:
        code: the contract's machine-readable code.
        final: whether the same request would fail again, so that waiting does not help.
        moved_nothing: whether the error promises that no money moved; if not, it is not known.
        message: one sentence for a person.
        param: the part of the request that the error is about, as Stripe writes it; ``None``: no
            single part.
        details: facts that help to act; never a secret, never a customer's data.
        retry_after_s: seconds after which the same call may be worth repeating, if it may.
    """

    code: ClassVar[str] = "internal_error"
    final: ClassVar[bool] = False
    moved_nothing: ClassVar[bool] = False
    param: str | None = None

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param or self.param
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after_s = retry_after_s


class InvalidRequestError(RefundBridgeError):
    """The request is not of the contract's form; ``details.fields`` lists path and reason."""

    code = "invalid_request"
    final = moved_nothing = True

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details=details)
        paths = [str(field["path"]) for field in self.details.get("fields", ())]
        self.param = _in_brackets(next(filter(None, paths), "")) or None

    @classmethod
    def at(cls, path: str, reason: str, message: str) -> Self:
        """The error for one wrong member of the request."""
        return cls(message, details={"fields": [{"path": path, "reason": reason}]})


class IdempotencyKeyRequiredError(RefundBridgeError):
    """Neither the header nor the body names the refund."""

    code = "idempotency_key_required"
    final = moved_nothing = True


class IdempotencyKeyReusedError(RefundBridgeError):
    """The key names a refund that was asked for with another request."""

    code = "idempotency_key_reused"
    final = moved_nothing = True


class KeyInUseError(RefundBridgeError):
    """Another call is sending this refund right now."""

    code = "idempotency_key_in_use"


class UnauthorizedError(RefundBridgeError):
    """No key, or one that is not known."""

    code = "unauthorized"
    moved_nothing = True


class ForbiddenError(RefundBridgeError):
    """The key may not do this."""

    code = "forbidden"
    moved_nothing = True


class RateLimitedError(RefundBridgeError):
    """Too many calls of a kind that is not worth repeating now."""

    code = "rate_limited"
    moved_nothing = True


class NotFoundError(RefundBridgeError):
    """No such route."""

    code = "not_found"
    moved_nothing = True


class MethodNotAllowedError(RefundBridgeError):
    """The route has no such method."""

    code = "method_not_allowed"
    moved_nothing = True


class PayloadTooLargeError(RefundBridgeError):
    """The body is larger than the contract allows."""

    code = "payload_too_large"
    final = moved_nothing = True


class UnsupportedMediaTypeError(RefundBridgeError):
    """The body is declared neither as JSON nor as a form, or not in UTF-8."""

    code = "unsupported_media_type"
    moved_nothing = True


class PaymentNotFoundError(RefundBridgeError):
    """Stripe or the processor does not know the payment."""

    code = "payment_not_found"
    final = moved_nothing = True


class PaymentNotLinkedError(RefundBridgeError):
    """The Stripe object does not say which payment of the processor it books."""

    code = "payment_not_linked"
    final = moved_nothing = True


class PaymentLinkConflictError(RefundBridgeError):
    """Stripe, the processor and the ledger disagree on which charge this is; nothing was sent."""

    code = "payment_link_conflict"
    final = moved_nothing = True


class PaymentNotRefundableError(RefundBridgeError):
    """The payment was never captured, was canceled or has failed, or nothing is left to refund."""

    code = "payment_not_refundable"
    final = moved_nothing = True


class PaymentBusyError(RefundBridgeError):
    """Another refund of this payment may be moving money; nothing was stored."""

    code = "payment_busy"
    moved_nothing = True


class RefundAmountExceededError(RefundBridgeError):
    """The amount exceeds the refundable balance."""

    code = "refund_amount_exceeded"
    final = moved_nothing = True
    param = "amount"


class CurrencyMismatchError(RefundBridgeError):
    """The currency asked for, or the processor's, is not the payment's."""

    code = "currency_mismatch"
    final = moved_nothing = True
    param = "currency"


class AmountRefusedError(RefundBridgeError):
    """The amount cannot be written exactly for the processor or for Stripe."""

    code = "amount_not_representable"
    final = moved_nothing = True
    param = "amount"


class RefundRejectedError(RefundBridgeError):
    """The processor refused finally; the key cannot be used again."""

    code = "refund_rejected"
    final = moved_nothing = True


class AttemptsSpentError(RefundBridgeError):
    """All attempts allowed under this key moved no money; the key cannot be used again."""

    code = "refund_rejected"
    final = moved_nothing = True


class RefundNotFoundError(RefundBridgeError):
    """No refund of that id."""

    code = "refund_not_found"
    moved_nothing = True


class RefundNotCancelableError(RefundBridgeError):
    """The refund does not wait for its turn: it was sent, is being sent, or has ended."""

    code = "refund_not_cancelable"
    moved_nothing = True


class ProcessorUnavailableError(RefundBridgeError):
    """The processor cannot be asked now; it is certain that nothing was executed."""

    code = "processor_unavailable"
    moved_nothing = True


class StripeUnavailableError(RefundBridgeError):
    """Stripe cannot be asked now; it is certain that nothing was executed."""

    code = "stripe_unavailable"
    moved_nothing = True


class KeysUnavailableError(RefundBridgeError):
    """The caller cannot be identified, as keys or salts cannot be read; nothing was executed."""

    code = "service_unavailable"
    moved_nothing = True


class OutcomeUnknownError(RefundBridgeError):
    """It is not known whether the refund was accepted: repeat with the same key."""

    code = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, details={"outcome": "unknown"})


def final_codes() -> frozenset[str]:
    """The codes of the errors that are final."""
    return frozenset(error.code for error in RefundBridgeError.__subclasses__() if error.final)


def _in_brackets(path: str) -> str:
    """``metadata.order`` as Stripe writes it: ``metadata[order]``."""
    head, _, below = path.removesuffix(".[key]").partition(".")
    return f"{head}[{below}]" if below and head in _WITH_MEMBERS else path
