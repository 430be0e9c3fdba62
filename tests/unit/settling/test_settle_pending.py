"""A processor refund that is known is followed to its end, and seen if it is taken back."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ProviderAnswer
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.reporting.report import Reported
from refund_bridge.settling.follow_pending import GONE
from refund_bridge.settling.settling import NOT_SET_UP, Settled
from tests.fakes.processor_fates import Conduct, ReplyLost
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.settling.looks_at_refunds import pending, settle, settle_when_due, waits

DAY_MS = 24 * 60 * STEP_MS


class TestPending:
    """A refund that the processor has, and that is not done."""

    def test_it_is_reported_once_it_is_final(self, world: World) -> None:
        world.processor.books.conduct = Conduct(
            ProcessorRefundStatus.PENDING,
            last=ProcessorRefundStatus.SUCCEEDED,
            after_ms=30 * STEP_MS,
        )
        refund = world.refund("k", amount=2500).refund
        world.settle_for(20 * STEP_MS)
        assert world.stored("k").state is State.PENDING
        assert world.report(refund.id) is Reported.NOTHING_DUE
        world.settle_for(40 * STEP_MS)
        assert world.stored("k").state is State.SUCCEEDED
        assert world.report(refund.id) is Reported.REPORTED

    def test_when_it_fails_its_money_is_freed(self, world: World) -> None:
        world.processor.books.conduct = Conduct(
            ProcessorRefundStatus.PENDING, last=ProcessorRefundStatus.FAILED, after_ms=STEP_MS
        )
        world.refund("k", amount=2500)
        world.settle_for(5 * STEP_MS)
        stored = world.stored("k")
        assert (stored.state, world.payment().refundable) == (State.FAILED, 9999)
        assert stored.report.state is ReportState.NOT_DUE

    def test_a_webhook_ends_it_at_once(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        refund = world.refund("k", amount=2500).refund
        assert refund.processor_refund_id is not None
        world.processor.books.set_status(
            refund.processor_refund_id, ProcessorRefundStatus.SUCCEEDED
        )
        for _ in range(3):
            world.observe(world.payment().key, world.deadline())
        assert world.stored("k").state is State.SUCCEEDED
        assert world.doorbell.rung == [refund.id]


class TestFollowingUp:
    """The processor refund is known, and not done."""

    def test_what_was_taken_is_not_read_once_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refund = pending(world)
        read: list[str] = []
        ledger_refund = world.ledger.refund

        def noted(refund_id: str) -> Refund | None:
            read.append(refund_id)
            return ledger_refund(refund_id)

        monkeypatch.setattr(world.ledger, "refund", noted)
        # When it is settled, then taking it was the one time that the ledger was asked for it
        assert world.settle(refund.id, world.deadline()) is Settled.HELD
        assert read == []

    def test_one_that_is_still_pending_is_held(self, world: World) -> None:
        pending(world)
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.last_look, stored.look_ups) == ("still pending", 1)

    def test_one_that_cannot_be_read_is_held(self, world: World) -> None:
        before, now_ms = pending(world), world.clock.now_ms()
        world.processor.is_down = True
        assert settle(world) is Settled.HELD
        said = "hitpay: no whole answer"
        assert world.stored("k") == replace(
            before,
            looks=1,
            last_look=f"no look-up: {said}",
            answers=(ProviderAnswer(attempt=1, at_ms=now_ms, said=said),),
            next_check_ms=now_ms + STEP_MS,
            revision=before.revision + 2,
        )

    def test_one_whose_processor_is_set_up_no_more_is_held(self, world: World) -> None:
        pending(world)
        world.doors.clear()
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.state, stored.last_look, stored.looks) == (State.PENDING, NOT_SET_UP, 1)

    def test_one_that_the_processor_does_not_show_is_held_and_told_to_the_log(
        self, world: World
    ) -> None:
        refund = pending(world)
        world.processor.books.refunds.clear()
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert stored.last_look == "the processor does not show the refund"
        assert stored.look_ups == 1
        assert world.noted("pending_movement_gone") == [{"refund_id": refund.id}]

    def test_one_that_was_not_shown_three_times_when_its_hold_is_over_is_for_a_person(
        self, world: World
    ) -> None:
        # Given a pending refund that was often seen, and is not shown when its hold is almost over
        refund = pending(world)
        sent_ms = refund.started_at_ms or 0
        last_ms = sent_ms + HOLD_MS - 1
        world.clock.advance(last_ms - world.clock.now_ms())
        world.ledger.refunds[refund.id] = replace(refund, look_ups=7, last_look="still pending")
        shown = dict(world.processor.books.refunds)
        # When it is shown once more in between, then the looks count anew
        for gone, look_ups in ((True, 1), (True, 2), (False, 3), (True, 1), (True, 2), (True, 3)):
            world.processor.books.refunds = {} if gone else dict(shown)
            self.due(world)
            assert settle(world) is Settled.HELD
            assert (world.stored("k").state, world.stored("k").look_ups) == (
                State.PENDING,
                look_ups,
            )
        # And when the hold is over, then a person decides
        world.clock.advance(1)
        self.due(world)
        assert settle(world) is Settled.MOVED_ON
        assert world.stored("k").history[-1].cause == GONE

    def test_one_that_is_not_shown_is_not_for_a_person_before_the_third_look(
        self, world: World
    ) -> None:
        pending(world)
        world.processor.books.refunds.clear()
        world.clock.advance(2 * HOLD_MS)
        assert [settle_when_due(world) for _ in range(3)] == [
            Settled.HELD,
            Settled.HELD,
            Settled.MOVED_ON,
        ]
        assert world.stored("k").state is State.REVIEW

    def test_one_that_is_pending_for_thirty_days_is_for_a_person(self, world: World) -> None:
        refund = pending(world)
        world.clock.advance(30 * DAY_MS - 1)
        assert settle(world) is Settled.HELD
        world.clock.advance(1)
        self.due(world)
        assert settle(world) is Settled.MOVED_ON
        reason = "still pending for too long"
        assert world.noted("refund_needs_review") == [{"refund_id": refund.id, "reason": reason}]
        # And a month later the person is told what it is then
        world.clock.advance(30 * DAY_MS)
        assert settle(world) is Settled.HELD
        assert world.stored("k").last_look == "still pending"

    def test_one_that_has_ended_is_written_with_who_looked(self, world: World) -> None:
        refund = pending(world)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        world.clock.advance(STEP_MS)
        assert settle(world) is Settled.MOVED_ON
        line = world.stored("k").history[-2]
        assert (line.cause, line.actor, line.at_ms) == (
            "looked_up",
            "settle_refunds",
            world.clock.now_ms(),
        )
        assert world.doorbell.rung == [refund.id]

    def test_one_that_shows_another_refund_is_for_a_person(self, world: World) -> None:
        refund = pending(world)
        shown = world.processor.books.refunds["hitpay-refund-1"]
        shown.processor_refund = replace(shown.processor_refund, money=Money(1, "sgd"))
        assert settle(world) is Settled.MOVED_ON
        reason = "the processor shows another refund"
        assert world.stored("k").state is State.REVIEW
        line = world.stored("k").history[-1]
        assert (line.cause, line.evidence) == (reason, {"shown_amount": 1, "currency": "sgd"})
        assert world.noted("refund_needs_review") == [{"refund_id": refund.id, "reason": reason}]

    def test_a_bound_review_is_looked_at_as_often_as_a_pending_refund(self, world: World) -> None:
        refund = pending(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), state=State.REVIEW)
        assert settle(world) is Settled.HELD
        assert waits(world) == STEP_MS

    def test_a_bound_review_is_followed_to_its_end(self, world: World) -> None:
        # Given a review that is bound to a processor refund which is not done
        refund = pending(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), state=State.REVIEW)
        world.processor.lists_refunds = False
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        # Then the processor refund itself is read, not the charge
        assert settle(world) is Settled.MOVED_ON
        assert world.stored("k").state is State.SUCCEEDED

    def due(self, world: World) -> None:
        stored = world.stored("k")
        world.ledger.refunds[stored.id] = replace(stored, next_check_ms=world.clock.now_ms())


class TestTakenBack:
    """A wallet that returns the money after a success."""

    def test_before_the_report_stripe_is_not_told(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        assert refund.processor_refund_id is not None
        world.processor.books.set_status(refund.processor_refund_id, ProcessorRefundStatus.FAILED)
        world.observe(world.payment().key, world.deadline())
        assert world.report(refund.id) is Reported.NOTHING_DUE
        assert world.stripe.asked == []
        assert world.stored("k").late_failure_at_ms is not None
        assert "refund_taken_back" in world.telemetry.events


def test_a_review_that_is_bound_is_followed_as_closely_as_a_pending_refund(world: World) -> None:
    # Given a review, and then the late answer to the call itself: accepted, and pending
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    world.processor.fates.append(ReplyLost())
    refund = world.refund("k", amount=2500).refund
    world.processor.refund_in_dashboard("charge-1", 2500)
    world.settle_due()
    review = Stored(world.stored("k"), world.payment())
    assert review.refund.state is State.REVIEW
    (processor_refund,) = world.processor.moved_by(refund.id)
    world.observe.recorder.outcome(review, Accepted(processor_refund), "test", world.deadline())
    # When it succeeds a little later, then that is known within minutes
    world.settle_for(2 * STEP_MS)
    world.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
    world.settle_for(10 * STEP_MS)
    assert world.stored("k").state is State.SUCCEEDED
