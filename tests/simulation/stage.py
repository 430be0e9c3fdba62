"""One simulated world: the production use cases, unmodified, on simulated ports."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from random import Random
from typing import Final, TypeVar

from refund_bridge.bootstrap.use_cases import Ports, Rules, Times, UseCases
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment_record import StripeReference
from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.processors.registry import OF_RECORDS
from refund_bridge.refunding.learn_from_charge import SINCE_MARGIN_MS
from refund_bridge.settling.settling import SettleSettings
from tests.fakes.abilities import keeps_keys
from tests.fakes.ledger import MemoryLedger
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.stripe_reports import FakeStripeReports
from tests.fakes.sweeps import MemorySweeps
from tests.simulation.answer_watch import AnswerWatch
from tests.simulation.faults import Dice, Fault
from tests.simulation.gate import Gate, Trace
from tests.simulation.key_forms import KeyForms
from tests.simulation.ledger import SimulatedLedger
from tests.simulation.ledger_watch import LedgerWatch
from tests.simulation.listing import SimulatedListing
from tests.simulation.mishaps import plan_mishaps
from tests.simulation.money_watch import MoneyWatch
from tests.simulation.options import CAPTURED, CURRENCY, GRACE_MS, LONE_RECORD, Options
from tests.simulation.others import MINUTE_MS
from tests.simulation.processor import SimulatedProcessor
from tests.simulation.profiles import fake_of, is_told_the_merchants_reference
from tests.simulation.report_queue import ReportQueue
from tests.simulation.report_watch import ReportWatch
from tests.simulation.schedule import Actor, Scheduler, SkewedClock
from tests.simulation.stripe_reports import SimulatedStripeReports
from tests.simulation.telemetry import SimulatedTelemetry

STAGE: Final = "sim"
LEASE_MS: Final = 60_000
REPORT_LEASE_MS: Final = 90_000
# Payment methods to which money can be sent without a payment, and some that a gateway refuses.
METHODS: Final = {
    "card-0": PaymentMethodKind.CARD,
    "card-1": PaymentMethodKind.CARD,
    "account-0": PaymentMethodKind.BANK_ACCOUNT,
}
_A = TypeVar("_A")
_B = TypeVar("_B")


class OneAfterTheOther:
    """``ports.runtime.Together`` without threads: the scheduler decides who is next."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def both(self, first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
        one = first()
        return one, second()

    def each(self, function: Callable[[str], object], things: Sequence[str]) -> None:
        actor = self._scheduler.current
        for thing in things:
            actor.subject = thing
            function(thing)
        actor.subject = None


