"""The HitPay simulator: its desk (what each call does), its routes and its control."""

from aiohttp import web

from local.simulators import fields, hitpay_shapes
from local.simulators.calls import EVERYTHING, Answer, ApiCall, Refusal, View
from local.simulators.clock import Clock
from local.simulators.control import add_control_routes, control
from local.simulators.exchange import Exchange
from local.simulators.faults import FaultPlan
from local.simulators.hitpay_book import Charge, HitPayBook, Refund, not_found
from local.simulators.hitpay_list import page_of
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.journal import Journal
from local.simulators.json_text import JsonObject
from local.simulators.routes import add_api_routes, refusing_middleware
from local.simulators.settings import changed, shown
from local.simulators.webhooks import WebhookSender

# https://docs.hitpayapp.com (troubleshooting); also the answer to a key of the other environment.
WRONG_KEY = "Invalid business api key"
DEFAULT_KEY = "hitpay-simulator-key"
ROUTES = (
    ("GET", "/v1/charges", "charge.list"),
    ("GET", "/v1/charges/{id}", "charge.read"),
    ("GET", "/v1/payment-requests/{id}", "payment_request.read"),
    ("POST", "/v1/refund", "refund.create"),
    ("GET", "/v1/refund/{id}", "refund.read"),
)
_MESSAGES = {
    401: "Unauthenticated.",
    403: "This action is unauthorized.",
    429: "Too Many Attempts.",
    503: "Service Unavailable",
}


class HitPaySimulator:
    """HitPay: one desk and its control side."""

    provider = "hitpay"

    def __init__(self, plan: FaultPlan, journal: Journal, clock: Clock) -> None:
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._exchange = Exchange(self, plan, journal, clock)
        self._keys = frozenset({DEFAULT_KEY})
        self._settings = HitPaySettings()
        self.book = HitPayBook(clock)
        self.webhooks = WebhookSender()

    def application(self) -> web.Application:
        """Return the web application with API and control routes."""
        app = web.Application(middlewares=[refusing_middleware(self._lost)])
        add_api_routes(app, ROUTES, self._exchange)
        add_control_routes(app, self, self._plan, self._journal)
        late = control(lambda _, __: self._exchange.let_late_arrive())
        app.router.add_post("/_control/late", late)
        app.router.add_post("/_control/dashboard-refunds", control(self._dashboard_refund))
        app.router.add_post("/_control/refunds/{id}/status", control(self._set_status))
        return app

    # -- the desk

    def admit(self, call: ApiCall) -> Answer | None:
        """Refuse a call without a valid key."""
        if call.headers.get("X-BUSINESS-API-KEY") in self._keys:
            return None
        status = self._settings.wrong_key_status
        return Answer(403, {"message": WRONG_KEY}) if status == 403 else self.failure(status)

    def process(self, call: ApiCall, view: View) -> Answer:
        """Do what is asked."""
        try:
            return self._do(call, view)
        except Refusal as refusal:
            return refusal.answer

    def remember(self, call: ApiCall, answer: Answer) -> None:
        """Store nothing: HitPay has no idempotency keys."""

    def failure(self, status: int) -> Answer:
        """Return Laravel's error body."""
        headers = {"Retry-After": "1"} if status == 429 else {}
        return Answer(status, {"message": _MESSAGES.get(status, "Server Error")}, headers)

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a refund or charge that disagrees with what was asked."""
        bent = dict(payload)
        amount = "amount_refunded" if "amount_refunded" in bent else "amount"
        if variant == "no_id":
            bent.pop("id", None)
        elif variant == "other_amount":
            bent[amount] = fields.amount(bent, amount) + 1
        elif variant == "other_currency":
            bent["currency"] = "xts"
        elif "payment_id" in bent:
            bent["payment_id"] = "00000000-0000-4000-8000-000000000000"
        else:
            bent["id"] = "00000000-0000-4000-8000-000000000000"
        return bent

    def _do(self, call: ApiCall, view: View) -> Answer:
        if view.object_hidden:
            raise not_found("Record", call.target)
        if call.operation == "refund.create":
            refund = self.book.create_refund(call.parameters, self._settings)
            return Answer(self._settings.created_status, self._moved(refund))
        if call.operation == "refund.read":
            refund = self.book.refund(call.target, view)
            charge = self.book.charges[refund.payment_id]
            body = hitpay_shapes.refund_body(refund, charge, self._settings, is_read=True)
            return Answer(200, body)
        if call.operation == "charge.read":
            return Answer(200, self._shown(self.book.charge(call.target), view))
        if call.operation == "payment_request.read":
            request = self.book.request(call.target)
            return Answer(200, hitpay_shapes.request_body(request, self.book, self._settings))
        charges = list(self.book.charges.values())
        return Answer(200, page_of(charges, call, self._settings, view))

    def _shown(self, charge: Charge, view: View = EVERYTHING) -> JsonObject:
        return hitpay_shapes.charge_body(charge, self._settings, view)

    def _moved(self, refund: Refund) -> JsonObject:
        """Send a webhook about a refund's change, and return the refund's body."""
        charge = self.book.charges[refund.payment_id]
        self.webhooks.announce(self._shown(charge), self._settings)
        return hitpay_shapes.refund_body(refund, charge, self._settings)

    def _lost(self, status: int, method: str, path: str) -> Answer:
        route = path.lstrip("/")
        if status == 405:
            return Answer(405, {"message": f"The {method} method is not supported for {route}."})
        return Answer(status, {"message": f"The route {route} could not be found."})

    # -- control

    def reset(self) -> None:
        """Return to the state of a fresh start."""
        self._exchange.reset()
        self._keys = frozenset({DEFAULT_KEY})
        self.webhooks.reset()
        self.book = HitPayBook(self._clock)
        self._settings = HitPaySettings()
        self._clock.offset_seconds = 0

    def seed(self, source: JsonObject) -> None:
        """Add charges and payment requests."""
        self.book.seed(source)

    def set_keys(self, keys: list[str]) -> None:
        """Replace the valid API keys; during a rotation there are two."""
        self._keys = frozenset(keys)

    def change_settings(self, changes: JsonObject) -> JsonObject:
        """Change settings and return all of them."""
        self._settings = changed(self._settings, changes)
        self._clock.offset_seconds = self._settings.clock_offset_seconds
        return shown(self._settings)

    def state(self) -> JsonObject:
        """Return the books, the webhooks' deliveries and the settings."""
        charges = self.book.charges
        refunds = [
            hitpay_shapes.refund_body(refund, charges[refund.payment_id], HitPaySettings())
            | {"made_in": refund.made_in}
            for refund in self.book.refunds.values()
        ]
        return {
            "charges": [
                hitpay_shapes.charge_body(charge, HitPaySettings(), EVERYTHING)
                for charge in charges.values()
            ],
            "refunds": refunds,
            "webhooks": self.webhooks.state(),
            "settings": shown(self._settings),
        }

    def _dashboard_refund(self, _: web.Request, body: JsonObject) -> object:
        charge = self.book.charge(fields.text(body, "payment_id"))
        amount = fields.amount(body, "amount")
        return self._moved(self.book.move(charge, amount, self._settings, made_in="dashboard"))

    def _set_status(self, request: web.Request, body: JsonObject) -> object:
        status = fields.text(body, "status")
        return self._moved(self.book.set_status(request.match_info["id"], status))
