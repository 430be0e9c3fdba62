"""How a request names a payment at Stripe, to refund it or only to read it."""

from dataclasses import dataclass

from refund_bridge.domain.refund_request import ReferenceType, RefundRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReference:
    """A payment as the caller names it, with the facts about it that the caller states.

    Attributes:
        id: the id of Stripe's object of that kind; for a payment method, the id of the Payment
            Record that the unlinked refund is reported to.
        charge: Stripe's charge, if it is named beside its PaymentIntent.
        processor: the processor that took the payment, if it is named.
        amount, currency: of the refund, if one is asked for; minor units.
    """

    kind: ReferenceType
    id: str
    charge: str | None = None
    processor: str | None = None
    amount: int | None = None
    currency: str | None = None

    @property
    def is_unlinked(self) -> bool:
        """Whether the money goes to a payment method, even if it is reported for a payment."""
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
