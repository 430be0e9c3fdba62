"""Scenes in which a reviewer saw money counted twice, lost from sight, or told of wrongly."""

from dataclasses import replace

import pytest

from refunds.adapters.ledger_checks import ITEM_BYTES_MAX
from refunds.errors import AttemptsSpentError, InvalidRequestError
from refunds.money import Money
from refunds.ports import (
    Accepted,
    LedgerConflictError,
    LedgerUnavailableError,
    Movement,
    MovementStatus,
)
from refunds.record import Stored
from refunds.refund import RefundType, noted
from refunds.report import ReportDeferredError, Reported, ReportFailedError
from refunds.requests import validate_body
from refunds.reserve import ATTEMPTS_MAX
from refunds.settle import AfterHold
from refunds.state_machine import ReportState, State
from tests.contract.ledger.examples import why
from tests.fakes.book_fates import AnswerLost, Fails, ReportLost
from tests.fakes.processor_fates import Answered, Conduct, NotSent, ReplyLost
from tests.fakes.world import HOLD_MS, STEP_MS, World


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


class TestSizes:
    """An outcome is written however large its refund has become."""

    def test_metadata_that_would_not_leave_room_is_refused_before_anything_moves(self) -> None:
        metadata = {str(number): "\U0001f4b8" * 500 for number in range(50)}
        with pytest.raises(InvalidRequestError):
            validate_body({"payment_record": "pr_1", "metadata": metadata})

    def test_fifty_values_of_five_hundred_ascii_characters_are_taken(self) -> None:
        metadata = {f"{number:040d}": "x" * 500 for number in range(50)}
        assert validate_body({"payment_record": "pr_1", "metadata": metadata})

    def test_a_history_that_has_grown_too_long_does_not_stop_the_outcome(
        self, world: World
    ) -> None:
        # Given a refund whose history was filled to the limit while it was being sent
        def meanwhile(order: object) -> ReplyLost:
            refund = world.stored("k")
            line = why("note", text="x" * 1900)
            while len(refund.history) * 1900 < ITEM_BYTES_MAX:
                refund = noted(refund, line)
            world.ledger.refunds[refund.id] = refund
            return ReplyLost()

        world.processor.decide = meanwhile
        # When its answer is lost and settling finds out
        assert world.refund("k", amount=2500).refund.state is State.UNKNOWN
        world.settle_due()
        # Then what became of it is written, and told to Stripe
        assert world.stored("k").state is State.SUCCEEDED
        assert world.report(world.stored("k").id) is Reported.REPORTED

    def test_attempts_that_moved_nothing_end(self, world: World) -> None:
        world.processor.decide = lambda _: NotSent()
        for _ in range(ATTEMPTS_MAX):
            world.refund("k")
        with pytest.raises(AttemptsSpentError):
            world.refund("k")
        assert len(world.processor.orders) == ATTEMPTS_MAX
        assert world.refund("another").refund.state is State.ABORTED


