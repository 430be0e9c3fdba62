"""What the simulators of processors other than HitPay share: books, switches and control."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from aiohttp import web

from local.simulators import fields
from local.simulators.calls import Answer, ApiCall, Refusal, View
from local.simulators.clock import Clock
from local.simulators.control import add_control_routes, control
from local.simulators.exchange import Exchange
from local.simulators.faults import FaultPlan
from local.simulators.gateway_book import Asked, DeniedError, GatewayBook, Payment, Words
from local.simulators.journal import Journal
from local.simulators.json_text import JsonObject, MalformedError
from local.simulators.routes import add_api_routes, refusing_middleware
from local.simulators.settings import changed, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class GatewaySimulator(ABC):
    """One processor: its desk and its control side.

    Subclasses define the calls, their answers, and the texts of refusals.
    """

    provider: str
    routes: ClassVar[tuple[tuple[str, str, str], ...]]
    words: ClassVar[Words]
    id_prefix: ClassVar[str]
    default_key: ClassVar[str]

    def __init__(self, plan: FaultPlan, journal: Journal, clock: Clock) -> None:
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._exchange = Exchange(self, plan, journal, clock)
        self._keys = frozenset({self.default_key})
        self._settings = self.fresh_settings()
        self.book = GatewayBook(clock, self.words, self.id_prefix)

    def application(self) -> web.Application:
        """Return the web application with API and control routes."""
        app = web.Application(middlewares=[refusing_middleware(self.lost)])
        add_api_routes(app, self.routes, self._exchange)
        add_control_routes(app, self, self._plan, self._journal)
        late = control(lambda _, __: self._exchange.let_late_arrive())
        app.router.add_post("/_control/late", late)
        app.router.add_post("/_control/dashboard-refunds", control(self._dashboard_refund))
        app.router.add_post("/_control/refunds/{id}/status", control(self._set_status))
        return app

    # -- what differs

    @abstractmethod
    def fresh_settings(self) -> "DataclassInstance":
        """Return the switches as they are at the start."""

    @abstractmethod
    def key_of(self, call: ApiCall) -> str | None:
        """Return the API key that a call carries."""

    @abstractmethod
    def do(self, call: ApiCall, view: View) -> Answer:
        """Do what an admitted call asks; DeniedError and Refusal are answers too."""

    @abstractmethod
    def denied(self, error: DeniedError) -> Answer:
        """Return what the processor says when its books refuse."""

    @abstractmethod
    def failure(self, status: int) -> Answer:
        """Return the processor's own kind of answer with this error status."""

    @abstractmethod
    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a payload that disagrees: another amount, currency or payment, or no id."""

    @abstractmethod
    def lost(self, status: int, method: str, path: str) -> Answer:
        """Return the answer of the router: there is no such call."""

    # -- the desk

    def admit(self, call: ApiCall) -> Answer | None:
        """Refuse a call without a valid key."""
        return None if self.key_of(call) in self._keys else self.failure(401)

    def process(self, call: ApiCall, view: View) -> Answer:
        """Do what is asked."""
        try:
            return self.do(call, view)
        except DeniedError as error:
            return self.denied(error)
        except Refusal as refusal:
            return refusal.answer
        except MalformedError:
            return self.failure(400)

    def remember(self, call: ApiCall, answer: Answer) -> None:  # noqa: B027
        """Store nothing: these processors store an instruction's refund, not its answer."""

    # -- control

    def reset(self) -> None:
        """Return to the state of a fresh start."""
        self._exchange.reset()
        self._keys = frozenset({self.default_key})
        self._settings = self.fresh_settings()
        self._clock.offset_seconds = 0
        self.book = GatewayBook(self._clock, self.words, self.id_prefix)

    def seed(self, source: JsonObject) -> None:
        """Add payments and payment methods."""
        self.book.seed(source)

    def set_keys(self, keys: list[str]) -> None:
        """Replace the valid API keys; during a rotation there are two."""
        self._keys = frozenset(keys)

    def change_settings(self, changes: JsonObject) -> JsonObject:
        """Change settings and return all of them."""
        self._settings = changed(self._settings, changes)
        self._clock.offset_seconds = int(str(shown(self._settings)["clock_offset_seconds"]))
        return shown(self._settings)

    def state(self) -> JsonObject:
        """Return the refunds and the settings."""
        return {"refunds": self.book.state(), "settings": shown(self._settings)}

    def _dashboard_refund(self, _: web.Request, body: JsonObject) -> object:
        try:
            payment = self.book.payment(fields.text(body, "payment_id"))
            refund = self.book.move(
                payment, fields.whole(body, "amount"), Asked(made_in="dashboard")
            )
        except DeniedError as error:
            raise Refusal(self.denied(error)) from error
        return {"id": refund.id}

    def _set_status(self, request: web.Request, body: JsonObject) -> object:
        try:
            return {"id": self.book.set_status(request.match_info["id"], body).id}
        except DeniedError as error:
            raise Refusal(self.denied(error)) from error


def amount_of(parameters: JsonObject, payment: Payment | None) -> int:
    """Return the amount asked for; without one, the whole payment, not its refundable balance."""
    if parameters.get("amount") is None and payment is not None:
        return payment.amount
    amount = fields.whole(parameters, "amount")
    if amount <= 0:
        raise MalformedError("amount must be positive")
    return amount
