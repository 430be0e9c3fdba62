"""When settling looks again, what it writes down, and what it leaves to others."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refunds.errors import (
    AttemptsSpentError,
    CurrencyMismatchError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    RefundBridgeError,
)
from refunds.money import Money
from refunds.payment import PaymentKey
from refunds.ports import (
    Charge,
    ChargeNotFoundError,
    Commit,
    LedgerConflictError,
    Movement,
    MovementStatus,
    ProviderUnavailableError,
)
from refunds.refund import Refund, RefundType
from refunds.reserve import TakenByAnotherCallError
from refunds.settle import AfterHold, Settled
from refunds.state_machine import ReportState, State
from tests.contract.ledger.examples import a_refund
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    ExecutedLate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.fakes.world import HOLD_MS, LEASE_MS, STEP_MS, World

SCHEDULED = RefundType.SCHEDULED
TAKE_MS = 90_000
UNHEARD_MS = 7_200_000
DAY_MS = 24 * 60 * STEP_MS
CHARGE = PaymentKey("hitpay", "charge-1")


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


def settle(world: World, key: str = "k") -> Settled:
    """Settle the refund of that key, if it is due."""
    return world.settle(world.stored(key).id, world.deadline())


def settle_when_due(world: World, key: str = "k") -> Settled:
    """Let time pass until the refund is due, and settle it."""
    due_ms = world.stored(key).next_check_ms
    assert due_ms is not None
    world.clock.advance(max(0, due_ms - world.clock.now_ms()))
    return settle(world, key)


def waits(world: World, key: str = "k") -> int:
    """After how many milliseconds the refund is looked at again."""
    due_ms = world.stored(key).next_check_ms
    assert due_ms is not None
    return due_ms - world.clock.now_ms()


def unknown(world: World, key: str = "k") -> Refund:
    """A refund of SGD 25.00 that was never executed, and whose answer was lost."""
    world.processor.fates.append(RequestLost())
    return world.refund(key, amount=2500).refund


def pending(world: World) -> Refund:
    world.processor.books.conduct = Conduct(MovementStatus.PENDING)
    return world.refund("k", amount=2500).refund


def killed_while_sending(world: World) -> Refund:
    """A refund whose call died while it was sending, with nothing executed."""

    class Killed(BaseException):
        pass

    def killed(_: object) -> NotSent:
        raise Killed

    world.processor.decide = killed
    with pytest.raises(Killed):
        world.refund("k", amount=2500)
    return world.stored("k")


def before_next_commit(world: World, happens: Callable[[Commit], object]) -> None:
    commit = world.ledger.commit

    def interrupted(written: Commit) -> None:
        world.ledger.commit = commit  # type: ignore[method-assign]
        happens(written)
        commit(written)

    world.ledger.commit = interrupted  # type: ignore[method-assign, assignment]


class TestTaking:
    """A refund is one run's for a while, whatever that run comes to."""

    def test_it_is_taken_for_that_while(self, world: World) -> None:
        # Given a run that dies while it looks
        unknown(world)

        def dies(*_: object) -> Charge:
            raise KeyboardInterrupt

        world.processor.charge = dies  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            settle(world)
        # Then the refund is due again when that run's time is over
        assert waits(world) == TAKE_MS

    def test_what_is_not_due_is_left_alone(self, world: World) -> None:
        world.refund("k")
        before = world.stored("k")
        assert settle(world) is Settled.NOTHING_DUE
        assert world.stored("k") == before

    @pytest.mark.parametrize(
        "error", [LedgerConflictError("race"), TakenByAnotherCallError(a_refund())]
    )
    def test_somebody_else_who_wrote_meanwhile_goes_first(
        self, world: World, error: Exception
    ) -> None:
        refund = unknown(world)

        def raced(_: Commit) -> None:
            raise error

        before_next_commit(world, raced)
        assert settle(world) is Settled.HELD
        assert world.stored("k").state is refund.state

    @pytest.mark.parametrize("state", [State.REJECTED, State.ABORTED, State.FAILED])
    def test_what_nothing_is_owed_for_is_never_looked_at_again(
        self, world: World, state: State
    ) -> None:
        # Given a refund that an older release left due though it owes nothing
        world.processor.fates.append(Answered(422, "No."))
        refund = world.refund("k").refund
        world.ledger.refunds[refund.id] = replace(refund, state=state, next_check_ms=0)
        # When settling takes it, then that is put right
        assert settle(world) is Settled.NOTHING_DUE
        assert world.stored("k").next_check_ms is None

    def test_a_success_whose_report_is_done_is_never_looked_at_again(self, world: World) -> None:
        refund = world.refund("k").refund
        world.report(refund.id)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), next_check_ms=0)
        assert settle(world) is Settled.NOTHING_DUE
        assert world.stored("k").next_check_ms is None
        assert world.doorbell.rung == [refund.id]