class Stage:
    """All parts of one world except its actors."""

    def __init__(self, options: Options, *, script: dict[int, Fault] | None = None) -> None:
        self.options = options
        self.random = Random(options.seed ^ 0x5EED)  # noqa: S311 - reproducible on purpose
        self.scheduler = Scheduler(self.random)
        self.trace = Trace()
        self.dice = Dice(self.random, options.rate, options.faults, script)
        self.gate = Gate(self.scheduler, self.dice, self.trace)
        self.clock = SkewedClock(self.scheduler)
        self.true_clock = SkewedClock(self.scheduler, 0)
        self._names = count(1)
        self._ports()
        self._use_cases()
        for number in range(options.payments):
            self._pay(number)
        self._open_record(LONE_RECORD, {})
        for processor in self.processors.values():
            processor.inner.books.methods.update(METHODS)
        plan_mishaps(self)

    def actor(self, name: str, kind: str) -> Actor:
        """A new actor with a clock of its own."""
        skew_ms = self.options.skew_ms
        skew_ms = self.random.randint(-skew_ms, skew_ms) if skew_ms else 0
        return Actor(name, kind, skew_ms, self.scheduler.now_ms)

    def new_token(self) -> str:
        """A new name for one call."""
        return f"call-{next(self._names)}"

    def _ports(self) -> None:
        options, gate = self.options, self.gate
        self.memory = MemoryLedger(as_stored=False)
        clock = SkewedClock(self.scheduler, options.processor_skew_ms)
        fakes = {name: fake_of(name, clock) for name in options.processors}
        stripe = FakeStripeReports(self.true_clock)
        books = {name: fake.books for name, fake in fakes.items()}
        self.money = MoneyWatch(books, self.memory, self.scheduler, self.clock, options.others)
        off_ms = abs(options.processor_skew_ms) + abs(options.others.zone_ms)
        self.writes = LedgerWatch(self.memory, self.money, stripe.books, self.scheduler, off_ms)
        reports = ReportWatch(
            stripe.books, self.memory, self.money, self.scheduler, self.true_clock, off_ms=off_ms
        )
        self.answers = AnswerWatch(self.memory, self.money)
        self.ledger = SimulatedLedger(gate, self.memory, self.writes)
        self.processors = {
            name: SimulatedProcessor(gate, fake, self.money, options)
            for name, fake in fakes.items()
        }
        self.stripe = SimulatedStripeReports(gate, stripe, reports, options)
        self.queue = ReportQueue(gate, options.max_receives)
        self.telemetry = SimulatedTelemetry(gate)

    def _use_cases(self) -> None:
        self._together = OneAfterTheOther(self.scheduler)
        ledger, clock, telemetry, options = self.ledger, self.clock, self.telemetry, self.options
        processors, listing = self.processors, SimulatedListing(self.gate, self.memory)
        keeping = [name for name, one in processors.items() if keeps_keys(one.capabilities)]
        self.accounts = KeyForms(self.scheduler, list(processors), keeping, options.others.key_form)
        for one in processors.values():
            one.forms = self.accounts
        sweeps = MemorySweeps()
        for name in processors:  # as settling's first run does, long before anybody comes
            sweeps.sweep(name, begin_ms=self.true_clock.now_ms() - SINCE_MARGIN_MS)
        ports = Ports(
            ledger=ledger,
            refunds=listing.refunds,
            every_refund=listing.every_refund,
            payments=lambda keys: {
                key: found for key in keys if (found := ledger.payment(key)) is not None
            },
            sweeps=sweeps,
            stripe_reports=self.stripe,
            processors=processors,
            accounts=self.accounts,
            doorbell=self.queue,
            together=self._together,
            clock=clock,
            telemetry=telemetry,
            in_doubt=lambda _: False,
            new_token=self.new_token,
        )
        rules = Rules(
            stage=STAGE,
            livemode=False,
            names=OF_RECORDS,
            verify_charge=options.verify,
            lease_ms=LEASE_MS,
            payout_day_max=10**15,
        )
        times = Times(
            report_lease_ms=REPORT_LEASE_MS,
            step_ms=MINUTE_MS,
            grace_ms=GRACE_MS,
            others_report=options.others.reported,
            settling=SettleSettings(
                step_ms=MINUTE_MS,
                hold_ms=options.hold_ms,
                after_hold=options.after_hold,
                take_ms=90_000,
                unheard_ms=120 * MINUTE_MS,
                grace_ms=GRACE_MS,
            ),
        )
        wired = UseCases(ports, rules, times)
        self.recorder, self.learn, self.execute = wired.recorder, wired.learn, wired.execute
        self.read_sums, self.settle, self.report = wired.read_sums, wired.settle, wired.report
        self.read_refund, self.settle_run = wired.read_refund, wired.settle_run
        self.observe, self.sweep = wired.observe, wired.sweep

    def _pay(self, number: int) -> None:
        """A customer pays; processors that keep a merchant's reference get the PaymentIntent."""
        names = self.options.named(number)
        if names == (STRIPE,):
            self._pay_at_stripe(number)
            return
        for name in names:
            processor = self.processors[name].inner
            processor.add_charge(f"charge-{number}", Money(CAPTURED, CURRENCY))
            if is_told_the_merchants_reference(name):
                processor.references[f"charge-{number}"] = f"pi_{number}"
        self._open_record(
            f"pr_{number}", {f"{one}_payment_id": f"charge-{number}" for one in names}
        )
        if self.options.links_ms:
            self.stripe.inner.add_reference(f"pi_{number}", {})
        else:
            self.link(number)

    def _pay_at_stripe(self, number: int) -> None:
        """A customer pays through Stripe itself, which makes a record of its own for it."""
        inner, intent = self.processors[STRIPE].inner, f"pi_{number}"
        inner.add_charge(f"charge-{number}", Money(CAPTURED, CURRENCY), payment_intent=intent)
        self._open_record(f"pr_{number}", {}, reported_by="stripe")
        self.link(number)

    def _open_record(
        self, record: str, metadata: Mapping[str, str], reported_by: str | None = None
    ) -> None:
        self.stripe.inner.add_record(
            FakeRecord(
                id=record,
                currency=CURRENCY,
                requested=CAPTURED,
                guaranteed=CAPTURED,
                metadata=metadata,
                reported_by=reported_by,
            )
        )

    def home(self, number: int) -> SimulatedProcessor:
        """The processor that has the payment."""
        return self.processors[self.options.named(number)[0]]

    def link(self, number: int) -> None:
        """From now on the payment's PaymentIntent names its record; Stripe's own always does."""
        if self.options.named(number) == (STRIPE,):
            self.stripe.inner.references[f"pi_{number}"] = StripeReference(
                id=f"pi_{number}",
                livemode=False,
                metadata={},
                payment_record=f"pr_{number}",
                captured_charge=f"charge-{number}",
            )
            return
        self.stripe.inner.add_reference(
            f"pi_{number}", {"stripe_payment_record_id": f"pr_{number}"}
        )
