"""What names a payment at Stripe: what a refund is asked of, or what is only to be read."""

from dataclasses import dataclass

from refund_bridge.domain.refund_request import ReferenceType, RefundRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReference:
    """A payment as somebody names it, and what they take for granted of it.

    Attributes:
        id: of Stripe's object of that kind; for a payment method, of the Payment Record that the
            unlinked refund is reported to.
        charge: Stripe's charge, where it is named beside its PaymentIntent.
        processor: who took the payment, where that is said.
        amount, currency: of the refund, where one is asked for: minor units.
    """

    kind: ReferenceType
    id: str
    charge: str | None = None
    processor: str | None = None
    amount: int | None = None
    currency: str | None = None

    @property
    def is_unlinked(self) -> bool:
        """Whether the money goes to a payment method, whatever payment it is reported for."""
        return self.kind is ReferenceType.PAYMENT_METHOD


def payment_named_by(request: RefundRequest) -> PaymentReference:
    """The payment that a request names."""
    return PaymentReference(
        kind=request.reference_type,
        id=request.report_to or request.reference_id,
        charge=request.charge,
        processor=request.processor,
        amount=request.amount,
        currency=request.currency,
    )
