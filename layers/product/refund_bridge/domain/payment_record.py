"""Stripe's objects that lead to a payment, as far as refunds need them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """A Stripe Payment Record; amounts in minor units of ``currency``.

    Attributes:
        reported_by: ``self`` if somebody told Stripe of the payment, ``stripe`` if Stripe took it
            itself; ``None`` if Stripe does not say.
    """

    id: str
    livemode: bool
    currency: str
    amount_requested: int
    amount_guaranteed: int
    amount_refunded: int
    amount_canceled: int
    metadata: Mapping[str, str]
    payment_reference: str | None
    reported_by: str | None = None

    @property
    def captured(self) -> int:
        """What was captured: Stripe's ``amount_guaranteed`` is net of refunds."""
        return self.amount_guaranteed + self.amount_refunded


class InvoicePaymentKind(StrEnum):
    """The kind of object that paid an invoice, in Stripe's words."""

    PAYMENT_RECORD = "payment_record"
    PAYMENT_INTENT = "payment_intent"
    CHARGE = "charge"


@dataclass(frozen=True, slots=True)
class InvoicePayment:
    """A paid payment of an invoice.

    Attributes:
        id: the id of the object of that ``kind``.
        amount_paid: how much of it went into this invoice, minor units; ``None`` if Stripe does
            not say.
    """

    kind: InvoicePaymentKind
    id: str
    amount_paid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeReference:
    """A PaymentIntent or an Invoice, as far as it leads to a Payment Record.

    Attributes:
        payment_record: the record that Stripe itself names: the whole record, or only its id.
        captured_charge: the id of the charge by which Stripe itself captured money for it.
        authorised_charge: the id of Stripe's own charge that is authorised but not captured yet.
        payments: the invoice's paid payments.
        has_more_payments: whether the invoice has more payments than were shown.
    """

    id: str
    livemode: bool
    metadata: Mapping[str, str]
    payment_record: PaymentRecord | str | None = None
    captured_charge: str | None = None
    authorised_charge: str | None = None
    payments: tuple[InvoicePayment, ...] = ()
    has_more_payments: bool = False
