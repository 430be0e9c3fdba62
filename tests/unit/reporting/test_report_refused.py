"""Stripe will not book a report: does it know the reference, or is there no room?"""

from dataclasses import replace

import pytest

from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.domain.stripe_knows import OthersReport
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.stripe import StripeObjectNotFoundError
from refund_bridge.reporting.report import ReportDeferredError, Reported, ReportFailedError
from tests.fakes.stripe_fates import AnswerLost, Fails, ReportLost
from tests.fakes.world import STEP_MS, World
from tests.unit.reporting.booked_reports import booked, report_elsewhere


def repeated(world: World, refund: Refund) -> None:
    """Stripe has booked the report, its answer was lost, and its key is forgotten."""
    world.stripe.fates.append(AnswerLost())
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    world.stripe.forget_keys()


class TestTheReferenceIsTaken:
    """There is room at Stripe, so only the reference can be what was refused."""

    def test_it_was_booked_before(self, world: World, refund: Refund) -> None:
        repeated(world, refund)
        assert world.report(refund.id, receive=2) is Reported.REPORTED
        report = world.stored("k").report
        assert (report.cause, report.reported_at_ms) == (ReportCause.BY_REFERENCE, None)
        assert len(world.stripe.books.reports_of("pr_1")) == 1

    def test_staff_who_book_under_the_processors_id_have_told_it(
        self, world: World, refund: Refund
    ) -> None:
        world.book_by_hand(2500, refund.processor_refund_id or "")
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stored("k").report.cause is ReportCause.BY_REFERENCE
        assert world.at_stripe == 2500

    def test_beside_what_we_had_reported_before_and_what_others_had(self, world: World) -> None:
        first = world.refund("first", amount=1000).refund
        world.report(first.id)
        report_elsewhere(world, 1000)
        refund = world.refund("k", amount=2500).refund
        repeated(world, refund)
        assert world.report(refund.id, receive=2) is Reported.REPORTED

    def test_of_two_that_were_both_booked_without_telling_each_is_known(self, world: World) -> None:
        one, two = (world.refund(key, amount=1000).refund for key in ("one", "two"))
        world.stripe.fates.extend([Fails(booked=True), Fails(booked=True)])
        for refund in (one, two):
            with pytest.raises(ReportDeferredError):
                world.report(refund.id)
        assert world.report(one.id, receive=2) is Reported.REPORTED
        assert world.report(two.id, receive=2) is Reported.REPORTED
        assert [item.amount for item in booked(world)] == [1000, 1000]

    def test_a_sum_that_lacks_it_is_for_a_person(self, world: World, refund: Refund) -> None:
        # Given a reference that Stripe knows from another record
        other = world.pay("2")
        world.book_by_hand(2500, refund.processor_refund_id or "", record=other)
        with pytest.raises(ReportFailedError, match="refused"):
            world.report(refund.id)
        stored = world.stored("k").report
        assert (stored.state, stored.cause) == (ReportState.FAILED, ReportCause.REFUSED)
        assert stored.last_error == "refused: The reference has already been reported"


class TestThereIsNoRoom:
    """The record cannot take the amount."""

    def test_others_have_reported_too_much(self, world: World) -> None:
        refund = world.refund("k", amount=9999).refund
        report_elsewhere(world, 5000)
        with pytest.raises(ReportFailedError):
            world.report(refund.id)
        # Then it is failed, and no further receive of that message asks again
        assert world.stored("k").report.cause is ReportCause.NO_ROOM
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=2)
        assert len(world.stripe.asked) == 1

    def test_a_smaller_one_that_was_sent_goes_first(self, world: World) -> None:
        # Given two reports, both sent without an answer, and room for the smaller one only
        big, small = (world.refund(key, amount=a).refund for key, a in (("b", 6000), ("s", 3000)))
        world.stripe.fates.extend([ReportLost(), ReportLost()])
        for refund in (big, small):
            with pytest.raises(ReportDeferredError):
                world.report(refund.id)
        report_elsewhere(world, 5000)
        # Then the larger one waits, and fails when the smaller one is told
        assert world.report(big.id, receive=2) is Reported.WAITS
        assert world.report(small.id, receive=2) is Reported.REPORTED
        with pytest.raises(ReportFailedError):
            world.report(big.id)
        assert world.stored("b").report.cause is ReportCause.NO_ROOM

    def test_all_that_is_there_may_be_ours(self, world: World) -> None:
        refund = world.refund("k", amount=9999).refund
        repeated(world, refund)
        assert world.report(refund.id, receive=2) is Reported.REPORTED
        assert world.stored("k").report.cause is ReportCause.BY_REFERENCE


