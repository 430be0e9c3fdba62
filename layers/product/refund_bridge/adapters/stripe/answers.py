"""Reads Stripe's objects and errors, strictly as its API reference describes them.

https://docs.stripe.com/api/payment-record, https://docs.stripe.com/api/errors,
https://docs.stripe.com/api/idempotent_requests
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from refund_bridge.adapters.http.api_key import sentence
from refund_bridge.adapters.http.messages import retry_after_of
from refund_bridge.domain.money import is_currency
from refund_bridge.domain.payment_record import (
    InvoicePayment,
    InvoicePaymentKind,
    PaymentRecord,
    StripeReference,
)
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.ports.stripe import ReportOutcome, ReportRefused, ReportUnclear


@dataclass(frozen=True, slots=True)
class StripeRefusal:
    """The facts of an SDK error, without what must not be repeated.

    Attributes:
        status: ``None`` if no whole answer came.
        asked: whether Stripe was asked at all.
        in_form: whether the answer had Stripe's error body; if not, it did not come from Stripe.
    """

    status: int | None
    in_form: bool
    type: str | None
    code: str | None
    message: str
    retry_after_s: int | None
    asked: bool = True

    @classmethod
    def read(cls, error: stripe.StripeError, *, secret: str) -> "StripeRefusal":
        """Read an SDK error; ``secret`` is removed from Stripe's message."""
        body = error.json_body
        told = body.get("error") if isinstance(body, dict) else None
        facts = told if isinstance(told, dict) else {}
        if error.http_status is None:
            message = f"Stripe: {error.user_message}"
        elif _is_of_the_credential(error.http_status, facts):
            # Stripe's own message shows a part of the key.
            message = f"Stripe does not accept the API key for this ({error.http_status})"
        else:
            message = _text_or_none(facts.get("message")) or f"Stripe answered {error.http_status}"
        return cls(
            status=error.http_status,
            in_form=bool(facts),
            type=_text_or_none(facts.get("type")),
            code=_text_or_none(facts.get("code")),
            message=sentence(message, secret=secret),
            retry_after_s=retry_after_of(error.headers or {}),
        )

    @classmethod
    def unasked(cls, reason: str) -> "StripeRefusal":
        """The refusal for a call without an answer, because Stripe was not asked at all."""
        return cls(
            status=None,
            in_form=False,
            type=None,
            code=None,
            message=reason,
            retry_after_s=None,
            asked=False,
        )

    @classmethod
    def misread(cls, kind: str) -> "StripeRefusal":
        """The refusal for a success that the SDK could not read; ``kind`` is the error's name."""
        return cls(
            status=200,
            in_form=False,
            type=None,
            code=None,
            message=f"Stripe's answer is a success that cannot be read ({kind})",
            retry_after_s=None,
        )

    @property
    def is_missing(self) -> bool:
        """Whether Stripe says that it knows no such object with this key."""
        return self.in_form and (self.status == 404 or self.code == "resource_missing")

    @property
    def is_of_the_credential(self) -> bool:
        """Whether Stripe refuses the key, at all or for this call: a wrong configuration."""
        return _is_of_the_credential(self.status, self.in_form)

    @property
    def is_worth_another_read(self) -> bool:
        """Whether to repeat a read at once: no whole answer came, or Stripe itself failed."""
        return self.status is None or self.status >= 500

    @property
    def is_stored(self) -> bool:
        """Whether Stripe stores the answer under the idempotency key, though it decides nothing.

        Stripe stores the answer of a call that it began to execute, also a 500. So after a received
        5xx a new key is needed. A 409 (``lock_timeout``, ``idempotency_key_in_use``) and a 429 come
        before execution and are not stored.
        """
        return (self._executed >= 500) or (self._executed > 0 and self.type == "idempotency_error")

    @property
    def is_final(self) -> bool:
        """Whether Stripe itself says that it will not do this, and would say so again."""
        if not self._executed or self.is_stored:
            return False
        return self.in_form and self.code not in ("lock_timeout", "rate_limit")

    def of_report(self) -> ReportOutcome:
        """The outcome of a report that ended with this error."""
        if self.is_final:
            return ReportRefused(self.message, self.code)
        return ReportUnclear(
            self.message,
            self.is_stored,
            self.retry_after_s,
            self.is_of_the_credential,
            was_asked=self.asked,
        )

    @property
    def _executed(self) -> int:
        """The status of an error that came after execution began; else 0."""
        status = self.status or 0
        return 0 if status < 400 or status in (401, 403, 408, 409, 429) else status


def _is_of_the_credential(status: int | None, in_form: object) -> bool:
    """Whether the status is about the key: 401, or a 403 of Stripe's (a right is missing)."""
    return status == 401 or (status == 403 and bool(in_form))


