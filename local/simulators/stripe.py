"""The Stripe simulator: its desk (what each call does), its routes and its control."""

import base64
import binascii
from collections import defaultdict, deque
from dataclasses import asdict
from itertools import count

from aiohttp import web

from local.simulators import fields, stripe_charges, stripe_credit_notes, stripe_shapes
from local.simulators.calls import EVERYTHING, Answer, ApiCall, Refusal, View
from local.simulators.clock import Clock
from local.simulators.control import add_control_routes, control
from local.simulators.exchange import Exchange
from local.simulators.faults import FaultPlan
from local.simulators.gateway_book import Asked, DeniedError
from local.simulators.journal import Journal
from local.simulators.json_text import JsonObject
from local.simulators.routes import add_api_routes, refusing_middleware
from local.simulators.settings import changed, shown
from local.simulators.stripe_book import Report, StripeBook
from local.simulators.stripe_errors import error, failure, no_such
from local.simulators.stripe_expansions import shown_intent, shown_invoice, shown_record
from local.simulators.stripe_idempotency import IdempotencyKeys, key_of
from local.simulators.stripe_reports import accept_report
from local.simulators.stripe_settings import StripeSettings

DEFAULT_TEST_KEY = "sk_test_simulator"
DEFAULT_LIVE_KEY = "sk_live_simulator"
ROUTES = (
    ("GET", "/v1/payment_records/{id}", "payment_record.read"),
    ("POST", "/v1/payment_records/{id}/report_refund", "payment_record.report_refund"),
    ("GET", "/v1/payment_intents/{id}", "payment_intent.read"),
    ("GET", "/v1/invoices/{id}", "invoice.read"),
    ("GET", "/v1/credit_notes", "credit_note.list"),
    ("POST", "/v1/credit_notes", "credit_note.create"),
    *stripe_charges.ROUTES,
)


