"""HitPay's books: charges, payment requests and refunds, and what it refuses."""

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from local.simulators import fields
from local.simulators.calls import EVERYTHING, Answer, Refusal, View
from local.simulators.clock import Clock
from local.simulators.currency import representable
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.json_text import JsonObject, MalformedError

# Captured, by HitPay, or by a person who was paid in another way and marked it so.
PAID = ("succeeded", "succeeded_manually")
REFUND_STATUSES = ("pending", "succeeded", "failed")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]+)?", re.ASCII)
_ZERO = Decimal(0)


@dataclass
class Refund:
    """One refund. `recorded` is monotonic; `made_in` tells the API from the dashboard."""

    id: str
    payment_id: str
    amount: Decimal
    status: str
    made_in: str
    created_at: datetime
    refunded_at: datetime | None
    recorded: float


@dataclass
class Charge:
    """One charge; `status` is the payment's own; `shown_status` takes its refunds into account."""

    id: str
    amount: Decimal
    currency: str
    status: str
    payment_method: str
    created_at: datetime
    payment_request_id: str | None
    order_reference_number: str | None
    refunds_come_back: str
    refunds: list[Refund] = field(default_factory=list)

    def refunded(self, view: View, *, with_pending: bool) -> Decimal:
        """Return the sum refunded, as far as this view sees it."""
        counted = ("succeeded", "pending") if with_pending else ("succeeded",)
        seen = (r for r in self.refunds if r.status in counted and view.shows(r.recorded))
        return sum((refund.amount for refund in seen), _ZERO)

    def shown_status(self, refunded: Decimal) -> str:
        """Return the status that a read shows."""
        if self.status not in PAID or not refunded:
            return self.status
        return "refunded" if refunded >= self.amount else "partially_refunded"


@dataclass(frozen=True)
class PaymentRequest:
    """What a payer was asked to pay; its payments are charges."""

    id: str
    reference_number: str | None
    amount: Decimal
    currency: str
    status: str
    payment_ids: tuple[str, ...]


class HitPayBook:
    """Everything HitPay knows. Methods never await, so a check and its commit are one step."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.charges: dict[str, Charge] = {}
        self.requests: dict[str, PaymentRequest] = {}
        self.refunds: dict[str, Refund] = {}

    def seed(self, source: JsonObject) -> None:
        """Add charges and payment requests; all of them or, with a ValueError, none."""
        charges = [self._charge(item) for item in fields.objects(source, "charges")]
        requests = [_request(item) for item in fields.objects(source, "payment_requests")]
        for charge in charges:
            self.charges[charge.id] = charge
            self.refunds.update({refund.id: refund for refund in charge.refunds})
        self.requests.update({request.id: request for request in requests})

    def charge(self, charge_id: str) -> Charge:
        """Return a charge or refuse with HitPay's 404."""
        if charge_id not in self.charges:
            raise not_found("Charge", charge_id)
        return self.charges[charge_id]

    def request(self, request_id: str) -> PaymentRequest:
        """Return a payment request or refuse with HitPay's 404."""
        if request_id not in self.requests:
            raise not_found("PaymentRequest", request_id)
        return self.requests[request_id]

    def refund(self, refund_id: str, view: View = EVERYTHING) -> Refund:
        """Return a refund that this view sees, or refuse with HitPay's 404."""
        refund = self.refunds.get(refund_id)
        if refund is None or not view.shows(refund.recorded):
            raise not_found("Refund", refund_id)
        return refund

    def create_refund(self, parameters: JsonObject, settings: HitPaySettings) -> Refund:
        """Refund as POST /v1/refund does: HitPay cannot tell a retry from a second refund."""
        payment_id, amount = _asked(parameters)
        charge = self.charge(payment_id)
        if not representable(amount, charge.currency):
            raise _invalid("amount", "The amount format is invalid.")
        return self.move(charge, amount, settings, made_in="api")

    def move(
        self, charge: Charge, amount: Decimal, settings: HitPaySettings, *, made_in: str
    ) -> Refund:
        """Refund a charge, if its refundable balance allows it."""
        if charge.status not in PAID:
            raise _forbidden("You can only refund a succeeded charge.")
        if settings.one_refund_per_payment and any(r.status != "failed" for r in charge.refunds):
            raise _forbidden("This charge has been refunded already.")
        if amount > charge.amount - charge.refunded(EVERYTHING, with_pending=True):
            raise _forbidden("The refund amount is greater than the remaining charge amount.")
        now = self._clock.now()
        status = charge.refunds_come_back
        refund = Refund(
            id=str(uuid.uuid4()),
            payment_id=charge.id,
            amount=amount,
            status=status,
            made_in=made_in,
            created_at=now,
            refunded_at=now if status == "succeeded" else None,
            recorded=self._clock.monotonic(),
        )
        charge.refunds.append(refund)
        self.refunds[refund.id] = refund
        return refund

    def set_status(self, refund_id: str, status: str) -> Refund:
        """Set a refund's state, whatever it was before."""
        if status not in REFUND_STATUSES:
            raise ValueError(f"status must be one of {', '.join(REFUND_STATUSES)}")
        refund = self.refund(refund_id)
        refund.status = status
        refund.refunded_at = self._clock.now() if status == "succeeded" else None
        return refund

    def _charge(self, source: JsonObject) -> Charge:
        charge = Charge(
            id=fields.text(source, "id"),
            amount=fields.amount(source, "amount"),
            currency=fields.text(source, "currency").lower(),
            status=fields.text(source, "status", "succeeded"),
            payment_method=fields.text(source, "payment_method", "card"),
            created_at=self._clock.now(),
            payment_request_id=fields.optional_text(source, "payment_request_id"),
            order_reference_number=fields.optional_text(source, "order_reference_number"),
            refunds_come_back=fields.text(source, "refunds_come_back", "succeeded"),
        )
        if charge.refunds_come_back not in REFUND_STATUSES:
            raise ValueError(f"refunds_come_back must be one of {', '.join(REFUND_STATUSES)}")
        for item in fields.objects(source, "refunds"):
            status = fields.text(item, "status", "succeeded")
            refund = Refund(
                id=fields.text(item, "id"),
                payment_id=charge.id,
                amount=fields.amount(item, "amount"),
                status=status,
                made_in="seed",
                created_at=charge.created_at,
                refunded_at=charge.created_at if status == "succeeded" else None,
                recorded=float("-inf"),
            )
            charge.refunds.append(refund)
        return charge


