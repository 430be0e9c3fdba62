"""What is looked at after a refund has ended, and when it is looked at again."""

from dataclasses import replace

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import PaymentMethodKind, ReferenceType
from refund_bridge.domain.report import ProviderAnswer, ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.runtime import Deadline
from refund_bridge.settling.settling import AfterHold, Settled
from tests.fakes.processor_fates import Answered, NotSent
from tests.fakes.world import STEP_MS, World
from tests.unit.settling.looks_at_refunds import (
    at_the_end_of_its_hold,
    killed_while_sending,
    settle_when_due,
    waits,
)

HOUR_MS = 60 * STEP_MS
DAY_MS = 24 * HOUR_MS


def reported(world: World) -> Refund:
    """A refund of SGD 25.00 that has succeeded, and that Stripe was told of a little later."""
    refund = world.refund("k", amount=2500).refund
    world.clock.advance(5 * STEP_MS)
    world.report(refund.id)
    return world.stored("k")


def test_the_hours_count_from_the_last_thing_that_happened(world: World) -> None:
    # Given a refund that was reported some minutes after it had succeeded
    ended_ms = reported(world).history[-1].at_ms
    assert waits(world) == HOUR_MS
    # When it is looked at in time, and late
    settle_when_due(world)
    assert world.stored("k").next_check_ms == ended_ms + DAY_MS
    world.clock.advance(8 * DAY_MS)
    settle_when_due(world)
    # Then the looks are due by the time of that report
    assert world.stored("k").next_check_ms == ended_ms + 30 * DAY_MS


def test_one_that_stripe_does_not_answer_about_is_looked_at_again_soon(world: World) -> None:
    reported(world)
    world.stripe.is_down = True
    for looks, minutes in ((1, 1), (2, 2)):
        assert settle_when_due(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.last_look, stored.looks) == (
            "not looked after: stripe_unavailable",
            looks,
        )
        assert waits(world) == minutes * STEP_MS
    # And when Stripe answers, then its pauses begin anew the next time
    world.stripe.is_down = False
    assert settle_when_due(world) is Settled.HELD
    assert world.stored("k").looks == 0
    assert waits(world) > HOUR_MS


def test_what_the_processor_answers_instead_is_kept(world: World) -> None:
    before = reported(world)
    world.processor.is_down = True
    assert settle_when_due(world) is Settled.HELD
    now_ms, said = world.clock.now_ms(), "hitpay: no whole answer"
    assert world.stored("k") == replace(
        before,
        looks=1,
        last_look=f"not looked after: {said}",
        answers=(ProviderAnswer(attempt=1, at_ms=now_ms, said=said),),
        next_check_ms=now_ms + STEP_MS,
        revision=before.revision + 2,
    )


def test_of_a_processor_that_is_set_up_no_more_nothing_is_asked(world: World) -> None:
    before = reported(world)
    door = world.doors.pop("hitpay")
    door.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
    world.stripe.is_down = True
    assert settle_when_due(world) is Settled.HELD
    # Then it is looked at a day after its end, as if nothing had been found
    due_ms = before.history[-1].at_ms + DAY_MS
    assert world.stored("k") == replace(before, next_check_ms=due_ms, revision=before.revision + 2)


def test_what_came_back_is_seen_by_its_id_where_its_payment_lists_nothing(world: World) -> None:
    reported(world)
    world.processor.lists_refunds = False
    world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
    assert settle_when_due(world) is Settled.MOVED_ON
    assert world.stored("k").late_failure_at_ms == world.clock.now_ms()


def test_one_that_stripe_turns_out_not_to_know_is_rung_for_at_once(world: World) -> None:
    # Given a refund that others seem to have reported, by the sums
    refund = world.refund("k", amount=2500).refund
    world.clock.advance(DAY_MS)
    world.book_by_hand(2500, "ticket-4711")
    for _ in range(2):
        world.report(refund.id)
    assert world.stored("k").report.cause is ReportCause.BY_SUMS
    # When Stripe shows less than that
    world.stripe.books.reports.clear()
    assert settle_when_due(world) is Settled.MOVED_ON
    # Then its report is due, now
    assert (world.stored("k").report.state, waits(world)) == (ReportState.DUE, 0)
    assert settle_when_due(world) is Settled.RUNG


def test_one_of_a_payment_without_a_record_is_looked_at_at_its_processor() -> None:
    # Given money to a card, which no record books, and which was refused
    world = World(doors=("ccg",))
    world.processor.books.methods["method-1"] = PaymentMethodKind.CARD
    world.processor.fates.append(Answered(422, "No."))
    refused = world.refund(
        "k",
        record="method-1",
        reference_type=ReferenceType.PAYMENT_METHOD,
        customer={"hsid": "9c80e161"},
        amount=2500,
        currency="usd",
        processor="ccg",
    ).refund
    assert (refused.state, refused.payment_record) == (State.REJECTED, None)
    # When it is looked at, then it is asked for there, until there is an answer
    world.processor.is_down = True
    assert settle_when_due(world) is Settled.HELD
    assert world.stored("k").last_look == "not looked after: ccg: no whole answer"
    world.processor.is_down = False
    assert settle_when_due(world) is Settled.HELD
    assert world.stored("k").next_check_ms == refused.updated_at_ms + DAY_MS


def test_one_that_failed_since_nothing_was_found_is_looked_at_after_an_hour_too() -> None:
    # Given a refund that failed by the hold, and is looked at a minute later
    world = World(after_hold=AfterHold.FAILED)
    world.pay()
    at_the_end_of_its_hold(world)
    settle_when_due(world)
    ended_ms = world.clock.now_ms()
    assert (world.stored("k").state, waits(world)) == (State.FAILED, STEP_MS)
    # Then the next look is an hour after its end
    settle_when_due(world)
    assert world.stored("k").next_check_ms == ended_ms + HOUR_MS


def test_one_whose_call_is_repeated_meanwhile_is_left_to_that_call() -> None:
    # Given a refund that was not sent, of a payment that lists nothing
    world = World(doors=("hyperswitch",))
    world.pay()
    world.processor.lists_refunds = False
    world.processor.fates.append(NotSent())
    assert world.refund("k", amount=2500).refund.state is State.ABORTED
    find_by_key, sent = world.processor.find_by_key, list[Refund]()

    def meanwhile(
        refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        found = find_by_key(refund_id, payment_id, deadline)
        sent.append(killed_while_sending(world))
        return found

    # When its caller repeats it while it is looked for, and that call dies
    world.processor.find_by_key = meanwhile  # type: ignore[method-assign]
    assert settle_when_due(world) is Settled.MOVED_ON
    # Then it stays that call's until its lease is over
    assert sent == [world.stored("k")]
    assert sent[0].state is State.SUBMITTING
