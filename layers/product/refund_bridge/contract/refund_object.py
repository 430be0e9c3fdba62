"""Makes the objects that callers see: a refund, a payment, and a page of refunds.

Only here are times RFC 3339 in UTC, or Unix seconds for members that Stripe has; amounts are minor
units.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.refund import TAKEN_BACK, Refund
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState, State
from refund_bridge.reading.listing import Page
from refund_bridge.reading.read_payment import PaymentRead

# Lambda passes on at most 6 MB: a larger page is cut, and says that more refunds follow.
LIST_BYTES_MAX: Final = 5 * 1024 * 1024
LIST_URL: Final = "/v1/refunds"


def refund_object(
    refund: Refund, payment: Payment | None, *, with_key: bool = False
) -> dict[str, Any]:
    """The refund as the contract shows it; ``with_key`` to those who may read refunds."""
    told = {
        "id": refund.id,
        "object": "refund",
        "status": refund.public_status,
        "amount": refund.amount,
        "currency": refund.currency,
        "payment_record": refund.payment_record,
        "payment_intent": refund.payment_intent,
        "invoice": refund.invoice,
        "processor": refund.processor,
        "processor_payment_id": refund.refunded_payment,
        "processor_refund_id": refund.processor_refund_id,
        "processor_fee": _fee(refund.fee),
        "reason": refund.request.reason,
        "metadata": dict(refund.request.metadata),
        "failure": _failure(refund),
        "stripe_report": {
            "status": refund.report.state.value,
            "cause": None if refund.report.cause is None else refund.report.cause.value,
            "attempts": refund.report.attempts,
            "reported_at": _rfc3339(refund.report.reported_at_ms),
            "last_error": refund.report.last_error,
        },
        "credit_note": _credit_note(refund.credit_note),
        "payment": _payment(refund, payment),
        "arrival": _arrival(refund, payment),
        "refund_type": refund.request.refund_type.value,
        "source": refund.source.value,
        **_members_of_stripes(refund),
        "created_at": _rfc3339(refund.created_at_ms),
        "updated_at": _rfc3339(refund.updated_at_ms),
    }
    if with_key:
        told["idempotency_key"] = refund.idempotency_key
    if refund.request.is_unlinked:
        kind = refund.request.payment_method_type
        told["payment_method"] = {
            "id": refund.request.reference_id,
            "type": None if kind is None else kind.value,
        }
    if refund.late_failure_at_ms is not None:
        told["late_failure"] = {"seen_at": _rfc3339(refund.late_failure_at_ms)}
    return told


def refund_list(page: Page, url: str = LIST_URL) -> dict[str, Any]:
    """A page of refunds as the contract shows it; ``url`` is the path of the list."""
    data: list[dict[str, Any]] = []
    size, has_more = 0, page.has_more
    # A page that ends at a cursor is filled from its end, so that no refund is lost between pages.
    for refund in reversed(page.refunds) if page.ends_at_cursor else page.refunds:
        told = refund_object(refund, page.payments.get(payment_key_of(refund)), with_key=True)
        # Encoded twice, because Lambda gets the answer as a text inside another JSON document.
        size += len(json.dumps(json.dumps(told)))
        if data and size > LIST_BYTES_MAX:
            has_more = True
            break
        data.append(told)
    if page.ends_at_cursor:
        data.reverse()
    return {"object": "list", "url": url, "data": data, "has_more": has_more}


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
        "refunds": refund_list(read.newest, _list_url_of(payment)),
    }


def _list_url_of(payment: Payment) -> str:
    """The URL at which the list of its refunds continues; SDKs follow it."""
    record = payment.payment_record
    if payment.key.is_stripes_own:
        return f"{LIST_URL}?charge={quote(payment.key.charge_id, safe='')}"
    return LIST_URL if record is None else f"{LIST_URL}?payment_record={quote(record, safe='')}"


def payment_summary(payment: Payment) -> dict[str, Any]:
    """The payment as the refund object shows it; amounts in minor units."""
    return {
        "amount": payment.captured,
        "refunded_amount": payment.refunded,
        "refundable_amount": payment.refundable,
        "status": payment.status,
    }


def _members_of_stripes(refund: Refund) -> dict[str, Any]:
    """Further members of Stripe's refund object, for callers who know that one."""
    failure = _failure(refund) if refund.public_status == "failed" else None
    return {
        "created": refund.created_at_ms // 1000,
        "charge": None,
        "balance_transaction": None,
        "receipt_number": None,
        "failure_reason": None if failure is None else failure["code"],
    }


def _fee(fee: Money | None) -> dict[str, Any] | None:
    return None if fee is None else {"amount": fee.amount, "currency": fee.currency}


def _failure(refund: Refund) -> dict[str, Any] | None:
    if refund.late_failure_at_ms is not None:
        message = "The processor took the money back after the refund had succeeded."
        return {"code": TAKEN_BACK, "message": message, "retryable": False}
    if refund.failure is None:
        return None
    return {
        "code": refund.failure.code,
        "message": refund.failure.message,
        "retryable": refund.state is State.ABORTED,
    }


def _arrival(refund: Refund, payment: Payment | None) -> dict[str, Any] | None:
    """When the customer gets the money, counted from the success; ``None`` if none will come."""
    if payment is None or payment.arrival is None:
        return None
    if refund.public_status == "failed":
        return None
    return {"business_days": {"min": payment.arrival.days_min, "max": payment.arrival.days_max}}


def _payment(refund: Refund, payment: Payment | None) -> dict[str, Any] | None:
    """The payment's sums; ``None`` for an unlinked refund that names no record."""
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


def _rfc3339(unix_ms: int | None) -> str | None:
    if unix_ms is None:
        return None
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
