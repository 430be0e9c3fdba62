"""What is due moves on: by evidence, never by a guess."""

from dataclasses import replace

import pytest

from refunds.errors import PaymentBusyError
from refunds.money import Money
from refunds.payment import PaymentKey
from refunds.ports import Deadline, MovementStatus
from refunds.refund import RefundType
from refunds.report import Reported, ReportFailedError
from refunds.settle import AfterHold, Settled
from refunds.settle_run import ROW_MS
from refunds.state_machine import ReportState, State
from tests.fakes.book_fates import ReportLost
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    ExecutedLate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.fakes.world import HOLD_MS, LEASE_MS, STEP_MS, World


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


class TestUnknown:
    """A refund whose answer was lost."""

    def test_a_movement_that_only_it_can_have_made_is_its_own(self, world: World) -> None:
        # Given a refund that was executed, and its answer lost
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        # When settling looks
        world.settle_due()
        # Then it succeeded, bound to that movement, its report due and rung for
        settled = world.stored("k")
        (movement,) = world.processor.moved_by(refund.id)
        assert (settled.state, settled.processor_refund_id) == (State.SUCCEEDED, movement.id)
        assert settled.report.state is ReportState.DUE
        assert world.doorbell.rung == [refund.id]
        assert (world.payment().slot, world.payment().moved) == (None, 2500)
        assert world.report(refund.id) is Reported.REPORTED

    def test_a_crash_after_sending_is_settled_from_the_table_alone(self, world: World) -> None:
        # Given a function that died while the processor executed its refund
        class Killed(BaseException):
            pass

        def killed(order: object) -> ReplyLost:
            world.processor.books.arrive(order)  # type: ignore[arg-type]
            raise Killed

        world.processor.decide = killed
        with pytest.raises(Killed):
            world.refund("k", amount=2500)
        # When its lease is over and settling runs
        world.settle_due()
        assert world.stored("k").state is State.SUBMITTING
        world.settle_for(2 * LEASE_MS)
        # Then what it did is known
        assert world.stored("k").state is State.SUCCEEDED
        assert len(world.processor.moved_by(world.stored("k").id)) == 1

    def test_not_found_yet_is_not_failed(self, world: World) -> None:
        # Given an order that arrives six hours late
        world.processor.fates.append(ExecutedLate(6 * 3_600_000))
        world.refund("k", amount=2500)
        world.settle_for(5 * 3_600_000)
        assert world.stored("k").state is State.UNKNOWN
        assert world.payment().refundable == 7499
        # When it arrives, then it is found
        world.settle_for(3 * 3_600_000)
        assert world.stored("k").state is State.SUCCEEDED

    def test_what_is_never_found_is_for_a_person_after_the_hold(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.settle_for(HOLD_MS + 2 * 3_600_000)
        stored = world.stored("k")
        assert stored.state is State.REVIEW
        assert world.payment().slot == stored.id
        assert "refund_needs_review" in world.trail.events

    def test_an_operator_may_choose_that_what_is_never_found_failed(self) -> None:
        world = World(after_hold=AfterHold.FAILED)
        world.pay()
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.settle_for(HOLD_MS + 2 * 3_600_000)
        assert world.stored("k").state is State.FAILED
        assert (world.payment().refundable, world.payment().slot) == (9999, None)
        # And should the money move after all, it is imported, linked, reported and alarmed
        world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), refund.id
        )
        world.observe(world.payment().key, world.deadline())
        imported = [r for r in world.ledger.refunds.values() if r.contradicts == refund.id]
        assert [r.report.state for r in imported] == [ReportState.DUE]
        assert "movement_contradicts" in world.trail.events
        assert world.payment().refundable == 7499

    def test_the_hold_counts_only_look_ups_that_were_answered(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_for(3 * HOLD_MS, every_ms=10 * STEP_MS)
        assert world.stored("k").state is State.UNKNOWN
        world.processor.is_down = False
        world.settle_for(4 * 3_600_000)
        assert world.stored("k").state is State.REVIEW

    def test_two_movements_that_can_be_ours_are_for_a_person(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.refund_in_dashboard("charge-1", 2500)
        world.settle_due()
        assert world.stored("k").state is State.REVIEW
        # And they are not imported meanwhile
        world.observe(world.payment().key, world.deadline())
        assert len(world.ledger.refunds) == 1

    def test_a_movement_from_before_the_attempt_is_not_ours(self, world: World) -> None:
        # Given a failed refund in the dashboard, of the same amount, before ours
        world.processor.books.conduct = Conduct(MovementStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        assert len(refund.snapshot or ()) == 1
        world.settle_due()
        assert world.stored("k").processor_refund_id == world.processor.moved_by(refund.id)[0].id

    def test_a_failed_movement_of_the_same_amount_frees_nothing_while_ours_may_still_arrive(
        self, world: World
    ) -> None:
        # Given an order that arrives late, and a dashboard refund of its amount that fails
        world.processor.fates.append(ExecutedLate(6 * 3_600_000))
        refund = world.refund("k", amount=2500).refund
        world.processor.books.conduct = Conduct(MovementStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)
        world.processor.books.conduct = Conduct()
        # When settling looks, then its money stays held
        world.settle_for(5 * 3_600_000)
        assert world.stored("k").state is State.UNKNOWN
        # And when ours arrives, two can be ours, and a person decides
        world.settle_for(3 * 3_600_000)
        assert world.stored("k").state is State.REVIEW
        assert len(world.processor.moved_by(refund.id)) == 1

    def test_a_failed_movement_that_stays_alone_for_the_whole_hold_is_ours(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.FAILED)
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.settle_for(HOLD_MS + 2 * 3_600_000)
        assert (world.stored("k").state, world.payment().refundable) == (State.FAILED, 9999)

    def test_a_review_is_settled_by_evidence_that_is_found_later(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.lists_refunds = False
        world.settle_for(STEP_MS)
        assert world.stored("k").state is State.UNKNOWN
        world.processor.lists_refunds = True
        world.settle_for(4 * 3_600_000)
        assert world.stored("k").state is State.SUCCEEDED

    def test_a_call_that_still_has_its_lease_is_left_alone(self, world: World) -> None:
        seen = []

        def meanwhile(_: object) -> NotSent:
            world.observe(world.payment().key, world.deadline())
            world.settle_due()
            seen.append(world.stored("k").state)
            return NotSent()

        world.processor.decide = meanwhile
        world.refund("k", amount=2500)
        assert seen == [State.SUBMITTING]
        assert world.stored("k").state is State.ABORTED


class TestPending:
    """A refund that the processor has, and that is not done."""

    def test_it_is_reported_once_it_is_final(self, world: World) -> None:
        world.processor.books.conduct = Conduct(
            MovementStatus.PENDING, last=MovementStatus.SUCCEEDED, after_ms=30 * STEP_MS
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
            MovementStatus.PENDING, last=MovementStatus.FAILED, after_ms=STEP_MS
        )
        world.refund("k", amount=2500)
        world.settle_for(5 * STEP_MS)
        stored = world.stored("k")
        assert (stored.state, world.payment().refundable) == (State.FAILED, 9999)
        assert stored.report.state is ReportState.NOT_DUE

    def test_a_webhook_ends_it_at_once(self, world: World) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        refund = world.refund("k", amount=2500).refund
        assert refund.processor_refund_id is not None
        world.processor.books.set_status(refund.processor_refund_id, MovementStatus.SUCCEEDED)
        for _ in range(3):
            world.observe(world.payment().key, world.deadline())
        assert world.stored("k").state is State.SUCCEEDED
        assert world.doorbell.rung == [refund.id]


class TestTakenBack:
    """A wallet that returns the money after a success."""

    def test_before_the_report_stripe_is_not_told(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        assert refund.processor_refund_id is not None
        world.processor.books.set_status(refund.processor_refund_id, MovementStatus.FAILED)
        world.observe(world.payment().key, world.deadline())
        assert world.report(refund.id) is Reported.NOTHING_DUE
        assert world.book.asked == []
        assert world.stored("k").late_failure_at_ms is not None
        assert "refund_taken_back" in world.trail.events

    def test_after_the_report_it_stays_visible_and_holds_its_money(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        world.report(refund.id)
        assert refund.processor_refund_id is not None
        world.processor.books.set_status(refund.processor_refund_id, MovementStatus.FAILED)
        for _ in range(2):
            world.observe(world.payment().key, world.deadline())
        stored = world.stored("k")
        assert (stored.state, stored.report.state) == (State.SUCCEEDED, ReportState.REPORTED)
        assert stored.late_failure_at_ms is not None
        assert world.payment().refundable == 7499
        assert world.trail.events.count("refund_taken_back") == 1


class TestScheduled:
    """Refunds that are accepted now and executed in the background."""

    def test_it_holds_its_money_and_is_executed_by_settling(self, world: World) -> None:
        answer = world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
        assert answer.refund.state is State.REQUESTED
        assert (world.payment().refundable, world.payment().slot) == (7499, None)
        assert world.processor.orders == []
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
        assert len(world.processor.orders) == 1
        world.settle_for(60 * STEP_MS)
        # Then each was executed, in the order of acceptance
        ids = [world.stored(key).id for key in ("first", "a", "b", "c")]
        assert [order.refund_id for order in world.processor.orders] == ids
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
        world.settle_due()
        stored = world.stored("k")
        assert stored.state is State.FAILED
        assert stored.failure is not None
        assert stored.failure.code == "refund_amount_exceeded"
        assert world.processor.orders == []
        assert world.payment().waiting == ()

    def test_a_provider_that_is_down_only_delays_it(self, world: World) -> None:
        world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
        world.book.is_down = True
        world.settle_for(5 * STEP_MS)
        assert world.stored("k").state is State.REQUESTED
        world.book.is_down = False
        world.settle_for(20 * STEP_MS)
        assert world.stored("k").state is State.SUCCEEDED


class TestDoorbells:
    """A report that is due, and a message that was lost."""

    def test_a_lost_doorbell_is_rung_again(self, world: World) -> None:
        world.doorbell.is_broken = True
        refund = world.refund("k").refund
        world.doorbell.is_broken = False
        world.settle_for(3 * STEP_MS)
        assert world.doorbell.rung[:1] == [refund.id]

    def test_a_report_that_a_worker_has_heard_of_is_left_to_the_queue(self, world: World) -> None:
        refund = world.refund("k").refund
        world.ledger.take_report(refund.id, now_ms=world.clock.now_ms(), lease_until_ms=0)
        world.settle_for(60 * STEP_MS)
        assert world.doorbell.rung == [refund.id]
        world.settle_for(200 * STEP_MS)
        assert len(world.doorbell.rung) > 1

    def test_a_failed_report_is_not_rung_for(self, world: World) -> None:
        refund = world.refund("k").refund
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        rung = len(world.doorbell.rung)
        world.settle_for(24 * 60 * STEP_MS, every_ms=60 * STEP_MS)
        assert len(world.doorbell.rung) == rung
        assert world.stored("k").next_check_ms is None
        assert world.stored("k").report.state is ReportState.FAILED


class TestRun:
    """One run of settling, over everything that is due."""

    def test_a_backlog_drains_and_what_is_new_is_not_starved(self, world: World) -> None:
        # Given far more due refunds than one round takes, and then one more
        for number in range(300):
            world.pay(f"old-{number}")
            world.processor.fates.append(ReplyLost())
            world.refund(f"old-{number}", record=f"pr_old-{number}")
        world.clock.advance(1)
        world.processor.fates.append(ReplyLost())
        newest = world.refund("newest").refund
        order: list[str] = []
        settle = world.settle_run.settle

        def watched(refund_id: str, deadline: Deadline) -> Settled:
            order.append(refund_id)
            return settle(refund_id, deadline)

        run = replace(world.settle_run, settle=watched)  # type: ignore[arg-type]
        # When a run settles
        assert run(world.deadline_of(75_000)) == 301
        # Then all moved on, the newest in the first round
        assert {r.state for r in world.ledger.refunds.values()} == {State.SUCCEEDED}
        assert order.index(newest.id) < 8 * 16

    def test_a_row_that_cannot_be_settled_stops_nothing(self, world: World) -> None:
        world.pay("poison")
        world.processor.fates.extend([ReplyLost(), ReplyLost()])
        poison = world.refund("poison", record="pr_poison").refund
        world.refund("k")
        world.ledger.payments.pop(PaymentKey("hitpay", "charge-poison"))
        world.settle_run(world.deadline_of(75_000))
        assert world.stored("k").state is State.SUCCEEDED
        assert ("settle_failed", poison.id) in [
            (event, facts.get("refund_id")) for event, facts in world.trail.notes
        ]

    def test_no_refund_is_begun_that_might_not_end_in_time(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k")
        assert world.settle_run(world.deadline_of(ROW_MS)) == 0
        assert world.stored("k").state is State.UNKNOWN

    def test_two_runs_at_once_settle_each_refund_once(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k").refund
        now_ms = world.clock.now_ms()
        assert world.ledger.take_check(refund.id, now_ms=now_ms, until_ms=now_ms + 1) is not None
        assert world.settle(refund.id, world.deadline()) is Settled.NOTHING_DUE
