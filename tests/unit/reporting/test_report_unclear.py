"""Stripe gives no usable answer: the report is tried again, and given up at last."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.payment import PaymentKey, follow
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ProviderAnswer, ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.domain.transitions import Why
from refund_bridge.ports.stripe import ReportUnclear
from refund_bridge.reporting.report import ReportDeferredError, Reported, ReportFailedError
from refund_bridge.reporting.report_steps import owed
from tests.fakes.stripe_fates import AnswerLost, Fails, NotAllowed, ReportLost, TurnedAway
from tests.fakes.world import REPORT_LEASE_MS, STEP_MS, World
from tests.unit.reporting.booked_reports import booked, mishaps, raced


@pytest.mark.parametrize("fate", [ReportLost(), AnswerLost(), TurnedAway(3)])
def test_without_a_usable_answer_the_same_key_is_tried_again(world: World, fate: object) -> None:
    refund = world.refund("k").refund
    world.stripe.fates.append(fate)  # type: ignore[arg-type]
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    assert world.stored("k").report.last_error
    assert world.report(refund.id, receive=2) is Reported.REPORTED
    assert world.stripe.asked == [f"{refund.id}:0"] * 2
    assert len(booked(world)) == 1


@pytest.mark.parametrize("was_booked", [True, False])
def test_a_500_is_stored_at_stripe_so_the_next_try_has_another_key(
    world: World, was_booked: bool
) -> None:
    # Given a Stripe that answers 500, and may have booked the refund all the same
    refund = world.refund("k", amount=2500).refund
    world.stripe.fates.append(Fails(booked=was_booked))
    with pytest.raises(ReportDeferredError):
        world.report(refund.id)
    # When the message comes again
    assert world.report(refund.id, receive=2) is Reported.REPORTED
    # Then it was asked under a new key, and booked once
    assert world.stripe.asked == [f"{refund.id}:0", f"{refund.id}:1"]
    assert len(booked(world)) == 1
    assert world.stored("k").report.state is ReportState.REPORTED


def test_for_a_key_that_may_not_report_nothing_is_given_up(world: World) -> None:
    # Given that Stripe's key lacks the right, until the last receive
    refund = world.refund("k").refund
    world.stripe.fates.append(NotAllowed())
    assert world.report(refund.id, receive=8, last=True) is Reported.WAITS

    # Then the report is due as before, and is made when the right is given
    stored = world.stored("k")
    assert (stored.report.state, stored.report.last_ring_ms) == (ReportState.DUE, None)
    assert stored.next_check_ms == world.clock.now_ms() + STEP_MS
    assert world.report(refund.id) is Reported.REPORTED
    assert len(booked(world)) == 1


def test_a_redriven_message_tries_a_failed_report_again_under_a_new_key(world: World) -> None:
    # Given a failed report
    refund = world.refund("k").refund
    world.stripe.fates.append(ReportLost())
    with pytest.raises(ReportFailedError):
        world.report(refund.id, receive=8, last=True)
    # When its message is redriven: received for the first time again
    assert world.report(refund.id, receive=1) is Reported.REPORTED
    # Then it was asked under a new key, and booked once
    assert world.stripe.asked == [f"{refund.id}:0", f"{refund.id}:1"]
    assert len(booked(world)) == 1
    causes = [line.cause for line in world.stored("k").history]
    assert causes[-2:] == ["redriven", "stripe_accepted"]


class TestUnclear:
    """Stripe gives no usable answer."""

    def test_the_lease_is_given_back_with_the_reason(self, world: World, refund: Refund) -> None:
        world.stripe.fates.append(TurnedAway(3))
        with pytest.raises(ReportDeferredError) as deferred:
            world.report(refund.id)
        assert (deferred.value.reason, deferred.value.retry_after_s) == (
            "Stripe limits the rate",
            3,
        )
        assert not deferred.value.leased
        assert str(deferred.value) == "Stripe limits the rate"
        stored = world.stored("k")
        assert (stored.report.lease_until_ms, stored.report.epoch) == (None, 0)
        assert stored.report.last_error == "Stripe limits the rate"
        assert stored.report.attempts == 1
        # And what Stripe said is kept, and how long the report is delayed already is told
        said = ProviderAnswer(attempt=1, at_ms=world.clock.now_ms(), said="Stripe limits the rate")
        assert stored.report.answers == (said,)
        facts = {"refund_id": refund.id, "age_ms": 1_000, "reason": "Stripe limits the rate"}
        assert world.noted("report_delayed") == [facts]

    def test_where_stripe_was_not_asked_the_reason_ends_with_its_last_answer(
        self, world: World, refund: Refund
    ) -> None:
        # Given a Stripe that has turned two attempts away
        world.stripe.fates.extend([TurnedAway(3), TurnedAway(3)])
        for receive in (1, 2):
            with pytest.raises(ReportDeferredError, match=r"^Stripe limits the rate$"):
                world.report(refund.id, receive=receive)

        # When it is not even asked for a while
        def not_asked(*_: object) -> ReportUnclear:
            return ReportUnclear("Stripe failed too often", was_asked=False)

        world.stripe.report_refund = not_asked  # type: ignore[method-assign, assignment]
        with pytest.raises(ReportDeferredError):
            world.report(refund.id, receive=3)
        # Then what it said last is still to be read, and nothing is kept as its answer
        report = world.stored("k").report
        assert report.last_error == (
            "Stripe failed too often; the last answer: Stripe limits the rate"
        )
        assert [answer.attempt for answer in report.answers] == [1, 2]

    def test_a_lease_that_cannot_be_given_back_ends_by_itself(
        self, world: World, refund: Refund
    ) -> None:
        world.stripe.fates.append(ReportLost())
        mishaps(world).extend([lambda: None, *[raced] * 25])
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        assert world.payment().report_lease_until_ms is not None
        world.clock.advance(REPORT_LEASE_MS)
        assert world.report(refund.id, receive=2) is Reported.REPORTED

    def test_on_the_last_receive_it_is_failed_with_the_reason(
        self, world: World, refund: Refund
    ) -> None:
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError, match="no whole answer"):
            world.report(refund.id, receive=8, last=True)
        stored = world.stored("k")
        reason = "unclear: Stripe: no whole answer: TimeoutError"
        assert (stored.report.last_error, stored.history[-1].cause) == (reason, "unclear")
        assert stored.report.cause is ReportCause.UNCLEAR
        assert (stored.report.lease_until_ms, stored.next_check_ms) == (None, None)
        assert (stored.report.state, world.payment().report_due_count) == (ReportState.FAILED, 0)
        assert world.noted("report_failed") == [{"refund_id": refund.id, "reason": reason}]
        # And the same message, should it come again, is told so
        with pytest.raises(ReportFailedError, match=reason):
            world.report(refund.id, receive=9)

    def test_a_failure_without_a_reason_is_a_failure(self, world: World, refund: Refund) -> None:
        stored = world.stored("k")
        failed = replace(stored.report, state=ReportState.FAILED, last_error=None)
        world.ledger.refunds[refund.id] = replace(stored, report=failed)
        with pytest.raises(ReportFailedError, match="failed before"):
            world.report(refund.id, receive=2)

    def test_a_redrive_of_what_came_back_meanwhile_tells_nothing(
        self, world: World, refund: Refund
    ) -> None:
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        world.observe(PaymentKey("hitpay", "charge-1"), world.deadline())
        # It was sent, so the sums say whether Stripe shows it: read twice, and it does not
        assert world.report(refund.id) is Reported.NOTHING_DUE
        assert world.stored("k").report.state is ReportState.NOT_DUE
        assert len(world.stripe.asked) == 1

    def test_a_redrive_of_what_came_back_and_was_never_sent_tells_nothing(
        self, world: World, refund: Refund
    ) -> None:
        # Given such a report that a former release left failed
        stored = world.stored("k")
        failed = replace(stored.report, state=ReportState.FAILED)
        left = replace(stored, report=failed, late_failure_at_ms=1)
        world.ledger.refunds[refund.id] = left
        assert world.report(refund.id) is Reported.NOTHING_DUE
        assert world.ledger.refunds[refund.id] == left
        facts = {"refund_id": refund.id, "report": ReportState.NOT_DUE}
        assert world.noted("nothing_due") == [facts]

    def test_a_redrive_of_what_a_person_has_just_replayed_is_told(
        self, world: World, refund: Refund
    ) -> None:
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)

        # Given a person who replays the failed report while its redriven message is handled
        def replayed() -> None:
            stored = world.stored("k")
            why = Why(at_ms=world.clock.now_ms(), cause="replayed", actor="operator:kim")
            due = replace(owed(stored, why), revision=stored.revision + 1)
            payment = world.payment()
            follows = replace(follow(payment, stored, due), revision=payment.revision + 1)
            world.ledger.refunds[stored.id], world.ledger.payments[payment.key] = due, follows

        mishaps(world).append(replayed)
        # Then the message serves that replay
        assert world.report(refund.id) is Reported.REPORTED
        causes = [line.cause for line in world.stored("k").history]
        assert causes[-2:] == ["replayed", "stripe_accepted"]

    def test_a_redriven_report_counts_as_rung_for_and_is_looked_at_again(
        self, world: World, refund: Refund
    ) -> None:
        # Given a failed report that is redriven, and no answer again
        world.stripe.fates.extend([ReportLost(), ReportLost()])
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        world.clock.advance(1_000)
        with pytest.raises(ReportDeferredError):
            world.report(refund.id)
        # Then it is due, and settling looks at it should its message be lost
        stored = world.stored("k")
        now_ms = world.clock.now_ms()
        assert (stored.report.state, stored.report.last_ring_ms) == (ReportState.DUE, now_ms)
        assert stored.next_check_ms == now_ms + 15_000


def test_a_report_that_stripe_lost_is_sent_again_until_it_answers(world: World) -> None:
    world.refund("ours", amount=2500)
    world.stripe.fates.extend([ReportLost(), ReportLost()])
    world.live_for(60 * STEP_MS)
    assert world.at_stripe == 2500
