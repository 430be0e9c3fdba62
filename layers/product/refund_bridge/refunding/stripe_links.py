"""Finds the Payment Record of a processor's payment from a PaymentIntent or an Invoice.

Stripe names records itself (``PaymentIntent.payment_record``, an invoice's paid payments), and an
integration may name one in metadata. Stripe also makes records for payments that it took itself.
Those are ignored here: they lead to no processor and no refund is reported to them. If no other
record is found, Stripe's own charge is the payment.
"""

from collections.abc import Callable
from dataclasses import dataclass

from refund_bridge.domain.agreement import (
    OUTSIDE,
    RECORD_ID_KEY,
    require_known_reporter,
    require_mode,
)
from refund_bridge.domain.errors import (
    InvalidRequestError,
    PaymentLinkConflictError,
    PaymentNotLinkedError,
)
from refund_bridge.domain.payment_record import InvoicePaymentKind, PaymentRecord, StripeReference
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import StripeReports
from refund_bridge.refunding.provider_errors import asking_stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLink:
    """The record that a Stripe object leads to.

    Attributes:
        record: as it was read on the way; ``None`` if there was no need to read it.
        amount_paid: what of the payment went into the invoice that led here, minor units.
    """

    record_id: str
    record: PaymentRecord | None = None
    amount_paid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripesOwn:
    """The Stripe object leads to a payment that Stripe itself took.

    Attributes:
        charge: Stripe's charge that took the money, or may still take it.
        amount_paid: as in ``RecordLink``.
        named_by: the PaymentIntent or invoice that led here; ``None``: the caller named the charge.
    """

    charge: str
    amount_paid: int | None = None
    named_by: StripeReference | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What an object leads to: ids of records, records that were read, and Stripe's own charge.

    If there is a ``captured_charge``, Stripe itself took the money: that contradicts every record
    of a payment that somebody else took.
    """

    of: StripeReference
    named: tuple[str, ...]
    shown: tuple[PaymentRecord, ...] = ()
    captured_charge: str | None = None
    authorised_charge: str | None = None
    amount_paid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeLinks:
    """Follows Stripe's objects to Payment Records.

    Attributes:
        books_a_payment: whether a record books a processor's payment, judged by the record's own
            data or by the ledger. For records that do not say who reported them.
    """

    stripe_reports: StripeReports
    livemode: bool
    books_a_payment: Callable[[PaymentRecord], bool]

    def of_payment_intent(
        self, intent: StripeReference, deadline: Deadline, *, charge: str | None = None
    ) -> RecordLink | StripesOwn:
        """The record that the PaymentIntent leads to, or the charge by which Stripe took it.

        ``charge`` is the one that the caller named beside it.

        Raises:
            InvalidRequestError: that charge is not the PaymentIntent's.
            PaymentNotLinkedError: the PaymentIntent leads to no payment at all.
            PaymentLinkConflictError: it leads to several, or Stripe captured money for it as well.
            RefundBridgeError: Stripe could not be asked.
        """
        require_mode(intent.livemode, livemode=self.livemode, named="The PaymentIntent")
        if charge is None:
            return self._decided(_of_intent(intent), deadline)
        if charge not in (intent.captured_charge, intent.authorised_charge):
            raise InvalidRequestError.at(
                "charge",
                "is not the charge of this payment_intent",
                "The charge and the PaymentIntent are of different payments.",
            )
        return StripesOwn(charge=charge, named_by=intent)

    def of_invoice(self, invoice: StripeReference, deadline: Deadline) -> RecordLink | StripesOwn:
        """The record or the charge that paid the invoice; raises as ``of_payment_intent``."""
        require_mode(invoice.livemode, livemode=self.livemode, named="The Invoice")
        if len(invoice.payments) > 1 or invoice.has_more_payments:
            raise PaymentLinkConflictError(
                "The Invoice was paid by several payments: name the one to refund, as "
                "payment_record, payment_intent or charge.",
                details={
                    "object": invoice.id,
                    "payments": [f"{one.kind}:{one.id}" for one in invoice.payments],
                },
            )
        found = _Found(invoice, _in_metadata(invoice))
        for paid in invoice.payments:
            match paid.kind:
                case InvoicePaymentKind.PAYMENT_RECORD:
                    named = (paid.id, *found.named)
                    found = _Found(invoice, named, amount_paid=paid.amount_paid)
                case InvoicePaymentKind.CHARGE:
                    found = _Found(
                        invoice, found.named, captured_charge=paid.id, amount_paid=paid.amount_paid
                    )
                case InvoicePaymentKind.PAYMENT_INTENT:
                    with asking_stripe():
                        intent = _of_intent(self.stripe_reports.payment_intent(paid.id, deadline))
                    found = _Found(
                        invoice,
                        (*intent.named, *found.named),
                        intent.shown,
                        intent.captured_charge,
                        intent.authorised_charge,
                        paid.amount_paid,
                    )
        return self._decided(found, deadline)

    def _decided(self, found: _Found, deadline: Deadline) -> RecordLink | StripesOwn:
        """The one payment, or raise. A record that is the only thing named is not read."""
        charge = found.captured_charge or found.authorised_charge
        shown = {record.id: record for record in found.shown}
        named = tuple(dict.fromkeys(found.named))
        if len(named) == 1 and not shown and not charge:
            return RecordLink(record_id=named[0], amount_paid=found.amount_paid)
        with asking_stripe():
            for record_id in named:
                if record_id not in shown:
                    shown[record_id] = self.stripe_reports.payment_record(record_id, deadline)
        explicit = set(_in_metadata(found.of))
        outside = [
            record
            for record in shown.values()
            if self._is_outside(record, explicitly=record.id in explicit)
        ]
        if not outside and charge is not None:
            return StripesOwn(charge=charge, amount_paid=found.amount_paid, named_by=found.of)
        if not outside:
            raise not_linked_to_record(found.of)
        if len(outside) > 1 or found.captured_charge:
            own = {"charge": found.captured_charge} if found.captured_charge else {}
            raise PaymentLinkConflictError(
                "Stripe's objects lead to more than one payment: name the one to refund, as "
                "payment_record or charge.",
                details={
                    "object": found.of.id,
                    "payment_records": [record.id for record in outside],
                    **own,
                },
            )
        return RecordLink(record_id=outside[0].id, record=outside[0], amount_paid=found.amount_paid)

    def _is_outside(self, record: PaymentRecord, *, explicitly: bool) -> bool:
        """Whether the record books a payment that Stripe did not take itself."""
        require_known_reporter(record)
        if record.reported_by is None:
            return explicitly or self.books_a_payment(record)
        return record.reported_by == OUTSIDE


def not_linked_to_record(source: StripeReference) -> PaymentNotLinkedError:
    """The error for an object that leads to no processor's payment; it says what is missing."""
    kind = "Invoice" if source.id.startswith("in_") else "PaymentIntent"
    return PaymentNotLinkedError(
        f"The {kind} does not lead to a Payment Record of a processor's payment.",
        details={
            "object": source.id,
            "missing": "Payment Record id",
            "expected_in": [f"metadata.{RECORD_ID_KEY}"],
        },
    )


def _of_intent(intent: StripeReference) -> _Found:
    record, named = intent.payment_record, _in_metadata(intent)
    shown = (record,) if isinstance(record, PaymentRecord) else ()
    first = record.id if isinstance(record, PaymentRecord) else record
    return _Found(
        intent,
        (first, *named) if first else named,
        shown,
        intent.captured_charge,
        intent.authorised_charge,
    )


def _in_metadata(source: StripeReference) -> tuple[str, ...]:
    record_id = source.metadata.get(RECORD_ID_KEY)
    return (record_id,) if record_id else ()
