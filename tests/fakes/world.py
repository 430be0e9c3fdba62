"""The production use cases, unmodified, in a world in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, TypeVar

from refund_bridge.bootstrap.use_cases import Ports, Rules, Times, UseCases
from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_record import StripeReference
from refund_bridge.domain.refund import STRIPE, Refund, refund_id_of
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.ledger import DUE_SHARDS
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.queues import DoorbellError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import ReportOutcome
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY
from refund_bridge.reading.listing import ListRefunds, every_refund_of
from refund_bridge.reading.read_payment import ReadPayment
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import Answer
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.refunding.recent_looks import LookOnce
from refund_bridge.reporting.report import ReportDeferredError, Reported, ReportFailedError
from refund_bridge.settling.settling import AfterHold, SettleSettings
from tests.fakes.credit_notes import FakeCreditNotes
from tests.fakes.ledger import MemoryLedger
from tests.fakes.listing import MemoryListing
from tests.fakes.looks import MemoryLooks
from tests.fakes.processor import FakeProcessor
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.stripe_reports import FakeStripeReports
from tests.fakes.sweeps import MemorySweeps
from tests.fakes.virtual_clock import VirtualClock

STAGE = "test"
LEASE_MS = 60_000
GRACE_MS = 120_000
REPORT_LEASE_MS = 90_000
PROVIDER_BUDGET_MS = 24_000
STEP_MS = 60_000
HOLD_MS = 24 * 60 * STEP_MS
SETTLE_SETTINGS = SettleSettings(
    step_ms=STEP_MS,
    hold_ms=HOLD_MS,
    after_hold=AfterHold.REVIEW,
    take_ms=90_000,
    unheard_ms=7_200_000,
    grace_ms=GRACE_MS,
)

_A = TypeVar("_A")
_B = TypeVar("_B")


class OneAfterTheOther:
    """``ports.runtime.Together`` without threads."""

    def both(self, first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
        one = first()
        return one, second()

    def each(self, function: Callable[[str], object], things: Sequence[str]) -> None:
        for thing in things:
            function(thing)


class FakeDoorbell:
    """``ports.queues.Doorbell``: keeps the ids that it was rung with; can be made to fail."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.is_broken = False

    def ring(self, refund_id: str) -> None:
        if self.is_broken:
            raise DoorbellError("the queue gave no answer")
        self.rung.append(refund_id)


