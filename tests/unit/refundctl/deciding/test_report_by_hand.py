"""A person decides about a report of a payment that cannot be read."""

import pytest

from refund_bridge.domain.errors import PaymentNotFoundError
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.reporting.report import ReportFailedError
from refundctl.deciding.report_by_hand import (
    Owed,
    ReportByHand,
    ReportDecision,
    ToldByOthers,
    Waive,
)
from tests.fakes.world import GRACE_MS, STEP_MS, World
from tests.unit.refunding.paid_world import HOUR, by_hand_of, decide, paid_world, unreadable


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


@pytest.fixture
def by_hand(world: World) -> ReportByHand:
    return by_hand_of(world)


class TestAPaymentThatCannotBeRead:
    """A charge that contradicts itself for good, or a record that Stripe has not any more."""

    @pytest.mark.parametrize("decision", [Owed("known"), Waive("known"), ToldByOthers("known")])
    def test_a_report_that_waits_for_the_charge_can_be_decided(
        self, world: World, by_hand: ReportByHand, decision: ReportDecision
    ) -> None:
        world.refund("ours", amount=4000)
        world.doorbell.rung.clear()
        world.book_by_hand(4000, "ticket-4711")
        world.clock.advance(GRACE_MS + STEP_MS)
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        decide(world, by_hand, "ours", decision)
        world.live_for(HOUR)
        assert world.stored("ours").report.state is not ReportState.DUE

    @pytest.mark.parametrize("decision", [Owed("known"), Waive("known")])
    def test_a_report_on_a_record_that_is_gone_can_be_decided(
        self, world: World, by_hand: ReportByHand, decision: ReportDecision
    ) -> None:
        # Given a report that Stripe refuses, since the record is gone
        world.refund("ours", amount=4000)
        del world.stripe.books.records["pr_1"]
        with pytest.raises(ReportFailedError):
            world.report(world.stored("ours").id, receive=8, last=True)
        # When a person decides, then that is written though nothing can be compared
        decide(world, by_hand, "ours", decision)
        due = isinstance(decision, Owed)
        expected = ReportState.DUE if due else ReportState.NOT_DUE
        assert world.stored("ours").report.state is expected

    def test_what_was_told_by_others_must_be_shown_by_the_record(
        self, world: World, by_hand: ReportByHand
    ) -> None:
        world.refund("ours", amount=4000)
        del world.stripe.books.records["pr_1"]
        world.live_for(HOUR)
        with pytest.raises(PaymentNotFoundError):
            decide(world, by_hand, "ours", ToldByOthers("known"))