class TestTakingOver:
    """The call that sent the refund has died."""

    def test_until_its_lease_is_over_only_that_call_may_write(self, world: World) -> None:
        # Given a refund that is looked at before its time
        refund = killed_while_sending(world)
        world.ledger.refunds[refund.id] = replace(refund, next_check_ms=0)
        # Then it is looked at again when its lease is over
        world.clock.advance(LEASE_MS - 1)
        assert settle(world) is Settled.HELD
        assert world.stored("k").state is State.SUBMITTING
        assert waits(world) == 1
        # And is taken over then
        world.clock.advance(1)
        assert settle(world) is Settled.HELD
        lost = world.stored("k")
        assert (lost.state, lost.lease_until_ms) == (State.UNKNOWN, None)
        line = lost.history[-1]
        assert (line.cause, line.actor, line.at_ms) == (
            "lease_over",
            "settle_refunds",
            world.clock.now_ms(),
        )

    def test_its_looks_count_from_there(self, world: World) -> None:
        # Given a refund that waited for its turn, looked at five times
        refund = killed_while_sending(world)
        world.ledger.refunds[refund.id] = replace(refund, looks=5)
        settle_when_due(world)
        assert (world.stored("k").looks, waits(world)) == (1, STEP_MS)

    def test_one_without_a_lease_is_taken_over_at_once(self, world: World) -> None:
        refund = killed_while_sending(world)
        world.ledger.refunds[refund.id] = replace(refund, lease_until_ms=None, next_check_ms=0)
        settle(world)
        assert world.stored("k").state is State.UNKNOWN

    def test_what_it_did_is_found_in_the_same_look(self, world: World) -> None:
        killed_while_sending(world)
        world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), None
        )
        assert settle_when_due(world) is Settled.MOVED_ON
        assert world.stored("k").state is State.SUCCEEDED


class TestBackoff:
    """Each look is a little later than the last."""

    def test_minutes_one_two_five_fifteen_thirty_sixty_and_then_every_hour(
        self, world: World
    ) -> None:
        unknown(world)
        seen = []
        for _ in range(8):
            assert settle_when_due(world) is Settled.HELD
            seen.append(waits(world) // STEP_MS)
        assert seen == [1, 2, 5, 15, 30, 60, 60, 60]
        stored = world.stored("k")
        assert (stored.looks, stored.look_ups) == (8, 8)
        assert stored.last_look == "no movement found"

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (ProviderUnavailableError("no answer"), "no look-up: ProviderUnavailableError"),
            (ChargeNotFoundError("gone"), "no look-up: the processor does not show the payment"),
        ],
    )
    def test_a_look_without_an_answer_is_no_look_up(
        self, world: World, error: Exception, told: str
    ) -> None:
        unknown(world)

        def fails(*_: object) -> Charge:
            raise error

        world.processor.charge = fails  # type: ignore[method-assign, assignment]
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.looks, stored.look_ups, stored.last_look) == (1, 0, told)

    def test_a_charge_that_lists_nothing_readable_is_no_look_up(self, world: World) -> None:
        unknown(world)
        world.processor.lists_refunds = False
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.looks, stored.look_ups) == (1, 0)
        assert stored.last_look == "no look-up: the charge lists no refunds"

    def test_a_review_is_looked_at_once_a_day(self, world: World) -> None:
        unknown(world)
        refund = world.stored("k")
        world.ledger.refunds[refund.id] = replace(refund, state=State.REVIEW)
        for _ in range(2):
            assert settle_when_due(world) is Settled.HELD
            assert waits(world) == DAY_MS
            assert world.stored("k").state is State.REVIEW

    def test_the_log_says_what_a_look_came_to(self, world: World) -> None:
        refund = unknown(world)
        settle(world)
        assert world.noted("looked_up") == [{"refund_id": refund.id, "verdict": "NoneYet"}]