class FakeTelemetry:
    """``ports.runtime.Telemetry``: keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, dict[str, str | int | bool | Decimal | None]]] = []

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        self.notes.append((event, facts))

    @property
    def events(self) -> list[str]:
        """The names of what was noted, in order."""
        return [event for event, _ in self.notes]


class World:
    """One payment of SGD 99.99 by default, methods for what a caller does, and all parts behind.

    Attributes:
        doors: the processors that are set up, by name; customers pay at the first.
        in_doubt: the names of processors that failed a moment ago.
    """

    def __init__(
        self,
        *,
        verify_charge: VerifyCharge = VerifyCharge.ALWAYS,
        after_hold: AfterHold = AfterHold.REVIEW,
        credit_notes: bool = False,
        ledger: MemoryLedger | None = None,
        listing: MemoryListing | None = None,
        doors: Sequence[str] = ("hitpay",),
        payout_day_max: int = 10**15,
    ) -> None:
        self.clock = VirtualClock()
        self.ledger = ledger or MemoryLedger()
        self.stripe = FakeStripeReports(self.clock)
        self.notes = FakeCreditNotes(self.clock, self.stripe.books)
        self.doors = {
            name: FakeProcessor(self.clock, name=name, capabilities=REGISTRY[name].capabilities)
            for name in doors
        }
        self.processor = self.doors[doors[0]]
        self.doorbell = FakeDoorbell()
        self.telemetry = FakeTelemetry()
        self.in_doubt: set[str] = set()
        self._tokens = count(1)
        processors: Mapping[str, Processor] = self.doors
        self.listing = listing or MemoryListing(self.ledger)
        self.sweeps = MemorySweeps()
        self.accounts = dict.fromkeys(doors, "account-1")
        ports = Ports(
            ledger=self.ledger,
            refunds=self.listing.refunds,
            every_refund=partial(every_refund_of, self.listing),
            payments=lambda keys: {
                key: self.ledger.payments[key] for key in keys if key in self.ledger.payments
            },
            sweeps=self.sweeps,
            stripe_reports=self.stripe,
            processors=processors,
            accounts=self.accounts,
            doorbell=self.doorbell,
            together=OneAfterTheOther(),
            clock=self.clock,
            telemetry=self.telemetry,
            in_doubt=lambda name: name in self.in_doubt,
            new_token=self.new_token,
            credit_notes=self.notes if credit_notes else None,
        )
        rules = Rules(
            stage=STAGE,
            livemode=False,
            names=OF_RECORDS,
            verify_charge=verify_charge,
            lease_ms=LEASE_MS,
            payout_day_max=payout_day_max,
            actor="test",
        )
        times = Times(
            report_lease_ms=REPORT_LEASE_MS,
            step_ms=STEP_MS,
            grace_ms=GRACE_MS,
            settling=replace(SETTLE_SETTINGS, after_hold=after_hold),
        )
        wired = UseCases(ports, rules, times)
        self.learn, self.execute = wired.learn, wired.execute
        self.read_sums, self.look_at_sums = wired.read_sums, wired.look_at_sums
        self.settle, self.settle_run = wired.settle, wired.settle_run
        self.read_refund, self.observe, self.sweep = wired.read_refund, wired.observe, wired.sweep
        self.report_refund = wired.report
        self.list_refunds = ListRefunds(ledger=self.ledger, listing=self.listing, clock=self.clock)
        self.looks = MemoryLooks()
        self.look_once = LookOnce(
            looks=self.looks,
            clock=self.clock,
            pause=lambda seconds: self.clock.advance(round(seconds * 1000)),
        )
        self.read_payment = ReadPayment(
            ledger=self.ledger,
            list_refunds=self.list_refunds,
            locator=wired.locator,
            learn=self.learn,
            look_once=self.look_once,
        )

    def pay(self, name: str = "1", amount: int = 9999, currency: str = "sgd") -> str:
        """A customer pays; returns the Payment Record's id."""
        self.processor.add_charge(f"charge-{name}", Money(amount, currency))
        self.stripe.add_record(
            FakeRecord(
                id=f"pr_{name}",
                currency=currency,
                requested=amount,
                guaranteed=amount,
                metadata={f"{self.processor.name}_payment_id": f"charge-{name}"},
            )
        )
        return f"pr_{name}"

    def pay_at_stripe(self, name: str = "1", amount: int = 9999, currency: str = "sgd") -> str:
        """A customer pays through Stripe itself, which makes a record; returns a PaymentIntent."""
        intent, charge, record = f"pi_{name}", f"ch_{name}", f"pr_own_{name}"
        self.doors[STRIPE].add_charge(charge, Money(amount, currency), payment_intent=intent)
        self.stripe.add_record(FakeRecord(record, currency, amount, amount, reported_by="stripe"))
        self.stripe.references[intent] = StripeReference(
            id=intent, livemode=False, metadata={}, payment_record=record, captured_charge=charge
        )
        return intent

    def pay_invoice(self, name: str = "1", amount: int = 9999, currency: str = "sgd") -> str:
        """A customer pays an Invoice; returns its id."""
        record = self.pay(name, amount, currency)
        link = {"hitpay_payment_id": f"charge-{name}", "stripe_payment_record_id": record}
        self.stripe.add_reference(f"in_{name}", link)
        self.notes.paid[f"in_{name}"] = amount
        return f"in_{name}"

    def refund(self, key: str, *, record: str = "pr_1", **asked: Any) -> Answer:
        """A caller asks for a refund under ``key``."""
        return self.execute(self.command(key, record=record, **asked), self.deadline())

    def command(self, key: str, *, record: str = "pr_1", **asked: Any) -> CreateRefund:
        """The command of such a call; each has a token of its own."""
        request: dict[str, Any] = {
            "reference_type": ReferenceType.PAYMENT_RECORD,
            "reference_id": record,
        }
        return CreateRefund(
            refund_id=refund_id_of(key, STAGE),
            request=RefundRequest(**(request | asked)),
            source=Source.API,
            actor="api_key:test",
            token=self.new_token(),
            idempotency_key=key,
        )

    def new_token(self) -> str:
        """A new name for one call."""
        return f"call-{next(self._tokens)}"

    def settle_due(self) -> None:
        """One run of settling over everything that is due, oldest first."""
        before_ms = self.clock.now_ms() + 1
        for shard in range(DUE_SHARDS):
            for refund_id in self.ledger.due(shard, before_ms=before_ms, limit=100):
                self.settle(refund_id, self.deadline())

    def settle_for(self, milliseconds: int, *, every_ms: int = STEP_MS) -> None:
        """Let time pass, with a run of settling every minute."""
        for _ in range(milliseconds // every_ms):
            self.clock.advance(every_ms)
            self.settle_due()

    def live_for(self, milliseconds: int, *, every_ms: int = STEP_MS) -> None:
        """Let time pass with settling every minute, and with a reporter that gets every message."""
        for _ in range(milliseconds // every_ms):
            self.clock.advance(every_ms)
            self.settle_due()
            self.report_rung()

    def report_rung(self) -> None:
        """The reporter handles every message; a message that must be retried comes back."""
        rung, self.doorbell.rung = self.doorbell.rung, []
        for refund_id in rung:
            try:
                self.report(refund_id)
            except ReportDeferredError:
                self.doorbell.rung.append(refund_id)
            except ReportFailedError:
                continue

    @property
    def at_stripe(self) -> int:
        """What Stripe shows as refunded of the first payment, minor units."""
        return self.stripe.books.refunded("pr_1")

    @property
    def at_processor(self) -> int:
        """What the processor really refunded of the first payment, minor units."""
        moved = (one.processor_refund for one in self.processor.books.of("charge-1"))
        return sum(
            one.money.amount for one in moved if one.status is ProcessorRefundStatus.SUCCEEDED
        )

    def book_by_hand(self, amount: int, reference: str, record: str = "pr_1") -> ReportOutcome:
        """A person reports a refund to Stripe by hand."""
        now_s = self.clock.now_ms() // 1000
        told = ReportParameters(
            payment_record=record,
            amount=amount,
            currency="sgd",
            refund_reference=reference,
            initiated_at_s=now_s,
            refunded_at_s=now_s,
        )
        return self.stripe.report_elsewhere(told)

    def report(self, refund_id: str, *, receive: int = 1, last: bool = False) -> Reported:
        """The reporter handles one message for the refund."""
        deadline = self.clock.deadline(15_000)
        return self.report_refund(refund_id, deadline, receive=receive, last=last)

    def stored(self, key: str) -> Refund:
        """The refund of ``key`` as the ledger holds it."""
        refund = self.ledger.refund(refund_id_of(key, STAGE))
        if refund is None:
            raise LookupError(key)
        return refund

    def in_dashboard(self, amount: int, name: str = "1") -> ProcessorRefund:
        """Somebody refunds that much in the processor's own dashboard."""
        moved = self.processor.refund_in_dashboard(f"charge-{name}", amount)
        assert isinstance(moved, ProcessorRefund)
        return moved

    def imported(self) -> list[Refund]:
        """The external refunds that the ledger has imported."""
        return [one for one in self.ledger.refunds.values() if one.source is Source.PROCESSOR]

    def noted(self, event: str) -> list[dict[str, Any]]:
        """The facts of each note of that event."""
        return [facts for name, facts in self.telemetry.notes if name == event]

    def payment(self, name: str = "1") -> Payment:
        """The payment as the ledger holds it."""
        payment = self.ledger.payment(PaymentKey(self.processor.name, f"charge-{name}"))
        if payment is None:
            raise LookupError(name)
        return payment

    def deadline(self) -> Deadline:
        """The deadline for providers in one call."""
        return self.deadline_of(PROVIDER_BUDGET_MS)

    def deadline_of(self, milliseconds: int) -> Deadline:
        """A deadline that many milliseconds from now."""
        return self.clock.deadline(milliseconds)
