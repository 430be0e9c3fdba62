"""Payments that Stripe itself took, and their refunds, as Stripe's API has them.

They use the books of the other processors; only the printed form and the paging are Stripe's.
"""

from local.simulators import fields
from local.simulators.calls import Answer, ApiCall, View
from local.simulators.clock import Clock
from local.simulators.gateway_book import (
    Asked,
    Denial,
    DeniedError,
    GatewayBook,
    Payment,
    Refund,
    Words,
)
from local.simulators.json_text import JsonObject
from local.simulators.stripe_errors import error, invalid
from local.simulators.stripe_idempotency import key_of
from local.simulators.stripe_parameters import (
    integer,
    metadata,
    only,
    optional_integer,
    optional_string,
    string,
)

WORDS = Words(
    pending="pending",
    succeeded="succeeded",
    failed="failed",
    others=("requires_action", "canceled"),
)
ROUTES = (
    ("GET", "/v1/charges/{id}", "charge.read"),
    ("GET", "/v1/refunds", "refund.find"),
    ("POST", "/v1/refunds", "refund.create"),
    ("GET", "/v1/refunds/{id}", "refund.read"),
)
OPERATIONS = frozenset(operation for _, _, operation in ROUTES)
# A payment with this state is authorised but not captured; its charge still shows "succeeded".
UNCAPTURED = "uncaptured"
# Stripe's own default.
PAGE_DEFAULT = 10
PAGE_MAX = 100
_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_CREATE = ("charge", "payment_intent", "amount", "reason", "metadata")


class StripeCharges:
    """The charges of one mode (one is enough here), and the answers to calls about them."""

    def __init__(self, clock: Clock) -> None:
        self.book = GatewayBook(clock, WORDS, "re_")

    def do(self, call: ApiCall, view: View, *, refunds_max: int) -> JsonObject:
        """Do what the call asks; DeniedError is an answer too."""
        if call.operation == "charge.read":
            return self._charge_body(self._payment(call.target, view), view)
        if call.operation == "refund.read":
            return _refund_body(self.book.refund(call.target, view))
        if call.operation == "refund.find":
            return self._page(call.parameters, view)
        return _refund_body(self._make(call, view, refunds_max))

    def _make(self, call: ApiCall, view: View, refunds_max: int) -> Refund:
        parameters = call.parameters
        only(parameters, _CREATE)
        reason = optional_string(parameters, "reason")
        if reason is not None and reason not in _REASONS:
            raise invalid("Invalid reason", param="reason")
        noted = metadata(parameters)
        payment = self._payment(string(parameters, "charge", "charge"), view)
        left = payment.amount - self.book.refunded(payment, pending=True)
        amount = optional_integer(parameters, "amount")
        amount = left if amount is None else integer(parameters, "amount", "amount")
        if amount <= 0:
            raise invalid(
                "Invalid positive integer", param="amount", code="parameter_invalid_integer"
            )
        asked = Asked(key=key_of(call), reason=reason, metadata=dict(noted))
        return self.book.move(payment, amount, asked, refunds_max=refunds_max)

    def _payment(self, charge: str, view: View) -> Payment:
        if view.object_hidden:
            raise DeniedError(Denial.NO_PAYMENT, id=charge)
        return self.book.payment(charge)

    def shown(self, charge: object, view: View) -> JsonObject | None:
        """Return the charge as Stripe prints it; None if there is none of that id."""
        payment = self.book.payments.get(str(charge))
        return None if payment is None else self._charge_body(payment, view)

    def _page(self, parameters: JsonObject, view: View) -> JsonObject:
        """One page, newest first, with ten items unless another limit is asked for."""
        charge = optional_string(parameters, "charge")
        limit = optional_integer(parameters, "limit") or PAGE_DEFAULT
        found = [
            refund
            for refund in reversed(list(self.book.refunds.values()))
            if view.shows(refund.recorded) and charge in (None, refund.payment_id)
        ]
        after = optional_string(parameters, "starting_after")
        if after is not None:
            ids = [refund.id for refund in found]
            if after not in ids:
                raise DeniedError(Denial.NO_REFUND, id=after)
            found = found[ids.index(after) + 1 :]
        page = found[: min(limit, PAGE_MAX)]
        return {
            "object": "list",
            "url": "/v1/refunds",
            "has_more": len(found) > len(page),
            "data": [_refund_body(refund) for refund in page],
        }

    def _charge_body(self, payment: Payment, view: View) -> JsonObject:
        captured = payment.status == "succeeded"
        refunded = self.book.refunded(payment, view, pending=True)
        return {
            "id": payment.id,
            "object": "charge",
            "amount": payment.amount,
            "amount_captured": payment.amount if captured else 0,
            "amount_refunded": refunded,
            "application_fee": payment.more.get("application_fee"),
            "application_fee_amount": payment.more.get("application_fee_amount"),
            "captured": captured,
            "created": int(payment.created_at.timestamp()),
            "currency": payment.currency,
            "disputed": False,
            "livemode": False,
            "payment_intent": payment.more.get("payment_intent"),
            "payment_method_details": {"type": payment.payment_method},
            "refunded": captured and refunded >= payment.amount,
            "status": "succeeded" if payment.status == UNCAPTURED else payment.status,
            "transfer": payment.more.get("transfer"),
            "transfer_data": payment.more.get("transfer_data"),
        }


def denied(refusal: DeniedError) -> Answer:
    """Stripe's answer when its books refuse."""
    about = refusal.about
    match refusal.denial:
        case Denial.NO_PAYMENT | Denial.NO_REFUND:
            model = "charge" if refusal.denial is Denial.NO_PAYMENT else "refund"
            message = f"No such {model}: '{about.get('id')}'"
            return error(404, message, code="resource_missing", param="id")
        case Denial.TOO_MUCH if not about["remaining_refundable"]:
            message = f"Charge {about['payment_id']} has already been refunded."
            return error(400, message, code="charge_already_refunded")
        case Denial.TOO_MUCH:
            message = "Refund amount is greater than unrefunded amount on charge."
            return error(400, message, param="amount")
        case _:
            message = "This charge has not been captured, and cannot be refunded."
            return error(400, message, code="charge_not_refundable")


def bent(payload: JsonObject, variant: str) -> JsonObject:
    """A refund that differs from what was asked for."""
    changed = dict(payload)
    if variant == "no_id":
        changed.pop("id", None)
    elif variant == "other_payment":
        changed["charge"] = "ch_of_somebody_else"
    elif variant == "other_amount":
        changed["amount"] = fields.whole(payload, "amount") + 1
    else:
        changed["currency"] = "xts"
    return changed


def _refund_body(refund: Refund) -> JsonObject:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": None,
        "charge": refund.payment_id,
        "created": int(refund.created_at.timestamp()),
        "currency": refund.currency,
        "failure_reason": refund.error_code,
        "metadata": refund.asked.metadata,
        "payment_intent": None,
        "reason": refund.asked.reason,
        "receipt_number": None,
        "status": refund.status,
    }
