"""Every call to a provider is measured and told by how it ended, whatever that was."""

from collections.abc import Callable
from typing import Any

import pytest

from refund_bridge.adapters.providers.breaker import Breaker
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.providers.guarded import (
    GuardedCreditNotes,
    GuardedProcessor,
    GuardedStripeReports,
)
from refund_bridge.adapters.telemetry.meters import CALLS
from refund_bridge.domain.instruction import Aborted, Accepted, CredentialRefused, Rejected, Unknown
from refund_bridge.ports.processor import (
    Capabilities,
    ChargeNotFoundError,
    CredentialRefusedError,
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import (
    CreditNoteIssued,
    CreditNoteRefused,
    CreditNotes,
    CreditNoteUnclear,
    ReportAccepted,
    ReportRefused,
    ReportUnclear,
    StripeObjectNotFoundError,
    StripeReports,
)
from refund_bridge.processors.hitpay.adapter import HitPay
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry
from tests.unit.adapters.guarded_provider import INSTRUCTION, NOTE, PARAMETERS, UNLINKED

SECRET = "sk_test_and_a_name"


class Desk:
    """A provider whose every call takes 40 ms and ends as the test says."""

    name = "hitpay"
    capabilities: Capabilities = HitPay.capabilities

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.telemetry = FakeTelemetry()
        self.traced: list[dict[str, Any]] = []
        self.ends: Any = None
        self.asked: list[tuple[object, ...]] = []
        calls = ProviderCalls("hitpay", self.clock, self.telemetry, self)
        breaker = Breaker("hitpay", self.clock, FakeTelemetry())
        self.processor: GuardedProcessor = GuardedProcessor(self, breaker, calls)
        self.stripe: GuardedStripeReports = GuardedStripeReports(self, breaker, calls)
        self.notes: GuardedCreditNotes = GuardedCreditNotes(self, breaker, calls)

    def add(self, provider: str, **about: Any) -> None:
        self.traced.append({"provider": provider, **about})

    def _ask(self, *given: object) -> Any:
        self.asked.append(given)
        self.clock.advance(40)
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends

    charge = charge_id_of = processor_refund = refund = reference_of = charges = _ask
    find_by_key = refund_unlinked = _ask
    payment_record = payment_intent = invoice = report_refund = _ask
    credit_note_of = issue_credit_note = _ask

    @property
    def told(self) -> dict[str, Any]:
        ((event, facts),) = self.telemetry.notes
        assert event == "provider_called"
        return facts


@pytest.fixture
def desk() -> Desk:
    return Desk()


Call = Callable[[Desk, Deadline], object]
CALLS_OF_PORTS: dict[str, tuple[str, Call]] = {
    "charge": ("read", lambda d, until: d.processor.charge("c", until)),
    "charge_id_of": ("read", lambda d, until: d.processor.charge_id_of("r", until)),
    "reference_of": ("read", lambda d, until: d.processor.reference_of(d, until)),  # type: ignore[arg-type]
    "charges": ("read", lambda d, until: d.processor.charges(None, until)),
    "processor_refund": ("read", lambda d, until: d.processor.processor_refund("m", until)),
    "find_by_key": ("read", lambda d, until: d.processor.find_by_key("rfd", "c", until)),
    "refund": ("refund", lambda d, until: d.processor.refund(INSTRUCTION, until)),
    "refund_unlinked": ("refund", lambda d, until: d.processor.refund_unlinked(UNLINKED, until)),
    "payment_record": ("read", lambda d, until: d.stripe.payment_record("pr", until)),
    "payment_intent": ("read", lambda d, until: d.stripe.payment_intent("pi", until)),
    "invoice": ("read", lambda d, until: d.stripe.invoice("in", until)),
    "report_refund": ("report", lambda d, until: d.stripe.report_refund(PARAMETERS, "k", until)),
    "credit_note_of": ("read", lambda d, until: d.notes.credit_note_of("in", "rfd", until)),
    "issue_credit_note": (
        "credit_note",
        lambda d, until: d.notes.issue_credit_note(NOTE, "k", until),
    ),
}
# Logs and metrics keep the names that these had.
LOGGED_AS = {"processor_refund": "movement", "find_by_key": "ordered"}


@pytest.mark.parametrize("method", CALLS_OF_PORTS)
def test_a_call_is_passed_on_as_it_is_and_told(desk: Desk, method: str) -> None:
    call, ask = CALLS_OF_PORTS[method]
    desk.ends = answer = object()
    until = desk.clock.deadline(5_000)
    assert ask(desk, until) is answer
    assert desk.asked[0][-1] is until
    assert desk.told == {
        "provider": "hitpay",
        "operation": LOGGED_AS.get(method, method),
        "call": call,
        "outcome": "answered",
        "failed": 0,
        "refused": 0,
        "took_ms": 40,
    }
    assert call in {kind for _, kind in CALLS}


def test_every_method_of_the_ports_is_among_them() -> None:
    ports = {name for port in (Processor, StripeReports, CreditNotes) for name in vars(port)}
    asked = {name for name in ports if not name.startswith("_")} - {"name", "capabilities"}
    assert asked == set(CALLS_OF_PORTS)
    assert Desk().processor.name == "hitpay"
    assert Desk().processor.capabilities is HitPay.capabilities


@pytest.mark.parametrize(
    ("end", "outcome", "failed"),
    [
        (Accepted(None), "accepted", 0),  # type: ignore[arg-type]
        (Rejected(SECRET, 422), "refused", 0),
        (Aborted(SECRET), "not_executed", 1),
        (CredentialRefused(SECRET), "credential_refused", 1),
        (CredentialRefused(SECRET, replaced=True), "credential_replaced", 0),
        (CredentialRefusedError(SECRET), "credential_refused", 1),
        (ReportUnclear(SECRET, credential_refused=True), "credential_refused", 1),
        (CreditNoteUnclear(SECRET, credential_refused=True), "credential_refused", 1),
        (Unknown(SECRET), "unknown", 1),
        (ReportAccepted(), "accepted", 0),
        (ReportRefused(SECRET), "refused", 0),
        (ReportUnclear(SECRET), "unknown", 1),
        (CreditNoteIssued(SECRET), "accepted", 0),
        (CreditNoteRefused(SECRET), "refused", 0),
        (CreditNoteUnclear(SECRET), "unknown", 1),
        (ProviderUnavailableError(SECRET), "no_answer", 1),
        (UnreadableAnswerError(SECRET), "unreadable", 1),
        (ChargeNotFoundError(SECRET), "not_found", 0),
        (StripeObjectNotFoundError(SECRET), "not_found", 0),
        (ValueError(SECRET), "error", 1),
    ],
)
def test_its_end_is_told_in_words_of_our_own(
    desk: Desk, end: Any, outcome: str, failed: int
) -> None:
    desk.ends = end
    if isinstance(end, Exception):
        with pytest.raises(type(end)) as raised:
            desk.processor.refund(INSTRUCTION, desk.clock.deadline(5_000))
        assert raised.value is end
    else:
        assert desk.processor.refund(INSTRUCTION, desk.clock.deadline(5_000)) is end
    assert (desk.told["outcome"], desk.told["failed"], desk.told["took_ms"]) == (
        outcome,
        failed,
        40,
    )
    assert SECRET not in str(desk.telemetry.notes) + str(desk.traced)


def test_it_is_drawn_into_the_trace_with_its_operation_and_outcome(desk: Desk) -> None:
    desk.ends = Unknown("no answer")
    desk.processor.refund(INSTRUCTION, desk.clock.deadline(5_000))
    assert desk.traced == [
        {
            "provider": "hitpay",
            "operation": "refund",
            "outcome": "unknown",
            "failed": True,
            "took_ms": 40,
        }
    ]


def test_without_tracing_nothing_is_drawn(desk: Desk) -> None:
    untraced = ProviderCalls("hitpay", desk.clock, desk.telemetry)
    assert untraced.watch("charge", lambda: 1) == 1
    assert desk.traced == []
