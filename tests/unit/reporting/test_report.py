"""Telling Stripe: once, whatever the message, the worker and the network do."""

from dataclasses import replace

import pytest

from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.stripe import ReportAccepted
from refund_bridge.reporting.report import (
    ReportDeferredError,
    Reported,
    ReportFailedError,
    UnknownRefundError,
)
from tests.fakes.processor_fates import NotSent
from tests.fakes.world import REPORT_LEASE_MS, STEP_MS, World
from tests.unit.reporting.booked_reports import (
    booked,
    changes_report,
    mishaps,
    raced,
    report_elsewhere,
)

CHARGE = PaymentKey("hitpay", "charge-1")


def test_a_success_is_reported_with_the_parameters_frozen_then(world: World) -> None:
    refund = world.refund("k", amount=2500).refund
    assert world.report(refund.id) is Reported.REPORTED
    assert booked(world) == [refund.report.parameters]
    stored = world.stored("k")
    assert stored.report.state is ReportState.REPORTED
    assert stored.report.reported_at_ms is not None
    assert stored.report.cause is ReportCause.BY_US
    assert stored.next_check_ms == world.clock.now_ms() + 60 * STEP_MS
    assert (world.payment().booked, world.payment().report_due_count) == (2500, 0)


def test_messages_that_come_again_report_nothing(world: World) -> None:
    refund = world.refund("k").refund
    world.report(refund.id)
    for receive in (1, 2, 8):
        assert world.report(refund.id, receive=receive) is Reported.NOTHING_DUE
    assert len(world.stripe.asked) == 1


