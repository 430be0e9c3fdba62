"""What the use cases say for the metrics: moves of refunds, reports made and delayed, events."""

from dataclasses import replace

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.events.announce import AnnounceBacklog, AnnounceChanges, Change
from refund_bridge.reporting.report import ReportDeferredError
from tests.fakes.backlog import MemoryBacklog
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.processor_fates import NotSent, ReplyLost, RequestLost
from tests.fakes.stripe_fates import ReportLost
from tests.fakes.world import STEP_MS, World


class TestMoves:
    """Every change of a refund's state that was written, once."""

    def test_a_success_is_told_with_its_amount(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        assert world.noted("refund_moved") == [
            {
                "refund_id": refund.id,
                "before": "submitting",
                "after": "succeeded",
                "outcome": "succeeded",
                "processor": "hitpay",
                "amount": 2500,
                "currency": "sgd",
            }
        ]

    def test_a_refund_that_is_found_later_moved_twice(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.settle_for(STEP_MS)
        moves = [(one["before"], one["after"]) for one in world.noted("refund_moved")]
        assert moves == [("submitting", "unknown"), ("unknown", "succeeded")]

    def test_what_certainly_was_not_executed_is_told_as_aborted(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k", amount=2500)
        ((after, outcome),) = [(o["after"], o["outcome"]) for o in world.noted("refund_moved")]
        assert (after, outcome) == ("aborted", "failed")

    def test_another_look_is_no_move(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.settle_for(3 * STEP_MS)
        assert world.stored("k").looks > 0
        ((after, outcome),) = [(o["after"], o["outcome"]) for o in world.noted("refund_moved")]
        assert (after, outcome) == ("unknown", "pending")


class TestReports:
    """How long Stripe has waited."""

    @pytest.fixture
    def refund(self, world: World) -> Refund:
        """A refund that succeeded a minute ago, and owes its report."""
        refund = world.refund("k", amount=2500).refund
        world.clock.advance(60_000)
        return refund

    def test_a_report_is_told_with_its_lag(self, world: World, refund: Refund) -> None:
        world.report(refund.id)
        assert world.noted("refund_reported") == [
            {"refund_id": refund.id, "lag_ms": 60_000, "attempts": 1}
        ]
        assert world.noted("report_delayed") == []

    def test_one_that_could_not_be_made_is_told_with_its_age(
        self, world: World, refund: Refund
    ) -> None:
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(refund.id)
        assert world.noted("report_delayed") == [
            {"refund_id": refund.id, "age_ms": 60_000, "reason": deferred.value.reason}
        ]
        assert world.noted("refund_reported") == []

    def test_and_settling_tells_it_of_one_that_nobody_has_heard_of(
        self, world: World, refund: Refund
    ) -> None:
        world.clock.advance(5_000)
        world.settle_due()
        assert world.noted("report_delayed") == [
            {"refund_id": refund.id, "age_ms": 65_000, "reason": "not heard of"}
        ]

    def test_what_is_redriven_is_as_old_as_its_second_beginning(
        self, world: World, refund: Refund
    ) -> None:
        # Given a report that failed, and was redriven an hour later
        world.stripe.fates.extend([ReportLost(), ReportLost()])
        with pytest.raises(Exception, match="no whole answer"):
            world.report(refund.id, receive=8, last=True)
        world.clock.advance(3_600_000)
        # When Stripe is still away
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        # Then its age is that of the redrive
        assert [one["age_ms"] for one in world.noted("report_delayed")] == [0]
        # And its lag, once it is made, that of the money
        world.report(refund.id)
        assert [one["lag_ms"] for one in world.noted("refund_reported")] == [3_660_000]

    def test_a_refund_without_history_is_of_no_age(self, world: World, refund: Refund) -> None:
        bare = replace(world.stored("k"), history=())
        assert (bare.succeeded_at_ms, bare.report_due_at_ms) == (None, None)
        world.ledger.refunds[refund.id] = bare
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        world.report(refund.id)
        assert world.noted("report_delayed")[0]["age_ms"] == 0
        assert world.noted("refund_reported")[0]["lag_ms"] == 0


class TestEvents:
    """What the bus has taken, and what it has not."""

    @pytest.fixture
    def bus(self) -> FakeEventBus:
        return FakeEventBus()

    @pytest.fixture
    def backlog(self) -> MemoryBacklog:
        return MemoryBacklog()

    def publish(self, world: World, bus: FakeEventBus, backlog: MemoryBacklog) -> Refund:
        """The events of one refund that has succeeded."""
        refund = world.refund("k", amount=2500).refund
        announce = AnnounceChanges(
            payments=world.listing.payments,
            bus=bus,
            backlog=backlog,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        change = Change(id="1", refund_id=refund.id, refund=refund, seen=1)
        announce([change], world.deadline_of(45_000))
        return refund

    def again(self, world: World, bus: FakeEventBus, backlog: MemoryBacklog) -> None:
        AnnounceBacklog(
            ledger=world.ledger,
            payments=world.listing.payments,
            bus=bus,
            backlog=backlog,
            clock=world.clock,
            telemetry=world.telemetry,
            step_ms=STEP_MS,
        )(world.deadline_of(60_000))

    def test_published_events_are_counted(
        self, world: World, bus: FakeEventBus, backlog: MemoryBacklog
    ) -> None:
        self.publish(world, bus, backlog)
        assert world.noted("events_published") == [{"events": len(bus.names)}]
        assert bus.names

    def test_while_the_bus_is_away_every_try_says_so(
        self, world: World, bus: FakeEventBus, backlog: MemoryBacklog
    ) -> None:
        # Given a bus that is away
        bus.is_away = True
        refund = self.publish(world, bus, backlog)
        assert len(world.noted("event_not_published")) == 1
        # When it is asked again
        self.again(world, bus, backlog)
        # Then that is told, and nothing is told to be published
        assert world.noted("event_still_unpublished") == [{"refund_id": refund.id, "sequence": 2}]
        assert world.noted("events_published") == []
        # And once it is back, what it takes
        bus.is_away = False
        world.clock.advance(3_600_000)
        self.again(world, bus, backlog)
        assert world.noted("events_published") == [{"events": len(bus.names)}]
        assert world.stored("k").state is State.SUCCEEDED
