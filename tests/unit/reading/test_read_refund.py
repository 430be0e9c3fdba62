"""A refund is read from the ledger, and looked up at the processor first if its reader asks."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import Commit, LedgerUnavailableError
from refund_bridge.refunding.recent_looks import LOOK_AGAIN_AFTER_MS
from refund_bridge.settling.settling import HOLD_LOOK_UPS_MIN
from tests.fakes.processor_fates import Answered, Conduct, ExecutedLate, ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, LEASE_MS, World


def sync(world: World, refund: Refund) -> Refund:
    """The refund after a look at the processor."""
    read, payment = world.read_refund(refund.id, sync_until=world.deadline())
    assert payment == world.ledger.payments[world.payment().key]
    assert read == world.ledger.refunds[refund.id]
    return read


def count_looks(world: World) -> list[str]:
    """What the processor is asked about from now on."""
    looks: list[str] = []
    charge, processor_refund = world.processor.charge, world.processor.processor_refund

    def counted_charge(charge_id: str, deadline: object) -> object:
        looks.append(charge_id)
        return charge(charge_id, deadline)  # type: ignore[arg-type]

    def counted_processor_refund(processor_refund_id: str, deadline: object) -> object:
        looks.append(processor_refund_id)
        return processor_refund(processor_refund_id, deadline)  # type: ignore[arg-type]

    world.processor.charge = counted_charge  # type: ignore[method-assign, assignment]
    world.processor.processor_refund = counted_processor_refund  # type: ignore[method-assign, assignment]
    return looks


def unknown(world: World) -> Refund:
    """A refund that was executed, and its answer lost."""
    world.processor.fates.append(ReplyLost())
    return world.refund("k", amount=2500).refund


def lost(world: World) -> Refund:
    """A refund that was never executed, and its answer lost."""
    world.processor.fates.append(RequestLost())
    return world.refund("k", amount=2500).refund


def pending(world: World) -> Refund:
    """A refund that the processor has accepted, and will end in an hour."""
    world.processor.books.conduct = Conduct(
        ProcessorRefundStatus.PENDING, ProcessorRefundStatus.SUCCEEDED, 3_600_000
    )
    return world.refund("k", amount=2500).refund


def abandoned(world: World) -> Refund:
    """A refund that was executed while its call died."""

    class Killed(BaseException):
        pass

    def killed(instruction: object) -> ReplyLost:
        world.processor.books.arrive(instruction)  # type: ignore[arg-type]
        raise Killed

    world.processor.decide = killed
    with pytest.raises(Killed):
        world.refund("k", amount=2500)
    return world.stored("k")


class TestReading:
    """Without a look, the ledger alone answers."""

    def test_a_refund_is_answered_with_its_payment(self, world: World) -> None:
        refund = unknown(world)
        looks = count_looks(world)
        assert world.read_refund(refund.id) == (refund, world.payment())
        assert looks == []

    @pytest.mark.parametrize("name", ["rfd_never", "", "x" * 3000, "\ud800"])
    def test_what_is_not_there_is_not_found(self, world: World, name: str) -> None:
        for sync_until in (None, world.deadline()):
            with pytest.raises(RefundNotFoundError) as told:
                world.read_refund(name, sync_until=sync_until)
            assert told.value.details == {"refund": name}


class TestLooking:
    """What a look on request finds is as good as what the schedule finds."""

    def test_an_unknown_outcome_is_known_at_once(self, world: World) -> None:
        refund = unknown(world)
        settled = sync(world, refund)
        assert settled.state is State.SUCCEEDED
        assert settled.report.state is ReportState.DUE
        assert world.doorbell.rung == [refund.id]

    def test_a_pending_refund_is_final_as_soon_as_its_processor_refund_is(
        self, world: World
    ) -> None:
        # Given a pending refund that settling has just put off
        refund = pending(world)
        world.settle_for(3_590_000)
        due_ms = world.stored("k").next_check_ms
        # When its processor refund ends, and a reader asks before settling looks again
        world.clock.advance(60_000)
        assert due_ms is not None
        assert world.clock.now_ms() < due_ms
        # Then it is final
        assert sync(world, refund).state is State.SUCCEEDED

    def test_a_crash_is_found_out_about_once_its_lease_is_over(self, world: World) -> None:
        refund = abandoned(world)
        looks = count_looks(world)
        assert sync(world, refund) == refund
        world.clock.advance(LEASE_MS - 1)
        assert sync(world, refund) == refund
        assert looks == []
        world.clock.advance(1)
        assert sync(world, refund).state is State.SUCCEEDED

    def test_so_is_one_without_a_lease(self, world: World) -> None:
        refund = abandoned(world)
        world.ledger.refunds[refund.id] = replace(refund, lease_until_ms=None)
        assert sync(world, refund).state is State.SUCCEEDED

    def test_so_is_what_a_person_should_decide(self, world: World) -> None:
        # Given a refund in review, whose instruction arrives long after the hold
        world.processor.fates.append(ExecutedLate(HOLD_MS + 8 * 3_600_000))
        refund = world.refund("k", amount=2500).refund
        world.settle_for(HOLD_MS + 2 * 3_600_000)
        assert world.stored("k").state is State.REVIEW
        world.clock.advance(7 * 3_600_000)
        assert sync(world, refund).state is State.SUCCEEDED

    @pytest.mark.parametrize(
        "make",
        [
            lambda world: world.refund("k").refund,
            lambda world: world.refund("k", refund_type=RefundType.SCHEDULED).refund,
        ],
    )
    def test_a_refund_whose_state_is_known_is_not_looked_up(
        self, world: World, make: Callable[[World], Refund]
    ) -> None:
        refund = make(world)
        looks = count_looks(world)
        assert sync(world, refund) == refund
        assert looks == []

    def test_nor_is_a_rejected_one(self, world: World) -> None:
        world.processor.fates.append(Answered(422, "No."))
        refund = world.refund("k").refund
        looks = count_looks(world)
        assert sync(world, refund) == refund
        assert looks == []


class TestRestraint:
    """A look on request changes nothing of the schedule's looks."""

    def test_what_is_not_found_is_left_as_it_was(self, world: World) -> None:
        refund = lost(world)
        world.settle_for(10 * 60_000)
        before = world.stored("k")
        after = sync(world, refund)
        now_ms = world.clock.now_ms()
        assert after == replace(before, looked_at_ms=now_ms, revision=before.revision + 1)

    def test_one_that_is_still_pending_too(self, world: World) -> None:
        refund = pending(world)
        after = sync(world, refund)
        now_ms = world.clock.now_ms()
        assert after == replace(refund, looked_at_ms=now_ms, revision=refund.revision + 1)

    def test_a_processor_that_gives_no_answer_is_no_error(self, world: World) -> None:
        refund = unknown(world)
        world.processor.is_down = True
        after = sync(world, refund)
        assert (after.state, after.looks) == (State.UNKNOWN, refund.looks)
        # And settling finds it as if nobody had asked
        world.processor.is_down = False
        world.settle_due()
        assert world.stored("k").state is State.SUCCEEDED

    def test_an_abandoned_refund_that_is_not_found_is_left_to_the_schedule(
        self, world: World
    ) -> None:
        refund = abandoned(world)
        world.processor.is_down = True
        world.clock.advance(LEASE_MS)
        after = sync(world, refund)
        assert (after.state, after.next_check_ms) == (State.UNKNOWN, refund.next_check_ms)

    def test_that_nothing_is_there_is_not_concluded_from_it(self, world: World) -> None:
        # Given a refund whose hold is over, with one look-up less than it takes
        refund = lost(world)
        world.clock.advance(HOLD_MS)
        stored = world.stored("k")
        world.ledger.refunds[refund.id] = replace(stored, look_ups=HOLD_LOOK_UPS_MIN - 1)
        # When somebody asks, then it is held
        assert sync(world, refund).state is State.UNKNOWN
        # And the schedule's own look-up decides
        world.settle_due()
        assert world.stored("k").state is State.REVIEW

    def test_a_failed_processor_refund_that_may_be_anothers_decides_nothing_either(
        self, world: World
    ) -> None:
        refund = lost(world)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)
        assert sync(world, refund).state is State.UNKNOWN

    def test_two_processor_refunds_that_can_be_ours_are_for_a_person(self, world: World) -> None:
        refund = unknown(world)
        world.processor.books.move(
            world.processor.books.charges["charge-1"], Money(2500, "sgd"), None
        )
        assert sync(world, refund).state is State.REVIEW