def test_a_refusal_with_a_code_is_kept_by_its_code(world: World, refund: Refund) -> None:
    world.stripe.books.records.pop("pr_1")
    with pytest.raises(ReportFailedError, match="refused: resource_missing"):
        world.report(refund.id, last=True)
    assert world.stored("k").report.last_error == "refused: resource_missing"


@pytest.mark.parametrize(
    "error", [ProviderUnavailableError("down"), StripeObjectNotFoundError("gone")]
)
def test_a_record_that_cannot_be_read_is_read_later(
    world: World, refund: Refund, error: Exception
) -> None:
    repeated(world, refund)

    def fails(*_: object) -> PaymentRecord:
        raise error

    world.stripe.payment_record = fails  # type: ignore[method-assign, assignment]
    with pytest.raises(ReportDeferredError, match="could not be read"):
        world.report(refund.id, receive=2)
    report = world.stored("k").report
    assert (report.lease_until_ms, report.epoch) == (None, 0)
    # And on the last receive it is for a person
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=8, last=True)
    assert world.stored("k").report.state is ReportState.FAILED


def test_where_others_keep_to_the_processors_id_a_refusal_needs_no_sums(
    world: World, refund: Refund
) -> None:
    world.report_refund = replace(world.report_refund, others_report=OthersReport.BY_PROCESSOR_ID)
    world.book_by_hand(2500, refund.processor_refund_id or "")
    world.book_by_hand(100, "anything")
    assert world.report(refund.id) is Reported.REPORTED
    assert world.stored("k").report.cause is ReportCause.BY_REFERENCE


class TestBeforeItIsSent:
    """What was never sent is weighed by the sums once whoever made it had time to report it."""

    def overdue(self, world: World) -> Refund:
        refund = world.refund("k", amount=2500).refund
        world.clock.advance(10 * STEP_MS)
        return refund

    def test_where_the_sums_are_even_it_is_told(self, world: World) -> None:
        refund = self.overdue(world)
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stored("k").report.cause is ReportCause.BY_US

    def test_what_stripe_shows_is_read_twice_before_it_is_believed(self, world: World) -> None:
        refund = self.overdue(world)
        report_elsewhere(world, 2500)
        assert world.report(refund.id) is Reported.WAITS
        stored = world.stored("k")
        assert (stored.report.waits, stored.report.attempts) == (1, 0)
        assert stored.next_check_ms == world.clock.now_ms() + STEP_MS
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stored("k").report.cause is ReportCause.BY_SUMS
        assert world.stripe.asked == []

    def test_a_sum_that_fits_nothing_is_for_a_person(self, world: World) -> None:
        refund = self.overdue(world)
        report_elsewhere(world, 2499)
        assert world.report(refund.id) is Reported.WAITS
        with pytest.raises(ReportFailedError, match="nobody can tell"):
            world.report(refund.id)
        report = world.stored("k").report
        assert (report.cause, report.attempts) == (ReportCause.CANNOT_TELL, 0)

    def test_while_stripe_cannot_be_read_it_waits_and_nothing_is_given_up(
        self, world: World
    ) -> None:
        refund = self.overdue(world)
        world.stripe.is_down = True
        assert world.report(refund.id, receive=8, last=True) is Reported.WAITS
        assert world.stored("k").report.state is ReportState.DUE

    def test_with_too_little_time_left_stripe_is_not_asked(self, world: World) -> None:
        refund = self.overdue(world)
        deadline = world.clock.deadline(5_000)
        assert world.report_refund(refund.id, deadline, receive=1, last=False) is Reported.WAITS
        assert world.stripe.asked == []

    def test_what_waits_for_a_day_rings(self, world: World) -> None:
        refund = self.overdue(world)
        world.clock.advance(24 * 60 * STEP_MS)
        world.stripe.is_down = True
        world.report(refund.id)
        assert [facts["refund_id"] for facts in world.noted("report_waits")] == [refund.id]

    def test_a_belief_that_the_sums_no_longer_hold_is_owed_again(self, world: World) -> None:
        # Given a refund that is believed to be at Stripe
        refund = self.overdue(world)
        report_elsewhere(world, 2500)
        world.report(refund.id)
        world.report(refund.id)
        # When Stripe shows less than that
        world.stripe.books.reports.clear()
        world.live_for(2 * 60 * STEP_MS)
        # Then it is told after all
        assert world.stored("k").report.cause is ReportCause.BY_US
        assert world.at_stripe == 2500
