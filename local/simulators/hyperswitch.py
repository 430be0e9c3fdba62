"""The Hyperswitch simulator: refunds have an id that the merchant chose, and are read by it."""

from dataclasses import dataclass

from local.simulators import fields
from local.simulators.calls import Answer, ApiCall, Refusal, View
from local.simulators.clock import utc_text
from local.simulators.gateway import GatewaySimulator, amount_of
from local.simulators.gateway_book import Asked, Denial, DeniedError, Payment, Refund, Words
from local.simulators.json_text import JsonObject
from local.simulators.settings import choice

KEY = "hyperswitch-simulator-key"
_ERRORS = {
    401: ("IR_01", "API key not provided or invalid API key used"),
    404: ("IR_02", "Unrecognized request URL"),
    405: ("IR_03", "The HTTP method is not applicable for this API"),
    429: ("HE_00", "Rate limit exceeded"),
    500: ("HE_00", "Something went wrong"),
}


@dataclass(frozen=True)
class HyperswitchSettings:
    """How Hyperswitch behaves where its documents say nothing or its versions differ.

    repeat: an instruction whose refund_id was used before is "refused"; old versions "returned" the
        refund that has the id. repeat_code: the code of that refusal; old versions use "RE_01".
    refund_id_max: 64 in its source, 30 in its schema.
    payment_refunds: whether a payment lists its refunds; without refunds it is null in either case.
    refunds_max: how many refunds of a payment are made; 1 where only one is possible.
    connector: "fails_unclearly" answers CE_06, although the refund is recorded and stays pending.
    """

    repeat: str = choice("refused", "returned")
    repeat_code: str = choice("HE_01", "RE_01")
    refund_id_max: int = 64
    refunds_max: int = 10
    connector: str = choice("works", "fails_unclearly")
    clock_offset_seconds: int = 0


