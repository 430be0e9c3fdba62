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
        stored = world.stored("k")
        report = stored.report
        assert (report.cause, report.reported_at_ms) == (ReportCause.BY_REFERENCE, None)
        assert len(world.stripe.books.reports_of("pr_1")) == 1
        # And the history says so, and what Stripe answered; it is looked at again soon
        line = stored.history[-1]
        assert (line.after, line.cause) == ("report:reported", "by_reference")
        assert [(one.attempt, one.said) for one in report.answers] == [
            (1, "Stripe: no whole answer: ConnectionResetError"),
            (2, "The reference has already been reported"),
        ]
        assert stored.next_check_ms == world.clock.now_ms() + STEP_MS
        # And so does the log
        assert world.noted("refusal_judged") == [
            {
                "refund_id": refund.id,
                "verdict": "ByReference",
                "reason": "refused: The reference has already been reported",
            }
        ]
        assert world.noted("report_known_by_reference") == [{"refund_id": refund.id}]

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

    def test_a_belief_in_another_one_of_that_sum_is_owed_again(self, world: World) -> None:
        # Given a refund that the sums alone say was told
        believed = world.refund("believed", amount=2500).refund
        world.clock.advance(10 * STEP_MS)
        world.book_by_hand(2500, "hitpay-refund-2")
        for _ in range(2):
            world.report(believed.id)
        assert world.stored("believed").report.cause is ReportCause.BY_SUMS
        # When Stripe turns out to know the next one under its reference
        refund = world.refund("k", amount=2500).refund
        assert refund.processor_refund_id == "hitpay-refund-2"
        assert world.report(refund.id) is Reported.REPORTED
        # Then that is the one that was told, and the other is due again
        assert world.stored("k").report.cause is ReportCause.BY_REFERENCE
        owed = world.stored("believed")
        assert (owed.report.state, owed.report.answers) == (ReportState.DUE, ())
        assert owed.history[-1].cause == "sums_do_not_hold_it"
        # And ends at Stripe too
        world.live_for(2 * 60 * STEP_MS)
        assert world.at_stripe == 5000

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
    failed = world.stored("k").report
    assert (failed.state, failed.cause) == (ReportState.FAILED, ReportCause.REFUSED)


def test_so_it_is_while_the_refunds_do_not_add_up(world: World, refund: Refund) -> None:
    # Given a payment that has reserved more than the refunds that can be read
    repeated(world, refund)
    payment = world.payment()
    world.ledger.payments[payment.key] = replace(payment, held=payment.held + 1)
    with pytest.raises(ReportDeferredError, match="could not be read"):
        world.report(refund.id, receive=2)
    assert world.stored("k").report.state is ReportState.DUE


def test_where_others_keep_to_the_processors_id_a_refusal_needs_no_sums(
    world: World, refund: Refund
) -> None:
    world.report_refund = replace(world.report_refund, others_report=OthersReport.BY_PROCESSOR_ID)
    world.book_by_hand(2500, refund.processor_refund_id or "")
    world.book_by_hand(100, "anything")
    assert world.report(refund.id) is Reported.REPORTED
    assert world.stored("k").report.cause is ReportCause.BY_REFERENCE