def read_payment_record(source: Mapping[str, Any]) -> PaymentRecord:
    """Read a Payment Record. Null or absent amounts are 0, but the requested one is required.

    Raises:
        UnreadableAnswerError: a member that is needed is missing or of a wrong type, or the
            amounts are of two currencies.
    """
    requested = source.get("amount_requested")
    currency = requested.get("currency") if isinstance(requested, dict) else None
    if not isinstance(currency, str) or not is_currency(currency.lower()):
        raise UnreadableAnswerError("a Payment Record has no requested amount with a currency")
    currency = currency.lower()
    return PaymentRecord(
        id=_text(source, "id"),
        livemode=_flag(source, "livemode"),
        currency=currency,
        amount_requested=_value(source, "amount_requested", currency),
        amount_guaranteed=_value(source, "amount_guaranteed", currency),
        amount_refunded=_value(source, "amount_refunded", currency),
        amount_canceled=_value(source, "amount_canceled", currency),
        metadata=_metadata(source),
        payment_reference=_payment_reference(source.get("processor_details")),
        reported_by=_text_or_none(source.get("reported_by")),
    )


def read_payment_intent(source: Mapping[str, Any]) -> StripeReference:
    """Read a PaymentIntent, with its ``payment_record`` and ``latest_charge`` expanded or not.

    Raises:
        UnreadableAnswerError: a member that is needed is missing or of a wrong type.
    """
    record = source.get("payment_record") or None
    if not isinstance(record, dict | str | None):
        raise UnreadableAnswerError("payment_record of a PaymentIntent is neither id nor object")
    return StripeReference(
        id=_text(source, "id"),
        livemode=_flag(source, "livemode"),
        metadata=_metadata(source),
        payment_record=read_payment_record(record) if isinstance(record, dict) else record,
        captured_charge=_charge(source.get("latest_charge"), captured=True),
        authorised_charge=_charge(source.get("latest_charge"), captured=False),
    )


def read_invoice(source: Mapping[str, Any]) -> StripeReference:
    """Read an Invoice, with its ``payments`` expanded or not.

    Only payments of status ``paid`` count, because Stripe itself adds an open default payment.

    Raises:
        UnreadableAnswerError: a member that is needed is missing or of a wrong type.
    """
    payments = source.get("payments") or {"data": [], "has_more": False}
    listed = payments.get("data") if isinstance(payments, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise UnreadableAnswerError("payments of an Invoice is not a list")
    return StripeReference(
        id=_text(source, "id"),
        livemode=_flag(source, "livemode"),
        metadata=_metadata(source),
        payments=tuple(_invoice_payment(one) for one in listed if one.get("status") == "paid"),
        has_more_payments=payments.get("has_more") is True,
    )


def _charge(charge: Any, *, captured: bool) -> str | None:
    """The id of a charge that succeeded, if it has (or has not) captured money; else ``None``."""
    if not isinstance(charge, dict) or charge.get("status") != "succeeded":
        return None
    has_captured = bool(charge.get("captured") and charge.get("amount_captured"))
    return _text(charge, "id") if has_captured is captured else None


def _invoice_payment(source: Mapping[str, Any]) -> InvoicePayment:
    payment, amount = source.get("payment"), source.get("amount_paid")
    word = payment.get("type") if isinstance(payment, dict) else None
    if not isinstance(payment, dict) or word not in list(InvoicePaymentKind):
        raise UnreadableAnswerError("an Invoice was paid by something that is not known here")
    named = payment.get(word)
    paid_by = named if isinstance(named, dict) else {"id": named}
    return InvoicePayment(
        InvoicePaymentKind(word), _text(paid_by, "id"), amount if type(amount) is int else None
    )


def _value(source: Mapping[str, Any], name: str, currency: str) -> int:
    amount = source.get(name)
    if amount is None:
        return 0
    if not isinstance(amount, dict):
        raise UnreadableAnswerError(f"{name} of a Payment Record is not an object")
    value, unit = amount.get("value"), amount.get("currency")
    if type(value) is not int or value < 0:
        raise UnreadableAnswerError(f"{name} of a Payment Record is not a whole number")
    if not isinstance(unit, str) or unit.lower() != currency:
        raise UnreadableAnswerError(f"{name} of a Payment Record has another currency")
    return value


def _payment_reference(details: Any) -> str | None:
    custom = details.get("custom") if isinstance(details, dict) else None
    reference = custom.get("payment_reference") if isinstance(custom, dict) else None
    if reference is not None and not isinstance(reference, str):
        raise UnreadableAnswerError("payment_reference of a Payment Record is not a text")
    return reference or None


def _metadata(source: Mapping[str, Any]) -> dict[str, str]:
    metadata = source.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise UnreadableAnswerError("metadata of a Stripe object is not an object of texts")
    return {str(key): value for key, value in metadata.items()}


def _flag(source: Mapping[str, Any], name: str) -> bool:
    value = source.get(name)
    if not isinstance(value, bool):
        raise UnreadableAnswerError(f"{name} of a Stripe object is not true or false")
    return value


def _text(source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not value:
        raise UnreadableAnswerError(f"{name} of a Stripe object is not a text")
    return value


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
