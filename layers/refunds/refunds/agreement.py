"""Do Stripe's record, the processor's charge and the caller agree? Pure checks before a write."""

from refunds.errors import (
    CurrencyMismatchError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotRefundableError,
)
from refunds.ports import Charge, ChargeStatus, PaymentRecord


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


def require_currency(asked: str | None, record: PaymentRecord) -> None:
    """Refuse a currency that is not the payment's.

    Raises:
        CurrencyMismatchError: the caller named another currency.
    """
    if asked is not None and asked != record.currency:
        raise CurrencyMismatchError(
            f"The payment is in {record.currency}, not in {asked}.",
            details={"payment_currency": record.currency, "requested_currency": asked},
        )


def require_agreement(record: PaymentRecord, charge: Charge) -> None:
    """Refuse a charge that cannot be the one that the record books.

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
