"""Whatever others tell Stripe, and whenever, it shows each refund once or somebody is told."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.reporting.report import ReportFailedError
from refundctl.deciding.report_by_hand import Owed
from tests.fakes.processor_fates import Conduct, ExecutedLate
from tests.fakes.stripe_fates import AnswerLost, ReportLost
from tests.fakes.world import GRACE_MS, STEP_MS, World
from tests.unit.refunding.paid_world import DAY, HOUR, by_hand_of, decide_about, observe, paid_world


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


class TestTwoClocks:
    """Whether Stripe was told is never decided by comparing clocks."""

    @pytest.mark.parametrize("milliseconds", [300, 600, 900, 1500])
    def test_our_lost_instruction_and_a_dashboard_refund_of_one_amount_are_both_told(
        self, world: World, milliseconds: int
    ) -> None:
        # Given our first instruction, whose answer is lost, and which the charge shows only later
        world.clock.advance(milliseconds)
        world.processor.fates.append(ExecutedLate(5 * STEP_MS))
        world.refund("ours", amount=4000)
        # When staff refund as much in the dashboard meanwhile
        world.clock.advance(30_000)
        world.in_dashboard(4000)
        world.live_for(2 * HOUR)
        observe(world)
        world.live_for(2 * HOUR)
        # Then both processor refunds end in the ledger, and Stripe knows of both
        assert world.at_processor == world.at_stripe == 8000
        assert len(world.ledger.refunds) == 2

    @pytest.mark.parametrize("behind_ms", [0, 5_000, 90_000, 8 * HOUR])
    def test_one_of_the_second_of_first_sight_is_told(self, world: World, behind_ms: int) -> None:
        world.refund("first", amount=1000)
        world.clock.advance(400)
        moved = world.in_dashboard(3000)
        record = world.processor.books.refunds[moved.id]
        at_ms = (moved.created_at_ms or 0) - behind_ms
        record.processor_refund = replace(
            record.processor_refund, created_at_ms=at_ms, refunded_at_ms=at_ms
        )
        observe(world)
        world.live_for(HOUR)
        assert world.at_stripe == 4000

    def test_one_just_before_our_first_refund_is_told(self, world: World) -> None:
        world.in_dashboard(3000)
        world.clock.advance(2_000)
        world.refund("ours", amount=2000)
        world.live_for(HOUR)
        assert world.at_stripe == 5000

    def test_one_that_was_pending_at_first_sight_is_told_when_it_succeeds(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        moved = world.in_dashboard(3000)
        world.processor.books.conduct = Conduct()
        world.clock.advance(2_000)
        world.refund("ours", amount=2000)
        world.live_for(HOUR)
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.SUCCEEDED)
        world.live_for(3 * HOUR)
        assert world.at_stripe == 5000


class TestBookedByHand:
    """Staff refund in the dashboard, and tell Stripe under a reference of their own."""

    @pytest.mark.parametrize("before_import", [True, False])
    @pytest.mark.parametrize("by_its_id", [True, False])
    def test_stripe_shows_it_once(self, world: World, before_import: bool, by_its_id: bool) -> None:
        world.refund("first", amount=1)
        world.live_for(HOUR)
        moved = world.in_dashboard(2999)
        reference = moved.id if by_its_id else "ticket-4711"
        if before_import:
            world.book_by_hand(2999, reference)
            observe(world)
        else:
            observe(world)
            world.book_by_hand(2999, reference)
        world.live_for(2 * HOUR)
        assert world.at_stripe == world.at_processor == 3000
        assert world.payment().refundable == 7000
        (imported,) = world.imported()
        assert imported.report.state is ReportState.REPORTED
        assert imported.report.cause is ReportCause.BY_SUMS
        assert world.noted("report_failed") == []
        assert world.noted("stripe_higher") == world.noted("stripe_lower") == []

    def test_while_a_report_of_ours_is_under_way_each_is_there_once(self, world: World) -> None:
        ours = world.refund("ours", amount=2000).refund
        world.stripe.fates.append(AnswerLost())
        world.report_rung()
        world.in_dashboard(3000)
        world.book_by_hand(3000, "ticket-4711")
        observe(world)
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 5000
        assert world.stored("ours").report.state is ReportState.REPORTED
        assert ours.id in world.ledger.refunds

    def test_of_two_equal_ones_of_which_one_was_told_the_other_is_told(self, world: World) -> None:
        world.refund("first", amount=1)
        world.live_for(HOUR)
        for _ in range(2):
            world.in_dashboard(1000)
        world.book_by_hand(1000, "ticket-1")
        observe(world)
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 2001

    def test_an_old_one_told_under_a_ticket_does_not_hide_a_new_one(self) -> None:
        # Given a refund of years ago, told under a ticket
        world = World()
        world.pay(amount=10000)
        world.in_dashboard(3000)
        world.book_by_hand(3000, "ticket-of-years-ago")
        world.clock.advance(400 * DAY)
        world.settle_run(world.deadline())
        # When somebody refunds as much, and tells nobody
        world.refund("first", amount=1)
        world.live_for(HOUR)
        world.in_dashboard(3000)
        observe(world)
        world.live_for(3 * HOUR)
        # Then Stripe hears of it
        assert world.at_stripe == world.at_processor == 6001

    def test_our_own_that_staff_booked_while_stripe_was_down_is_there_once(
        self, world: World
    ) -> None:
        # Given a report of ours that was never sent, since the reporter did not run
        world.refund("ours", amount=2500)
        world.doorbell.rung.clear()
        world.book_by_hand(2500, "ticket-4711")
        # When it is redelivered a day later
        world.clock.advance(DAY)
        world.live_for(3 * HOUR)
        # Then the sums say that Stripe knows
        assert world.at_stripe == 2500
        assert world.stored("ours").report.cause is ReportCause.BY_SUMS

    def test_our_own_that_failed_to_be_told_and_staff_booked_is_never_silently_there_twice(
        self, world: World
    ) -> None:
        # Given a report that was sent while Stripe was down, until it was a dead letter
        refund = world.refund("ours", amount=2500).refund
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        # When staff book it under a ticket, and it is replayed a day later
        world.book_by_hand(2500, "ticket-4711")
        world.clock.advance(DAY)
        world.report(refund.id)
        world.live_for(3 * HOUR)
        # Then Stripe shows it once, or somebody is told that it does not
        assert world.at_stripe == 2500 or world.noted("stripe_higher") != []

    def test_a_lost_answer_on_the_last_receive_ends_with_each_told(self, world: World) -> None:
        world.refund("first", amount=1)
        world.live_for(HOUR)
        for _ in range(2):
            world.in_dashboard(1000)
        observe(world)
        first, _ = world.imported()
        world.clock.advance(GRACE_MS)
        world.stripe.fates.append(AnswerLost())
        with pytest.raises(Exception, match="no whole answer"):
            world.report(first.id, receive=8, last=True)
        # When a person has it sent again
        world.report(first.id)
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 2001


class TestLooksAfterwards:
    """What others report later is noticed, whenever ours was told."""

    @pytest.mark.parametrize("days", [2, 40])
    def test_a_booking_after_a_report_that_came_late_rings(self, world: World, days: int) -> None:
        # Given our report, accepted and its answer lost, replayed much later
        world.refund("ours", amount=4000)
        world.stripe.fates.append(AnswerLost())
        refund_id = world.stored("ours").id
        with pytest.raises(ReportFailedError):
            world.report(refund_id, receive=8, last=True)
        world.doorbell.rung.clear()
        world.settle_for(days * DAY, every_ms=HOUR)
        world.report(refund_id)
        assert world.stored("ours").report.state is ReportState.REPORTED
        world.live_for(3 * HOUR)
        # When a colleague books it once more a day after that
        world.clock.advance(DAY)
        world.book_by_hand(4000, "ticket-4711")
        world.live_for(8 * DAY, every_ms=HOUR)
        # Then somebody is told
        assert world.noted("stripe_higher") != []

    def test_what_a_person_owed_is_told_after_it_was_taken_back_and_restored(self) -> None:
        # Given a refund from before this service, of which a person says that Stripe is owed it
        world = World()
        world.pay(amount=10000)
        moved = world.in_dashboard(3000)
        world.clock.advance(400 * DAY)
        world.settle_run(world.deadline())
        world.refund("first", amount=1)
        world.live_for(HOUR)
        (imported,) = world.imported()
        assert imported.is_before_adoption
        decide_about(world, by_hand_of(world), imported.id, Owed("nobody told"))
        # When it is taken back before Stripe was told, and restored
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.FAILED)
        observe(world)
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        world.live_for(2 * DAY, every_ms=HOUR)
        # Then Stripe is told of it
        assert world.at_processor == world.at_stripe == 3001