class TestThrottle:
    """The processor is asked at most once in ten seconds, whoever asks."""

    def test_who_asks_again_soon_is_answered_by_the_ledger(self, world: World) -> None:
        assert LOOK_AGAIN_AFTER_MS == 10_000
        refund = lost(world)
        looks = count_looks(world)
        first = sync(world, refund)
        world.clock.advance(LOOK_AGAIN_AFTER_MS - 1)
        assert sync(world, refund) == first
        assert len(looks) == 1
        world.clock.advance(1)
        sync(world, refund)
        assert len(looks) == 2

    def test_a_clock_that_is_behind_is_no_way_around_it(self, world: World) -> None:
        refund = lost(world)
        looks = count_looks(world)
        sync(world, refund)
        world.clock.wall_ms -= LOOK_AGAIN_AFTER_MS - 1
        sync(world, refund)
        assert len(looks) == 1
        # And one that was put back for good does not stop looks for as long
        world.clock.wall_ms -= 1
        sync(world, refund)
        assert len(looks) == 2

    def test_of_two_that_ask_at_once_one_looks(self, world: World) -> None:
        refund = lost(world)
        looks = count_looks(world)
        commit = world.ledger.commit

        def other_first(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            sync(world, refund)
            commit(written)

        world.ledger.commit = other_first  # type: ignore[method-assign, assignment]
        after = sync(world, refund)
        assert len(looks) == 1
        assert after.looked_at_ms == world.clock.now_ms()
        assert (
            world.telemetry.notes.count(("look_met_another_write", {"refund_id": refund.id})) == 1
        )


def test_a_ledger_that_gives_no_answer_is_an_error(world: World) -> None:
    refund = unknown(world)

    def unavailable(_: Commit) -> None:
        raise LedgerUnavailableError("no answer")

    world.ledger.commit = unavailable  # type: ignore[method-assign, assignment]
    with pytest.raises(LedgerUnavailableError):
        world.read_refund(refund.id, sync_until=world.deadline())
