"""The books of a processor other than HitPay: payments, payment methods, refunds, refusals.

Amounts are whole numbers, in whatever unit the processor counts. Keys are kept for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from local.simulators import fields
from local.simulators.calls import EVERYTHING, View
from local.simulators.clock import Clock
from local.simulators.json_text import JsonObject


class Denial(StrEnum):
    """Why a refund was not made."""

    NO_PAYMENT = "no_payment"
    NOT_PAID = "not_paid"
    TOO_MUCH = "too_much"
    TOO_MANY = "too_many"
    NO_METHOD = "no_method"
    BANK_ACCOUNT = "bank_account"
    NO_REFUND = "no_refund"


class DeniedError(Exception):
    """The books refuse; each desk answers that in its processor's words."""

    def __init__(self, denial: Denial, **about: int | str) -> None:
        super().__init__(str(denial))
        self.denial = denial
        self.about: Mapping[str, int | str] = about


@dataclass(frozen=True)
class Words:
    """A processor's words for the states of refunds, and for payments that can be refunded."""

    pending: str
    succeeded: str
    failed: str
    others: tuple[str, ...] = ()
    refundable: tuple[str, ...] = ("succeeded",)

    @property
    def all(self) -> tuple[str, ...]:
        """Every state of a refund."""
        return (self.succeeded, self.pending, self.failed, *self.others)


@dataclass(frozen=True)
class Asked:
    """What an instruction says besides its amount.

    comes_back: the state that the refund is made in; None: the payment's setting, or succeeded.
    """

    key: str | None = None
    reason: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    made_in: str = "api"
    comes_back: str | None = None


@dataclass
class Refund:
    """One refund. `recorded` is monotonic; `made_in` tells the API from the dashboard."""

    id: str
    asked: Asked
    payment_id: str | None
    payment_method: str | None
    amount: int
    currency: str
    status: str
    created_at: datetime
    updated_at: datetime
    recorded: float
    error_code: str | None = None
    error_message: str | None = None


@dataclass
class Payment:
    """One payment; `status` is its own, whatever was refunded of it.

    more: members that only its own processor's desk prints.
    """

    id: str
    amount: int
    currency: str
    status: str
    payment_method: str
    created_at: datetime
    refunds_come_back: str
    refunds: list[Refund] = field(default_factory=list)
    more: JsonObject = field(default_factory=dict)


