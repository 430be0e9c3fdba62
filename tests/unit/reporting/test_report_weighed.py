"""What was never sent is weighed by the sums once whoever made it had time to report it."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.domain.stripe_knows import OthersReport, Waiting
from refund_bridge.ports.ledger import Commit, LedgerConflictError
from refund_bridge.reporting.report import Reported, ReportFailedError
from tests.fakes.world import GRACE_MS, STEP_MS, World
from tests.unit.reporting.booked_reports import report_elsewhere

CHARGE = PaymentKey("hitpay", "charge-1")
DAY_MS = 24 * 60 * STEP_MS


def overdue(world: World, key: str = "k", amount: int = 2500) -> Refund:
    """A refund of ten minutes ago whose report was never sent."""
    refund = world.refund(key, amount=amount).refund
    world.clock.advance(10 * STEP_MS)
    return refund


def waits_ms(world: World, refund: Refund) -> int:
    """In how many milliseconds settling rings for the report again."""
    due_ms = world.ledger.refunds[refund.id].next_check_ms
    assert due_ms is not None
    return due_ms - world.clock.now_ms()


def conflicts(world: World) -> list[LedgerConflictError]:
    """The writes that the ledger refuses from now on, because another was made before."""
    commit, refused = world.ledger.commit, list[LedgerConflictError]()

    def noted(written: Commit) -> None:
        try:
            commit(written)
        except LedgerConflictError as error:
            refused.append(error)
            raise

    world.ledger.commit = noted  # type: ignore[method-assign, assignment]
    return refused


class TestTelling:
    """The sums show that Stripe does not know it, or need not say."""

    def test_where_the_sums_are_even_it_is_told(self, world: World) -> None:
        refund = overdue(world)
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stored("k").report.cause is ReportCause.BY_US
        weighed = {"refund_id": refund.id, "verdict": "Tell", "unexplained": 0}
        assert world.noted("report_weighed") == [weighed]

    def test_where_others_keep_to_the_processors_id_it_is_told_whatever_the_sums(
        self, world: World
    ) -> None:
        rules = replace(world.report_refund, others_report=OthersReport.BY_PROCESSOR_ID)
        world.report_refund = rules
        refund = overdue(world)
        report_elsewhere(world, 100)
        assert world.report(refund.id) is Reported.REPORTED
        assert world.at_stripe == 2600

    @pytest.mark.parametrize(
        ("left_ms", "result", "asked"), [(5_999, Reported.WAITS, 0), (6_000, Reported.REPORTED, 1)]
    )
    def test_with_too_little_time_left_stripe_is_not_asked(
        self, world: World, left_ms: int, result: Reported, asked: int
    ) -> None:
        refund = overdue(world)
        deadline = world.clock.deadline(left_ms)
        assert world.report_refund(refund.id, deadline, receive=1, last=False) is result
        assert len(world.stripe.asked) == asked


class TestBelieving:
    """Stripe shows more than is reported, and one set of refunds explains it."""

    def test_what_stripe_shows_is_read_twice_before_it_is_believed(self, world: World) -> None:
        refund = overdue(world)
        report_elsewhere(world, 2500)
        assert world.report(refund.id) is Reported.WAITS
        stored = world.stored("k")
        assert (stored.report.waits, stored.report.attempts) == (1, 0)
        assert stored.next_check_ms == world.clock.now_ms() + STEP_MS
        assert world.report(refund.id) is Reported.REPORTED
        # Then the report and the history say why, and it is looked at again soon
        known = world.stored("k")
        assert known.report.cause is ReportCause.BY_SUMS
        line = known.history[-1]
        assert (line.after, line.cause) == ("report:reported", "by_sums")
        assert waits_ms(world, refund) == STEP_MS
        assert world.noted("report_known_by_sums") == [{"refund_id": refund.id}]
        assert world.stripe.asked == []

    def test_where_the_list_does_not_tell_whose_is_whose_a_sum_is_for_a_person(
        self, world: World
    ) -> None:
        # Given a charge that lists our refund by another id, and a dashboard refund beside it
        world.processor.books.lists_other_ids = True
        refund = overdue(world)
        world.in_dashboard(2500)
        # When others report theirs to Stripe
        world.book_by_hand(2500, "ticket-4711")
        # Then nobody can tell which of the two Stripe shows
        assert world.report(refund.id) is Reported.WAITS
        with pytest.raises(ReportFailedError, match="nobody can tell"):
            world.report(refund.id)
        assert world.stored("k").report.cause is ReportCause.CANNOT_TELL

    def test_one_that_is_not_among_those_shown_is_put_off(self, world: World) -> None:
        # Given two reports that were never sent, of which others have made one
        mine, other = overdue(world, "mine", 2500), overdue(world, "other", 1000)
        report_elsewhere(world, 1000)
        assert world.report(mine.id) is Reported.WAITS
        # When the message of the one that they have not made comes, with the sum read twice
        assert world.report(mine.id) is Reported.WAITS
        # Then the other one is known, and this one is decided anew a little later
        assert world.stored("other").report.cause is ReportCause.BY_SUMS
        assert world.noted("report_known_by_sums") == [{"refund_id": other.id}]
        left = world.stored("mine").report
        assert (left.state, left.last_error) == (ReportState.DUE, Waiting.READ_AGAIN)
        assert (left.waits, left.lease_until_ms) == (2, None)
        assert waits_ms(world, mine) == 2 * STEP_MS

    def test_a_sum_that_fits_nothing_is_for_a_person(self, world: World) -> None:
        refund = overdue(world)
        report_elsewhere(world, 2499)
        assert world.report(refund.id) is Reported.WAITS
        with pytest.raises(ReportFailedError, match="nobody can tell"):
            world.report(refund.id)
        report = world.stored("k").report
        assert (report.cause, report.attempts) == (ReportCause.CANNOT_TELL, 0)

    def test_one_that_a_person_has_tried_again_is_weighed_again(self, world: World) -> None:
        # Given a report that nobody could decide, and that was never sent
        refund = overdue(world)
        report_elsewhere(world, 2499)
        world.report(refund.id)
        with pytest.raises(ReportFailedError):
            world.report(refund.id)
        # When its message is redriven after Stripe's sum has been corrected
        world.stripe.books.reports.clear()
        assert world.report(refund.id) is Reported.REPORTED
        assert world.at_stripe == 2500

    def test_a_belief_that_the_sums_no_longer_hold_is_owed_again(self, world: World) -> None:
        # Given a refund that is believed to be at Stripe
        refund = overdue(world)
        report_elsewhere(world, 2500)
        world.report(refund.id)
        world.report(refund.id)
        # When Stripe shows less than that
        world.stripe.books.reports.clear()
        world.live_for(2 * 60 * STEP_MS)
        # Then it is told after all
        assert world.stored("k").report.cause is ReportCause.BY_US
        assert world.at_stripe == 2500

    def test_so_it_is_by_the_report_of_another_refund_which_waits_meanwhile(
        self, world: World
    ) -> None:
        # Given a belief that the sums no longer hold
        believed = overdue(world, "believed", 2500)
        report_elsewhere(world, 2500)
        for _ in range(2):
            world.report(believed.id)
        world.stripe.books.reports.clear()
        # When another report of the payment is weighed
        mine = overdue(world, "mine", 1000)
        assert world.report(mine.id) is Reported.WAITS
        # Then the believed one is due again in the same write
        owed = world.stored("believed")
        assert (owed.report.state, owed.history[-1].cause) == (
            ReportState.DUE,
            "sums_do_not_hold_it",
        )
        assert world.payment().report_due_count == 2
        assert world.stored("mine").report.last_error == Waiting.LOWER


class TestWaiting:
    """The sums cannot decide yet: the report stays due, and settling rings again."""

    def test_while_stripe_cannot_be_read_it_waits_and_nothing_is_given_up(
        self, world: World
    ) -> None:
        refund = overdue(world)
        world.stripe.is_down = True
        assert world.report(refund.id, receive=8, last=True) is Reported.WAITS
        report = world.stored("k").report
        assert (report.state, report.last_error) == (
            ReportState.DUE,
            "not weighed: stripe_unavailable",
        )

    def test_while_the_refunds_do_not_add_up_it_waits(self, world: World) -> None:
        # Given a payment that has reserved more than the refunds that can be read
        refund = overdue(world)
        world.ledger.payments[CHARGE] = replace(world.payment(), held=2501)
        # When its report is weighed, then it is put off, and says why
        assert world.report(refund.id) is Reported.WAITS
        assert world.stored("k").report.last_error == "not weighed: LedgerConflictError"
        assert world.stripe.asked == []

    def test_without_a_payment_record_there_is_nothing_to_weigh(self, world: World) -> None:
        refund = overdue(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), payment_record=None)
        assert world.report(refund.id) is Reported.WAITS
        assert world.stored("k").report.last_error == "not weighed: LedgerConflictError"

    def test_whoever_made_it_may_report_it_for_the_whole_grace(self, world: World) -> None:
        # Given an external refund that was just imported
        world.refund("first", amount=1)
        world.in_dashboard(3000)
        world.observe(CHARGE, world.deadline())
        (imported,) = world.imported()
        # When its message comes at once
        assert world.report(imported.id) is Reported.WAITS
        assert world.ledger.refunds[imported.id].report.last_error == Waiting.GRACE
        assert waits_ms(world, imported) == GRACE_MS

    def test_so_may_whoever_made_another_one(self, world: World) -> None:
        refund = overdue(world)
        report_elsewhere(world, 3000)
        world.in_dashboard(3000)
        assert world.report(refund.id) is Reported.WAITS
        assert world.stored("k").report.last_error == Waiting.OTHER_GRACE
        assert waits_ms(world, refund) == GRACE_MS

    def test_what_is_weighed_is_written_at_the_first_attempt(self, world: World) -> None:
        # Given a record that shows another sum than before, so that the payment is written too
        refund = overdue(world)
        report_elsewhere(world, 2499)
        refused = conflicts(world)
        assert world.report(refund.id) is Reported.WAITS
        # Then the report is written over that payment, not first over the one before
        assert refused == []

    @pytest.mark.parametrize("early_ms", [0, 1])
    def test_what_waits_for_a_day_rings(self, world: World, early_ms: int) -> None:
        refund = world.refund("k", amount=2500).refund
        world.clock.advance(DAY_MS - early_ms)
        world.stripe.is_down = True
        world.report(refund.id)
        facts = {
            "refund_id": refund.id,
            "age_ms": DAY_MS - early_ms,
            "reason": "not weighed: stripe_unavailable",
        }
        assert world.noted("report_delayed") == [facts]
        assert world.noted("report_waits") == ([] if early_ms else [facts])

    def test_what_came_back_meanwhile_says_so_where_nothing_is_told(self, world: World) -> None:
        # Given a report that is due though its money came back, as a former release may leave it
        refund = overdue(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), late_failure_at_ms=1)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        # When its message comes
        assert world.report(refund.id) is Reported.NOTHING_DUE
        # Then the report is canceled
        canceled = world.stored("k")
        assert canceled.report.state is ReportState.NOT_DUE
        assert (canceled.history[-1].cause, world.stripe.asked) == ("taken_back", [])
        assert waits_ms(world, refund) == STEP_MS


def test_of_more_than_fit_into_one_write_the_first_forty_are_known(world: World) -> None:
    # Given forty-two reports that were never sent, and that others have all made
    refunds = [world.refund(f"k{number}", amount=1).refund for number in range(42)]
    world.clock.advance(10 * STEP_MS)
    report_elsewhere(world, 42)
    for _ in range(2):
        world.report(refunds[0].id)
    # Then one message confirms forty of them
    assert (world.payment().booked, world.payment().report_due_count) == (40, 2)
    # And the other two are known by the next one whose sum was read twice
    left = next(one for one in world.ledger.refunds.values() if one.report.state is ReportState.DUE)
    for _ in range(2):
        world.report(left.id)
    assert (world.payment().booked, world.payment().report_due_count) == (42, 0)
    assert (world.at_stripe, world.stripe.asked) == (42, [])