class TestFound:
    """The movement is found."""

    def test_it_is_written_with_who_found_it_and_rung_for_at_once(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        world.clock.advance(STEP_MS)
        assert settle(world) is Settled.MOVED_ON
        stored = world.stored("k")
        line = stored.history[-2]
        assert (line.cause, line.actor, line.at_ms) == (
            "found",
            "settle_refunds",
            world.clock.now_ms(),
        )
        assert (stored.looks, stored.look_ups) == (0, 0)
        assert world.doorbell.rung == [refund.id]

    def test_one_that_is_pending_is_not_rung_for_and_its_looks_count_anew(
        self, world: World
    ) -> None:
        unknown(world)
        for _ in range(2):
            settle_when_due(world)
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        world.processor.refund_in_dashboard("charge-1", 2500)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.looks, stored.look_ups) == (State.PENDING, 0, 0)
        assert world.doorbell.rung == []

    def test_one_that_another_refund_claims_a_moment_earlier_is_not_ours(
        self, world: World
    ) -> None:
        # Given a movement that is claimed between reading and writing
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        before_next_commit(
            world,
            lambda _: world.ledger.movements.update({("hitpay", "hitpay-refund-1"): "rfd_other"}),
        )
        # Then it is held, and found to be another's the next time
        assert settle(world) is Settled.HELD
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN
        assert world.stored("k").last_look == "no movement found"

    def test_of_a_thousand_refunds_on_a_charge_the_owners_can_be_asked_for(
        self, world: World
    ) -> None:
        world.processor.books.checks_amounts = False
        unknown(world)
        for _ in range(1001):
            world.processor.refund_in_dashboard("charge-1", 1)
        assert settle(world) is Settled.HELD
        assert world.stored("k").last_look == "no movement found"


