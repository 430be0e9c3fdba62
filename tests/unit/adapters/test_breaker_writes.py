"""The call that moves money and the report, behind a circuit breaker."""

from dataclasses import replace

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.providers.breaker import (
    FAILURES_MAX,
    OPEN_MS,
    Breaker,
    CircuitOpenError,
)
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.providers.guarded import FAIR_MS, GuardedProcessor
from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    CredentialRefused,
    Outcome,
    Rejected,
    Unknown,
)
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.processor import CredentialRefusedError
from refund_bridge.ports.stripe import (
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNoteUnclear,
    ReportAccepted,
    ReportOutcome,
    ReportRefused,
    ReportUnclear,
)
from refund_bridge.processors.ccg.adapter import Ccg
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry
from tests.unit.adapters.guarded_provider import DOWN, INSTRUCTION, UNLINKED, Guarded
from tests.unit.processors.adapters import ccg_settings
from tests.unit.processors.doubles import StoredKey


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


class TestTheCallThatMovesMoney:
    """It is never turned away in a way that leaves a doubt."""

    @pytest.mark.parametrize("outcome", [Unknown("no whole answer"), Aborted("refused")])
    def test_without_an_answer_it_counts_against_the_processor(
        self, guarded: Guarded, outcome: Outcome
    ) -> None:
        for _ in range(FAILURES_MAX):
            assert guarded.refund(outcome) is outcome
        assert guarded.processor.in_doubt

    @pytest.mark.parametrize("outcome", [Accepted(None), Rejected("Insufficient balance.", 422)])  # type: ignore[arg-type]
    def test_any_answer_counts_for_the_processor(self, guarded: Guarded, outcome: Outcome) -> None:
        guarded.read(DOWN, times=FAILURES_MAX - 1)
        assert guarded.refund(outcome) is outcome
        guarded.read(DOWN, times=FAILURES_MAX - 1)
        assert not guarded.processor.in_doubt

    def test_a_limited_rate_is_no_outage(self, guarded: Guarded) -> None:
        for _ in range(10 * FAILURES_MAX):
            guarded.refund(Aborted("HitPay limits the rate (429)", 30))
        assert not guarded.processor.in_doubt

    @pytest.mark.parametrize("replaced", [True, False])
    def test_a_refused_credential_is_no_outage(self, guarded: Guarded, replaced: bool) -> None:
        for _ in range(10 * FAILURES_MAX):
            guarded.refund(CredentialRefused("refused", replaced=replaced))
            guarded.read(CredentialRefusedError("refused"))
        assert not guarded.processor.in_doubt

    def test_when_open_nothing_is_sent_and_that_is_certain(self, guarded: Guarded) -> None:
        guarded.open()
        outcome = guarded.refund(Accepted(None))  # type: ignore[arg-type]
        assert outcome == Aborted(
            "hitpay failed too often just now and was not asked", OPEN_MS // 1000
        )
        assert guarded.provider.asked == 0

    def test_when_open_a_repeated_instruction_stays_as_unknown_as_it_was(
        self, guarded: Guarded
    ) -> None:
        guarded.open()
        instructions = replace(INSTRUCTION, repeated=True), replace(UNLINKED, repeated=True)
        linked = guarded.processor.refund(instructions[0], guarded.clock.deadline())
        unlinked = guarded.processor.refund_unlinked(instructions[1], guarded.clock.deadline())
        for outcome in (linked, unlinked):
            assert outcome == Unknown("hitpay failed too often just now and was not asked")
        assert guarded.provider.asked == 0

    def test_a_refund_without_a_payment_is_guarded_alike(self, guarded: Guarded) -> None:
        guarded.provider.answer = outcome = Unknown("no whole answer")
        for _ in range(FAILURES_MAX):
            asked = guarded.processor.refund_unlinked(UNLINKED, guarded.clock.deadline())
            assert asked is outcome
        assert guarded.processor.in_doubt

    def test_it_probes_where_no_read_does(self, guarded: Guarded) -> None:
        # Given a stage where no read precedes, and a circuit that was open for long enough
        guarded.open()
        guarded.clock.advance(OPEN_MS)
        # When money is to move, then it is sent, or no circuit would ever close there
        refused = Rejected("Insufficient balance.", 422)
        assert guarded.refund(refused) is refused
        assert not guarded.processor.in_doubt

    def test_what_the_processor_itself_raises_never_passes_for_certainty(
        self, guarded: Guarded
    ) -> None:
        # Given a processor that breaks its promise, after it may have sent
        guarded.provider.answer = CircuitOpenError("from inside")
        # When money is to move, then that is not taken for an instruction that was not sent
        with pytest.raises(CircuitOpenError):
            guarded.processor.refund(INSTRUCTION, guarded.clock.deadline())

    def test_an_adapters_own_refusal_is_no_answer_of_the_processor(self) -> None:
        # Given a gateway that failed too often, and was left alone for long enough
        clock = VirtualClock()
        adapter = Ccg(ccg_settings("http://127.0.0.1:9"), key=StoredKey(), http=DeadlineHttp(clock))
        guarded = GuardedProcessor(
            adapter,
            Breaker("ccg", clock, FakeTelemetry()),
            ProviderCalls("ccg", clock, FakeTelemetry()),
        )

        def fails(*_: object) -> ProcessorRefund:
            raise DOWN

        adapter.processor_refund = fails  # type: ignore[method-assign, assignment]
        for _ in range(FAILURES_MAX):
            with pytest.raises(type(DOWN)):
                guarded.processor_refund("refund-1", clock.deadline())
        clock.advance(OPEN_MS)
        # When an instruction comes that it is not asked for
        instruction = replace(UNLINKED, kind=PaymentMethodKind.BANK_ACCOUNT)
        outcome = guarded.refund_unlinked(instruction, clock.deadline())
        # Then the instruction is refused, and the gateway still has to prove itself by a read
        assert isinstance(outcome, Rejected)
        assert guarded.in_doubt


