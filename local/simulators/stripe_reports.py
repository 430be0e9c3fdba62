"""report_refund: what Stripe checks before it accepts the report of a refund."""

from dataclasses import dataclass

from local.simulators import stripe_parameters as read
from local.simulators.calls import EVERYTHING
from local.simulators.json_text import JsonObject
from local.simulators.stripe_book import PaymentRecord, Report, StripeBook
from local.simulators.stripe_errors import invalid, refused
from local.simulators.stripe_settings import StripeSettings

_DAY = 86_400
# Times in seconds are smaller than this until the year 5138; times in milliseconds are greater
# since 1973.
_MILLISECONDS = 10**11
_KNOWN = frozenset(
    ["amount", "expand", "initiated_at", "metadata", "outcome", "processor_details", "refunded"]
)


@dataclass(frozen=True)
class _Asked:
    reference: str
    refunded_at: int
    initiated_at: int | None
    amount: int | None
    currency: str | None
    metadata: dict[str, str]


def accept_report(  # noqa: PLR0913 -- a report is these facts
    book: StripeBook,
    settings: StripeSettings,
    record_id: str,
    parameters: JsonObject,
    *,
    livemode: bool,
    idempotency_key: str | None,
) -> PaymentRecord:
    """Check a report and store it; returns the changed record."""
    asked = _read(parameters, book.now())
    record = book.record(record_id, livemode)
    if record.reported_by == "stripe":
        raise refused("This Payment Record was not reported by you.", param="id")
    amount = _refundable(record, asked, settings)
    if (livemode, asked.reference) in book.references:
        raise refused(
            f"A refund with the reference '{asked.reference}' has already been reported.",
            param="processor_details[custom][refund_reference]",
            code=settings.duplicate_reference_code,
        )
    if settings.report_metadata == "record":
        record.metadata.update(asked.metadata)
        for key in [key for key, value in record.metadata.items() if value == ""]:
            del record.metadata[key]
    report = Report(
        payment_record=record.id,
        refund_reference=asked.reference,
        amount=amount,
        currency=record.currency,
        refunded_at=asked.refunded_at,
        initiated_at=asked.initiated_at,
        metadata=asked.metadata,
        idempotency_key=idempotency_key,
        livemode=livemode,
        accepted_at=book.now(),
        recorded=book.monotonic(),
    )
    book.accept(record, report)
    return record


def _read(parameters: JsonObject, now: int) -> _Asked:
    """Read the parameters; wrong ones are refused before anything is looked up."""
    read.only(parameters, _KNOWN)
    if read.string(parameters, "outcome", "outcome") != "refunded":
        raise invalid("Invalid outcome: must be refunded", param="outcome")
    details = read.group(parameters, "processor_details", "processor_details")
    if read.string(details, "type", "processor_details[type]") != "custom":
        raise invalid(
            "Invalid processor_details[type]: must be custom", param="processor_details[type]"
        )
    custom = read.group(details, "custom", "processor_details[custom]")
    path = "processor_details[custom][refund_reference]"
    reference = read.string(custom, "refund_reference", path)
    when = read.group(parameters, "refunded", "refunded")
    refunded_at = read.integer(when, "refunded_at", "refunded[refunded_at]")
    _check_time(refunded_at, now, "refunded[refunded_at]")
    initiated_at = read.optional_integer(parameters, "initiated_at")
    if initiated_at is not None:
        _check_time(initiated_at, now, "initiated_at")
        if refunded_at < initiated_at:
            raise invalid("refunded_at is before initiated_at", param="refunded[refunded_at]")
    amount, currency = None, None
    if "amount" in parameters:
        given = read.group(parameters, "amount", "amount")
        amount = read.integer(given, "value", "amount[value]")
        currency = read.string(given, "currency", "amount[currency]")
        if amount < 1:
            raise invalid("This value must be greater than or equal to 1.", param="amount[value]")
    return _Asked(reference, refunded_at, initiated_at, amount, currency, read.metadata(parameters))


def _check_time(seconds: int, now: int, path: str) -> None:
    if seconds > _MILLISECONDS:
        raise invalid(
            f"Invalid timestamp: {seconds}. Must be an integer Unix timestamp in seconds.",
            param=path,
            code="parameter_invalid_integer",
        )
    if seconds < 0 or seconds > now + _DAY:
        raise invalid(f"Invalid timestamp: {seconds} lies in the future.", param=path)


def _refundable(record: PaymentRecord, asked: _Asked, settings: StripeSettings) -> int:
    if asked.currency is not None and asked.currency != record.currency:
        raise refused(
            f"The currency {asked.currency} is not the payment's, {record.currency}.",
            param="amount[currency]",
        )
    if record.guaranteed == 0:
        raise refused("This payment has no guaranteed amount that could have been refunded.")
    remaining = record.guaranteed - record.refunded(EVERYTHING)
    if remaining <= 0:
        raise refused(
            "This payment has already been fully refunded.", code=settings.already_refunded_code
        )
    amount = remaining if asked.amount is None else asked.amount
    if amount > remaining:
        raise refused(
            f"The amount ({amount}) is greater than the remaining, unrefunded amount of the "
            f"payment ({remaining}).",
            param="amount[value]",
            code=settings.amount_too_large_code,
        )
    return amount