class TestHold:
    """Not found yet is not failed, until the hold is over."""

    def at_the_end(self, world: World, *, look_ups: int = 2, early_ms: int = 0) -> Refund:
        """A refund whose hold ends when settling next looks, with that many look-ups before."""
        refund = unknown(world)
        ends_ms = (refund.started_at_ms or 0) + HOLD_MS - early_ms
        world.ledger.refunds[refund.id] = replace(
            world.stored("k"), looks=5, look_ups=look_ups, next_check_ms=ends_ms
        )
        return refund

    def test_after_it_a_person_must_look(self, world: World) -> None:
        refund = self.at_the_end(world)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.looks, stored.look_ups) == (State.REVIEW, 0, 0)
        assert waits(world) == DAY_MS
        reason = "no movement found during the hold"
        line = stored.history[-1]
        assert (line.cause, line.actor, line.evidence) == (reason, "settle_refunds", {})
        assert world.noted("refund_needs_review") == [{"refund_id": refund.id, "reason": reason}]

    def test_a_moment_before_its_end_it_is_not_over(self, world: World) -> None:
        self.at_the_end(world, early_ms=1)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN

    def test_fewer_than_three_look_ups_do_not_end_it(self, world: World) -> None:
        self.at_the_end(world, look_ups=1)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN
        # And the third does
        assert settle_when_due(world) is Settled.MOVED_ON

    def test_it_begins_with_the_attempt_or_where_there_was_none_with_the_refund(
        self, world: World
    ) -> None:
        refund = self.at_the_end(world)
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
        refund = self.at_the_end(world)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.next_check_ms) == (State.FAILED, None)
        assert (stored.looks, stored.look_ups) == (0, 0)
        assert stored.failure is not None
        assert stored.failure.code == "not_executed"
        line = stored.history[-1]
        assert (line.cause, line.evidence) == ("hold_over", {"look_ups": 3})
        assert world.noted("refund_failed_by_hold") == [{"refund_id": refund.id}]

    def test_then_too_a_review_is_left_to_the_person_who_has_it(self) -> None:
        world = World(after_hold=AfterHold.FAILED)
        world.pay()
        refund = self.at_the_end(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), state=State.REVIEW)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.REVIEW
        assert world.stored("k").look_ups == 3

    def test_two_candidates_are_shown_to_the_person_once(self, world: World) -> None:
        unknown(world)
        names = []
        for _ in range(2):
            moved = world.processor.refund_in_dashboard("charge-1", 2500)
            assert isinstance(moved, Movement)
            names.append(moved.id)
        assert settle(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert stored.history[-1].evidence == {"movements": names}
        # And the daily look adds nothing to the history
        assert settle_when_due(world) is Settled.HELD
        looked = world.stored("k")
        assert looked.history == stored.history
        assert looked.last_look == "2 movements of this amount"
        assert (looked.looks, looked.look_ups) == (1, 1)
        assert len(world.noted("refund_needs_review")) == 1


class TestFoundFailed:
    """The only candidate failed: perhaps it is somebody else's, and ours may still arrive."""

    def failed_in_dashboard(self, world: World) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)

    def test_during_the_hold_it_decides_nothing(self, world: World) -> None:
        unknown(world)
        self.failed_in_dashboard(world)
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.state, stored.processor_refund_id) == (State.UNKNOWN, None)
        assert stored.last_look == "only hitpay-refund-1, which failed"
        assert stored.look_ups == 1

    def test_after_the_hold_it_was_ours(self, world: World) -> None:
        TestHold().at_the_end(world)
        self.failed_in_dashboard(world)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.processor_refund_id) == (State.FAILED, "hitpay-refund-1")

    def test_in_a_review_it_was_ours(self, world: World) -> None:
        refund = unknown(world)
        world.ledger.refunds[refund.id] = replace(refund, state=State.REVIEW)
        self.failed_in_dashboard(world)
        assert settle(world) is Settled.MOVED_ON
        assert world.stored("k").state is State.FAILED


class TestFollowingUp:
    """The movement is known, and not done."""

    def test_one_that_is_still_pending_is_held(self, world: World) -> None:
        pending(world)
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.last_look, stored.look_ups) == ("still pending", 1)

    def test_one_that_cannot_be_read_is_held(self, world: World) -> None:
        pending(world)
        world.processor.is_down = True
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.last_look, stored.look_ups) == ("no look-up: ProviderUnavailableError", 0)

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

    def test_one_that_has_ended_is_written_with_who_looked(self, world: World) -> None:
        refund = pending(world)
        world.processor.books.set_status("hitpay-refund-1", MovementStatus.SUCCEEDED)
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
        shown.movement = replace(shown.movement, money=Money(1, "sgd"))
        assert settle(world) is Settled.MOVED_ON
        reason = "the processor shows another refund"
        assert world.stored("k").state is State.REVIEW
        assert world.stored("k").history[-1].cause == reason
        assert world.noted("refund_needs_review") == [{"refund_id": refund.id, "reason": reason}]

    def test_a_bound_review_is_looked_at_as_often_as_a_pending_refund(self, world: World) -> None:
        refund = pending(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), state=State.REVIEW)
        assert settle(world) is Settled.HELD
        assert waits(world) == STEP_MS

    def test_a_bound_review_is_followed_to_its_end(self, world: World) -> None:
        # Given a review that is bound to a movement which is not done
        refund = pending(world)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), state=State.REVIEW)
        world.processor.lists_refunds = False
        world.processor.books.set_status("hitpay-refund-1", MovementStatus.SUCCEEDED)
        # Then the movement itself is read, not the charge
        assert settle(world) is Settled.MOVED_ON
        assert world.stored("k").state is State.SUCCEEDED


