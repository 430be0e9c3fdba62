"""An outage, as callers, settling and the reporter meet it behind circuit breakers."""

from dataclasses import replace

import pytest

from refund_bridge.adapters.providers.breaker import FAILURES_MAX, OPEN_MS, Breaker
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.adapters.providers.guarded import GuardedProcessor, GuardedStripeReports
from refund_bridge.domain.charge import Charge
from refund_bridge.domain.errors import (
    ProcessorUnavailableError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.http.answers import error_answer
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.reporting.report import ReportDeferredError, Reported, ReportFailedError
from refundctl.facts import why
from tests.fakes.processor_fates import NotSent, RequestLost
from tests.fakes.stripe_fates import Fails, ReportLost
from tests.fakes.world import STAGE, STEP_MS, FakeTelemetry, World


class GuardedWorld(World):
    """A world of which one worker's use cases ask through circuit breakers."""

    def __init__(self, *, verify_charge: VerifyCharge = VerifyCharge.ALWAYS) -> None:
        super().__init__(verify_charge=verify_charge)
        reports = GuardedStripeReports(
            self.stripe,
            Breaker("stripe", self.clock, self.telemetry),
            ProviderCalls("stripe", self.clock, FakeTelemetry()),
        )
        hitpay = GuardedProcessor(
            self.processor,
            Breaker("hitpay", self.clock, self.telemetry),
            ProviderCalls("hitpay", self.clock, FakeTelemetry()),
        )
        processors = {hitpay.name: hitpay}
        locator = replace(self.execute.locator, stripe_reports=reports, processors=processors)
        self.execute = replace(self.execute, locator=locator, processors=processors)
        self.settle = replace(self.settle, processors=processors, execute=self.execute)
        self.report_refund = replace(self.report_refund, stripe_reports=reports)
        self.reads: list[str] = []
        self.note_reads()

    def note_reads(self) -> None:
        """Have ``reads`` tell who was really asked."""
        read_record, read_charge = self.stripe.payment_record, self.processor.charge

        def noted_record(payment_record: str, deadline: Deadline) -> PaymentRecord:
            self.reads.append("stripe")
            return read_record(payment_record, deadline)

        def noted_charge(charge_id: str, deadline: Deadline) -> Charge:
            self.reads.append("hitpay")
            return read_charge(charge_id, deadline)

        self.stripe.payment_record = noted_record  # type: ignore[method-assign]
        self.processor.charge = noted_charge  # type: ignore[method-assign]

    def fail(self, error: type[RefundBridgeError], times: int = FAILURES_MAX) -> None:
        """So many callers meet the outage."""
        for number in range(times):
            with pytest.raises(error):
                self.refund(f"lost-{number}")


@pytest.fixture
def world() -> GuardedWorld:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = GuardedWorld()
    made.pay()
    return made


class TestCallers:
    """They are told at once, and before anything is reserved."""

    @pytest.mark.parametrize(
        ("provider", "error", "code"),
        [
            ("processor", ProcessorUnavailableError, "processor_unavailable"),
            ("stripe", StripeUnavailableError, "stripe_unavailable"),
        ],
    )
    def test_an_outage_is_503_without_asking_and_without_a_trace(
        self, world: GuardedWorld, provider: str, error: type[RefundBridgeError], code: str
    ) -> None:
        # Given a provider that failed too often, five seconds ago
        getattr(world, provider).is_down = True
        world.fail(error)
        world.clock.advance(5_000)
        world.reads.clear()
        # When a caller asks for a refund
        with pytest.raises(error) as told:
            world.refund("k", amount=2500)
        # Then that provider is not asked
        assert world.reads == ([] if provider == "stripe" else ["stripe"])
        # And the answer is the contract's, with the time that is left
        answer = error_answer(told.value, "request-1")
        assert (answer.status, answer.body["error"]["code"]) == (503, code)
        assert answer.headers["Retry-After"] == str((OPEN_MS - 5_000) // 1000)
        # And nothing is written, reserved or sent
        assert world.ledger.refund(refund_id_of("k", STAGE)) is None
        assert world.ledger.payment_of_record("pr_1") is None
        assert world.processor.instructions == []

    def test_after_the_outage_the_same_key_is_executed(self, world: GuardedWorld) -> None:
        # Given an outage that ended while the circuit was open
        world.processor.is_down = True
        world.fail(ProcessorUnavailableError)
        world.processor.is_down = False
        with pytest.raises(ProcessorUnavailableError):
            world.refund("k", amount=2500)
        # When its time is over
        world.clock.advance(OPEN_MS)
        # Then the read of the charge probes, before money is asked to move
        assert world.refund("k", amount=2500).refund.state is State.SUCCEEDED
        circuit = [event for event in world.telemetry.events if event.startswith("circuit")]
        assert circuit == ["circuit_opened", "circuit_closed"]
        closed = world.telemetry.events.index("circuit_closed")
        assert closed < world.telemetry.events.index("refund_sending")

    def test_payments_that_are_not_there_close_the_door_for_nobody(
        self, world: GuardedWorld
    ) -> None:
        for number in range(3 * FAILURES_MAX):
            with pytest.raises(RefundBridgeError, match="No such"):
                world.refund(f"missing-{number}", record="pr_missing")
        assert world.refund("k").refund.state is State.SUCCEEDED

    def test_known_refunds_are_answered_throughout(self, world: GuardedWorld) -> None:
        done = world.refund("k", amount=2500).refund
        world.processor.is_down = world.stripe.is_down = True
        world.fail(StripeUnavailableError)
        assert world.refund("k", amount=2500).refund == done


class TestWithoutAReadBefore:
    """``VerifyCharge`` is ``never``: only the call that moves money meets the processor."""

    @pytest.fixture
    def world(self) -> GuardedWorld:
        """A world in which the processor has just refused five connections."""
        made = GuardedWorld(verify_charge=VerifyCharge.NEVER)
        made.pay()
        made.processor.fates.extend([NotSent()] * FAILURES_MAX)
        for number in range(FAILURES_MAX):
            assert made.refund(f"lost-{number}").refund.state is State.ABORTED
        made.processor.instructions.clear()
        return made

    def test_a_refund_is_aborted_and_frees_what_it_held(self, world: GuardedWorld) -> None:
        # When a refund meets the open circuit after its reservation
        refund = world.refund("k", amount=2500).refund
        # Then the row says that nothing was executed, and nothing was sent
        assert (refund.state, world.stored("k").state) == (State.ABORTED, State.ABORTED)
        assert (world.payment().held, world.payment().slot) == (0, None)
        assert world.processor.instructions == []

    def test_the_same_key_is_executed_when_the_time_is_over(self, world: GuardedWorld) -> None:
        world.refund("k", amount=2500)
        world.clock.advance(OPEN_MS)
        again = world.refund("k", amount=2500).refund
        assert (again.state, again.attempt) == (State.SUCCEEDED, 2)
        assert len(world.processor.moved_by(again.id)) == 1


def test_settling_is_held_without_a_look_up_and_resumes_by_itself(world: GuardedWorld) -> None:
    # Given a refund of unknown outcome, and a processor that fails
    world.processor.fates.append(RequestLost())
    unknown = world.refund("unknown", amount=2500).refund
    world.processor.is_down = True
    for name in range(FAILURES_MAX):
        world.pay(f"other-{name}")
        with pytest.raises(ProcessorUnavailableError):
            world.refund(f"lost-{name}", record=f"pr_other-{name}")
    # When it is due for settling while the circuit is open
    world.reads.clear()
    world.clock.wall_ms = world.stored("unknown").next_check_ms or 0
    world.settle(unknown.id, world.deadline())
    # Then nobody is asked, and it does not count as a look-up
    held = world.stored("unknown")
    assert (world.reads, held.state, held.look_ups) == ([], State.UNKNOWN, 0)
    # And when the outage is over, it is looked up
    world.processor.is_down = False
    world.settle_for(5 * STEP_MS)
    assert world.stored("unknown").look_ups > 0


class TestReports:
    """They are put off while Stripe is down, and made afterwards."""

    @pytest.fixture
    def due(self, world: GuardedWorld) -> str:
        """A refund that owes a report, while Stripe fails at every one."""
        for number in range(FAILURES_MAX):
            world.pay(f"{number}")
            world.refund(f"owed-{number}", record=f"pr_{number}")
        for number in range(FAILURES_MAX):
            world.stripe.fates.append(ReportLost())
            with pytest.raises(ReportDeferredError, match="no whole answer"):
                world.report(refund_id_of(f"owed-{number}", STAGE))
        world.stripe.asked.clear()
        return refund_id_of("owed-0", STAGE)

    def test_when_open_they_are_put_off_for_the_time_that_is_left(
        self, world: GuardedWorld, due: str
    ) -> None:
        # When a message comes back while the circuit is open
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(due, receive=2)
        # Then Stripe is not asked, and the message hidden at least until it may be
        assert world.stripe.asked == []
        assert deferred.value.retry_after_s == OPEN_MS // 1000
        # And the report is as before: due, free for the next receive, under the same key
        report = world.stored("owed-0").report
        assert (report.state, report.lease_until_ms, report.epoch) == (ReportState.DUE, None, 0)

    def test_afterwards_they_are_made_once(self, world: GuardedWorld, due: str) -> None:
        with pytest.raises(ReportDeferredError):
            world.report(due, receive=2)
        world.clock.advance(OPEN_MS)
        assert world.report(due, receive=3) is Reported.REPORTED
        assert world.stripe.books.refunded("pr_0") == 9999


class TestWhatWasAnswered:
    """The breaker's own sentence does not hide what the provider said."""

    def test_a_report_that_is_given_up_unasked_keeps_each_answer_of_stripes(
        self, world: GuardedWorld
    ) -> None:
        # Given a Stripe that answers 500 to each report, until the circuit opens
        refund = world.refund("k", amount=100).refund
        world.stripe.fates.extend(Fails(booked=False) for _ in range(FAILURES_MAX))
        for receive in range(1, FAILURES_MAX + 1):
            with pytest.raises(ReportDeferredError):
                world.report(refund.id, receive=receive)
        said = world.stored("k").report.answers[-1].said
        assert "500" in said
        # When it is received for the last time, and Stripe is not asked
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        # Then what was concluded says what Stripe answered, and each attempt's answer is kept
        report = world.stored("k").report
        assert report.last_error == (
            f"unclear: stripe failed too often just now and was not asked; the last answer: {said}"
        )
        assert [one.attempt for one in report.answers] == list(range(1, FAILURES_MAX + 1))
        assert {one.said for one in report.answers} == {said}

    def test_a_look_that_is_not_made_keeps_what_the_last_one_was_answered(
        self, world: GuardedWorld
    ) -> None:
        # Given an unknown refund, and a processor that answers nothing until the circuit opens
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=100).refund
        world.processor.is_down = True
        for _ in range(FAILURES_MAX):
            world.clock.advance(60 * STEP_MS)
            world.settle_due()
        # When another look is due at once
        held = world.stored("k")
        world.ledger.refunds[refund.id] = replace(held, next_check_ms=world.clock.now_ms())
        world.settle_due()
        # Then the answer is the provider's own
        stored = world.stored("k")
        assert "was not asked" in (stored.last_look or "")
        (answer,) = stored.answers
        assert "was not asked" not in answer.said
        assert answer.said in why(stored)
