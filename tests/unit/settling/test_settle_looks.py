"""When settling looks again, and whose the refund is meanwhile."""

from dataclasses import replace
from itertools import count

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Failure
from refund_bridge.domain.report import ProviderAnswer
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import Why, transition
from refund_bridge.ports.ledger import Commit, LedgerConflictError, PaymentWrite, RefundWrite
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.reserve import TakenByAnotherCallError
from refund_bridge.settling.find_out import UNREADABLE
from refund_bridge.settling.settling import Settled
from tests.contract.ledger.examples import a_refund
from tests.fakes.processor_fates import Answered, Conduct, NotSent
from tests.fakes.world import HOLD_MS, LEASE_MS, STEP_MS, World
from tests.unit.settling.looks_at_refunds import (
    before_next_commit,
    killed_while_sending,
    settle,
    settle_when_due,
    unknown,
    waits,
)

TAKE_MS = 90_000
HOUR_MS = 60 * STEP_MS
DAY_MS = 24 * HOUR_MS


def fail(world: World, refund_id: str) -> None:
    """Somebody else finds out that the refund moved nothing, and writes that."""
    recorder = world.settle.recorder
    stored = recorder.read(refund_id)
    why = Why(at_ms=world.clock.now_ms(), cause="resolved", actor="somebody")
    failure = Failure(code="not_executed", message="No.")
    failed = transition(stored.refund, Event.FAIL, why, failure=failure, next_check_ms=None)
    recorder.write(stored, failed)


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

    @pytest.mark.parametrize("answer", [ProviderUnavailableError("503"), ChargeNotFoundError("?")])
    def test_a_payment_that_cannot_be_read_once_more_is_no_error_of_the_run(
        self, world: World, answer: Exception
    ) -> None:
        # Given a refund that moved, and one that nobody knows of, of a payment that lists nothing
        world.processor.lists_refunds = False
        world.refund("before", amount=1000)
        refund = unknown(world)
        charge, reads = world.processor.charge, count(1)

        def read(charge_id: str, deadline: Deadline) -> Charge:
            if next(reads) == 2:
                raise answer
            shown = charge(charge_id, deadline)
            fail(world, refund.id)
            return shown

        # When somebody else ends it while the payment is read, which then cannot be read again
        world.processor.charge = read  # type: ignore[method-assign]
        # Then the run ends as after any other write of somebody else
        assert settle_when_due(world) is Settled.HELD
        assert next(reads) == 3
        assert world.stored("k").state is State.FAILED

    @pytest.mark.parametrize("fate", [Answered(422, "No."), Answered(401)])
    def test_what_was_turned_down_is_looked_at_four_times_in_a_month(
        self, world: World, fate: Answered
    ) -> None:
        world.processor.fates.append(fate)
        ended_ms = world.refund("k").refund.updated_at_ms
        for hours in (1, 24, 7 * 24, 30 * 24):
            assert world.stored("k").next_check_ms == ended_ms + hours * 60 * STEP_MS
            assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").next_check_ms is None

    def test_a_success_whose_report_is_done_is_looked_at_four_times_in_a_month(
        self, world: World
    ) -> None:
        refund = world.refund("k").refund
        world.report(refund.id)
        reported_ms = world.stored("k").report.reported_at_ms or 0
        hour_ms = 60 * STEP_MS
        for hours in (1, 24, 7 * 24, 30 * 24):
            assert world.stored("k").next_check_ms == reported_ms + hours * hour_ms
            assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").next_check_ms is None
        assert world.doorbell.rung == [refund.id]

    def test_a_success_that_came_back_without_a_webhook_is_noticed(self, world: World) -> None:
        refund = world.refund("k").refund
        world.report(refund.id)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        settle_when_due(world)
        assert world.stored("k").late_failure_at_ms is not None
        assert len(world.noted("refund_taken_back")) == 1

    def test_what_hyperswitch_takes_back_is_told_once_and_keeps_its_amount(self) -> None:
        # Given a refund of 600 that succeeded at Hyperswitch and that Stripe was told of
        world = World(doors=("hyperswitch",))
        world.pay()
        refund = world.refund("k", amount=600).refund
        world.report(refund.id)

        # When it shows the refund as failed, and the rest of the payment is refunded
        world.processor.books.set_status("hyperswitch-refund-1", ProcessorRefundStatus.FAILED)
        settle_when_due(world)
        assert world.refund("rest").refund.amount == 9399

        # Then the first stays a success, taken back, since Stripe cannot un-book it
        stored = world.stored("k")
        assert (stored.state, stored.late_failure_at_ms is None) == (State.SUCCEEDED, False)
        assert len(world.noted("refund_taken_back")) == 1
        assert (world.payment().refundable, world.at_processor) == (0, 9399)

    def test_sums_that_do_not_fit_ring_when_they_are_read_twice_alike(self, world: World) -> None:
        refund = world.refund("k", amount=1000).refund
        world.report(refund.id)
        world.book_by_hand(2500, "ticket-for-nothing")
        settle_when_due(world)
        assert world.noted("stripe_higher") == []
        assert world.stored("k").next_check_ms == world.clock.now_ms() + STEP_MS
        settle_when_due(world)
        (alarm,) = world.noted("stripe_higher")
        assert (alarm["payment_record"], alarm["amount"]) == ("pr_1", 2500)

    def test_so_does_a_sum_that_lacks_what_stripe_accepted(self, world: World) -> None:
        # Given a report that Stripe accepted, and does not show any more
        refund = world.refund("k", amount=1000).refund
        world.report(refund.id)
        world.stripe.books.reports.clear()
        # When its sum is read twice
        settle_when_due(world)
        settle_when_due(world)
        # Then a person is told, with what is missing
        facts = {"payment_record": "pr_1", "charge": "charge-1", "amount": 1000}
        assert world.noted("stripe_lower") == [facts]


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
        assert stored.last_look == "no processor refund found"

    @pytest.mark.parametrize(
        ("error", "told", "said"),
        [
            (ProviderUnavailableError("no answer"), "no answer", "no answer"),
            (ProviderUnavailableError("not asked", was_asked=False), "not asked", None),
            (ChargeNotFoundError("gone"), "the processor does not show the payment", None),
            (UnreadableAnswerError("odd"), f"{UNREADABLE}: odd", "odd"),
        ],
    )
    def test_a_look_without_an_answer_is_no_look_up(
        self, world: World, error: Exception, told: str, said: str | None
    ) -> None:
        before, now_ms = unknown(world), world.clock.now_ms()

        def fails(*_: object) -> Charge:
            raise error

        world.processor.charge = fails  # type: ignore[method-assign, assignment]
        assert settle(world) is Settled.HELD
        # Then what the processor answered is kept, if it was asked
        kept = () if said is None else (ProviderAnswer(attempt=1, at_ms=now_ms, said=said),)
        assert world.stored("k") == replace(
            before,
            looks=1,
            last_look=f"no look-up: {told}",
            answers=kept,
            next_check_ms=now_ms + STEP_MS,
            revision=before.revision + 2,
        )

    def test_a_look_that_finds_news_of_another_refund_decides_nothing(self, world: World) -> None:
        # Given a pending refund that has succeeded at the processor, and one that nobody knows of
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("beside", amount=1000)
        unknown(world)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        # When settling looks for the second one, then it writes that of the first
        assert settle(world) is Settled.HELD
        assert world.stored("beside").state is State.SUCCEEDED
        # And looks again when this run's time is over
        assert (world.stored("k").looks, waits(world)) == (0, TAKE_MS)
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").last_look == "no processor refund found"

    def test_a_charge_that_lists_nothing_readable_is_no_look_up(self, world: World) -> None:
        unknown(world)
        world.processor.lists_refunds = False
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.looks, stored.look_ups) == (1, 0)
        assert stored.last_look == "no look-up: the charge lists no refunds"
        # And nothing is decided before it can be read
        world.processor.lists_refunds = True
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").look_ups == 1

    def test_one_odd_answer_at_the_end_of_the_hold_calls_nobody(self, world: World) -> None:
        # Given a refund that was looked up well for the whole hold
        unknown(world)
        world.settle_for(HOLD_MS - HOUR_MS)
        world.clock.advance(2 * HOUR_MS)
        # When the charge lists nothing readable just then, then it is looked at again
        world.processor.lists_refunds = False
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN
        # And a person decides when it shows the same
        assert settle_when_due(world) is Settled.MOVED_ON
        assert world.stored("k").state is State.REVIEW

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


def test_an_aborted_refund_of_a_payment_out_of_step_is_looked_after_by_schedule(
    world: World,
) -> None:
    # Given a refund that was not sent, and somebody's booking at Stripe that nothing stands for
    world.processor.fates.append(NotSent())
    world.refund("k", amount=2500)
    stored = world.stored("k")
    payment = world.ledger.payments[payment_key_of(stored)]
    world.book_by_hand(300, "ticket")
    world.ledger.commit(Commit(payments=[PaymentWrite(payment, replace(payment, unexplained=300))]))
    due = replace(world.stored("k"), next_check_ms=world.clock.now_ms())
    world.ledger.commit(Commit(refunds=[RefundWrite(world.stored("k"), due)]))
    # When a day passes
    world.live_for(DAY_MS)
    # Then it was looked after at once, after an hour and after a day, and not every minute
    assert world.stored("k").state is State.ABORTED
    assert 1 <= len(world.noted("stripe_higher")) <= 3