class TestScheduled:
    """Execution in the background."""

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
        assert world.processor.orders == []

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
            AttemptsSpentError,
            CurrencyMismatchError,
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
        # When its turn comes, then it fails
        assert settle(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.next_check_ms) == (State.FAILED, None)
        assert stored.failure is not None
        assert (stored.failure.code, stored.failure.message) == (error.code, "It is hopeless.")
        line = stored.history[-1]
        assert (line.cause, line.evidence) == ("cannot_be_sent", {"code": error.code})
        assert world.payment().held == 0

    @pytest.mark.parametrize("error", [ProcessorUnavailableError, PaymentNotFoundError])
    def test_what_waiting_may_mend_is_tried_again(
        self, world: World, error: type[RefundBridgeError]
    ) -> None:
        world.refund("k", amount=1, refund_type=SCHEDULED)
        self.meets(world, error("Not now."))
        assert settle(world) is Settled.HELD
        assert world.stored("k").state is State.REQUESTED

    def meets(self, world: World, error: Exception) -> None:
        def raises(*_: object) -> object:
            raise error

        world.book.payment_record = raises  # type: ignore[method-assign, assignment]


class TestRinging:
    """A report is due, and perhaps nobody has heard."""

    def test_it_is_rung_again_after_a_minute(self, world: World) -> None:
        refund = world.refund("k").refund
        # When it is looked at before a minute is over, then the queue is given that minute
        world.clock.advance(STEP_MS - 1)
        self.due(world)
        assert settle(world) is Settled.HELD
        assert world.stored("k").last_look == "the queue has it"
        assert world.doorbell.rung == [refund.id]
        # And is rung for again after it
        world.clock.advance(1)
        self.due(world)
        assert settle(world) is Settled.RUNG
        assert world.doorbell.rung == [refund.id] * 2
        report = world.stored("k").report
        assert (report.last_ring_ms, report.rings) == (world.clock.now_ms(), 1)
        assert world.stored("k").last_look == "rung"
        assert world.noted("rung_again") == [{"refund_id": refund.id, "rings": 1}]

    def test_the_first_look_at_it_is_not_idle(self, world: World) -> None:
        world.refund("k")
        assert STEP_MS <= waits(world) <= 75_000
        assert settle_when_due(world) is Settled.RUNG

    def test_it_is_written_over_the_refund_as_the_ledger_holds_it(self, world: World) -> None:
        world.refund("k")
        world.clock.advance(waits(world))
        over: list[int] = []

        def watch(commit: Commit) -> None:
            over.extend(write.before.report.rings for write in commit.refunds if write.before)

        before_next_commit(world, watch)
        assert settle(world) is Settled.RUNG
        assert over == [0]

    def test_one_that_a_worker_has_heard_of_after_two_hours(self, world: World) -> None:
        refund = world.refund("k").refund
        world.ledger.take_report(refund.id, now_ms=world.clock.now_ms(), lease_until_ms=0)
        world.clock.advance(UNHEARD_MS - 1)
        assert settle(world) is Settled.HELD
        world.clock.advance(1)
        self.due(world)
        assert settle(world) is Settled.RUNG
        assert len(world.doorbell.rung) == 2

    def test_one_that_was_never_rung_for_at_once(self, world: World) -> None:
        refund = world.refund("k").refund
        report = replace(world.stored("k").report, last_ring_ms=None)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), report=report, next_check_ms=0)
        assert settle(world) is Settled.RUNG

    def test_a_broken_doorbell_counts_no_ring(self, world: World) -> None:
        world.doorbell.is_broken = True
        world.refund("k")
        assert settle_when_due(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.last_look, stored.report.rings) == ("the doorbell is broken", 0)
        assert stored.report.state is ReportState.DUE

    def due(self, world: World) -> None:
        stored = world.stored("k")
        world.ledger.refunds[stored.id] = replace(stored, next_check_ms=world.clock.now_ms())
