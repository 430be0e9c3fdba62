"""Dashboard refunds whose payment leads to no record: kept, and told when that is mended."""

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import PaymentLinkConflictError
from refund_bridge.domain.payment_reference import payment_named_by
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.observing.observe_payment import Observed
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.reporting.report import ReportDeferredError, ReportFailedError
from tests.fakes.processor_fates import Conduct
from tests.fakes.stripe_fates import AnswerLost
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.dashboard import (
    CHARGE,
    DAY_MS,
    SWEEP_MS,
    imported,
    intent,
    linked_world,
    observe,
    report_elsewhere,
)


@pytest.fixture
def world() -> World:
    return linked_world()


class TestATraceThatLeadsNowhere:
    @pytest.fixture
    def kept(self, world: World) -> World:
        """A dashboard refund whose PaymentIntent names no record, observed."""
        world.stripe.references["pi_1"] = intent(None)
        world.in_dashboard(2500)
        assert observe(world) is Observed.LEARNT
        return world

    def test_it_is_kept_with_its_report_failed(self, kept: World) -> None:
        (refund,) = imported(kept)
        assert (refund.state, refund.payment_record) == (State.SUCCEEDED, None)
        assert (refund.report.state, refund.report.last_error) == (
            ReportState.FAILED,
            "payment_not_linked",
        )
        assert kept.noted("report_failed") == [
            {"refund_id": refund.id, "reason": "payment_not_linked"}
        ]
        assert kept.payment().payment_record is None

    def test_nobody_is_rung_for_and_a_redriven_message_changes_nothing(self, kept: World) -> None:
        (refund,) = imported(kept)
        assert kept.doorbell.rung == []
        with pytest.raises(ReportFailedError, match="payment_not_linked"):
            kept.report(refund.id)
        assert imported(kept) == [refund]

    def test_once_is_enough(self, kept: World) -> None:
        before = imported(kept)
        observe(kept)
        assert imported(kept) == before

    def test_the_next_one_on_it_is_kept_as_well(self, kept: World) -> None:
        kept.clock.advance(STEP_MS)
        kept.in_dashboard(100)
        observe(kept)
        assert [one.report.state for one in imported(kept)] == [ReportState.FAILED] * 2

    def test_one_that_ends_later_fails_to_be_reported_then(self, world: World) -> None:
        world.stripe.references["pi_1"] = intent(None)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = world.in_dashboard(2500)
        observe(world)
        world.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
        world.clock.advance(STEP_MS)
        world.settle_due()
        (refund,) = imported(world)
        assert (refund.state, refund.report.state) == (State.SUCCEEDED, ReportState.FAILED)
        told = {"refund_id": refund.id, "reason": "payment_not_linked"}
        assert world.noted("report_failed") == [told]

    def test_when_the_link_is_mended_stripe_is_told(self, kept: World) -> None:
        # When somebody writes the missing id, and the charge is looked at again
        kept.stripe.references["pi_1"] = intent("pr_1")
        observe(kept)
        # Then the refund is linked, and Stripe is told of it
        (refund,) = imported(kept)
        assert (refund.payment_record, refund.report.state) == ("pr_1", ReportState.DUE)
        kept.live_for(20 * STEP_MS)
        assert [one.parameters.amount for one in kept.stripe.books.reports] == [2500]
        assert kept.payment().payment_record == "pr_1"
        assert kept.ledger.payment_of_record("pr_1") == CHARGE

    def test_the_sweep_finds_the_mended_link_without_a_webhook(self, kept: World) -> None:
        kept.stripe.references["pi_1"] = intent("pr_1")
        # When the daily sweep comes by, whose sums are what the ledger has
        kept.sweep(kept.deadline_of(SWEEP_MS))
        # Then Stripe is owed what was kept
        assert imported(kept)[0].report.state is ReportState.DUE
        # And when it was told, there is nothing left to look at
        kept.live_for(20 * STEP_MS)
        assert kept.sweep(kept.deadline_of(SWEEP_MS)) == 0

    def test_the_sweep_finds_what_a_refund_of_the_payment_has_linked(self, kept: World) -> None:
        kept.refund("k", record="pr_1", amount=100)
        kept.sweep(kept.deadline_of(SWEEP_MS))
        assert imported(kept)[0].report.state is ReportState.DUE

    def test_a_worker_that_dies_between_link_and_reports_loses_none(self, kept: World) -> None:
        kept.stripe.references["pi_1"] = intent("pr_1")
        located = kept.execute.locator.locate(
            payment_named_by(kept.command("x").request), None, kept.deadline()
        )
        kept.learn(located.seen, kept.deadline())
        assert imported(kept)[0].report.state is ReportState.FAILED
        observe(kept)
        assert imported(kept)[0].report.state is ReportState.DUE

    @pytest.mark.parametrize("ours", [None, 2500, 700])
    def test_what_a_person_has_booked_meanwhile_is_not_told_again(
        self, kept: World, ours: int | None
    ) -> None:
        # Given that it was booked by hand, with a refund of ours beside it or without
        report_elsewhere(kept, next(iter(kept.processor.books.refunds.values())).processor_refund)
        if ours is not None:
            kept.refund("k", record="pr_1", amount=ours)
        # When the link is mended
        kept.stripe.references["pi_1"] = intent("pr_1")
        observe(kept)
        kept.live_for(60 * STEP_MS)
        # Then each is there once
        assert kept.stripe.books.refunded("pr_1") == 2500 + (ours or 0)
        assert imported(kept)[-1].report.state is ReportState.REPORTED

    def test_a_report_whose_answer_was_lost_hides_nothing(self, kept: World) -> None:
        # Given a report of ours that Stripe has booked, and whose answer was lost
        ours = kept.refund("k", record="pr_1", amount=2500).refund
        kept.stripe.fates.append(AnswerLost())
        with pytest.raises(ReportDeferredError):
            kept.report(ours.id)
        observe(kept)
        kept.doorbell.rung.append(ours.id)
        kept.live_for(60 * STEP_MS)
        assert kept.stripe.books.refunded("pr_1") == 5000

    def test_beside_what_stripe_shows_of_older_ones_it_is_told(self, world: World) -> None:
        world.stripe.references["pi_1"] = intent(None)
        world.settle_run(world.deadline())
        world.clock.advance(2 * DAY_MS)
        old = world.in_dashboard(5000)
        report_elsewhere(world, old)
        world.clock.advance(DAY_MS + STEP_MS)
        world.in_dashboard(2500)
        observe(world)
        world.stripe.references["pi_1"] = intent("pr_1")
        observe(world)
        world.live_for(60 * STEP_MS)
        assert world.stripe.books.refunded("pr_1") == 7500

    @pytest.mark.parametrize("by_webhook", [True, False])
    def test_one_that_ends_after_its_payment_was_linked_is_told(
        self, world: World, by_webhook: bool
    ) -> None:
        # Given one that is pending, and a refund of ours that links its payment
        world.stripe.references["pi_1"] = intent(None)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = world.in_dashboard(2500)
        observe(world)
        world.processor.books.conduct = Conduct()
        world.refund("k", record="pr_1", amount=100)
        # When it ends, then Stripe is owed its report
        world.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
        world.clock.advance(STEP_MS)
        if by_webhook:
            observe(world)
        else:
            world.settle_due()
        (refund,) = imported(world)
        assert (refund.payment_record, refund.report.state) == ("pr_1", ReportState.DUE)
        assert world.noted("report_failed") == []

    def test_one_whose_end_a_webhook_tells_is_alarmed(self, world: World) -> None:
        world.stripe.references["pi_1"] = intent(None)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = world.in_dashboard(2500)
        observe(world)
        world.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        (refund,) = imported(world)
        alarm = {"refund_id": refund.id, "reason": "payment_not_linked"}
        assert world.noted("report_failed") == [alarm]
        # And again with every look, until the link is mended
        world.sweep(world.deadline_of(SWEEP_MS))
        assert world.noted("report_failed") == [alarm, alarm]

    def test_a_record_of_another_amount_is_no_link_though_no_charge_is_read(self) -> None:
        # Given a payment that was kept without a record, on a stage that reads no charges
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        world.processor.references["charge-1"] = "pi_1"
        world.in_dashboard(2500)
        observe(world)
        # When a record that shows twice as much names the charge
        world.stripe.books.records["pr_1"].guaranteed = 2 * 9999
        # Then more than was paid is not refunded by it
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", amount=9999)
        assert world.processor.instructions == []
        assert world.payment().payment_record is None

    def test_a_refund_that_is_asked_for_links_the_payment(self, kept: World) -> None:
        # When somebody refunds the rest by its record
        done = kept.refund("k", record="pr_1").refund
        # Then the dashboard's refund counted, and the payment is linked
        assert (done.state, done.amount) == (State.SUCCEEDED, 9999 - 2500)
        assert kept.payment().payment_record == "pr_1"

    def test_another_record_cannot_take_it_then(self, kept: World) -> None:
        kept.refund("k", record="pr_1", amount=1)
        kept.stripe.add_record(
            FakeRecord(
                id="pr_other",
                currency="sgd",
                requested=9999,
                guaranteed=9999,
                metadata={"hitpay_payment_id": "charge-1"},
            )
        )
        with pytest.raises(PaymentLinkConflictError):
            kept.refund("other", record="pr_other", amount=1)

    def test_a_record_that_names_another_charge_is_no_link(self, world: World) -> None:
        world.pay("2")
        world.stripe.references["pi_1"] = intent("pr_2")
        world.in_dashboard(2500)
        observe(world)
        (refund,) = imported(world)
        assert refund.report.last_error == "payment_not_linked"
        assert world.noted("trace_leads_elsewhere") == [{"charge": "charge-1", "to": "charge-2"}]

    def test_an_intent_that_stripe_does_not_know_is_a_trace(self, world: World) -> None:
        world.stripe.references.clear()
        world.in_dashboard(2500)
        observe(world)
        assert imported(world)[0].report.last_error == "payment_not_linked"