class TestTaking:
    """One worker has the report at a time."""

    def test_its_lease_is_as_long_as_it_was_set(self, world: World, refund: Refund) -> None:
        # Given a worker that dies while it tells Stripe
        def dies(*_: object) -> object:
            raise KeyboardInterrupt

        tell = world.stripe.report_refund
        world.stripe.report_refund = dies  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            world.report(refund.id)
        # Then the report is its own until then, and another one is told so
        report = world.stored("k").report
        assert report.lease_until_ms == world.clock.now_ms() + REPORT_LEASE_MS
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(refund.id, receive=2)
        assert deferred.value.leased
        assert deferred.value.reason == "another worker has the payment's reports"
        assert deferred.value.retry_after_s is None
        # And after the lease another one reports
        world.stripe.report_refund = tell  # type: ignore[method-assign]
        world.clock.advance(REPORT_LEASE_MS)
        assert world.report(refund.id, receive=2) is Reported.REPORTED

    @pytest.mark.parametrize("of_the_payment", [True, False])
    def test_a_lease_on_the_report_or_on_its_payments_reports_is_respected(
        self, world: World, refund: Refund, *, of_the_payment: bool
    ) -> None:
        # Given another worker, of this release or of a former one, which leases the report alone
        until_ms = world.clock.now_ms() + 1
        if of_the_payment:
            leased = replace(world.payment(), report_lease_until_ms=until_ms)
            world.ledger.payments[CHARGE] = leased
        else:
            report = replace(refund.report, lease_until_ms=until_ms)
            world.ledger.refunds[refund.id] = replace(world.stored("k"), report=report)
        # Then this one has to come back
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(refund.id)
        assert deferred.value.leased
        # And may report when that lease ends
        world.clock.advance(1)
        assert world.report(refund.id, receive=2) is Reported.REPORTED

    def test_a_report_that_changes_while_it_is_taken_is_taken_as_it_is_then(
        self, world: World, refund: Refund
    ) -> None:
        mishaps(world).extend([changes_report(world)] * 4)
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stripe.asked == [f"{refund.id}:4"]

    def test_one_that_keeps_changing_is_left_for_later(self, world: World, refund: Refund) -> None:
        mishaps(world).extend([changes_report(world)] * 5)
        with pytest.raises(ReportDeferredError, match="keeps changing") as deferred:
            world.report(refund.id)
        assert not deferred.value.leased
        assert world.stripe.asked == []

    def test_where_nothing_is_due_the_log_says_where_the_report_stands(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        refund = world.refund("k").refund
        assert world.report(refund.id) is Reported.NOTHING_DUE
        facts = {"refund_id": refund.id, "report": ReportState.NOT_DUE}
        assert world.noted("nothing_due") == [facts]
        assert world.stripe.asked == []

    def test_a_message_for_no_refund_says_which(self, world: World) -> None:
        with pytest.raises(UnknownRefundError, match="rfd_nowhere"):
            world.report("rfd_nowhere")

    def test_a_report_without_parameters_is_for_a_person(
        self, world: World, refund: Refund
    ) -> None:
        report = replace(world.stored("k").report, parameters=None)
        world.ledger.refunds[refund.id] = replace(world.stored("k"), report=report)
        with pytest.raises(ReportFailedError, match=refund.id):
            world.report(refund.id)
        assert world.stripe.asked == []
        failed = world.stored("k").report
        assert (failed.state, failed.cause) == (ReportState.FAILED, ReportCause.NOT_LINKED)
        assert failed.last_error == "no Payment Record books it"


class TestConfirming:
    """Stripe has booked it."""

    def test_the_history_says_by_whom_and_when(self, world: World, refund: Refund) -> None:
        world.report(refund.id)
        stored = world.stored("k")
        assert stored.report.reported_at_ms == world.clock.now_ms()
        assert (stored.report.lease_until_ms, stored.report.attempts) == (None, 1)
        line = stored.history[-1]
        assert (line.after, line.cause) == ("report:reported", "stripe_accepted")
        assert (line.actor, line.at_ms) == ("report_refund", world.clock.now_ms())

    def test_the_log_says_how_long_after_the_success_and_at_which_attempt(
        self, world: World, refund: Refund
    ) -> None:
        world.report(refund.id)
        facts = {"refund_id": refund.id, "lag_ms": 1_000, "attempts": 1}
        assert world.noted("refund_reported") == [facts]

    @pytest.mark.parametrize(
        ("by_others", "accepted_excess", "steps"),
        [(0, 0, 60), (100, 0, 1), (100, 100, 60), (0, 100, 1)],
    )
    def test_the_sums_are_checked_in_an_hour_or_soon_if_they_differ_already(
        self, world: World, refund: Refund, by_others: int, accepted_excess: int, steps: int
    ) -> None:
        # Given what others have booked, and what of that a person has accepted
        if by_others:
            report_elsewhere(world, by_others)
        accepted = replace(world.payment(), accepted_excess=accepted_excess)
        world.ledger.payments[CHARGE] = accepted
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stored("k").next_check_ms == world.clock.now_ms() + steps * STEP_MS

    def test_they_are_checked_soon_where_stripe_did_not_show_the_record(
        self, world: World, refund: Refund
    ) -> None:
        world.stripe.report_refund = lambda *_: ReportAccepted()  # type: ignore[method-assign]
        assert world.report(refund.id) is Reported.REPORTED
        assert world.stored("k").next_check_ms == world.clock.now_ms() + STEP_MS

    def test_it_is_written_over_what_others_wrote_meanwhile(
        self, world: World, refund: Refund
    ) -> None:
        # Given the payment and the refund, both written by others while Stripe is told
        def others() -> None:
            payment, stored = world.payment(), world.stored("k")
            world.ledger.payments[CHARGE] = replace(payment, revision=payment.revision + 1)
            world.ledger.refunds[refund.id] = replace(
                stored, last_look="others", revision=stored.revision + 1
            )

        mishaps(world).extend([lambda: None, others, raced])
        # When the report is confirmed, then what they wrote is kept
        assert world.report(refund.id) is Reported.REPORTED
        stored = world.stored("k")
        assert (stored.report.state, stored.last_look) == (ReportState.REPORTED, "others")
        assert (world.payment().report_due_count, world.payment().booked) == (0, 2500)

    def test_what_another_worker_confirmed_is_not_confirmed_twice(
        self, world: World, refund: Refund
    ) -> None:
        def confirmed() -> None:
            stored = world.stored("k")
            report = replace(stored.report, state=ReportState.REPORTED)
            world.ledger.refunds[refund.id] = replace(
                stored, report=report, revision=stored.revision + 1
            )

        mishaps(world).extend([lambda: None, confirmed])
        lines = len(refund.history)
        with pytest.raises(ReportDeferredError, match="has changed"):
            world.report(refund.id)
        assert len(world.stored("k").history) == lines
        # And the message that comes back finds nothing to do
        assert world.report(refund.id, receive=2) is Reported.NOTHING_DUE

    def test_a_refund_that_vanishes_is_not_written(self, world: World, refund: Refund) -> None:
        mishaps(world).extend([lambda: None, world.ledger.refunds.clear])
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        assert world.ledger.refunds == {}

    def test_without_its_payment_nothing_is_told(self, world: World, refund: Refund) -> None:
        world.ledger.payments.clear()
        with pytest.raises(LedgerUnavailableError, match="whole"):
            world.report(refund.id)
        assert world.stripe.asked == []

    def test_twenty_four_lost_races_are_no_reason_to_give_up(
        self, world: World, refund: Refund
    ) -> None:
        mishaps(world).extend([lambda: None, *[raced] * 24])
        assert world.report(refund.id) is Reported.REPORTED

    def test_twenty_five_are(self, world: World, refund: Refund) -> None:
        mishaps(world).extend([lambda: None, *[raced] * 25])
        with pytest.raises(ReportDeferredError, match="too busy"):
            world.report(refund.id)
        assert world.stored("k").report.state is ReportState.DUE
