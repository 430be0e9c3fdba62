"""Scenarios that the simulation found, each reduced to its few steps."""

from dataclasses import replace

import pytest

from refunds.errors import StripeUnavailableError
from refunds.link import VerifyCharge
from refunds.ports import Accepted, LedgerConflictError, MovementStatus, ProviderUnavailableError
from refunds.record import Stored
from refunds.refund import Refund
from refunds.report import ReportDeferredError, ReportFailedError
from refunds.state_machine import ReportState, State
from tests.fakes.book_fates import ReportLost
from tests.fakes.processor_fates import Conduct, NotSent, ReplyLost, RequestLost
from tests.fakes.world import STEP_MS, World


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


def test_an_error_is_told_only_if_no_other_call_with_the_key_has_begun(world: World) -> None:
    # Given a call that cannot read at Stripe, and another with its key that could, meanwhile
    read = world.book.payment_record

    def meanwhile(*_: object) -> object:
        world.book.payment_record = read  # type: ignore[method-assign]
        world.refund("k", amount=2500)
        raise ProviderUnavailableError("down")

    world.book.payment_record = meanwhile  # type: ignore[method-assign, assignment]
    # Then it does not say that nothing was executed
    answer = world.refund("k", amount=2500)
    assert (answer.refund.state, answer.replayed) == (State.SUCCEEDED, True)


def test_an_error_is_told_if_nothing_has_changed(world: World) -> None:
    world.processor.fates.append(NotSent())
    world.refund("k", amount=2500)
    world.book.is_down = True
    with pytest.raises(StripeUnavailableError):
        world.refund("k", amount=2500)


def test_a_movement_of_the_very_second_of_the_attempt_is_not_older_than_it() -> None:
    # Given no snapshot, and a processor that tells whole seconds
    world = World(verify_charge=VerifyCharge.NEVER)
    world.pay()
    world.clock.advance(500)
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    # When settling looks, then the movement is ours, though its second began before we did
    world.settle_due()
    assert world.stored("k").state is State.SUCCEEDED


@pytest.mark.parametrize("verify", list(VerifyCharge))
def test_a_webhook_reads_the_charge_whatever_is_read_before_sending(verify: VerifyCharge) -> None:
    world = World(verify_charge=verify)
    world.pay()
    world.refund("k", amount=2500)
    world.processor.refund_in_dashboard("charge-1", 1000)
    world.observe(world.payment().key, world.deadline())
    assert world.payment().moved == 3500


def test_a_refund_read_before_its_payment_has_lost_a_race_and_is_no_defect(world: World) -> None:
    # Given a refund as it was, and its payment as it is, with another refund in the slot
    seen: list[Refund] = []

    def look(_: object) -> NotSent:
        seen.append(world.stored("k"))
        return NotSent()

    world.processor.decide = look
    world.refund("k", amount=2500)
    world.processor.fates.append(RequestLost())
    world.refund("other", amount=2500)
    torn = Stored(seen[0], world.payment())
    with pytest.raises(LedgerConflictError):
        world.observe.recorder.write(torn, replace(torn.refund, next_check_ms=0))


def test_a_replayed_report_is_found_by_settling_should_its_message_be_lost(world: World) -> None:
    # Given a failed report that was redriven, and Stripe not answering
    refund = world.refund("k").refund
    world.book.decide = lambda _: ReportLost()
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=3, last=True)
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    # When its message is lost, then settling rings for it again
    stored = world.stored("k")
    assert (stored.report.state, stored.next_check_ms is not None) == (ReportState.DUE, True)
    world.doorbell.rung.clear()
    world.settle_for(3 * 3_600_000)
    assert refund.id in world.doorbell.rung


def test_a_review_that_is_bound_is_followed_as_closely_as_a_pending_refund(world: World) -> None:
    # Given a review, and then the late answer to the call itself: accepted, and pending
    world.processor.books.conduct = Conduct(MovementStatus.PENDING)
    world.processor.fates.append(ReplyLost())
    refund = world.refund("k", amount=2500).refund
    world.processor.refund_in_dashboard("charge-1", 2500)
    world.settle_due()
    review = Stored(world.stored("k"), world.payment())
    assert review.refund.state is State.REVIEW
    (movement,) = world.processor.moved_by(refund.id)
    world.observe.recorder.outcome(review, Accepted(movement), "test", world.deadline())
    # When it succeeds a little later, then that is known within minutes
    world.settle_for(2 * STEP_MS)
    world.processor.books.set_status(movement.id, MovementStatus.SUCCEEDED)
    world.settle_for(10 * STEP_MS)
    assert world.stored("k").state is State.SUCCEEDED


def test_what_others_reported_is_not_taken_for_a_report_that_was_refused(world: World) -> None:
    # Given a report that is due, and much that somebody else has reported of the same payment
    due = world.refund("one", amount=1000).refund
    assert due.report.parameters is not None
    world.book.report_elsewhere(
        replace(due.report.parameters, amount=9500, refund_reference="somebody-else")
    )
    # And that was learnt while nobody could say whether our report was part of Stripe's sum
    second = world.refund("two", amount=1).refund
    world.report(second.id)
    # When the report gets no answer, and is then refused since too little is left
    world.book.fates.append(ReportLost())
    with pytest.raises(ReportDeferredError):
        world.report(due.id)
    # Then it is not taken for booked, though the sum has risen by just as much
    with pytest.raises(ReportFailedError):
        world.report(due.id, receive=2)
    assert world.stored("one").report.state is ReportState.FAILED