class TestReports:
    """A report is repeated until it is clear; an outage is not asked at every turn."""

    def test_without_a_clear_answer_it_counts_against_stripe(self, guarded: Guarded) -> None:
        for _ in range(FAILURES_MAX):
            guarded.report(ReportUnclear("Stripe answered 500", new_epoch=True))
        assert guarded.processor.in_doubt

    def test_a_key_that_may_not_report_is_no_outage(self, guarded: Guarded) -> None:
        for _ in range(10 * FAILURES_MAX):
            guarded.report(ReportUnclear("no right", credential_refused=True))
        assert not guarded.processor.in_doubt

    @pytest.mark.parametrize("outcome", [ReportAccepted(), ReportRefused("No such record")])
    def test_any_clear_answer_counts_for_stripe(
        self, guarded: Guarded, outcome: ReportOutcome
    ) -> None:
        guarded.open()
        guarded.clock.advance(OPEN_MS)
        assert guarded.report(outcome) is outcome
        assert not guarded.processor.in_doubt

    def test_a_limited_rate_is_no_outage(self, guarded: Guarded) -> None:
        for _ in range(10 * FAILURES_MAX):
            guarded.report(ReportUnclear("Stripe limits the rate", retry_after_s=2))
        assert not guarded.processor.in_doubt

    def test_when_open_it_is_put_off_without_asking(self, guarded: Guarded) -> None:
        guarded.open()
        put_off = guarded.report(ReportAccepted())
        # The idempotency key stays: Stripe never saw this attempt.
        assert put_off == ReportUnclear(
            "hitpay failed too often just now and was not asked",
            new_epoch=False,
            retry_after_s=OPEN_MS // 1000,
            was_asked=False,
        )
        assert guarded.provider.asked == 0


class TestCreditNotes:
    """A note is repeated until it is clear, under a breaker of its own."""

    def test_without_a_clear_answer_it_counts_against_stripe(self, guarded: Guarded) -> None:
        for _ in range(FAILURES_MAX):
            guarded.issue(CreditNoteUnclear("Stripe answered 500", new_epoch=True))
        assert guarded.processor.in_doubt

    @pytest.mark.parametrize("outcome", [CreditNoteIssued("cn_1"), CreditNoteRefused("No.")])
    def test_any_clear_answer_counts_for_stripe(
        self, guarded: Guarded, outcome: CreditNoteOutcome
    ) -> None:
        guarded.open()
        guarded.clock.advance(OPEN_MS)
        assert guarded.issue(outcome) is outcome
        assert not guarded.processor.in_doubt

    def test_a_limited_rate_is_no_outage(self, guarded: Guarded) -> None:
        for _ in range(10 * FAILURES_MAX):
            guarded.issue(CreditNoteUnclear("Stripe limits the rate", retry_after_s=2))
        assert not guarded.processor.in_doubt

    def test_nor_is_silence_where_the_report_has_left_no_time(self, guarded: Guarded) -> None:
        for _ in range(10 * FAILURES_MAX):
            guarded.issue(CreditNoteUnclear("no whole answer"), within_ms=FAIR_MS - 1)
        assert not guarded.processor.in_doubt

    def test_when_open_it_is_put_off_without_asking(self, guarded: Guarded) -> None:
        guarded.open()
        assert guarded.issue(CreditNoteIssued("cn_1")) == CreditNoteUnclear(
            "hitpay failed too often just now and was not asked",
            new_epoch=False,
            retry_after_s=OPEN_MS // 1000,
            was_asked=False,
        )
        assert guarded.provider.asked == 0
