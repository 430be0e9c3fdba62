"""The Hedge Payments simulator: refunds have no key, and can be read only with their payment."""

from dataclasses import dataclass

from local.simulators import fields
from local.simulators.calls import EVERYTHING, Answer, ApiCall, Refusal, View
from local.simulators.clock import utc_text
from local.simulators.gateway import GatewaySimulator, amount_of
from local.simulators.gateway_book import Asked, Denial, DeniedError, Payment, Words
from local.simulators.json_text import JsonObject
from local.simulators.settings import choice

KEY = "hedge-simulator-key"
_MESSAGES = {
    401: ("unauthorized", "Invalid or missing API key."),
    404: ("not_found", "There is no such resource."),
    412: ("payment_not_refundable", "Payment status does not allow refunds."),
    429: ("rate_limited", "Too many requests."),
}


@dataclass(frozen=True)
class HedgeSettings:
    """How Hedge Payments behaves where its documents say nothing.

    payment_refunds: whether a payment that is read lists its refunds; the reference's sample of a
        payment has no such member, but the answer to a refund has it. refund_metadata: whether a
        refund in a list shows the metadata that it was made with.
    pending_counts: whether a pending refund is already in refunded_amount.
    refunds_max: how many refunds of a payment are made; 1 where only one is possible.
    """

    payment_refunds: str = choice("full", "absent")
    refund_metadata: str = choice("absent", "shown")
    pending_counts: bool = False
    refunds_max: int = 1000
    clock_offset_seconds: int = 0


class HedgeSimulator(GatewaySimulator):
    """Hedge Payments: one desk and its control side."""

    provider = "hedge"
    default_key = KEY
    id_prefix = "ref_"
    words = Words(pending="pending", succeeded="succeeded", failed="failed")
    routes = (
        ("POST", "/v1/payments/{id}/refund", "refund.create"),
        ("GET", "/v1/payments/{id}", "charge.read"),
    )
    _settings: HedgeSettings

    def fresh_settings(self) -> HedgeSettings:
        """Return the switches as they are at the start."""
        return HedgeSettings()

    def key_of(self, call: ApiCall) -> str | None:
        """Return the API key that a call carries."""
        return call.headers.get("Authorization", "").removeprefix("Bearer ")

    def do(self, call: ApiCall, view: View) -> Answer:
        """Do what an admitted call asks."""
        if view.object_hidden:
            raise DeniedError(Denial.NO_PAYMENT)
        payment = self.book.payment(call.target)
        if call.operation == "charge.read":
            listed = self._settings.payment_refunds == "full"
            return Answer(200, self._payment_body(payment, view, listed=listed))
        try:
            amount = amount_of(call.parameters, payment)
        except ValueError as error:
            raise Refusal(_error(400, "invalid_request", str(error))) from error
        metadata = call.parameters.get("metadata")
        asked = Asked(
            reason=fields.optional_text(call.parameters, "reason"),
            metadata=metadata if isinstance(metadata, dict) else {},
        )
        self.book.move(payment, amount, asked, refunds_max=self._settings.refunds_max)
        return Answer(200, self._payment_body(payment, EVERYTHING, listed=True))

    def denied(self, error: DeniedError) -> Answer:
        """Return what Hedge Payments says when its books refuse."""
        if error.denial is Denial.NO_PAYMENT:
            return _error(404, "not_found", "Payment not found with the given ID.")
        if error.denial is Denial.TOO_MUCH and error.about.get("remaining_refundable"):
            message = "Refund amount exceeds the remaining refundable amount."
            return _error(422, "refund_amount_exceeded", message, error.about)
        return self.failure(412)

    def failure(self, status: int) -> Answer:
        """Return Hedge Payments' error body."""
        code, message = _MESSAGES.get(status, ("internal_error", "Something went wrong."))
        headers = {"Retry-After": "1"} if status == 429 else {}
        return Answer(status, _error(status, code, message).payload, headers)

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a payment that is wrong, in its newest refund if it has one."""
        bent = dict(payload)
        listed = bent.get("refunds")
        refunds = [dict(item) for item in listed] if isinstance(listed, list) else []
        if variant == "other_currency":
            bent["currency"] = "XTS"
        elif variant == "other_payment":
            bent["id"] = "pay_of_somebody_else"
        elif refunds and variant == "other_amount":
            refunds[-1]["amount"] = fields.whole(refunds[-1], "amount") + 1
        elif refunds:
            refunds[-1].pop("id")
        return {**bent, "refunds": refunds}

    def lost(self, status: int, method: str, path: str) -> Answer:
        """Return the answer of the router."""
        return _error(status, "not_found", f"There is no {method} {path}.")

    def _payment_body(self, payment: Payment, view: View, *, listed: bool) -> JsonObject:
        seen = [refund for refund in payment.refunds if view.shows(refund.recorded)]
        refunded = self.book.refunded(payment, view, pending=self._settings.pending_counts)
        status = payment.status
        if refunded:
            status = "refunded" if refunded >= payment.amount else "partially_refunded"
        body: JsonObject = {
            "id": payment.id,
            "object": "payment",
            "amount": payment.amount,
            "currency": payment.currency.upper(),
            "status": status,
            "payment_method": payment.payment_method,
            "refunded_amount": refunded,
            "created_at": utc_text(payment.created_at),
            "updated_at": utc_text(max([payment.created_at, *(r.updated_at for r in seen)])),
        }
        if listed:
            shows_metadata = self._settings.refund_metadata == "shown"
            body["refunds"] = [
                {
                    "id": refund.id,
                    "amount": refund.amount,
                    "reason": refund.asked.reason,
                    "status": refund.status,
                    "created_at": utc_text(refund.created_at),
                    **({"metadata": refund.asked.metadata} if shows_metadata else {}),
                }
                for refund in seen
            ]
        return body


def _error(status: int, code: str, message: str, details: object = None) -> Answer:
    error: JsonObject = {"code": code, "message": message}
    if details:
        error["details"] = details
    return Answer(status, {"error": error})
