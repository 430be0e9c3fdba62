"""A processor that keeps our refund's id as the instruction's key: nothing has to be guessed."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import Commit
from refund_bridge.ports.processor import Dedupe, UnreadableAnswerError
from refund_bridge.reporting.report import Reported
from refund_bridge.settling.settling import AfterHold, Settled
from tests.fakes.processor import FakeProcessor
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    Executed,
    ExecutedLate,
    ReplyLost,
    RequestLost,
)
from tests.fakes.world import HOLD_MS, LEASE_MS, STEP_MS, World

HOUR_MS = 3_600_000
BY_KEY = ("hyperswitch", "ccg")


@pytest.fixture(params=BY_KEY)
def world(request: pytest.FixtureRequest) -> World:
    """A world with one payment of SGD 99.99 at a processor that dedupes by key."""
    made = World(doors=(request.param,))
    made.pay()
    return made


def repeated(world: World) -> list[bool]:
    """Of each instruction that was handed over, whether it was said to be repeated."""
    return [instruction.repeated for instruction in world.processor.instructions]


class TestTurnedDown:
    """The processor said that it had not executed the instruction, and has."""

    @pytest.mark.parametrize("fate", [Answered(422, "No."), Answered(401)])
    def test_a_later_look_by_its_key_finds_it(self, world: World, fate: Answered) -> None:
        # Given an instruction that was turned down, and is executed half an hour later
        world.processor.fates.append(fate)
        refund = world.refund("k", amount=2500).refund
        world.live_for(HOUR_MS // 2)
        world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), refund.id
        )
        # When settling looks at it an hour after it ended
        world.live_for(HOUR_MS)
        # Then it has succeeded after all, whatever payments list, and Stripe hears of it
        assert world.stored("k").state is State.SUCCEEDED
        assert world.at_stripe == 2500
        assert world.imported() == []

    def test_it_is_found_where_payments_list_other_ids(self) -> None:
        world = World(doors=("hyperswitch",))
        world.pay()
        world.processor.books.lists_other_ids = True
        world.processor.fates.append(Answered(422, "No."))
        refund = world.refund("k", amount=2500).refund
        made = world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), refund.id
        )
        assert isinstance(made, ProcessorRefund)
        world.live_for(2 * HOUR_MS)
        assert world.stored("k").processor_refund_id == made.id

    def test_while_it_gives_no_answer_the_refund_stays_as_it_is(self, world: World) -> None:
        world.processor.fates.append(Answered(422, "No."))
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.live_for(2 * HOUR_MS)
        assert world.stored("k").state is State.REJECTED
        assert world.stored("k").next_check_ms is not None


class TestFound:
    """The instruction was executed, and its answer lost."""

    def test_it_is_found_by_its_key_though_others_are_alike(self, world: World) -> None:
        # Given a refund that was executed, its answer lost, and one of the same amount beside it
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        world.in_dashboard(2500)
        # When settling looks
        world.settle_due()
        # Then it is bound to its own, and Stripe hears of that
        (processor_refund,) = world.processor.moved_by(refund.id)
        settled = world.stored("k")
        assert (settled.state, settled.processor_refund_id) == (
            State.SUCCEEDED,
            processor_refund.id,
        )
        assert settled.history[-2].cause == "found_by_order"
        assert world.report(refund.id) is Reported.REPORTED
        assert repeated(world) == [False]

    def test_one_that_failed_there_has_failed_in_the_processors_words(self, world: World) -> None:
        # Given an instruction that the processor took and then failed, and whose answer was lost
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        # When settling looks
        world.settle_due()
        # Then it is certain that it was ours, so nothing has to be waited for
        assert world.stored("k").state is State.FAILED
        assert world.payment().refundable == 9999

    def test_a_call_that_died_is_settled_by_its_key(self, world: World) -> None:
        # Given a function that died while the processor executed its refund
        class Killed(BaseException):
            pass

        def killed(instruction: object) -> Executed:
            world.processor.books.arrive(instruction)  # type: ignore[arg-type]
            raise Killed

        world.processor.decide = killed
        with pytest.raises(Killed):
            world.refund("k", amount=2500)
        world.processor.decide = lambda _: Executed()
        # When its lease is over
        world.clock.advance(LEASE_MS + STEP_MS)
        world.settle_due()
        # Then it succeeded once
        assert world.stored("k").state is State.SUCCEEDED
        assert len(world.processor.books.refunds) == 1


class TestHandedOverAgain:
    """The instruction did not arrive, as far as the processor says."""

    def test_the_second_time_that_it_is_not_known_it_is_sent_again(self, world: World) -> None:
        # Given an instruction that was lost on its way
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        # When settling looks once, and once more
        world.settle_due()
        assert repeated(world) == [False]
        world.settle_for(2 * STEP_MS)
        # Then the same instruction went out again, said to be repeated, and moved money once
        assert repeated(world) == [False, True]
        assert world.stored("k").state is State.SUCCEEDED
        (processor_refund,) = world.processor.moved_by(refund.id)
        assert processor_refund.money.amount == 2500
        assert "handed_over_again" in [entry.cause for entry in world.stored("k").history]
        assert world.noted("handed_over_again") == [{"refund_id": refund.id, "outcome": "accepted"}]

    def test_an_instruction_that_arrives_late_after_all_moves_no_second_amount(
        self, world: World
    ) -> None:
        # Given an instruction that arrives after it was repeated
        world.processor.fates.append(ExecutedLate(10 * STEP_MS))
        refund = world.refund("k", amount=2500).refund
        world.settle_for(20 * STEP_MS)
        # Then the key has stopped the second of the two
        assert len(world.processor.moved_by(refund.id)) == 1
        assert len(world.processor.books.refunds) == 1
        assert world.stored("k").state is State.SUCCEEDED

    def test_it_is_repeated_a_few_times_at_most_and_then_a_person_decides(
        self, world: World
    ) -> None:
        # Given a processor at which no instruction ever arrives
        world.processor.decide = lambda _: RequestLost()
        world.refund("k", amount=2500)
        # When the hold is over, which begins anew with every instruction
        world.settle_for(2 * HOLD_MS)
        # Then a person has to look, and the amount is held
        assert repeated(world) == [False, True, True, True]
        assert world.stored("k").state is State.REVIEW
        assert world.payment().refundable == 7499

    def test_where_a_hold_ends_in_failure_the_last_instruction_counts(self) -> None:
        # Given an operator who lets refunds fail that were never found
        world = World(doors=("hyperswitch",), after_hold=AfterHold.FAILED)
        world.pay()
        world.processor.decide = lambda _: RequestLost()
        world.refund("k", amount=2500)
        world.settle_for(5 * STEP_MS)
        last_sent_ms = world.stored("k").last_sent_at_ms
        assert last_sent_ms > (world.stored("k").started_at_ms or 0)
        # When the hold after the first instruction is over
        world.settle_for(HOLD_MS - 5 * STEP_MS)
        # Then it has not failed: the last one may still arrive
        assert world.stored("k").state is State.UNKNOWN
        world.settle_for(HOLD_MS)
        assert world.stored("k").state is State.FAILED

    def test_what_refuses_a_repeat_says_nothing_of_the_instruction_before(
        self, world: World
    ) -> None:
        # Given an instruction that was lost, and a processor that refuses it the second time
        world.processor.fates += [RequestLost(), Answered(422, "no balance")]
        refund = world.refund("k", amount=2500).refund
        world.settle_due()
        world.clock.advance(STEP_MS)
        assert world.settle(refund.id, world.deadline()) is Settled.HELD
        # Then it has not failed
        assert repeated(world) == [False, True]
        held = world.stored("k")
        assert (held.state, held.last_look) == (State.UNKNOWN, "handed over again: unknown")

    def test_somebody_who_only_asks_sends_nothing(self, world: World) -> None:
        # Given an instruction that was lost, and looked up in vain already
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.settle_due()
        # When callers ask for news again and again
        for _ in range(5):
            world.clock.advance(20_000)
            world.read_refund(refund.id, sync_until=world.deadline())
        # Then nothing was sent
        assert repeated(world) == [False]

    def test_without_time_to_hear_the_answer_it_is_not_sent(self, world: World) -> None:
        # Given an instruction that was lost and looked up in vain
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.settle_due()
        world.clock.advance(STEP_MS)
        # When a run comes to it with too little time left
        assert world.settle(refund.id, world.deadline_of(11_999)) is Settled.HELD
        # Then it waits for the next one, and nothing says that it was about to be sent
        assert (repeated(world), world.stored("k").repeats) == ([False], 0)

    @pytest.mark.parametrize(
        ("time_stood_still", "paused_ms", "is_sent"),
        [
            (False, 12_001, False),
            (False, 12_000, True),
            (True, 70_001, False),
            (True, 70_000, True),
        ],
    )
    def test_who_is_paused_for_long_before_sending_does_not_send(
        self, world: World, *, time_stood_still: bool, paused_ms: int, is_sent: bool
    ) -> None:
        # Given an instruction that was lost and looked up in vain
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.settle_due()
        world.clock.advance(STEP_MS)
        # When a run is paused just after it has written down that it will repeat it
        at_once = world.ledger.commit

        def slowly(commit: Commit) -> None:
            at_once(commit)
            if world.ledger.refunds[refund.id].repeats and not world.processor.instructions[1:]:
                world.clock.wall_ms += paused_ms
                world.clock.passed_ms += 0 if time_stood_still else paused_ms

        world.ledger.commit = slowly  # type: ignore[method-assign]
        ended = world.settle(refund.id, world.deadline())
        # Then it leaves that to the next one, which comes when its own time is over
        assert ended is (Settled.MOVED_ON if is_sent else Settled.HELD)
        assert repeated(world) == ([False, True] if is_sent else [False])
        assert world.stored("k").repeats == 1
        world.ledger.commit = at_once  # type: ignore[method-assign]
        world.settle_for(5 * STEP_MS)
        assert (repeated(world), world.stored("k").state) == ([False, True], State.SUCCEEDED)

    def test_with_just_enough_time_it_is_sent(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.settle_due()
        world.clock.advance(STEP_MS)
        assert world.settle(refund.id, world.deadline_of(12_000)) is Settled.MOVED_ON
        assert repeated(world) == [False, True]

    def test_what_is_not_left_any_more_is_not_sent_again(self, world: World) -> None:
        # Given a refund that failed, and one of everything whose instruction was lost
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        failed = world.refund("failed", amount=2500).refund
        bound_to = failed.processor_refund_id or ""
        world.processor.books.set_status(bound_to, ProcessorRefundStatus.FAILED)
        world.settle_for(2 * STEP_MS)
        world.processor.fates.append(RequestLost())
        world.refund("k")
        # When it is learnt that the first has moved after all
        world.processor.books.set_status(bound_to, ProcessorRefundStatus.SUCCEEDED)
        shown = world.processor.processor_refund(bound_to, world.deadline())
        assert shown is not None
        assert world.learn.follow(world.stored("failed"), shown, world.deadline())
        world.live_for(2 * HOLD_MS)
        # Then the lost one is not sent again, and a person decides
        assert repeated(world) == [False, False]
        assert world.stored("failed").state is State.SUCCEEDED
        assert world.stored("k").state is State.REVIEW

    def test_what_is_found_is_not_sent_again(self, world: World) -> None:
        # Given an instruction that was executed, its answer lost, and a first look in vain
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_due()
        world.processor.is_down = False
        # When the second look finds it
        world.settle_for(3 * STEP_MS)
        assert (repeated(world), world.stored("k").state) == ([False], State.SUCCEEDED)

    def test_what_waits_for_a_person_is_not_sent_again(self, world: World) -> None:
        # Given a lost instruction that somebody has put into review
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        seen = replace(world.stored("k"), state=State.REVIEW, looks=5)
        world.ledger.refunds[refund.id] = seen
        # When settling comes by
        world.settle_for(10 * STEP_MS)
        assert (repeated(world), world.stored("k").state) == ([False], State.REVIEW)

    def test_when_the_hold_is_over_it_is_too_late_to_begin(self, world: World) -> None:
        # Given a lost instruction, and a processor that is away for as long as it may arrive
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_for(HOLD_MS)
        # When it is back
        world.processor.is_down = False
        world.settle_for(HOLD_MS)
        # Then the instruction is not repeated after all that time
        assert (repeated(world), world.stored("k").state) == ([False], State.REVIEW)

    def test_a_look_up_that_fails_is_no_reason_to_send(self, world: World) -> None:
        # Given an instruction that was lost, and a processor that is away
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_for(10 * STEP_MS)
        assert repeated(world) == [False]


class TestKeyNotShown:
    """A processor that keeps keys and cannot be asked for one."""

    def test_the_instruction_is_repeated_which_is_as_safe(self, world: World) -> None:
        # Given a lost instruction, where keys cannot be looked up
        world.processor.reads_keys = False
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        # When settling has looked twice
        world.settle_for(3 * STEP_MS)
        # Then it was sent again, and moved money once
        assert world.stored("k").state is State.SUCCEEDED
        assert len(world.processor.moved_by(refund.id)) == 1

    @pytest.mark.parametrize("after_hold", AfterHold)
    def test_it_never_fails_for_want_of_an_answer(self, after_hold: AfterHold) -> None:
        # Given an instruction that nobody can tell of, and an operator who may want such to fail
        world = World(doors=("ccg",), after_hold=after_hold)
        world.pay()
        world.processor.reads_keys = False
        world.processor.decide = lambda _: RequestLost()
        world.refund("k", amount=2500)
        # When the hold is over
        world.settle_for(3 * HOLD_MS)
        # Then a person decides
        assert world.stored("k").state is State.REVIEW

    def test_three_looks_are_needed_however_late_they_come(self, world: World) -> None:
        # Given a lost instruction that nobody has looked for until it was late
        world.processor.reads_keys = False
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.clock.advance(2 * HOLD_MS)
        # When settling looks three times
        states = []
        for _ in range(3):
            world.settle(refund.id, world.deadline())
            states.append(world.stored("k").state)
            world.clock.advance(HOLD_MS)
        # Then the third one calls a person
        assert states == [State.UNKNOWN, State.UNKNOWN, State.REVIEW]

    def test_somebody_who_only_asks_changes_nothing(self, world: World) -> None:
        # Given an instruction that nobody can tell of, looked for often enough and long enough
        world.processor.reads_keys = False
        world.processor.decide = lambda _: RequestLost()
        refund = world.refund("k", amount=2500).refund
        world.settle_for(HOLD_MS // 2)
        world.clock.advance(2 * HOLD_MS)
        # When a caller asks for news before settling comes by
        world.read_refund(refund.id, sync_until=world.deadline())
        # Then that is left to settling
        assert world.stored("k").state is State.UNKNOWN
        world.settle_due()
        assert world.stored("k").state is State.REVIEW

    def test_the_fake_cannot_be_asked_then(self, world: World) -> None:
        world.processor.reads_keys = False
        with pytest.raises(UnreadableAnswerError):
            world.processor.find_by_key("rfd_x", "charge-1", world.deadline())


def test_where_nobody_can_tell_a_person_decides_at_once() -> None:
    # Given a processor that shows nobody what became of an instruction
    world = World(doors=("hedge",))
    blind = replace(world.processor.capabilities, dedupes=Dedupe.NOT_AT_ALL)
    world.doors["hedge"] = FakeProcessor(world.clock, name="hedge", capabilities=blind)
    world.processor = world.doors["hedge"]
    world.pay()
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    # When settling comes by
    world.settle_due()
    # Then it waits for a person, its amount held
    assert world.stored("k").state is State.REVIEW
    assert world.payment().refundable == 7499


def test_another_refund_under_our_key_is_for_a_person(world: World) -> None:
    # Given that our instruction is shown with another amount than it was sent with
    world.processor.fates.append(ReplyLost())
    refund = world.refund("k", amount=2500).refund
    (made,) = world.processor.books.refunds.values()
    made.processor_refund = replace(made.processor_refund, money=Money(2400, "sgd"))
    # When settling looks
    world.settle_for(5 * STEP_MS)
    # Then it is neither bound nor sent again
    assert (world.stored("k").state, refund.processor_refund_id) == (State.REVIEW, None)
    assert repeated(world) == [False]


def test_a_pending_refund_is_followed_where_it_is_shown() -> None:
    # Given a processor that shows refunds only in their payments
    world = World(doors=("hedge",))
    world.pay()
    world.processor.books.conduct = Conduct(
        ProcessorRefundStatus.PENDING, ProcessorRefundStatus.SUCCEEDED, 5 * STEP_MS
    )
    refund = world.refund("k", amount=2500).refund
    assert refund.state is State.PENDING
    # When it comes to an end
    world.settle_for(10 * STEP_MS)
    # Then that was seen in the payment
    assert world.stored("k").state is State.SUCCEEDED
    assert world.stored("k").report.state is ReportState.DUE


def test_of_a_processor_that_is_not_set_up_any_more_nothing_is_concluded() -> None:
    # Given a refund without an outcome, and a stage that has lost its processor's settings
    world = World(doors=("hyperswitch",))
    world.pay()
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    door = world.doors.pop("hyperswitch")
    # When settling comes by, once and for longer than the hold
    assert world.settle(world.stored("k").id, world.deadline()) is Settled.HELD
    world.settle_for(2 * HOLD_MS)
    # Then it goes to a person, and is found when the processor is back
    assert world.stored("k").state is State.REVIEW
    world.doors["hyperswitch"] = door
    world.settle_for(HOLD_MS)
    assert world.stored("k").state is State.SUCCEEDED
