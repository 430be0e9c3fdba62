"""Refunds that somebody made in the dashboard, on payments that nobody asked us about."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import ProcessorUnavailableError, StripeUnavailableError
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.observing.observe_payment import Observed
from tests.fakes.processor_fates import Conduct
from tests.fakes.world import GRACE_MS, STEP_MS, World
from tests.unit.refunding.dashboard import DAY_MS, imported, linked_world, observe, report_elsewhere


@pytest.fixture
def world() -> World:
    return linked_world()


class TestATraceThatLeadsToItsRecord:
    def test_the_refund_reaches_stripe(self, world: World) -> None:
        # Given a refund in the dashboard on a payment that is not in the ledger
        processor_refund = world.in_dashboard(2500)
        # When the webhook comes
        assert observe(world) is Observed.LEARNT
        # Then it is a refund here, linked, and its report is due, but not rung for yet
        (refund,) = imported(world)
        assert (refund.state, refund.payment_record) == (State.SUCCEEDED, "pr_1")
        assert (refund.report.state, world.doorbell.rung) == (ReportState.DUE, [])
        # And when whoever made it had time to report it, Stripe is told of it, once
        world.settle_for(GRACE_MS - STEP_MS)
        assert world.doorbell.rung == []
        world.live_for(3 * STEP_MS)
        observe(world)
        (told,) = world.stripe.books.reports
        assert told.parameters.refund_reference == processor_refund.id
        assert (told.parameters.amount, told.parameters.payment_record) == (2500, "pr_1")
        assert len(imported(world)) == 1

    def test_headroom_counts_it(self, world: World) -> None:
        world.in_dashboard(2500)
        observe(world)
        assert world.payment().refundable == 9999 - 2500

    def test_one_that_is_pending_is_told_of_when_it_ends(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = world.in_dashboard(2500)
        observe(world)
        (refund,) = imported(world)
        assert (refund.state, refund.report.state) == (State.PENDING, ReportState.NOT_DUE)
        world.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        assert imported(world)[0].report.state is ReportState.DUE

    def test_what_is_older_than_this_service_is_not_told(self, world: World) -> None:
        # Given a refund that was made more than a day before anything was looked at
        world.in_dashboard(2500)
        world.clock.advance(DAY_MS + STEP_MS)
        # When a newer one is made, and Stripe shows neither
        world.in_dashboard(100)
        observe(world)
        # Then only the newer one is owed
        new, old = imported(world)
        assert (new.report.state, old.report.state) == (ReportState.DUE, ReportState.NOT_DUE)
        assert old.is_before_adoption

    def test_what_stripe_shows_already_is_not_told_again(self, world: World) -> None:
        # Given two refunds in the dashboard, the first of which was reported by somebody else
        first = world.in_dashboard(2500)
        world.clock.advance(STEP_MS)
        world.in_dashboard(100)
        report_elsewhere(world, first)
        observe(world)
        world.live_for(20 * STEP_MS)
        # Then only the second is told
        second, known = imported(world)
        assert (second.report.cause, known.report.cause) == (
            ReportCause.BY_US,
            ReportCause.BY_SUMS,
        )
        assert world.at_stripe == 2600

    def test_where_the_sums_do_not_fit_none_is_told(self, world: World) -> None:
        # Given two refunds, of which Stripe shows a part that is neither
        first = world.in_dashboard(2500)
        world.clock.advance(STEP_MS)
        world.in_dashboard(100)
        report_elsewhere(world, replace(first, money=Money(700, "sgd")))
        observe(world)
        world.live_for(20 * STEP_MS)
        # Then both wait for a person
        causes = [one.report.cause for one in imported(world)]
        assert causes == [ReportCause.CANNOT_TELL] * 2
        assert len(world.noted("report_failed")) == 2

    def test_a_busy_provider_is_asked_again_by_the_next_webhook(self, world: World) -> None:
        world.in_dashboard(2500)
        world.stripe.is_down = True
        with pytest.raises(StripeUnavailableError):
            observe(world)
        world.stripe.is_down = False
        world.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError):
            observe(world)
        assert world.ledger.payments == {}
        world.processor.is_down = False
        observe(world)
        assert len(imported(world)) == 1


class TestNoTraceOfStripe:
    @pytest.mark.parametrize("reference", [None, "order-1007", "pi_", "pi_1 pi_2", "PI_1"])
    def test_it_is_not_our_business(self, world: World, reference: str | None) -> None:
        world.processor.references.pop("charge-1")
        if reference is not None:
            world.processor.references["charge-1"] = reference
        world.in_dashboard(2500)
        assert observe(world) is Observed.NO_TRACE_OF_STRIPE
        assert (world.ledger.payments, world.ledger.refunds) == ({}, {})

    def test_a_charge_that_is_not_there_is_nobodys(self, world: World) -> None:
        nobody = PaymentKey("hitpay", "charge-of-another-world")
        assert world.observe(nobody, world.deadline()) is Observed.NOT_FOUND

    def test_a_payment_of_which_nothing_was_refunded_is_left_alone(self, world: World) -> None:
        assert observe(world) is Observed.NOTHING_REFUNDED
        assert world.ledger.payments == {}


class TestALinkThatIsContradictedLater:
    def test_the_ledgers_link_stands_and_nothing_is_lost(self, world: World) -> None:
        # Given a payment that is linked, whose metadata somebody has changed since
        world.refund("k", amount=1)
        record = world.stripe.books.records["pr_1"]
        record.metadata = {"hitpay_payment_id": "charge-other"}
        world.clock.advance(STEP_MS)
        world.in_dashboard(2500)
        # When the charge is observed
        observe(world)
        # Then the refund is kept for the record that the ledger knows, and the log says why
        (refund,) = imported(world)
        assert (refund.payment_record, refund.report.state) == ("pr_1", ReportState.DUE)
        assert world.noted("link_disagrees") == [
            {"charge": "charge-1", "code": "payment_link_conflict"}
        ]