class HyperswitchSimulator(GatewaySimulator):
    """Hyperswitch: one desk and its control side."""

    provider = "hyperswitch"
    default_key = KEY
    id_prefix = "ref_"
    words = Words(
        pending="pending",
        succeeded="succeeded",
        failed="failed",
        others=("review",),
        refundable=("succeeded", "partially_captured"),
    )
    routes = (
        ("POST", "/refunds", "refund.create"),
        ("GET", "/refunds/{id}", "refund.read"),
        ("GET", "/payments/{id}", "charge.read"),
    )
    _settings: HyperswitchSettings

    def fresh_settings(self) -> HyperswitchSettings:
        """Return the switches as they are at the start."""
        return HyperswitchSettings()

    def key_of(self, call: ApiCall) -> str | None:
        """Return the API key that a call carries."""
        return call.headers.get("api-key")

    def do(self, call: ApiCall, view: View) -> Answer:
        """Do what an admitted call asks."""
        if view.object_hidden:
            raise _refusal(404, "HE_02", f"{call.operation} does not exist in our records")
        if call.operation == "refund.create":
            return self._create(call.parameters)
        if call.operation == "refund.read":
            return Answer(200, _refund_body(self.book.refund(call.target, view)))
        return Answer(200, self._payment_body(self.book.payment(call.target), view))

    def denied(self, error: DeniedError) -> Answer:
        """Return what Hyperswitch says when its books refuse."""
        about = error.about
        status, code, message = {
            Denial.NO_PAYMENT: (404, "HE_02", "Payment does not exist in our records"),
            Denial.NO_REFUND: (404, "HE_02", "Refund does not exist in our records"),
            Denial.NOT_PAID: (
                400,
                "IR_14",
                "This Payment could not be refund because it has a status of "
                f"{about.get('status')}. The expected state is succeeded, partially_captured",
            ),
            Denial.TOO_MUCH: (400, "IR_13", "The refund amount exceeds the amount captured"),
            Denial.TOO_MANY: (400, "IR_12", "Reached maximum refund attempts"),
        }[error.denial]
        return _error(status, code, message)

    def failure(self, status: int) -> Answer:
        """Return Hyperswitch's error body."""
        code, message = _ERRORS.get(status, ("HE_00", "Something went wrong"))
        answer = _error(status, code, message)
        headers = {"Retry-After": "1"} if status == 429 else {}
        return Answer(answer.status, answer.payload, headers)

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a refund or payment that disagrees with what was asked."""
        bent = dict(payload)
        if variant == "no_id":
            bent.pop("refund_id" if "refund_id" in bent else "payment_id", None)
        elif variant == "other_amount":
            bent["amount"] = fields.whole(bent, "amount") + 1
        elif variant == "other_currency":
            bent["currency"] = "XTS"
        else:
            bent["payment_id"] = "pay_of_somebody_else"
        return bent

    def lost(self, status: int, method: str, path: str) -> Answer:  # noqa: ARG002
        """Return the answer of the router."""
        return self.failure(405 if status == 405 else 404)

    def _create(self, parameters: JsonObject) -> Answer:
        payment = self.book.payment(fields.text(parameters, "payment_id", ""))
        key = fields.optional_text(parameters, "refund_id")
        if key is not None and len(key) > self._settings.refund_id_max:
            limit = f"length should be less than {self._settings.refund_id_max} characters"
            raise _refusal(
                422, "IR_05", f"refund_id contains invalid data. Expected format is {limit}"
            )
        try:
            amount = amount_of(parameters, payment)
        except ValueError as error:
            raise _refusal(422, "IR_05", f"{error}. Expected format is positive integer") from error
        taken = self.book.with_key(key) if key is not None else None
        if taken is not None and self._settings.repeat == "returned":
            return Answer(200, _refund_body(taken))
        if taken is not None and amount > payment.amount - self.book.refunded(
            payment, pending=True
        ):
            # The amount is checked before the id, so a retry may be refused because of the amount.
            raise DeniedError(Denial.TOO_MUCH)
        if taken is not None:
            message = "Duplicate refund request. Refund already attempted with the refund ID"
            raise _refusal(400, self._settings.repeat_code, message)
        fails = self._settings.connector == "fails_unclearly"
        metadata = parameters.get("metadata")
        asked = Asked(
            key=key,
            reason=fields.optional_text(parameters, "reason"),
            metadata=metadata if isinstance(metadata, dict) else {},
            comes_back="pending" if fails else None,
        )
        refund = self.book.move(
            payment, amount, asked, refund_id=key, refunds_max=self._settings.refunds_max
        )
        if fails:
            message = "Refund failed while processing with connector. Retry refund"
            raise _refusal(400, "CE_06", message)
        if refund.status == "failed":
            refund.error_code, refund.error_message = "insufficient_funds", "Insufficient balance"
        return Answer(200, _refund_body(refund))

    def _payment_body(self, payment: Payment, view: View) -> JsonObject:
        seen = [refund for refund in payment.refunds if view.shows(refund.recorded)]
        captured = payment.amount if payment.status in self.words.refundable else None
        return {
            "payment_id": payment.id,
            "status": payment.status,
            "amount": payment.amount,
            "net_amount": payment.amount,
            "amount_capturable": 0,
            "amount_received": captured,
            "currency": payment.currency.upper(),
            "connector": "stripe",
            "payment_method": payment.payment_method,
            "created": utc_text(payment.created_at),
            "refunds": [_refund_body(refund) for refund in seen] or None,
        }


def _refund_body(refund: Refund) -> JsonObject:
    return {
        "refund_id": refund.id,
        "payment_id": refund.payment_id,
        "amount": refund.amount,
        "currency": refund.currency.upper(),
        "status": refund.status,
        "reason": refund.asked.reason,
        "metadata": refund.asked.metadata or None,
        "error_message": refund.error_message,
        "error_code": refund.error_code,
        "created_at": utc_text(refund.created_at),
        "updated_at": utc_text(refund.updated_at),
        "connector": "stripe",
        "profile_id": "pro_simulator",
        "merchant_connector_id": "mca_simulator",
    }


def _error(status: int, code: str, message: str) -> Answer:
    kind = "invalid_request" if status < 500 else "api"
    return Answer(status, {"error": {"type": kind, "message": message, "code": code}})


def _refusal(status: int, code: str, message: str) -> Refusal:
    return Refusal(_error(status, code, message))