def not_found(model: str, key: str) -> Refusal:
    """Return Laravel's 404 for a model."""
    return Refusal(
        Answer(404, {"message": f"No query results for model [App\\Business\\{model}] {key}"})
    )


def _asked(parameters: JsonObject) -> tuple[str, Decimal]:
    """Validate as Laravel does: it names every wrong field; the message is about the first one."""
    errors: dict[str, str] = {}
    payment_id, amount = parameters.get("payment_id"), parameters.get("amount")
    if not isinstance(payment_id, str) or not payment_id:
        errors["payment_id"] = "The payment id field is required."
    # a JSON body may hold a number; str() of an int or a Decimal is exact
    written = "" if amount is None or isinstance(amount, bool) else str(amount)
    if not written:
        errors["amount"] = "The amount field is required."
    elif not _AMOUNT.fullmatch(written):
        errors["amount"] = "The amount must be a number."
    elif not Decimal(written):
        errors["amount"] = "The amount must be greater than 0."
    if str(parameters.get("send_email", "false")).lower() not in ("true", "false", "1", "0"):
        errors["send_email"] = "The send email field must be true or false."
    if errors:
        raise _invalid_fields(errors)
    return str(payment_id), Decimal(written)


def _invalid(name: str, message: str) -> Refusal:
    return _invalid_fields({name: message})


def _invalid_fields(errors: dict[str, str]) -> Refusal:
    first = next(iter(errors.values()))
    listed = {name: [message] for name, message in errors.items()}
    return Refusal(Answer(422, {"message": first, "errors": listed}))


def _forbidden(message: str) -> Refusal:
    return Refusal(Answer(403, {"message": message}))


def _request(source: JsonObject) -> PaymentRequest:
    payments = source.get("payment_ids", [])
    if not isinstance(payments, list):
        raise MalformedError("payment_ids must be a list")
    return PaymentRequest(
        id=fields.text(source, "id"),
        reference_number=fields.optional_text(source, "reference_number"),
        amount=fields.amount(source, "amount"),
        currency=fields.text(source, "currency").lower(),
        status=fields.text(source, "status", "completed"),
        payment_ids=tuple(str(payment) for payment in payments),
    )