class GatewayBook:
    """Everything such a processor knows. Methods never await: a check and its commit are one."""

    def __init__(self, clock: Clock, words: Words, id_prefix: str) -> None:
        self._clock = clock
        self._words = words
        self._id_prefix = id_prefix
        self._made = 0
        self.payments: dict[str, Payment] = {}
        self.methods: dict[str, str] = {}
        self.refunds: dict[str, Refund] = {}

    def seed(self, source: JsonObject) -> None:
        """Add payments and payment methods; all of them or, with a ValueError, none."""
        payments = [self._payment(item) for item in fields.objects(source, "payments")]
        methods = {
            fields.text(item, "id"): fields.text(item, "kind", "card")
            for item in fields.objects(source, "payment_methods")
        }
        for payment in payments:
            self.payments[payment.id] = payment
            self.refunds.update({refund.id: refund for refund in payment.refunds})
        self.methods.update(methods)

    def payment(self, payment_id: str) -> Payment:
        """Return a payment that exists."""
        if payment_id not in self.payments:
            raise DeniedError(Denial.NO_PAYMENT, id=payment_id)
        return self.payments[payment_id]

    def refund(self, refund_id: str, view: View = EVERYTHING) -> Refund:
        """Return a refund that this view sees."""
        refund = self.refunds.get(refund_id)
        if refund is None or not view.shows(refund.recorded):
            raise DeniedError(Denial.NO_REFUND, id=refund_id)
        return refund

    def with_key(self, key: str, view: View = EVERYTHING) -> Refund | None:
        """Return the refund whose instruction carried this key, if this view sees it."""
        found = (item for item in self.refunds.values() if item.asked.key == key)
        return next((item for item in found if view.shows(item.recorded)), None)

    def refunded(self, payment: Payment, view: View = EVERYTHING, *, pending: bool = False) -> int:
        """Return the sum refunded, as far as this view sees it."""
        counted = (self._words.succeeded,)
        seen = [item for item in payment.refunds if view.shows(item.recorded)]
        if pending:
            return sum(item.amount for item in seen if item.status != self._words.failed)
        return sum(item.amount for item in seen if item.status in counted)

    def move(
        self,
        payment: Payment,
        amount: int,
        asked: Asked,
        *,
        refund_id: str | None = None,
        refunds_max: int | None = None,
    ) -> Refund:
        """Refund a payment, if its refundable balance allows it."""
        if payment.status not in self._words.refundable:
            raise DeniedError(Denial.NOT_PAID, status=payment.status)
        refunded = self.refunded(payment, pending=True)
        if amount > payment.amount - refunded:
            raise DeniedError(
                Denial.TOO_MUCH,
                payment_id=payment.id,
                original_amount=payment.amount,
                already_refunded=refunded,
                remaining_refundable=payment.amount - refunded,
                requested_refund=amount,
            )
        alive = [item for item in payment.refunds if item.status != self._words.failed]
        if refunds_max is not None and len(alive) >= refunds_max:
            raise DeniedError(Denial.TOO_MANY)
        status = asked.comes_back or payment.refunds_come_back
        refund = self._refund(payment.currency, amount, asked, status, refund_id)
        refund.payment_id = payment.id
        payment.refunds.append(refund)
        return refund

    def send(self, method: str, amount: int, currency: str, asked: Asked) -> Refund:
        """Send money to a card without a payment."""
        kind = self.methods.get(method)
        if kind is None:
            raise DeniedError(Denial.NO_METHOD, id=method)
        if kind != "card":
            raise DeniedError(Denial.BANK_ACCOUNT, id=method)
        status = asked.comes_back or self._words.succeeded
        refund = self._refund(currency, amount, asked, status, None)
        refund.payment_method = method
        return refund

    def set_status(self, refund_id: str, source: JsonObject) -> Refund:
        """Set a refund's state, whatever it was before, with an error if there is one."""
        status = fields.text(source, "status")
        self._require_known(status)
        refund = self.refund(refund_id)
        refund.status = status
        refund.error_code = fields.optional_text(source, "error_code")
        refund.error_message = fields.optional_text(source, "error_message")
        refund.updated_at = self._clock.now()
        return refund

    def state(self) -> list[JsonObject]:
        """Return all refunds as the control API shows them, the same for every processor."""
        return [
            {
                "id": refund.id,
                "key": refund.asked.key,
                "payment_id": refund.payment_id,
                "payment_method": refund.payment_method,
                "amount": refund.amount,
                "currency": refund.currency,
                "status": refund.status,
                "made_in": refund.asked.made_in,
                "reason": refund.asked.reason,
                "metadata": refund.asked.metadata,
            }
            for refund in self.refunds.values()
        ]

    def _refund(
        self, currency: str, amount: int, asked: Asked, status: str, refund_id: str | None
    ) -> Refund:
        now = self._clock.now()
        self._made += 1
        refund = Refund(
            id=refund_id or f"{self._id_prefix}{self._made:08d}",
            asked=asked,
            payment_id=None,
            payment_method=None,
            amount=amount,
            currency=currency,
            status=status,
            created_at=now,
            updated_at=now,
            recorded=self._clock.monotonic(),
        )
        self.refunds[refund.id] = refund
        return refund

    def _payment(self, source: JsonObject) -> Payment:
        created_at = self._clock.now()
        come_back = fields.text(source, "refunds_come_back", self._words.succeeded)
        self._require_known(come_back)
        payment = Payment(
            id=fields.text(source, "id"),
            amount=fields.whole(source, "amount"),
            currency=fields.text(source, "currency").lower(),
            status=fields.text(source, "status", self._words.refundable[0]),
            payment_method=fields.text(source, "payment_method", "card"),
            created_at=created_at,
            refunds_come_back=come_back,
            more=fields.mapping(source, "more"),
        )
        for item in fields.objects(source, "refunds"):
            refund = Refund(
                id=fields.text(item, "id"),
                asked=Asked(made_in="seed"),
                payment_id=payment.id,
                payment_method=None,
                amount=fields.whole(item, "amount"),
                currency=payment.currency,
                status=fields.text(item, "status", self._words.succeeded),
                created_at=created_at,
                updated_at=created_at,
                recorded=float("-inf"),
            )
            self._require_known(refund.status)
            payment.refunds.append(refund)
        return payment

    def _require_known(self, status: str) -> None:
        if status not in self._words.all:
            raise ValueError(f"a refund's status must be one of {', '.join(self._words.all)}")
