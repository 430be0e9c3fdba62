"""Refunds that are accepted now and executed in the background, in order."""

from dataclasses import replace

import pytest

from refund_bridge.domain.errors import (
    AmountRefusedError,
    AttemptsSpentError,
    CurrencyMismatchError,
    InvalidRequestError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.settling.settling import NOT_SET_UP, Settled
from tests.fakes.processor_fates import Answered, ExecutedLate, NotSent
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.settling.looks_at_refunds import settle, settle_when_due, waits

DAY_MS = 24 * 60 * STEP_MS
SCHEDULED = RefundType.SCHEDULED


class TestScheduled:
    """Refunds that are accepted now and executed in the background."""

    def test_it_holds_its_money_and_is_executed_by_settling(self, world: World) -> None:
        answer = world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
        assert answer.refund.state is State.REQUESTED
        assert (world.payment().refundable, world.payment().slot) == (7499, None)
        assert world.processor.instructions == []
        world.settle_due()
        assert world.stored("k").state is State.SUCCEEDED
        assert world.payment().waiting == ()

    def test_they_run_in_order_and_one_at_a_time(self, world: World) -> None:
        # Given a refund in flight, and three scheduled behind it
        world.processor.fates.append(ExecutedLate(10 * STEP_MS))
        world.refund("first", amount=1000)
        for key in ("a", "b", "c"):
            world.refund(key, amount=1000, refund_type=RefundType.SCHEDULED)
        with pytest.raises(PaymentBusyError):
            world.refund("instant", amount=1000)
        # When time passes
        world.settle_for(5 * STEP_MS)
        assert len(world.processor.instructions) == 1
        world.settle_for(60 * STEP_MS)
        # Then each was executed, in the order of acceptance
        ids = [world.stored(key).id for key in ("first", "a", "b", "c")]
        assert [instruction.refund_id for instruction in world.processor.instructions] == ids
        assert {world.stored(key).state for key in ("a", "b", "c")} == {State.SUCCEEDED}

    def test_when_it_was_certainly_not_executed_it_keeps_its_place_and_its_money(
        self, world: World
    ) -> None:
        world.processor.fates.extend([NotSent(), Answered(429)])
        world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
        world.refund("behind", amount=2500, refund_type=RefundType.SCHEDULED)
        world.settle_due()
        assert world.stored("k").state is State.REQUESTED
        assert world.payment().waiting[0] == world.stored("k").id
        assert world.payment().held == 5000
        world.settle_for(30 * STEP_MS)
        assert world.stored("k").state is State.SUCCEEDED
        assert world.stored("behind").state is State.SUCCEEDED

    def test_what_can_never_be_sent_fails_and_frees_its_money(self, world: World) -> None:
        # Given a scheduled refund of a payment that is then refunded whole in the dashboard
        world.refund("k", refund_type=RefundType.SCHEDULED)
        world.processor.refund_in_dashboard("charge-1", 9999)
        world.settle_for(26 * 60 * STEP_MS)
        stored = world.stored("k")
        assert stored.state is State.FAILED
        assert stored.failure is not None
        assert stored.failure.code == "refund_amount_exceeded"
        assert world.processor.instructions == []
        assert world.payment().waiting == ()

    def test_one_that_is_executed_has_moved_on(self, world: World) -> None:
        world.refund("k", amount=1, refund_type=SCHEDULED)
        assert settle(world) is Settled.MOVED_ON

    def test_behind_the_slot_it_waits_a_minute_each_time(self, world: World) -> None:
        world.processor.fates.append(ExecutedLate(HOLD_MS))
        world.refund("first", amount=1)
        world.refund("k", amount=1, refund_type=SCHEDULED)
        for _ in range(3):
            assert settle_when_due(world) is Settled.HELD
            assert (waits(world), world.stored("k").last_look) == (STEP_MS, "waiting for its turn")

    def test_behind_an_older_one_it_waits_a_minute_each_time(self, world: World) -> None:
        world.refund("older", amount=1, refund_type=SCHEDULED)
        world.refund("k", amount=1, refund_type=SCHEDULED)
        assert settle(world) is Settled.HELD
        assert (waits(world), world.stored("k").last_look) == (STEP_MS, "waiting for its turn")
        assert world.processor.instructions == []

    def test_one_that_was_certainly_not_executed_waits_ever_longer(self, world: World) -> None:
        world.processor.decide = lambda _: NotSent()
        world.refund("k", amount=1, refund_type=SCHEDULED)
        seen = []
        for _ in range(3):
            assert settle_when_due(world) is Settled.HELD
            seen.append(waits(world) // STEP_MS)
        assert seen == [1, 2, 5]
        assert world.stored("k").last_look == "deferred"

    def test_one_that_could_not_be_begun_says_why(self, world: World) -> None:
        world.refund("k", amount=1, refund_type=SCHEDULED)
        world.processor.is_down = True
        assert settle(world) is Settled.HELD
        assert world.stored("k").last_look == "not begun: processor_unavailable"
        assert waits(world) == STEP_MS

    @pytest.mark.parametrize(
        "error",
        [
            AmountRefusedError,
            AttemptsSpentError,
            CurrencyMismatchError,
            InvalidRequestError,
            PaymentLinkConflictError,
            PaymentNotLinkedError,
            PaymentNotRefundableError,
            RefundAmountExceededError,
        ],
    )
    def test_what_no_waiting_mends_fails_with_its_reason(
        self, world: World, error: type[RefundBridgeError]
    ) -> None:
        # Given a scheduled refund that meets such an error when it is executed
        world.refund("k", amount=1, refund_type=SCHEDULED)
        self.meets(world, error("It is hopeless."))
        before = world.stored("k")
        # When its turn comes, then it is written since when it is refused, and why
        assert settle(world) is Settled.HELD
        first_ms = world.clock.now_ms()
        assert world.stored("k") == replace(
            before,
            refused_since_ms=first_ms,
            looks=1,
            last_look=f"not begun: {error.code}",
            next_check_ms=first_ms + STEP_MS,
            revision=before.revision + 2,
        )
        # And it fails when its turn comes a day later, not a moment earlier
        for after_ms, settled in ((DAY_MS - 1, Settled.HELD), (DAY_MS, Settled.MOVED_ON)):
            at_ms = first_ms + after_ms
            world.clock.advance(at_ms - world.clock.now_ms())
            world.ledger.refunds[before.id] = replace(world.stored("k"), next_check_ms=at_ms)
            assert settle(world) is settled
        stored = world.stored("k")
        assert (stored.state, stored.next_check_ms) == (State.FAILED, None)
        assert stored.failure is not None
        assert (stored.failure.code, stored.failure.message) == (error.code, "It is hopeless.")
        line = stored.history[-1]
        assert (line.cause, line.evidence) == ("cannot_be_sent", {"code": error.code})
        assert (world.payment().held, world.payment().waiting) == (0, ())

    @pytest.mark.parametrize(
        "error", [PaymentNotFoundError, ProcessorUnavailableError, StripeUnavailableError]
    )
    def test_what_waiting_may_mend_is_tried_again(
        self, world: World, error: type[RefundBridgeError]
    ) -> None:
        world.refund("k", amount=1, refund_type=SCHEDULED)
        self.meets(world, error("Not now."))
        first_ms = world.clock.now_ms()
        while world.clock.now_ms() - first_ms < 2 * 24 * 60 * STEP_MS:
            assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.REQUESTED

    def meets(self, world: World, error: Exception) -> None:
        def raises(*_: object) -> object:
            raise error

        world.stripe.payment_record = raises  # type: ignore[method-assign, assignment]


class TestAScheduledRefundOfAProcessorThatIsNotSetUp:
    """As a release without its URL sees it, beside one that has it, or after a slip."""

    def test_it_waits_and_runs_when_the_processor_is_back(self) -> None:
        # Given a scheduled refund, and a release that lacks its processor's settings
        world = World(doors=("hedge",))
        world.pay()
        world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
        door = world.doors.pop("hedge")
        # When that one settles
        world.settle_for(10 * STEP_MS)
        # Then it was not called failed
        stored = world.stored("k")
        assert (stored.state, stored.last_look) == (State.REQUESTED, NOT_SET_UP)
        # And it runs where the processor is set up
        world.doors["hedge"] = door
        world.settle_for(HOLD_MS // 4)
        assert world.stored("k").state is State.SUCCEEDED


def test_a_scheduled_refund_that_waits_shows_no_failure(world: World) -> None:
    world.processor.fates.append(NotSent())
    world.refund("k", refund_type=RefundType.SCHEDULED)
    world.settle_due()
    assert (world.stored("k").state, world.stored("k").failure) == (State.REQUESTED, None)
