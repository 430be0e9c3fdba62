"""What a caller asks for, normalised: exactly this is stored and compared. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from refund_bridge.domain.forgotten import digest_of, is_of

# The members of a request in which a caller may write something about a customer.
FORGETTABLE: Final = ("customer", "metadata", "reason")


class ReferenceType(StrEnum):
    """The ways to name a payment or, for an unlinked refund, where the money goes."""

    PAYMENT_RECORD = "payment_record"
    PAYMENT_INTENT = "payment_intent"
    INVOICE = "invoice"
    CHARGE = "charge"
    PAYMENT_METHOD = "payment_method"


class PaymentMethodKind(StrEnum):
    """The kinds of payment method that refunds distinguish."""

    CARD = "card"
    BANK_ACCOUNT = "bank_account"


class RefundType(StrEnum):
    """When a refund is executed: within the call, or in the background."""

    INSTANT = "instant"
    SCHEDULED = "scheduled"


class Source(StrEnum):
    """The way by which the refund came; ``processor``: others made it at the processor."""

    API = "api"
    EVENT = "event"
    PROCESSOR = "processor"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """What was asked, normalised. When the key comes again, the request is compared with this.

    ``amount`` is ``None`` if the caller left it out: a request without an amount differs from one
    with an amount.

    Attributes:
        processor: the name of the processor that is to refund, if the payment leaves that open; an
            unlinked refund always names it.
        payment_method_type: of an unlinked refund: the kind of payment method, as the caller says.
        customer: of an unlinked refund: whose payment method it is, in the processor's own members;
            shown to nobody but the processor.
        report_to: of an unlinked refund: the Payment Record that it is reported to, if any.
        forgotten: digests of the members that are not kept any more, by their names.
        charge: Stripe's charge, if it was named beside its PaymentIntent.
    """

    reference_type: ReferenceType
    reference_id: str
    amount: int | None = None
    currency: str | None = None
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    refund_type: RefundType = RefundType.INSTANT
    processor: str | None = None
    payment_method_type: PaymentMethodKind | None = None
    customer: Mapping[str, str] = field(default_factory=dict, repr=False)
    report_to: str | None = None
    forgotten: Mapping[str, str] = field(default_factory=dict)
    charge: str | None = None

    def without(self, names: Sequence[str], salt: str) -> "RefundRequest":
        """The request with the members ``names`` replaced by digests; empty ones stay as they are.

        ``names`` are some of ``FORGETTABLE``.
        """
        said = [name for name in names if getattr(self, name)]
        digests = {name: digest_of(getattr(self, name), salt) for name in said}
        nothing: dict[str, Any] = {name: None if name == "reason" else {} for name in said}
        return replace(self, forgotten={**self.forgotten, **digests}, **nothing)

    def remembering(self, asked: "RefundRequest") -> "RefundRequest":
        """The request with its forgotten members taken from ``asked``, which repeats it."""
        again = {name: getattr(asked, name) for name in self.forgotten}
        return replace(self, forgotten={}, **again)

    def is_asked_by(self, asked: "RefundRequest") -> bool:
        """Whether ``asked``, which has all its members, is the same request."""
        if self.remembering(asked) != asked:
            return False
        return all(is_of(digest, getattr(asked, name)) for name, digest in self.forgotten.items())

    @property
    def is_unlinked(self) -> bool:
        """Whether the request is for an unlinked refund: the money goes to a payment method."""
        return self.reference_type is ReferenceType.PAYMENT_METHOD
