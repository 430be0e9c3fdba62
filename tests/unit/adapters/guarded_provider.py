"""A provider that ends every call as the test says, behind a circuit breaker."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

from refund_bridge.adapters.providers.breaker import FAILURES_MAX, Breaker
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.providers.guarded import (
    GuardedCreditNotes,
    GuardedProcessor,
    GuardedStripeReports,
)
from refund_bridge.domain.instruction import Instruction, Outcome, UnlinkedInstruction
from refund_bridge.domain.money import Money
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.processor import Capabilities, ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import CreditNoteInstruction, CreditNoteOutcome, ReportOutcome
from refund_bridge.processors.hitpay.adapter import HitPay
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry

Read = Callable[[Deadline], object]

INSTRUCTION = Instruction(refund_id="rf_1", payment_id="charge-1", money=Money(2500, "sgd"))
UNLINKED = UnlinkedInstruction(
    refund_id="rf_1", money=Money(2500, "sgd"), payment_method="method-1", customer={"hsid": "c"}
)
PARAMETERS = ReportParameters(
    payment_record="pr_1",
    amount=2500,
    currency="sgd",
    refund_reference="refund-1",
    initiated_at_s=1_700_000_000,
    refunded_at_s=1_700_000_001,
)
NOTE = CreditNoteInstruction(
    refund_id="rf_1",
    invoice="in_1",
    payment_record="pr_1",
    refund_reference="refund-1",
    amount=2500,
    currency="sgd",
)
DOWN = ProviderUnavailableError("no whole answer")


class Provider:
    """All ports; every call is counted and ends as the test says."""

    name = "hitpay"
    capabilities: Capabilities = HitPay.capabilities

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Any = None

    def _ask(self, *_: object) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    charge = charge_id_of = processor_refund = refund = reference_of = charges = _ask
    find_by_key = refund_unlinked = _ask
    payment_record = payment_intent = invoice = report_refund = _ask
    credit_note_of = issue_credit_note = _ask


class Guarded:
    """A provider behind a breaker, and all ways to read there."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.provider = Provider()
        self.breaker = Breaker("hitpay", self.clock, FakeTelemetry())
        calls = ProviderCalls("hitpay", self.clock, FakeTelemetry())
        self.processor = GuardedProcessor(self.provider, self.breaker, calls)
        self.stripe = GuardedStripeReports(self.provider, self.breaker, calls)
        self.notes = GuardedCreditNotes(self.provider, self.breaker, calls)
        self.reads: dict[str, Read] = {
            "charge": lambda deadline: self.processor.charge("charge-1", deadline),
            "charge_id_of": lambda deadline: self.processor.charge_id_of("request-1", deadline),
            "processor_refund": lambda deadline: self.processor.processor_refund(
                "refund-1", deadline
            ),
            "find_by_key": lambda deadline: self.processor.find_by_key(
                "rf_1", "charge-1", deadline
            ),
            "payment_record": lambda deadline: self.stripe.payment_record("pr_1", deadline),
            "payment_intent": lambda deadline: self.stripe.payment_intent("pi_1", deadline),
            "invoice": lambda deadline: self.stripe.invoice("in_1", deadline),
            "credit_note_of": lambda deadline: self.notes.credit_note_of("in_1", "rf_1", deadline),
        }

    def read(self, answer: object, *, times: int = 1, within_ms: int = 10_000) -> None:
        """So many reads, each of which ends by ``answer``."""
        self.provider.answer = answer
        for _ in range(times):
            with suppress(type(answer)) if isinstance(answer, Exception) else nullcontext():
                self.processor.charge("charge-1", self.clock.deadline(within_ms))

    def refund(self, answer: Outcome) -> Outcome:
        """One call that moves money."""
        self.provider.answer = answer
        return self.processor.refund(INSTRUCTION, self.clock.deadline())

    def report(self, answer: ReportOutcome) -> ReportOutcome:
        """One report."""
        self.provider.answer = answer
        return self.stripe.report_refund(PARAMETERS, "key", self.clock.deadline())

    def issue(self, answer: CreditNoteOutcome, *, within_ms: int = 10_000) -> CreditNoteOutcome:
        """One credit note."""
        self.provider.answer = answer
        return self.notes.issue_credit_note(NOTE, "key", self.clock.deadline(within_ms))

    def open(self) -> None:
        """The provider has failed too often."""
        self.read(DOWN, times=FAILURES_MAX)
        assert self.processor.in_doubt
        self.provider.asked = 0
