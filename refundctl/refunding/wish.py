"""A wish: the refund that somebody wants."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from refund_bridge.contract.requests import REASON_ALIASES, validate_body
from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.payment_reference import PaymentReference
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType, Source

KINDS: Final[Mapping[str, ReferenceType]] = {
    "pr_": ReferenceType.PAYMENT_RECORD,
    "pi_": ReferenceType.PAYMENT_INTENT,
    "in_": ReferenceType.INVOICE,
}
KEY_MAX: Final = 255


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One refund that is wanted.

    Attributes:
        payment: a Payment Record's, PaymentIntent's or invoice's id.
        amount: minor units of `currency`; `None`: the whole refundable balance.
        currency: lowercase; always given with an amount.
    """

    payment: str
    amount: int | None = None
    currency: str | None = None
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    processor: str | None = None

    @property
    def kind(self) -> ReferenceType:
        """The kind of id that names the payment."""
        return KINDS[self.payment[:3]]

    @property
    def digest(self) -> str:
        """32 hex digits made of payment, amount, currency and reason; equal for equal wishes."""
        reason = None if self.reason is None else REASON_ALIASES.get(self.reason, self.reason)
        parts = [self.payment, self.amount, self.currency, reason]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def reference(self) -> PaymentReference:
        """The reference by which the product locates the payment."""
        return PaymentReference(
            kind=self.kind,
            id=self.payment,
            amount=self.amount,
            currency=self.currency,
            processor=self.processor,
        )

    @property
    def body(self) -> dict[str, Any]:
        """The body of the request to the interface."""
        wanted = {
            self.kind.value: self.payment,
            "amount": self.amount,
            "currency": self.currency,
            "reason": self.reason,
            "metadata": dict(self.metadata) or None,
            "processor": self.processor,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def is_of(self, refund: Refund) -> bool:
        """Whether this wish asked for the refund, by the comparison that the service makes."""
        try:
            asked = validate_body(self.body).normalised()
        except InvalidRequestError:
            return False
        if refund.source is Source.EVENT:  # its type is always "scheduled": that is no difference
            asked = replace(asked, refund_type=refund.request.refund_type)
        return refund.request.is_asked_by(asked)

    def with_amount_of(self, refund: Refund) -> "Wish":
        """The wish with the amount and the currency that the refund was asked for with."""
        return replace(self, amount=refund.request.amount, currency=refund.request.currency)


def is_key(text: str) -> bool:
    """Whether the interface accepts the text as an idempotency key."""
    fits = 1 <= len(text) <= KEY_MAX and text == text.strip()
    return fits and text.isascii() and text.isprintable()


def is_payment(text: str) -> bool:
    """Whether the text has the form of an id by which a refund can name its payment."""
    known = text[:3] in KINDS and len(text) > len("pr_")
    return known and len(text) <= KEY_MAX and all("!" <= letter <= "~" for letter in text)
