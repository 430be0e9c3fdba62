"""A person says that no money moved; what the evidence does not allow is refused."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.refunding.record_outcome import SUMS_CHECK_MS
from refundctl.deciding.resolve import ItFailed, ItSucceeded
from tests.fakes.processor_fates import Conduct, Executed
from tests.fakes.world import HOLD_MS, World
from tests.unit.refundctl.deciding.reviews import (
    ACTOR,
    CHARGE,
    HOUR_MS,
    NO_MONEY,
    decide,
    refused,
    tamper,
)


class TestFailed:
    """No money moved, and none will."""

    def test_its_amount_is_free_again_and_said_who_decided(self, lost: World) -> None:
        done = decide(lost, NO_MONEY)
        stored = lost.stored("k")
        assert done.after == stored
        assert (stored.state, stored.looks) == (State.FAILED, 0)
        # What was seen on the charge meanwhile is looked at soon
        assert stored.next_check_ms == stored.updated_at_ms + SUMS_CHECK_MS
        assert stored.failure is not None
        assert stored.failure.code == "not_executed"
        assert (lost.payment().refundable, lost.payment().slot) == (9999, None)
        assert (stored.history[-1].cause, stored.history[-1].actor) == ("resolved", ACTOR)
        assert stored.history[-1].evidence == {"reason": NO_MONEY.reason}
        assert lost.doorbell.rung == []
        # And another refund may have the amount
        assert lost.refund("k2").refund.amount == 9999

    def test_deciding_the_same_again_changes_nothing(self, lost: World) -> None:
        decide(lost, NO_MONEY)
        before = lost.stored("k")
        assert decide(lost, ItFailed("again")).is_done
        assert lost.stored("k") == before

    def test_not_before_an_instruction_can_arrive_no_more(self, doubtful: World) -> None:
        # Given a review from within the hold, and a charge that lists nothing of this amount
        doubtful.processor.books.refunds.clear()
        started_ms = doubtful.stored("k").started_at_ms or 0
        doubtful.clock.advance(started_ms + HOLD_MS - 1 - doubtful.clock.now_ms())
        for decision in (NO_MONEY, ItFailed("sure", despite_evidence=True)):
            assert "may still arrive" in str(refused(doubtful, decision))
        doubtful.clock.advance(1)
        assert decide(doubtful, NO_MONEY).after.state is State.FAILED

    def test_the_hold_counts_from_the_sending_not_from_the_asking(self, lost: World) -> None:
        tamper(lost, started_at_ms=lost.clock.now_ms() - HOLD_MS + 1)
        assert "may still arrive" in str(refused(lost, NO_MONEY))
        tamper(lost, started_at_ms=lost.clock.now_ms() - HOLD_MS)
        assert decide(lost, NO_MONEY).after.state is State.FAILED

    def test_the_hold_of_one_without_a_start_counts_from_its_creation(self, lost: World) -> None:
        tamper(lost, started_at_ms=None, created_at_ms=lost.clock.now_ms())
        assert "may still arrive" in str(refused(lost, NO_MONEY))

    def test_not_while_the_charge_lists_what_can_be_ours(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        refusal = refused(lost, NO_MONEY)
        assert refusal.processor_refunds == (processor_refund.id,)
        assert processor_refund.id in str(refusal)
        assert "--succeeded" in str(refusal)

    def test_despite_that_if_it_is_known_to_be_anothers(self, lost: World) -> None:
        # Given a dashboard refund of the same amount that somebody remembers making
        processor_refund = lost.in_dashboard(2500)
        done = decide(lost, ItFailed("Kim made that one", despite_evidence=True))
        # Then ours failed, the evidence against it is kept, and the other one is imported
        assert done.left_over == (processor_refund,)
        stored = lost.stored("k")
        assert stored.history[-1].evidence == {
            "reason": "Kim made that one",
            "despite": [processor_refund.id],
        }
        lost.observe(lost.payment().key, lost.deadline())
        (other,) = [r for r in lost.ledger.refunds.values() if r.id != stored.id]
        assert (other.processor_refund_id, other.contradicts) == (processor_refund.id, stored.id)
        assert other.report.state is ReportState.DUE
        assert lost.payment().refundable == 7499

    def test_nothing_against_it_needs_no_despite(self, lost: World) -> None:
        done = decide(lost, ItFailed("sure", despite_evidence=True))
        assert done.left_over == ()
        assert lost.stored("k").history[-1].evidence == {"reason": "sure", "despite": []}

    @pytest.mark.parametrize(
        "kind", ["another amount", "failed", "claimed", "there before", "too old"]
    )
    def test_what_cannot_be_ours_does_not_stand_against_it(self, lost: World, kind: str) -> None:
        if kind == "failed":
            lost.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        processor_refund = lost.in_dashboard(2600 if kind == "another amount" else 2500)
        if kind == "claimed":
            lost.ledger.processor_refunds["hitpay", processor_refund.id] = "rfd_other"
        if kind == "there before":
            tamper(lost, snapshot=(processor_refund.id,))
        if kind == "too old":
            tamper(lost, snapshot=None)
            kept = lost.processor.books.refunds[processor_refund.id]
            kept.processor_refund = replace(
                processor_refund, created_at_ms=1000, refunded_at_ms=1000
            )
        assert decide(lost, NO_MONEY).after.state is State.FAILED

    def test_what_is_old_is_no_excuse_if_it_was_not_there_before(self, lost: World) -> None:
        # Given a charge that was read before: what it did not list was not there, whatever its time
        processor_refund = lost.in_dashboard(2500)
        assert lost.stored("k").snapshot == ()
        kept = lost.processor.books.refunds[processor_refund.id]
        kept.processor_refund = replace(processor_refund, created_at_ms=1000, refunded_at_ms=1000)
        assert refused(lost, NO_MONEY).processor_refunds == (processor_refund.id,)

    def test_without_a_snapshot_what_is_not_too_old_stands_against_it(self, lost: World) -> None:
        tamper(lost, snapshot=None)
        processor_refund = lost.in_dashboard(2500)
        assert processor_refund.id in refused(lost, NO_MONEY).processor_refunds

    def test_its_looks_are_counted_anew(self, lost: World) -> None:
        tamper(lost, looks=3, look_ups=2)
        decide(lost, NO_MONEY)
        assert (lost.stored("k").looks, lost.stored("k").look_ups) == (0, 0)

    def test_not_without_evidence(self, lost: World) -> None:
        lost.processor.lists_refunds = False
        assert "no evidence" in str(refused(lost, NO_MONEY))
        decision = ItFailed("the dashboard shows none", despite_evidence=True)
        assert decide(lost, decision).after.state is State.FAILED

    def test_a_charge_that_is_gone_is_no_evidence(self, lost: World) -> None:
        del lost.processor.books.charges["charge-1"]
        assert "no evidence" in str(refused(lost, NO_MONEY))
        decision = ItFailed("the shop was closed", despite_evidence=True)
        assert decide(lost, decision).after.state is State.FAILED

    def test_a_long_reason_is_cut(self, lost: World) -> None:
        decide(lost, ItFailed("x" * 1000))
        assert lost.stored("k").history[-1].evidence["reason"] == "x" * 300

    def test_one_of_many_is_named_with_few(self, lost: World) -> None:
        lost.processor.books.checks_amounts = False
        made = [lost.in_dashboard(2500) for _ in range(12)]
        refusal = refused(lost, NO_MONEY)
        assert refusal.processor_refunds == tuple(processor_refund.id for processor_refund in made)
        assert made[9].id in str(refusal)
        assert made[10].id not in str(refusal)
        decide(lost, ItFailed("all Kim's", despite_evidence=True))
        assert len(lost.stored("k").history[-1].evidence["despite"]) == 10


class TestFailedThoughBound:
    """A review of a refund that HitPay accepted and later showed differently."""

    @pytest.fixture
    def bound(self, lost: World) -> World:
        lost.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        decide(lost, ItSucceeded(lost.in_dashboard(2500).id))
        return lost

    @pytest.mark.parametrize(
        "status", [ProcessorRefundStatus.PENDING, ProcessorRefundStatus.SUCCEEDED]
    )
    def test_it_is_not_failed_while_hitpay_shows_it(
        self, bound: World, status: ProcessorRefundStatus
    ) -> None:
        processor_refund_id = bound.stored("k").processor_refund_id or ""
        bound.processor.books.set_status(processor_refund_id, status)
        certain = ItFailed("sure", despite_evidence=True)
        for decision in (NO_MONEY, certain) if status == "succeeded" else (NO_MONEY,):
            refusal = refused(bound, decision)
            assert refusal.processor_refunds == (processor_refund_id,)
            assert status in str(refusal)

    def test_one_that_is_gone_needs_certainty(self, bound: World) -> None:
        bound.processor.books.refunds.clear()
        assert "does not show now" in str(refused(bound, NO_MONEY))
        decision = ItFailed("support says gone", despite_evidence=True)
        assert decide(bound, decision).after.state is State.FAILED
        assert bound.payment().refundable == 9999

    def test_not_while_its_charge_lists_it(
        self, bound: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bound.processor, "processor_refund", lambda *_: None)
        decision = ItFailed("support says gone")
        assert refused(bound, decision).processor_refunds == (
            bound.stored("k").processor_refund_id,
        )

    def test_one_that_has_waited_for_longer_than_an_instruction_can_is_a_persons(
        self, bound: World
    ) -> None:
        bound.clock.advance(40 * HOLD_MS)
        decision = ItFailed("support says it never left", despite_evidence=True)
        assert decide(bound, decision).after.state is State.FAILED

    def test_one_that_shows_another_amount_is_let_go_and_imported_as_what_it_is(
        self, bound: World
    ) -> None:
        # Given a refund of 25.00 that is bound to what shows 20.00
        refund = bound.stored("k")
        shown = bound.processor.books.refunds[refund.processor_refund_id or ""]
        shown.processor_refund = replace(
            shown.processor_refund, money=Money(2000, "sgd"), status=ProcessorRefundStatus.SUCCEEDED
        )
        # When a person says that ours failed
        done = decide(bound, NO_MONEY)
        # Then ours has moved nothing, and what moved is a refund of its own
        assert (done.after.state, done.after.processor_refund_id) == (State.FAILED, None)
        (imported,) = bound.imported()
        assert (imported.amount, imported.processor_refund_id) == (2000, refund.processor_refund_id)
        assert bound.payment().held == 2000
        bound.live_for(2 * HOUR_MS)
        assert bound.at_stripe == 2000

    @pytest.mark.parametrize("is_imported", [True, False])
    def test_one_that_its_payment_lists_by_another_id_is_imported_from_there_only(
        self, bound: World, is_imported: bool
    ) -> None:
        # Given a refund of 25.00 that is bound to what shows 20.00, listed under an id of its own
        shown = bound.processor.books.refunds[bound.stored("k").processor_refund_id or ""]
        shown.processor_refund = replace(
            shown.processor_refund, money=Money(2000, "sgd"), status=ProcessorRefundStatus.SUCCEEDED
        )
        bound.processor.books.lists_other_ids = True
        if is_imported:
            bound.observe(CHARGE, bound.deadline())
        # When a person says that ours failed, and the payment is looked at
        assert decide(bound, NO_MONEY).imported is None
        bound.observe(CHARGE, bound.deadline())
        # Then what moved is one refund, and Stripe hears of it once
        assert [one.amount for one in bound.imported()] == [2000]
        bound.live_for(2 * HOUR_MS)
        assert (bound.payment().held, bound.at_stripe) == (2000, 2000)


def test_a_late_instruction_after_a_failure_by_hand_is_found_and_said_to_contradict_it(
    lost: World,
) -> None:
    decide(lost, NO_MONEY)
    lost.processor.decide = lambda _: Executed()
    charge = lost.processor.books.charges["charge-1"]
    lost.processor.books.move(charge, Money(2500, "sgd"), lost.stored("k").id)
    lost.observe(lost.payment().key, lost.deadline())
    assert "movement_contradicts" in lost.telemetry.events
    payment: Payment = lost.payment()
    assert payment.refundable == 7499
