"""The Convenient Checkout Gateway's simulator: refunds with a merchant's id, with and without a
payment."""

from dataclasses import dataclass
from decimal import Decimal

from local.simulators import fields
from local.simulators.calls import Answer, ApiCall, Refusal, View
from local.simulators.currency import exponent, representable
from local.simulators.gateway import GatewaySimulator
from local.simulators.gateway_book import Asked, Denial, DeniedError, Payment, Refund, Words
from local.simulators.json_text import JsonObject, MalformedError
from local.simulators.settings import choice

KEY = "ccg-simulator-token"
MERCHANT = "668d9077-0574-4d5c-b30e-7f83eacba8ce"
_GATEWAY = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 429: "TOO_MANY_REQUESTS"}


@dataclass(frozen=True)
class CcgSettings:
    """How the gateway behaves where its documents say nothing.

    amount_unit: whether a number means cents or dollars.
    created_amount: whether the answer to an instruction shows the amount; in the documents' samples
        a linked refund does not, an unlinked one does.
    look_up: GET /v1/refunds?merchantTransactionId= is documented for payments only. Here it works
        as for payments ("by_key"), does not exist ("absent"), or the parameter is "ignored" and
        every refund is listed.
    repeat_detail: the answer to a merchantTransactionId that was used before.
    refunds_max: how many refunds of a payment are made; 1 where only one is possible.
    """

    amount_unit: str = choice("minor", "major")
    created_amount: str = choice("absent", "present")
    created_status: int = choice(200, 202)
    look_up: str = choice("by_key", "absent", "ignored")
    repeat_detail: str = "merchantTransactionId already exists"
    currency: str = "usd"
    refunds_max: int = 1000
    clock_offset_seconds: int = 0


