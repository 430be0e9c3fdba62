"""A refund without an outcome is settled by evidence, never by a guess."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.evidence import Ambiguous, judge
from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.reporting.report import Reported
from refund_bridge.settling.settling import AfterHold, Settled
from tests.fakes.processor_fates import Conduct, ExecutedLate, NotSent, ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.settling.looks_at_refunds import (
    at_the_end_of_its_hold,
    before_next_commit,
    settle,
    settle_when_due,
    unknown,
)

DAY_MS = 24 * 60 * STEP_MS


class TestUnknown:
    """A refund whose answer was lost."""

    def test_a_processor_refund_that_only_it_can_have_made_is_its_own(self, world: World) -> None:
        # Given a refund that was executed, and its answer lost
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        # When settling looks
        world.clock.advance(STEP_MS)
        assert settle(world) is Settled.MOVED_ON
        # Then it succeeded, bound to that processor refund, its report due and rung for
        settled = world.stored("k")
        (processor_refund,) = world.processor.moved_by(refund.id)
        assert (settled.state, settled.processor_refund_id) == (
            State.SUCCEEDED,
            processor_refund.id,
        )
        assert settled.report.state is ReportState.DUE
        assert world.doorbell.rung == [refund.id]
        assert (world.payment().slot, world.payment().moved) == (None, 2500)
        assert (settled.looks, settled.look_ups) == (0, 0)
        # And the history says who found it
        line = settled.history[-2]
        assert (line.cause, line.actor, line.at_ms) == (
            "found",
            "settle_refunds",
            world.clock.now_ms(),
        )
        # And since it may be what somebody else made meanwhile, they have time to report it
        assert world.report(refund.id) is Reported.WAITS
        world.live_for(10 * STEP_MS)
        assert world.stored("k").report.state is ReportState.REPORTED

    def test_not_found_yet_is_not_failed(self, world: World) -> None:
        # Given an instruction that arrives six hours late
        world.processor.fates.append(ExecutedLate(6 * 3_600_000))
        world.refund("k", amount=2500)
        world.settle_for(5 * 3_600_000)
        assert world.stored("k").state is State.UNKNOWN
        assert world.payment().refundable == 7499
        # When it arrives, then it is found
        world.settle_for(3 * 3_600_000)
        assert world.stored("k").state is State.SUCCEEDED

    def test_the_hold_counts_only_look_ups_that_were_answered(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_for(3 * HOLD_MS, every_ms=10 * STEP_MS)
        assert world.stored("k").state is State.UNKNOWN
        world.processor.is_down = False
        world.settle_for(4 * 3_600_000)
        assert world.stored("k").state is State.REVIEW

    def test_a_processor_refund_from_before_the_attempt_is_not_ours(self, world: World) -> None:
        # Given a failed refund in the dashboard, of the same amount, before ours
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        assert len(refund.snapshot or ()) == 1
        world.settle_due()
        assert world.stored("k").processor_refund_id == world.processor.moved_by(refund.id)[0].id

    def test_a_failed_processor_refund_of_the_same_amount_frees_nothing_while_ours_may_still_arrive(
        self, world: World
    ) -> None:
        # Given an instruction that arrives late, and a dashboard refund of its amount that fails
        world.processor.fates.append(ExecutedLate(6 * 3_600_000))
        refund = world.refund("k", amount=2500).refund
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)
        world.processor.books.conduct = Conduct()
        # When settling looks, then its money stays held
        world.settle_for(5 * 3_600_000)
        assert world.stored("k").state is State.UNKNOWN
        # And when ours arrives, it is found
        world.settle_for(3 * 3_600_000)
        assert world.stored("k").state is State.SUCCEEDED
        assert len(world.processor.moved_by(refund.id)) == 1

    def test_a_call_that_still_has_its_lease_is_left_alone(self, world: World) -> None:
        seen = []

        def meanwhile(_: object) -> NotSent:
            world.observe(world.payment().key, world.deadline())
            world.settle_due()
            seen.append(world.stored("k").state)
            return NotSent()

        world.processor.decide = meanwhile
        world.refund("k", amount=2500)
        assert seen == [State.SUBMITTING]
        assert world.stored("k").state is State.ABORTED


class TestFound:
    """The processor refund is found."""

    def test_one_that_is_pending_is_not_rung_for_and_its_looks_count_anew(
        self, world: World
    ) -> None:
        unknown(world)
        for _ in range(2):
            settle_when_due(world)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.processor.refund_in_dashboard("charge-1", 2500)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.looks, stored.look_ups) == (State.PENDING, 0, 0)
        assert world.doorbell.rung == []

    def test_one_that_another_refund_claims_a_moment_earlier_is_not_ours(
        self, world: World
    ) -> None:
        # Given a processor refund that is claimed between reading and writing
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        before_next_commit(
            world,
            lambda _: world.ledger.processor_refunds.update(
                {("hitpay", "hitpay-refund-1"): "rfd_other"}
            ),
        )
        # Then it is held, and found to be another's the next time
        assert settle(world) is Settled.HELD
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").state is State.UNKNOWN
        assert world.stored("k").last_look == "no processor refund found"

    def test_of_a_thousand_refunds_on_a_charge_the_owners_can_be_asked_for(
        self, world: World
    ) -> None:
        world.processor.books.checks_amounts = False
        unknown(world)
        for _ in range(1001):
            world.processor.refund_in_dashboard("charge-1", 1)
        assert settle(world) is Settled.HELD
        assert world.stored("k").last_look == "no processor refund found"


class TestFoundFailed:
    """The only candidate failed: perhaps it is somebody else's, and ours may still arrive."""

    def failed_in_dashboard(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.processor.refund_in_dashboard("charge-1", 2500)

    def test_during_the_hold_it_decides_nothing(self, world: World) -> None:
        unknown(world)
        self.failed_in_dashboard(world)
        assert settle(world) is Settled.HELD
        stored = world.stored("k")
        assert (stored.state, stored.processor_refund_id) == (State.UNKNOWN, None)
        assert stored.last_look == "no processor refund found"
        assert stored.look_ups == 1

    def test_after_the_hold_it_is_for_a_person(self, world: World) -> None:
        at_the_end_of_its_hold(world)
        self.failed_in_dashboard(world)
        assert settle_when_due(world) is Settled.MOVED_ON
        stored = world.stored("k")
        assert (stored.state, stored.processor_refund_id) == (State.REVIEW, None)
        assert world.payment().refundable == 7499

    def test_one_that_shows_our_instruction_was_ours(self, world: World) -> None:
        world.processor.books.names_instructions = True
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        assert settle(world) is Settled.MOVED_ON
        assert world.stored("k").state is State.FAILED


class TestWhatIsNeverShown:
    """A refund without an outcome at a processor that never shows what would tell."""

    def test_a_payment_that_never_lists_its_refunds_is_for_a_person_after_the_hold(self) -> None:
        # Given a lost instruction, and payments that do not list their refunds
        world = World(doors=("hedge",), after_hold=AfterHold.FAILED)
        world.pay()
        world.processor.lists_refunds = False
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        # When the hold is not over, then it waits
        world.settle_for(HOLD_MS - 2 * STEP_MS)
        assert world.stored("k").state is State.UNKNOWN
        # When it is, then there is no evidence of anything, and a person decides
        world.settle_for(HOLD_MS)
        assert world.stored("k").state is State.REVIEW

    def test_so_is_a_payment_that_is_not_there_any_more(self) -> None:
        # Given a lost instruction, and an account that does not know the payment
        world = World(doors=("hedge",))
        world.pay()
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.processor.books.charges.clear()
        # When the hold is over
        world.settle_for(2 * HOLD_MS)
        # Then a person decides
        assert world.stored("k").state is State.REVIEW

    def test_an_outage_is_waited_for_as_long_as_it_lasts(self) -> None:
        # Given a lost instruction, and a processor that is away for longer than the hold
        world = World(doors=("hedge",))
        world.pay()
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.is_down = True
        world.settle_for(2 * HOLD_MS)
        assert world.stored("k").state is State.UNKNOWN
        # When it is back, then the refund is found
        world.processor.is_down = False
        world.settle_for(HOLD_MS)
        assert world.stored("k").state is State.SUCCEEDED


class TestAnotherAmountUnderOurInstruction:
    """The processor shows that our instruction moved money, and not the amount asked for."""

    @pytest.fixture
    def world(self) -> World:
        """A refund without an answer, of which 24.00 went out instead of 25.00."""
        made = World(doors=("hedge",), after_hold=AfterHold.FAILED)
        made.pay()
        made.processor.books.names_instructions = True
        made.processor.fates.append(ReplyLost())
        made.refund("k", amount=2500)
        (moved,) = made.processor.books.refunds.values()
        moved.processor_refund = replace(moved.processor_refund, money=Money(2400, "sgd"))
        return made

    def test_it_is_no_evidence_that_nothing_moved(self, world: World) -> None:
        charge = world.processor.charge("charge-1", world.deadline())
        assert isinstance(judge(world.stored("k"), charge, {}), Ambiguous)

    def test_a_person_decides_whatever_the_operator_chose(self, world: World) -> None:
        # When the hold is over
        world.settle_for(2 * HOLD_MS)
        # Then it has not failed, and its amount is held
        assert world.stored("k").state is State.REVIEW
        assert world.payment().refundable == 9999 - 2500


def test_a_processor_refund_of_the_very_second_of_the_attempt_is_not_older_than_it() -> None:
    # Given no snapshot, and a processor that tells whole seconds
    world = World(verify_charge=VerifyCharge.NEVER)
    world.pay()
    world.clock.advance(500)
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    # When settling looks, then the processor refund is ours, though its second began before we did
    world.settle_due()
    assert world.stored("k").state is State.SUCCEEDED