class TestRefundsOfOthers:
    """Each counts once, and Stripe hears of it once."""

    def test_one_that_was_first_seen_as_a_sum_is_not_counted_again_when_it_is_listed(
        self, world: World
    ) -> None:
        # Given a refund in the dashboard that at first shows in the sum only
        world.refund("first", amount=300)
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.lists_refunds = False
        world.refund("second", amount=300)
        assert world.payment().refundable == 9999 - 600 - 3000
        # When it is listed
        world.processor.lists_refunds = True
        world.observe(world.payment().key, world.deadline())
        # Then it is held once
        assert world.payment().refundable == 9999 - 600 - 3000

    def test_one_from_before_us_is_not_reported_when_it_is_listed_late(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.lists_refunds = False
        world.clock.advance(STEP_MS)
        world.refund("first", amount=300)
        world.processor.lists_refunds = True
        world.observe(world.payment().key, world.deadline())
        (imported,) = [r for r in world.ledger.refunds.values() if r.source == "processor"]
        assert imported.report.state is ReportState.NOT_DUE
        assert world.payment().refundable == 9999 - 3300

    def test_one_that_was_pending_when_we_came_is_not_reported_when_it_ends(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.books.conduct = Conduct()
        world.refund("first", amount=300)
        (imported,) = [r for r in world.ledger.refunds.values() if r.source == "processor"]
        assert imported.processor_refund_id is not None
        world.processor.books.set_status(imported.processor_refund_id, MovementStatus.SUCCEEDED)
        world.settle_for(5 * STEP_MS)
        settled = world.ledger.refunds[imported.id]
        assert (settled.state, settled.report.state) == (State.SUCCEEDED, ReportState.NOT_DUE)


class TestReports:
    """What Stripe shows is not mistaken for somebody else's, nor somebody else's for ours."""

    def test_a_failed_report_that_stripe_booked_is_not_taken_for_anothers(
        self, world: World
    ) -> None:
        # Given a report that was booked, and every answer to it lost
        refund = world.refund("k", amount=4000).refund
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        world.book.fates.append(AnswerLost())
        with pytest.raises(Exception, match=r".*"):
            world.report(refund.id, receive=1)
        # When the payment is refunded again
        other = world.refund("other", amount=100)
        # Then the headroom is that of the two
        assert other.payment is not None
        assert other.payment.refundable == 9999 - 4100

    def test_two_reports_of_one_payment_that_stripe_booked_without_telling_end_reported(
        self, world: World
    ) -> None:
        # Given two reports of one payment, both booked and answered with a 500
        one, two = (world.refund(key, amount=1000).refund for key in ("one", "two"))
        world.book.fates.extend([Fails(booked=True), Fails(booked=True)])
        for refund in (one, two):
            with pytest.raises(ReportDeferredError):
                world.report(refund.id)
        # When each is refused as a repeat, then the sum tells that both are booked
        assert world.report(one.id, receive=2) is Reported.REPORTED
        assert world.report(two.id, receive=2) is Reported.REPORTED
        assert len(world.book.books.reports_of("pr_1")) == 2

    def test_an_unclear_report_that_the_record_shows_is_not_given_up(self, world: World) -> None:
        refund = world.refund("k", amount=4000).refund
        world.book.fates.append(AnswerLost())
        assert world.report(refund.id, receive=8, last=True) is Reported.REPORTED

    def test_a_first_refusal_is_not_explained_by_anothers_report_of_the_same_amount(
        self, world: World
    ) -> None:
        refund = world.refund("k", amount=9999).refund
        assert refund.report.parameters is not None
        world.book.report_elsewhere(
            replace(refund.report.parameters, refund_reference="somebody-else")
        )
        with pytest.raises(ReportFailedError):
            world.report(refund.id)

    def test_what_was_taken_back_after_its_report_failed_is_never_reported(
        self, world: World
    ) -> None:
        refund = world.refund("k", amount=2500).refund
        world.book.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        assert refund.processor_refund_id is not None
        world.processor.books.set_status(refund.processor_refund_id, MovementStatus.FAILED)
        world.observe(world.payment().key, world.deadline())
        assert world.report(refund.id, receive=1) is Reported.NOTHING_DUE
        assert world.book.books.reports_of("pr_1") == []


class TestLateAnswers:
    """The answer to our own call, after settling has decided."""

    def test_another_movement_than_the_one_that_was_bound_is_imported(self, world: World) -> None:
        # Given an unknown refund that settling bound to a dashboard refund of the same amount
        world.processor.fates.append(Answered(500))
        refund = world.refund("k", amount=2500).refund
        world.processor.refund_in_dashboard("charge-1", 2500)
        world.settle_due()
        bound = Stored(world.stored("k"), world.payment())
        assert bound.refund.state is State.SUCCEEDED
        # When our own movement shows in a late answer
        ours = world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), refund.id
        )
        sent = replace(bound, refund=refund)
        assert isinstance(ours, Movement)
        world.execute.recorder.outcome(sent, Accepted(ours), "test", world.deadline())
        # Then both are in the ledger, each owing its report
        due = [r for r in world.ledger.refunds.values() if r.report.state is ReportState.DUE]
        assert len(due) == 2
        assert world.payment().refundable == 9999 - 5000

    def test_a_movement_of_a_refund_that_failed_by_the_hold_is_linked_and_alarmed(self) -> None:
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
        assert isinstance(ours, Movement)
        sent = replace(failed, refund=refund)
        world.execute.recorder.outcome(sent, Accepted(ours), "test", world.deadline())
        # Then its movement is in the ledger, linked, due at Stripe, and somebody is told
        (linked,) = [r for r in world.ledger.refunds.values() if r.contradicts == refund.id]
        assert linked.report.state is ReportState.DUE
        assert world.payment().doubtful == ()
        told = {"movement": ours.id, "failed": refund.id}
        assert ("movement_contradicts", told) in world.trail.notes

    def test_a_conflict_and_then_no_answer_of_the_ledger_lose_nothing(self, world: World) -> None:
        failures: list[str] = []
        commit, read = world.ledger.commit, world.ledger.refund

        def conflict(written: object) -> None:
            if world.processor.orders and len(failures) == 0:
                failures.append("conflict")
                raise LedgerConflictError("another write")
            commit(written)  # type: ignore[arg-type]

        def unavailable(refund_id: str) -> object:
            if failures == ["conflict"]:
                failures.append("unavailable")
                raise LedgerUnavailableError("no answer")
            return read(refund_id)

        world.ledger.commit = conflict  # type: ignore[method-assign, assignment]
        world.ledger.refund = unavailable  # type: ignore[method-assign, assignment]
        assert world.refund("k").refund.state is State.SUCCEEDED
        assert failures == ["conflict", "unavailable"]


class TestLookUps:
    """A look-up that shows something else than what was asked about."""

    def test_another_amount_is_for_a_person(self, world: World) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        refund = world.refund("k", amount=2500).refund
        shown = world.processor.books.refunds[refund.processor_refund_id or ""]
        shown.movement = replace(
            shown.movement, money=Money(9999, "sgd"), status=MovementStatus.SUCCEEDED
        )
        world.settle_for(5 * STEP_MS)
        assert world.stored("k").state is State.REVIEW
        assert world.stored("k").report.state is ReportState.NOT_DUE
        assert "refund_needs_review" in world.trail.events


def test_a_scheduled_refund_that_waits_shows_no_failure(world: World) -> None:
    world.processor.fates.append(NotSent())
    world.refund("k", refund_type=RefundType.SCHEDULED)
    world.settle_due()
    assert (world.stored("k").state, world.stored("k").failure) == (State.REQUESTED, None)


def test_the_processors_wish_to_wait_is_passed_on(world: World) -> None:
    world.processor.fates.append(Answered(429, retry_after_s=120))
    failure = world.refund("k").refund.failure
    assert failure is not None
    assert failure.retry_after_s == 120
