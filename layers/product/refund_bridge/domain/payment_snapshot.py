"""A payment as Stripe and the processor have just shown it."""

from dataclasses import dataclass

from refund_bridge.domain.charge import Charge
from refund_bridge.domain.payment import PaymentKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSnapshot:
    """A payment as it was just seen, with what the ledger's bookkeeping needs.

    Attributes:
        payment_record: ``None`` if no Payment Record is known to book it.
        captured: what the customer paid, minor units.
        in_book: what Stripe shows as refunded, minor units; ``None`` if Stripe was not asked.
        charge: ``None`` if the charge was not read (see ``VerifyCharge``).
        instead_of: the payment that the record was linked to by mistake, if it was.
    """

    key: PaymentKey
    payment_record: str | None
    currency: str
    captured: int
    in_book: int | None
    charge: Charge | None
    instead_of: PaymentKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedPayment:
    """The payment that a request leads to, as Stripe and the processor have just shown it.

    Attributes:
        seen: the payment; Stripe and the processor agree on it.
        report_to: the Payment Record that a refund of it is reported to, if any.
    """

    seen: PaymentSnapshot
    report_to: str | None
    payment_intent: str | None = None
    invoice: str | None = None

    @property
    def key(self) -> PaymentKey:
        """The payment's identity."""
        return self.seen.key
