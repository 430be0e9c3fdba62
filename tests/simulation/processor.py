"""The processor of the tests behind the gate: every fate of an order and of a look-up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from refunds.money import Money
from refunds.ports import (
    Capabilities,
    Charge,
    ChargePage,
    Deadline,
    Movement,
    MovementStatus,
    Outcome,
    ProviderUnavailableError,
    RefundOrder,
    Unknown,
    UnlinkedOrder,
)
from tests.fakes.abilities import keeps_keys, refunds_unlinked, shows_payments, shows_refunds
from tests.fakes.processor import FakeProcessor, Order
from tests.fakes.processor_books import FakeRefund
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    Executed,
    ExecutedLate,
    Fate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.simulation.faults import Fault
from tests.simulation.gate import Gate
from tests.simulation.money_watch import MoneyWatch
from tests.simulation.options import HOUR_MS, MINUTE_MS, Options
from tests.simulation.profiles import MAY_NAME_ORDERS
from tests.simulation.violation import require

READ_MS: Final = 18_000
LAG_MS: Final = 10 * MINUTE_MS
# The late-arrival bound is the hold; pauses, skew and lagging look-ups take their part of it.
BOUND_MARGIN_MS: Final = 30 * MINUTE_MS

_FATES: Final[dict[Fault, Fate]] = {
    Fault.NOT_SENT: NotSent(),
    Fault.REQUEST_LOST: RequestLost(),
    Fault.REPLY_LOST: ReplyLost(),
    Fault.ERROR_AFTER: ReplyLost(),
    Fault.ERROR_BEFORE: Answered(502),
    Fault.REFUSED: Answered(422, "Insufficient balance."),
    Fault.LIMITED: Answered(429),
    Fault.UNAUTHORIZED: Answered(401),
}


class SimulatedProcessor:
    """``ports.Processor``."""

    def __init__(
        self, gate: Gate, inner: FakeProcessor, watch: MoneyWatch, options: Options
    ) -> None:
        self.inner = inner
        self.on_news: Callable[[SimulatedProcessor, FakeRefund], None] = lambda *_: None
        self._gate = gate
        self._watch = watch
        self._options = options
        inner.reads_keys = options.reads_keys
        inner.books.checks_amounts = options.checks_amounts
        inner.books.one_refund_per_payment = options.one_refund_only
        inner.books.names_orders |= options.names_orders and inner.name in MAY_NAME_ORDERS
        self._down = [one[1:] for one in options.outages if one[0] == "processor"]
        self._listless = [one[1:] for one in options.outages if one[0] == "lists"]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        self._can(shows_payments(self.capabilities), "charge")
        fault = self._look_up("charge", charge_id, deadline)
        with self._listing(fault):
            charge = self.inner.charge(charge_id, deadline)
        self._watch.showed(self.name, charge)
        self._gate.leave(fault)
        return charge

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        return self.inner.charge_id_of(payment_reference, deadline)

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        return self.inner.reference_of(charge, deadline)

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        self._can(self.capabilities.lists_charges, "charges")
        with self._listing():
            return self.inner.charges(cursor, deadline)

    @contextmanager
    def _listing(self, fault: Fault | None = None) -> Iterator[None]:
        """During one call payments may list no refunds; whoever looks by themselves sees them."""
        self.inner.lists_refunds = fault is not Fault.LISTS_NOTHING and not self._is(self._listless)
        try:
            yield
        finally:
            self.inner.lists_refunds = True

    def movement(self, processor_refund_id: str, deadline: Deadline) -> Movement | None:
        self._can(shows_refunds(self.capabilities), "movement")
        fault = self._look_up("movement", processor_refund_id, deadline)
        movement = self.inner.movement(processor_refund_id, deadline)
        self._gate.leave(fault)
        return _shown(movement, fault)

    def ordered(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> Movement | None:
        self._can(keeps_keys(self.capabilities), "ordered")
        fault = self._look_up("ordered", refund_id[4:8], deadline)
        movement = self.inner.ordered(refund_id, payment_id, deadline)
        self._gate.leave(fault)
        return _shown(movement, fault)

    def refund(self, order: RefundOrder, deadline: Deadline) -> Outcome:
        return self._ask(order, "repeat" if order.repeated else "refund", deadline)

    def refund_unlinked(self, order: UnlinkedOrder, deadline: Deadline) -> Outcome:
        self._can(refunds_unlinked(self.capabilities), "refund_unlinked")
        return self._ask(order, "repeat" if order.repeated else "refund_unlinked", deadline)

    def _ask(self, order: Order, port: str, deadline: Deadline) -> Outcome:
        self._watch.handed_over(self.name, order)
        try:
            fault = self._gate.enter(f"{self.name}.{port}", order.refund_id[4:8], deadline)
        except ProviderUnavailableError as error:
            return Unknown(str(error))
        fate = self._fate(fault)
        self.inner.books.conduct = self._conduct()
        self.inner.fates.append(fate)
        ask = self.inner.refund_unlinked if isinstance(order, UnlinkedOrder) else self.inner.refund
        outcome = ask(order, deadline)  # type: ignore[arg-type]
        if isinstance(fate, ExecutedLate):
            self._gate.scheduler.after(fate.after_ms, self.catch_up)
        self.catch_up()
        silent = isinstance(fate, RequestLost | ExecutedLate)
        self._gate.leave(fault, min(READ_MS, deadline.remaining_ms()) if silent else None)
        return outcome

    def _can(self, is_able: bool, port: str) -> None:
        """Nothing may be asked for, and so nothing be concluded, that is not offered."""
        require(is_able, "only_what_is_offered_is_asked_for", (self.name, port))

    # --- what happens behind the product's back ------------------------------------------------

    def refund_in_dashboard(
        self, charge_id: str, amount: int, *, fails: bool = False
    ) -> FakeRefund | None:
        """A person refunds in the dashboard, if the charge has that much left."""
        books = self.inner.books
        books.conduct = Conduct(MovementStatus.FAILED) if fails else self._conduct()
        left = books.charges[charge_id].money.amount - sum(
            item.movement.money.amount
            for item in books.of(charge_id)
            if item.movement.status is not MovementStatus.FAILED
        )
        if amount > left:
            return None
        made = self.inner.refund_in_dashboard(charge_id, amount)
        self.catch_up()
        return books.refunds[made.id] if isinstance(made, Movement) else None

    def catch_up(self) -> None:
        """Let happen what is due, look at it, and send webhooks for it."""
        self._news()
        self.inner.catch_up()
        self._news()

    def _news(self) -> None:
        for refund in self._watch.look(self.name):
            self.on_news(self, refund)
            if refund.last is not None:
                self._gate.scheduler.at(refund.last_ms, self.catch_up)

    def _fate(self, fault: Fault | None) -> Fate:
        random = self._gate.scheduler.random
        if fault is None and self._gate.dice.is_on:
            return self._lost()
        if fault is Fault.LATE:
            longest_ms = self._options.hold_ms - BOUND_MARGIN_MS
            return ExecutedLate(random.choice((30_000, random.randrange(longest_ms), longest_ms)))
        return Executed() if fault is None else _FATES.get(fault, Executed())

    def _lost(self) -> Fate:
        """What becomes of an order at which nothing else goes wrong."""
        random, options = self._gate.scheduler.random, self._options
        if options.loses_orders and random.random() < options.loses_orders:
            return RequestLost()
        if options.loses_answers and random.random() < options.loses_answers:
            return ReplyLost()
        return Executed()

    def _conduct(self) -> Conduct:
        random, options = self._gate.scheduler.random, self._options
        if random.random() >= options.odd_conduct:
            return Conduct()
        after_ms = random.choice((0, 1_000, MINUTE_MS, HOUR_MS, 3 * HOUR_MS))
        if options.takes_back and random.random() < 0.3:
            return Conduct(MovementStatus.SUCCEEDED, MovementStatus.FAILED, after_ms)
        last = random.choice((MovementStatus.SUCCEEDED, MovementStatus.FAILED))
        return Conduct(random.choice((MovementStatus.PENDING, last)), last, after_ms)

    def _look_up(self, port: str, about: str, deadline: Deadline) -> Fault | None:
        self._watch.looking_up()
        fault = self._gate.enter(f"{self.name}.{port}", about, deadline)
        self.catch_up()
        if fault is Fault.UNAVAILABLE or self._is(self._down):
            raise ProviderUnavailableError("no whole answer")
        lag_ms = self._gate.scheduler.random.choice((1_000, MINUTE_MS, LAG_MS))
        self.inner.books.lag_ms = lag_ms if fault is Fault.STALE else 0
        return fault

    def _is(self, spans: list[tuple[int, int]]) -> bool:
        now_ms = self._gate.scheduler.now_ms
        return any(start_ms <= now_ms < end_ms for start_ms, end_ms in spans)


def _shown(movement: Movement | None, fault: Fault | None) -> Movement | None:
    """The movement as it is, or as no refund of ours can be."""
    if movement is None or fault is not Fault.DISAGREES:
        return movement
    money = Money(movement.money.amount + 1, movement.money.currency)
    return replace(movement, money=money)
