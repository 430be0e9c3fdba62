"""Checks that Stripe's record, the processor's charge and the request agree. Pure."""

from typing import Final

from refund_bridge.domain.charge import Charge, ChargeStatus
from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    InvalidRequestError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
)
from refund_bridge.domain.payment_record import PaymentRecord

RECORD_ID_KEY: Final = "stripe_payment_record_id"
# Stripe's words for who reported a payment to it: somebody else, or Stripe took it itself.
OUTSIDE: Final = "self"
STRIPES_OWN: Final = "stripe"


def require_mode(object_livemode: bool, *, livemode: bool, named: str) -> None:
    """Refuse a Stripe object of the other mode.

    Raises:
        PaymentNotFoundError: it is in live mode and this stage in test mode, or the reverse.
    """
    if object_livemode is not livemode:
        raise PaymentNotFoundError(
            f"{named} belongs to Stripe's {'live' if object_livemode else 'test'} mode; "
            f"this stage works in {'live' if livemode else 'test'} mode."
        )


def require_known_reporter(record: PaymentRecord) -> None:
    """Refuse a record if it is not known who reported it.

    Raises:
        PaymentLinkConflictError: its ``reported_by`` is a word that is not known here.
    """
    if record.reported_by not in (OUTSIDE, STRIPES_OWN, None):
        raise PaymentLinkConflictError(
            "The Payment Record was reported to Stripe by somebody of a kind not known here.",
            details={"payment_record": record.id, "named": record.reported_by},
        )


def require_outside(record: PaymentRecord, *, named_by: str | None) -> None:
    """Refuse a record of a payment that Stripe itself took: no refund is reported to it.

    ``named_by`` is the PaymentIntent or invoice that led to the record; ``None``: the caller named
    the record.

    Raises:
        InvalidRequestError: the caller named the record.
        PaymentNotLinkedError: a PaymentIntent or an invoice led to it.
        PaymentLinkConflictError: it is not known who reported it.
    """
    require_known_reporter(record)
    if record.reported_by != STRIPES_OWN:
        return
    if named_by is None:
        reason = "books a payment that Stripe took"
        raise InvalidRequestError.at(
            "payment_record",
            reason,
            "Stripe took this payment: name its PaymentIntent.",
        )
    raise PaymentNotLinkedError(
        "The Payment Record books a payment that Stripe took itself.",
        details={
            "object": named_by,
            "missing": "Payment Record id",
            "expected_in": [f"metadata.{RECORD_ID_KEY}"],
        },
    )


def require_amount_for_part(captured: int, amount: int | None, *, paid: int | None) -> None:
    """Refuse a request without an amount if the payment paid more than the named invoice.

    ``paid`` is how much of the payment went into the invoice that was named, minor units; ``None``
    if no invoice was named or the invoice does not say.

    Raises:
        InvalidRequestError: the caller must say which amount.
    """
    if amount is None and paid is not None and paid != captured:
        raise InvalidRequestError(
            f"This invoice took {paid} of a payment of {captured}: say which amount.",
            details={"fields": [{"path": "amount", "reason": "is needed for this invoice"}]},
        )


def require_refundable_record(record: PaymentRecord) -> None:
    """Refuse a Payment Record on which nothing was ever captured.

    Raises:
        PaymentNotRefundableError: nothing was captured, or it was canceled.
        PaymentLinkConflictError: Stripe's own amounts contradict each other.
    """
    if record.captured <= 0:
        canceled = record.amount_canceled > 0
        raise PaymentNotRefundableError(
            "The payment was canceled." if canceled else "The payment was never captured.",
            details={
                "payment_record": record.id,
                "captured_amount": record.captured,
                "canceled_amount": record.amount_canceled,
            },
        )
    if record.captured > record.amount_requested:
        raise PaymentLinkConflictError(
            "Stripe shows more captured than was requested.",
            details={
                "payment_record": record.id,
                "captured_amount": record.captured,
                "requested_amount": record.amount_requested,
            },
        )


def require_refundable_charge(charge: Charge, *, named: str) -> None:
    """Refuse a charge that Stripe took if an amount alone does not say how to refund it.

    ``named`` is the member of the request that led to the charge.

    Raises:
        PaymentNotRefundableError: nothing was captured. A refund would void the authorisation.
        InvalidRequestError: others got a part of the money, and a request cannot say whose part
            goes back.
    """
    if charge.status is ChargeStatus.NOT_REFUNDABLE or charge.money.amount <= 0:
        raise PaymentNotRefundableError(
            "Stripe has captured nothing of this payment.",
            details={"processor_status": charge.processor_status},
        )
    if charge.shared is not None:
        raise InvalidRequestError.at(
            named,
            f"is of a payment with {charge.shared}, which is not refunded here",
            "A transfer or an application fee belongs to this payment: refund it at Stripe, where "
            "reverse_transfer and refund_application_fee can be said.",
        )


def require_currency(asked: str | None, currency: str) -> None:
    """Refuse a currency that is not the payment's.

    Raises:
        CurrencyMismatchError: the caller named another currency.
    """
    if asked is not None and asked != currency:
        raise CurrencyMismatchError(
            f"The payment is in {currency}, not in {asked}.",
            details={"payment_currency": currency, "requested_currency": asked},
        )


def require_agreement(record: PaymentRecord, charge: Charge) -> None:
    """Refuse a charge that cannot be the payment that the record books.

    Raises:
        CurrencyMismatchError: the charge is in another currency than its record.
        PaymentLinkConflictError: the charge's amount is not what Stripe shows as captured.
        PaymentNotRefundableError: the processor shows a charge that never succeeded.
    """
    if charge.money.currency != record.currency:
        raise CurrencyMismatchError(
            "The processor's charge is in another currency than its Payment Record.",
            details={
                "payment_currency": record.currency,
                "processor_currency": charge.money.currency,
            },
        )
    if charge.status is ChargeStatus.NOT_REFUNDABLE:
        raise PaymentNotRefundableError(
            f"The processor shows the payment as {charge.processor_status}.",
            details={"processor_status": charge.processor_status},
        )
    if charge.money.amount != record.captured:
        raise PaymentLinkConflictError(
            "The processor's charge has another amount than the Payment Record shows as captured.",
            details={
                "payment_record": record.id,
                "captured_amount": record.captured,
                "processor_amount": charge.money.amount,
            },
        )