class CcgSimulator(GatewaySimulator):
    """The gateway: one desk and its control side."""

    provider = "ccg"
    default_key = KEY
    id_prefix = "257d30aa-2ca6-4c32-ab16-"
    words = Words(
        pending="INITIATED", succeeded="COMPLETED", failed="FAILED", refundable=("COMPLETED",)
    )
    routes = (
        ("POST", "/v1/refunds", "refund.create"),
        ("GET", "/v1/refunds", "refund.find"),
        ("GET", "/v1/refunds/{id}", "refund.read"),
    )
    _settings: CcgSettings

    def fresh_settings(self) -> CcgSettings:
        """Return the switches as they are at the start."""
        return CcgSettings()

    def key_of(self, call: ApiCall) -> str | None:
        """Return the access token that a call carries."""
        return call.headers.get("Authorization", "").removeprefix("Bearer ")

    def do(self, call: ApiCall, view: View) -> Answer:
        """Do what an admitted call asks."""
        if call.headers.get("X-Merchant-Id") != MERCHANT:
            raise Refusal(_error(403, "FORBIDDEN", "403 FORBIDDEN"))
        if view.object_hidden:
            raise DeniedError(Denial.NO_REFUND)
        if call.operation == "refund.create":
            return self._create(call)
        if call.operation == "refund.find":
            return self._find(call, view)
        refund = self.book.refund(call.target, view)
        return Answer(200, self._wrapped(call, refund))

    def denied(self, error: DeniedError) -> Answer:
        """Return what the gateway says when its books refuse."""
        status, title, detail = {
            Denial.NO_PAYMENT: (400, "INVALID_REQUEST", "Payment not found"),
            Denial.NO_REFUND: (404, "NOT_FOUND", "Refund not found"),
            Denial.NOT_PAID: (400, "PAYMENT_ERROR", "Cannot issue refund for this payment"),
            Denial.TOO_MANY: (400, "INVALID_REQUEST", "Cannot issue refund for this payment"),
            Denial.TOO_MUCH: (
                400,
                "INVALID_REQUEST",
                "Refund amount cannot be more than the un-refunded amount of the original payment",
            ),
            Denial.NO_METHOD: (400, "INVALID_REQUEST", "Payment method not found"),
            Denial.BANK_ACCOUNT: (
                400,
                "INVALID_REQUEST",
                "Unlinked refunds are not supported for bank accounts",
            ),
        }[error.denial]
        return _error(status, title, detail)

    def failure(self, status: int) -> Answer:
        """Return an error of the gateway, or of what stands before it."""
        if status in _GATEWAY:
            headers = {"Retry-After": "1"} if status == 429 else {}
            return Answer(status, {"message": _GATEWAY[status]}, headers)
        return _error(status, "INTERNAL_SERVER_ERROR", "Something went wrong")

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a refund that disagrees with what was asked."""
        wrapped = payload.get("data")
        data = dict(wrapped) if isinstance(wrapped, dict) else {}
        if variant == "no_id":
            data.pop("id", None)
        elif variant == "other_amount":
            data["amount"] = 987654
        elif variant == "other_currency":
            data["currency"] = "XTS"
        elif "paymentId" in data:
            data["paymentId"] = "00000000-0000-4000-8000-000000000000"
        else:
            data["paymentMethodId"] = "00000000-0000-4000-8000-000000000000"
        return {**payload, "data": data}

    def lost(self, status: int, method: str, path: str) -> Answer:
        """Return the answer of the router, which knows no detail."""
        return Answer(status, {"message": f"no route for {method} {path}"})

    def _create(self, call: ApiCall) -> Answer:
        parameters = call.parameters
        payment_id = fields.optional_text(parameters, "paymentId")
        method = fields.optional_text(parameters, "paymentMethodId")
        if (payment_id is None) == (method is None):
            raise _refusal("paymentId or paymentMethodId is required")
        key = fields.optional_text(parameters, "merchantTransactionId")
        if key is None or len(key) > 50:
            raise _refusal("merchantTransactionId is required")
        if self.book.with_key(key) is not None:
            raise _refusal(self._settings.repeat_detail)
        asked = Asked(key=key, reason=fields.optional_text(parameters, "reason"))
        if payment_id is not None:
            payment = self.book.payment(payment_id)
            amount = self._amount(parameters, payment)
            refund = self.book.move(payment, amount, asked, refunds_max=self._settings.refunds_max)
        else:
            refund = self._send(parameters, method or "", asked)
        body = self._wrapped(call, refund)
        data = body["data"]
        if isinstance(data, dict):
            data["status"] = "INITIATED"  # the first answer never shows the final state
            if self._settings.created_amount == "absent" and payment_id is not None:
                del data["amount"]
        return Answer(self._settings.created_status, body)

    def _send(self, parameters: JsonObject, method: str, asked: Asked) -> Refund:
        customer = parameters.get("customer")
        if not isinstance(customer, dict) or not customer:
            raise _refusal("customer is required")
        if parameters.get("amount") is None:
            raise _refusal("When paymentMethodId is present, amount is required")
        return self.book.send(
            method, self._amount(parameters, None), self._settings.currency, asked
        )

    def _find(self, call: ApiCall, view: View) -> Answer:
        if self._settings.look_up == "absent":
            return self.lost(405, call.method, call.path)
        if self._settings.look_up == "ignored":
            shown = [r for r in self.book.refunds.values() if view.shows(r.recorded)]
            return Answer(200, {"url": call.base_url, "data": [self._data(r) for r in shown]})
        found = self.book.with_key(str(call.parameters.get("merchantTransactionId")), view)
        if found is None:
            return Answer(200, {"url": call.base_url, "data": None})
        return Answer(200, self._wrapped(call, found))

    def _amount(self, parameters: JsonObject, payment: Payment | None) -> int:
        if parameters.get("amount") is None and payment is not None:
            return payment.amount  # the whole payment, not its refundable balance
        currency = payment.currency if payment is not None else self._settings.currency
        try:
            asked = fields.amount(parameters, "amount")
        except MalformedError as error:
            raise _refusal(str(error)) from error
        if self._settings.amount_unit == "major":
            if not representable(asked, currency):
                raise _refusal("amount is not valid")
            asked = asked.scaleb(exponent(currency))
        if asked != asked.to_integral_value() or asked <= 0:
            raise _refusal("amount is not valid")
        return int(asked)

    def _wrapped(self, call: ApiCall, refund: Refund) -> JsonObject:
        url = f"{call.base_url}/refunds/{refund.id}"
        return {"url": url, "data": self._data(refund)}

    def _data(self, refund: Refund) -> JsonObject:
        amount: int | Decimal = refund.amount
        if self._settings.amount_unit == "major":
            amount = Decimal(refund.amount).scaleb(-exponent(refund.currency))
        linked = {"paymentId": refund.payment_id} if refund.payment_id else {}
        unlinked = {"paymentMethodId": refund.payment_method} if refund.payment_method else {}
        return {
            "id": refund.id,
            **linked,
            **unlinked,
            "merchantId": MERCHANT,
            "amount": amount,
            "reason": refund.asked.reason,
            "merchantTransactionId": refund.asked.key,
            "metadata": {"merchantTransactionId": refund.asked.key},
            "status": refund.status,
        }


def _error(status: int, title: str, detail: str) -> Answer:
    return Answer(status, {"title": title, "status": status, "detail": detail})


def _refusal(detail: str) -> Refusal:
    return Refusal(_error(400, "INVALID_REQUEST", detail))
