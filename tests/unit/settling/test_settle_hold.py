"""Not found yet is not failed, until the hold is over."""

from dataclasses import replace

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.instruction import Accepted
from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.refunding.record_outcome import SUMS_CHECK_MS, Stored
from refund_bridge.settling.settling import AfterHold, Settled
from tests.fakes.processor_fates import Answered
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.settling.looks_at_refunds import (
    at_the_end_of_its_hold,
    settle,
    settle_when_due,
    unknown,
    waits,
)

DAY_MS = 24 * 60 * STEP_MS


class TestHold:
    """Not found yet is not failed, until the hold is over."""

    def test_after_it_a_person_must_look(self, world: World) -> None:
        refund = at_the_end_of_its_hold(world)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.looks, stored.look_ups) == (State.REVIEW, 0, 0)
        assert (waits(world), world.payment().slot) == (DAY_MS, stored.id)
        reason = "no processor refund found during the hold"
        line = stored.history[-1]
        assert (line.cause, line.actor, line.evidence) == (reason, "settle_refunds", {})
        assert world.noted("refund_needs_review") == [{"refund_id": refund.id, "reason": reason}]

    def test_a_moment_before_its_end_it_is_not_over(self, world: World) -> None:
        at_the_end_of_its_hold(world, early_ms=1)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN

    def test_fewer_than_three_look_ups_do_not_end_it(self, world: World) -> None:
        at_the_end_of_its_hold(world, look_ups=1)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN
        # And the third does
        assert settle_when_due(world) is Settled.MOVED_ON

    def test_it_begins_with_the_attempt_or_where_there_was_none_with_the_refund(
        self, world: World
    ) -> None:
        refund = at_the_end_of_its_hold(world)
        stored = world.stored("k")
        # Given a second attempt, a day after the refund was asked for
        later = replace(stored, created_at_ms=stored.created_at_ms - HOLD_MS)
        world.ledger.refunds[refund.id] = replace(later, next_check_ms=world.clock.now_ms())
        assert settle(world) is Settled.HELD
        # When the attempt's own time is not known, then the refund's counts
        stored = world.stored("k")
        world.ledger.refunds[refund.id] = replace(stored, started_at_ms=None)
        assert settle_when_due(world) is Settled.MOVED_ON

    def test_an_operator_chooses_by_a_word(self) -> None:
        assert AfterHold("review") is AfterHold.REVIEW
        assert AfterHold("failed") is AfterHold.FAILED

    def test_an_operator_may_choose_that_it_failed(self) -> None:
        world = World(after_hold=AfterHold.FAILED)
        world.pay()
        refund = at_the_end_of_its_hold(world)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert stored.state is State.FAILED
        assert stored.next_check_ms == stored.updated_at_ms + SUMS_CHECK_MS
        assert (stored.looks, stored.look_ups) == (0, 0)
        assert stored.failure is not None
        assert stored.failure.code == "not_executed"
        line = stored.history[-1]
        assert (line.cause, line.evidence) == ("hold_over", {"look_ups": 3})
        assert world.noted("refund_failed_by_hold") == [{"refund_id": refund.id}]
        assert (world.payment().refundable, world.payment().slot) == (9999, None)
        # And should the money move after all, it is imported, linked, reported and alarmed
        world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), refund.id
        )
        world.observe(world.payment().key, world.deadline())
        imported = [r for r in world.ledger.refunds.values() if r.contradicts == refund.id]
        assert [r.report.state for r in imported] == [ReportState.DUE]
        assert "movement_contradicts" in world.telemetry.events
        assert world.payment().refundable == 7499

    def test_then_too_a_review_is_left_to_the_person_who_has_it(self) -> None:
        world = World(after_hold=AfterHold.FAILED)
        world.pay()
        refund = at_the_end_of_its_hold(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), state=State.REVIEW)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.REVIEW
        assert world.stored("k").look_ups == 3

    def test_two_candidates_are_shown_to_the_person_once(self, world: World) -> None:
        unknown(world)
        names = [world.in_dashboard(2500).id for _ in range(2)]
        assert settle(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert stored.history[-1].evidence == {"movements": names}
        # And the daily look adds nothing to the history
        assert settle_when_due(world) is Settled.HELD
        looked = world.stored("k")
        assert looked.history == stored.history
        assert looked.last_look == "2 processor refunds of this amount"
        assert (looked.looks, looked.look_ups) == (1, 1)
        assert len(world.noted("refund_needs_review")) == 1
        # And neither is imported meanwhile
        world.observe(world.payment().key, world.deadline())
        assert len(world.ledger.refunds) == 1


def test_a_late_answer_to_a_refund_that_failed_by_the_hold_is_believed() -> None:
    # Given a refund that was never found and failed, as the operator chose
    world = World(after_hold=AfterHold.FAILED)
    world.pay()
    world.processor.fates.append(Answered(500))
    refund = world.refund("k", amount=2500).refund
    world.settle_for(HOLD_MS + 2 * 3_600_000)
    failed = Stored(world.stored("k"), world.payment())
    assert (failed.refund.state, failed.payment.doubtful) == (State.FAILED, (refund.id,))
    # When the answer to its own call comes after all
    ours = world.processor.books.move(
        world.processor.books.charges["charge-1"], Money(2500, "sgd"), refund.id
    )
    assert isinstance(ours, ProcessorRefund)
    sent = replace(failed, refund=refund)
    world.execute.recorder.outcome(sent, Accepted(ours), "test", world.deadline())
    # Then it has succeeded after all, and Stripe is owed it
    after = world.stored("k")
    assert (after.state, after.processor_refund_id) == (State.SUCCEEDED, ours.id)
    assert after.report.state is ReportState.DUE
    assert world.payment().doubtful == ()
    assert world.imported() == []