class StripeSimulator:
    """Stripe: one desk and its control side."""

    provider = "stripe"

    def __init__(self, plan: FaultPlan, journal: Journal, clock: Clock) -> None:
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._exchange = Exchange(self, plan, journal, clock)
        self._requests = count(1)
        self._begin()

    def _begin(self) -> None:
        self._keys = frozenset({DEFAULT_TEST_KEY, DEFAULT_LIVE_KEY})
        self._settings = StripeSettings()
        self._idempotency = IdempotencyKeys(self._clock)
        self._recent: defaultdict[str, deque[float]] = defaultdict(deque)
        self._clock.offset_seconds = 0
        self.book = StripeBook(self._clock)
        self.charges = stripe_charges.StripeCharges(self._clock)

    def application(self) -> web.Application:
        """Return the web application with API and control routes."""
        app = web.Application(middlewares=[refusing_middleware(self._lost)])
        app.on_response_prepare.append(self._sign)
        add_api_routes(app, ROUTES, self._exchange)
        add_control_routes(app, self, self._plan, self._journal)
        app.router.add_get("/_control/reports", control(self._reports))
        forget = control(lambda _, __: {"forgotten": self._idempotency.forget()})
        app.router.add_post("/_control/forget-idempotency-keys", forget)
        late = control(lambda _, __: self._exchange.let_late_arrive())
        app.router.add_post("/_control/late", late)
        app.router.add_post("/_control/dashboard-refunds", control(self._dashboard_refund))
        app.router.add_post("/_control/refunds/{id}/status", control(self._set_refund))
        return app

    # -- the desk

    def admit(self, call: ApiCall) -> Answer | None:
        """Check the key, the rate and the idempotency key, in this order."""
        key = _api_key(call)
        if key is None:
            return error(401, "You did not provide an API key.")
        if key not in self._keys:
            return error(401, f"Invalid API Key provided: {key[:8]}****")
        if self._too_fast(call.operation):
            return failure(429)
        return self._idempotency.begin(call, _livemode(call))

    def process(self, call: ApiCall, view: View) -> Answer:
        """Do what is asked, and keep the answer under the call's idempotency key."""
        try:
            is_charge = call.operation in stripe_charges.OPERATIONS
            answer = Answer(200, (self._do_charge if is_charge else self._do)(call, view))
        except DeniedError as denied:
            answer = stripe_charges.denied(denied)
        except Refusal as refusal:
            if not refusal.kept:
                self._idempotency.release(call, _livemode(call))
                return refusal.answer
            answer = refusal.answer
        self.remember(call, answer)
        return answer

    def remember(self, call: ApiCall, answer: Answer) -> None:
        """Keep an answer under the call's idempotency key."""
        self._idempotency.keep(call, _livemode(call), answer)

    def failure(self, status: int) -> Answer:
        """Return Stripe's error body."""
        return failure(status)

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return an object that disagrees with what was asked."""
        if payload.get("object") == "refund":
            return stripe_charges.bent(payload, variant)
        bent = dict(payload)
        refunded = bent.get("amount_refunded")
        if variant == "no_id":
            bent.pop("id", None)
        elif variant == "other_payment":
            bent["id"] = "pr_of_somebody_else"
        elif isinstance(refunded, dict) and variant == "other_amount":
            bent["amount_refunded"] = refunded | {"value": refunded["value"] + 1}
        elif isinstance(refunded, dict):
            bent["amount_refunded"] = refunded | {"currency": "xts"}
        return bent

    def _do_charge(self, call: ApiCall, view: View) -> JsonObject:
        return self.charges.do(call, view, refunds_max=self._settings.refunds_max)

    def _do(self, call: ApiCall, view: View) -> JsonObject:
        livemode, book = _livemode(call), self.book
        if view.object_hidden:
            model = call.operation.partition(".")[0]
            raise no_such(model, call.target, livemode=livemode, exists_in_other=False)
        if call.operation == "payment_record.read":
            return shown_record(book, call.target, livemode, self._settings, view)
        if call.operation == "payment_record.report_refund":
            record = accept_report(
                book,
                self._settings,
                call.target,
                call.parameters,
                livemode=livemode,
                idempotency_key=key_of(call),
            )
            return stripe_shapes.record_body(record, EVERYTHING)
        if call.operation == "payment_intent.read":
            intent = book.intent(call.target, livemode)
            charge = self.charges.shown((intent.latest_charge or {}).get("id"), view)
            return shown_intent(
                book, intent, charge, call.parameters, settings=self._settings, view=view
            )
        if call.operation == "invoice.read":
            invoice = book.invoice(call.target, livemode)
            credited = stripe_credit_notes.credited(book, invoice.id)
            return shown_invoice(invoice, credited, call.parameters)
        if call.operation == "credit_note.create":
            note = stripe_credit_notes.create_note(book, call.parameters, livemode=livemode)
            return stripe_shapes.note_body(note)
        return stripe_credit_notes.list_notes(book, call.parameters, livemode=livemode)

    def _too_fast(self, operation: str) -> bool:
        limit, now = self._settings.requests_per_second, self._clock.monotonic()
        recent = self._recent[operation]
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if limit and len(recent) >= limit:
            return True
        recent.append(now)
        return False

    def _lost(self, status: int, method: str, path: str) -> Answer:
        return error(
            404 if status == 405 else status, f"Unrecognized request URL ({method}: {path})."
        )

    async def _sign(self, request: web.Request, response: web.StreamResponse) -> None:
        if not request.path.startswith("/_control/"):
            response.headers["Request-Id"] = f"req_sim{next(self._requests):012d}"

    # -- control

    def reset(self) -> None:
        """Return to the state of a fresh start."""
        self._exchange.reset()
        self._begin()

    def seed(self, source: JsonObject) -> None:
        """Add payment records, payment intents and invoices, and payments that Stripe took."""
        self.book.seed(source)
        before = set(self.charges.book.payments)
        self.charges.book.seed(source)
        for charge, payment in self.charges.book.payments.items():
            if charge not in before:
                self.book.took(payment)

    def set_keys(self, keys: list[str]) -> None:
        """Replace the valid API keys."""
        self._keys = frozenset(keys)

    def change_settings(self, changes: JsonObject) -> JsonObject:
        """Change settings and return all of them."""
        self._settings = changed(self._settings, changes)
        self._clock.offset_seconds = self._settings.clock_offset_seconds
        return shown(self._settings)

    def state(self) -> JsonObject:
        """Return the books and the settings."""
        book = self.book
        return {
            "payment_records": [
                stripe_shapes.record_body(record, EVERYTHING) for record in book.records.values()
            ],
            "payment_intents": [stripe_shapes.intent_body(item) for item in book.intents.values()],
            "invoices": [
                stripe_shapes.invoice_body(item, stripe_credit_notes.credited(book, item.id))
                for item in book.invoices.values()
            ],
            "credit_notes": [stripe_shapes.note_body(note) for note in book.notes.values()],
            "refunds": self.charges.book.state(),
            "reports": [_report_body(report) for report in book.references.values()],
            "settings": shown(self._settings),
        }

    def _dashboard_refund(self, _: web.Request, body: JsonObject) -> object:
        charges = self.charges.book
        try:
            payment = charges.payment(fields.text(body, "payment_id"))
            amount = fields.whole(body, "amount")
            return {"id": charges.move(payment, amount, Asked(made_in="dashboard")).id}
        except DeniedError as denied:
            raise Refusal(stripe_charges.denied(denied)) from denied

    def _set_refund(self, request: web.Request, body: JsonObject) -> object:
        try:
            return {"id": self.charges.book.set_status(request.match_info["id"], body).id}
        except DeniedError as denied:
            raise Refusal(stripe_charges.denied(denied)) from denied

    def _reports(self, request: web.Request, _: JsonObject) -> object:
        record = request.query.get("payment_record")
        reports = self.book.references.values()
        chosen = [report for report in reports if record in (None, report.payment_record)]
        return {"data": [_report_body(report) for report in chosen]}


def _report_body(report: Report) -> JsonObject:
    body: JsonObject = asdict(report)
    del body["recorded"]
    return body


def _livemode(call: ApiCall) -> bool:
    return "_live_" in (_api_key(call) or "")


def _api_key(call: ApiCall) -> str | None:
    """Return the key from Bearer or Basic authentication, where it is the user name."""
    scheme, _, credentials = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
