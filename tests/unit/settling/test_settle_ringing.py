"""A report is due, and perhaps nobody has heard."""

from dataclasses import replace

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.ports.ledger import Commit
from refund_bridge.reporting.report import ReportFailedError
from refund_bridge.settling.settling import Settled
from refundctl.deciding.report_by_hand import Owed
from tests.fakes.stripe_fates import ReportLost
from tests.fakes.world import GRACE_MS, STEP_MS, World
from tests.unit.refunding.paid_world import by_hand_of, decide_about, observe
from tests.unit.settling.looks_at_refunds import before_next_commit, settle, settle_when_due, waits

UNHEARD_MS = 7_200_000


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
        # And each look said for how long Stripe has not been told
        assert world.noted("report_delayed") == [
            {"refund_id": refund.id, "age_ms": age_ms, "reason": "not heard of"}
            for age_ms in (STEP_MS - 1, STEP_MS)
        ]

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
        begun = replace(refund.report, attempts=1)
        world.ledger.refunds[refund.id] = replace(refund, report=begun)
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
        # And when it is mended, it is rung
        world.doorbell.is_broken = False
        assert settle_when_due(world) is Settled.RUNG
        assert world.doorbell.rung == [stored.id]

    def test_a_failed_report_is_not_rung_for(self, world: World) -> None:
        refund = world.refund("k").refund
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        rung = len(world.doorbell.rung)
        world.settle_for(24 * 60 * STEP_MS, every_ms=60 * STEP_MS)
        assert len(world.doorbell.rung) == rung
        assert world.stored("k").next_check_ms is None
        assert world.stored("k").report.state is ReportState.FAILED

    def test_one_of_others_when_they_had_time_to_report_it_themselves(self, world: World) -> None:
        before, due_ms = self.of_others(world), world.clock.now_ms()
        # When it is looked at early, then that is when it is looked at again, and all that changes
        for early_ms in (GRACE_MS, 1):
            world.clock.advance(due_ms + GRACE_MS - early_ms - world.clock.now_ms())
            world.ledger.refunds[before.id] = replace(before, next_check_ms=0)
            assert world.settle(before.id, world.deadline()) is Settled.HELD
            assert world.ledger.refunds[before.id] == replace(
                before, next_check_ms=due_ms + GRACE_MS, revision=before.revision + 2
            )
        assert world.doorbell.rung == []
        # And when that time is over, then it is rung for
        world.clock.advance(1)
        assert world.settle(before.id, world.deadline()) is Settled.RUNG
        assert world.doorbell.rung == [before.id]

    def test_one_of_others_at_once_if_a_person_says_that_stripe_must_be_told(
        self, world: World
    ) -> None:
        refund = self.of_others(world)
        decide_about(world, by_hand_of(world), refund.id, Owed("nobody tells"))
        world.doorbell.rung.clear()
        assert world.settle(refund.id, world.deadline()) is Settled.RUNG
        assert world.doorbell.rung == [refund.id]

    def of_others(self, world: World) -> Refund:
        world.refund("first", amount=1)
        world.clock.advance(STEP_MS)
        world.in_dashboard(2500)
        observe(world)
        world.doorbell.rung.clear()
        (refund,) = world.imported()
        return refund

    def due(self, world: World) -> None:
        stored = world.stored("k")
        world.ledger.refunds[stored.id] = replace(stored, next_check_ms=world.clock.now_ms())
