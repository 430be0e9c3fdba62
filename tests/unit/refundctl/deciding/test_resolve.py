"""A person decides a review, and what the evidence does not allow is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.evidence import CLOCK_TOLERANCE_MS
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.refunding.record_outcome import SUMS_CHECK_MS, Stored
from refund_bridge.reporting.report import Reported
from refundctl.deciding.resolve import (
    Decision,
    EvidenceChangedError,
    ItFailed,
    ItSucceeded,
    Resolution,
    ResolutionRefusedError,
    ResolveRefund,
)
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor_fates import Conduct, Executed, ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, STEP_MS, World

ACTOR = "operator:kim"
HOUR_MS = 60 * STEP_MS
CHARGE = PaymentKey("hitpay", "charge-1")
NO_MONEY = ItFailed("HitPay's support found no such refund, ticket 4711")


def resolver(world: World) -> ResolveRefund:
    return ResolveRefund(
        ledger=world.ledger,
        processors=world.settle.processors,
        accounts=world.accounts,
        recorder=world.settle.recorder,
        doorbell=world.doorbell,
        clock=world.clock,
        telemetry=world.telemetry,
        hold_ms=HOLD_MS,
        actor=ACTOR,
    )


def decide(world: World, decision: Decision, key: str = "k") -> Resolution:
    """Weigh it, agree, and have it written."""
    resolve, refund_id = resolver(world), world.stored(key).id
    agreed = resolve.weigh(refund_id, decision, world.deadline())
    return resolve.carry_out(refund_id, decision, agreed, world.deadline())


def refused(world: World, decision: Decision) -> ResolutionRefusedError:
    """Why it may not be decided so; nothing has been written."""
    before = (
        dict(world.ledger.refunds),
        dict(world.ledger.payments),
        dict(world.ledger.processor_refunds),
    )
    with pytest.raises(ResolutionRefusedError) as refusal:
        resolver(world).weigh(world.stored("k").id, decision, world.deadline())
    assert before == (world.ledger.refunds, world.ledger.payments, world.ledger.processor_refunds)
    return refusal.value


def tamper(world: World, **facts: object) -> Refund:
    """The refund of key k, as if it had always been so."""
    refund = replace(world.stored("k"), **facts)  # type: ignore[arg-type]
    world.ledger.refunds[refund.id] = refund
    return refund


@pytest.fixture
def lost() -> World:
    """A refund of SGD 25.00 of 99.99 that HitPay never got, in review after the hold."""
    world = World()
    world.pay()
    world.processor.fates.append(RequestLost())
    world.refund("k", amount=2500)
    world.settle_for(HOLD_MS + 2 * HOUR_MS)
    assert world.stored("k").state is State.REVIEW
    return world


@pytest.fixture
def doubtful() -> World:
    """One that HitPay executed, beside a dashboard refund of the same amount, in review at once."""
    world = World()
    world.pay()
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    world.in_dashboard(2500)
    world.settle_due()
    assert world.stored("k").state is State.REVIEW
    return world


def ours(world: World) -> ProcessorRefund:
    (processor_refund,) = world.processor.moved_by(world.stored("k").id)
    return processor_refund


class TestSucceeded:
    """The processor refund that a person names."""

    def test_it_is_bound_reported_and_said_who_decided(self, doubtful: World) -> None:
        # When a person says which of the two is ours
        decision = ItSucceeded(ours(doubtful).id, "by the time in HitPay's log")
        done = decide(doubtful, decision)
        # Then it succeeded, bound to that one, its report due and rung for
        stored = doubtful.stored("k")
        assert done.after == stored
        assert not done.is_done
        assert (stored.state, stored.processor_refund_id) == (State.SUCCEEDED, ours(doubtful).id)
        assert doubtful.doorbell.rung == [stored.id]
        assert (doubtful.payment().slot, doubtful.payment().moved) == (None, 2500)
        assert done.payment == doubtful.payment()
        # And the history says who decided, on what evidence, and why
        entry = next(one for one in stored.history if one.after == State.SUCCEEDED)
        assert (entry.before, entry.cause, entry.actor) == ("review", "resolved", ACTOR)
        assert entry.evidence["processor_refund_id"] == ours(doubtful).id
        assert entry.evidence["reason"] == "by the time in HitPay's log"
        assert stored.history[-1].after == "report:due"
        noted = ("refund_resolved", {"refund_id": stored.id, "state": "succeeded"})
        assert noted in doubtful.telemetry.notes
        # And Stripe hears of it once, and of the other one as somebody else's
        assert doubtful.report(stored.id) is Reported.REPORTED
        doubtful.observe(doubtful.payment().key, doubtful.deadline())
        assert sorted(r.state for r in doubtful.ledger.refunds.values()) == ["succeeded"] * 2

    def test_a_reason_may_be_left_out(self, doubtful: World) -> None:
        decide(doubtful, ItSucceeded(ours(doubtful).id))
        assert "reason" not in doubtful.stored("k").history[-2].evidence

    def test_deciding_the_same_again_changes_nothing(self, doubtful: World) -> None:
        decision = ItSucceeded(ours(doubtful).id)
        decide(doubtful, decision)
        before = doubtful.stored("k")
        again = decide(doubtful, decision)
        assert again.is_done
        assert doubtful.stored("k") == before
        assert doubtful.doorbell.rung == [before.id]

    def test_one_that_is_not_there_is_refused(self, lost: World) -> None:
        assert "does not show hitpay-refund-9" in str(refused(lost, ItSucceeded("hitpay-refund-9")))

    def test_one_that_cannot_be_read_succeeded_if_a_person_knows_it(self, lost: World) -> None:
        # Given a processor that shows nothing of it, and a dashboard that does
        decision = ItSucceeded("hitpay-refund-9", "seen in the dashboard", despite_evidence=True)
        done = decide(lost, decision)
        # Then it is bound to that, and Stripe is told
        assert (done.after.state, done.after.processor_refund_id) == (
            State.SUCCEEDED,
            "hitpay-refund-9",
        )
        assert lost.report(done.after.id) is Reported.REPORTED

    @pytest.mark.parametrize(
        ("amount", "currency", "charge"),
        [(2600, "sgd", "charge-1"), (2500, "usd", "charge-1"), (2500, "sgd", "charge-2")],
        ids=["amount", "currency", "payment"],
    )
    def test_one_of_another_kind_is_refused(
        self, lost: World, amount: int, currency: str, charge: str
    ) -> None:
        lost.pay("2")
        books = lost.processor.books
        processor_refund = books.move(books.charges[charge], Money(amount, currency), None)
        assert isinstance(processor_refund, ProcessorRefund)
        told = str(refused(lost, ItSucceeded(processor_refund.id)))
        assert f"as {Money(amount, currency).for_people()} of payment" in told
        assert charge in told

    def test_one_that_belongs_to_another_refund_is_refused(self, doubtful: World) -> None:
        # Given that our processor refund was imported as somebody else's
        doubtful.ledger.processor_refunds["hitpay", ours(doubtful).id] = "rfd_other"
        told = str(refused(doubtful, ItSucceeded(ours(doubtful).id)))
        assert "belongs to rfd_other" in told

    def test_one_that_was_there_before_we_sent_is_refused(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        tamper(lost, snapshot=(processor_refund.id,))
        assert "before" in str(refused(lost, ItSucceeded(processor_refund.id)))

    @pytest.mark.parametrize("time", ["created_at_ms", "refunded_at_ms"])
    def test_one_that_is_older_than_any_clock_explains_is_refused(
        self, lost: World, time: str
    ) -> None:
        processor_refund = lost.in_dashboard(2500)
        tamper(lost, snapshot=None)
        made_ms = lost.stored("k").started_at_ms or 0
        times: dict[str, Any] = {"created_at_ms": None, "refunded_at_ms": None}
        edge_ms = made_ms // 1000 * 1000 - CLOCK_TOLERANCE_MS
        kept = lost.processor.books.refunds[processor_refund.id]
        kept.processor_refund = replace(processor_refund, **(times | {time: edge_ms - 1}))
        assert "older" in str(refused(lost, ItSucceeded(processor_refund.id)))
        # And one that clocks may explain is a person's to judge
        kept.processor_refund = replace(processor_refund, **(times | {time: edge_ms}))
        assert decide(lost, ItSucceeded(processor_refund.id)).after.state is State.SUCCEEDED

    def test_one_that_was_not_there_before_is_not_older_whatever_its_time(
        self, lost: World
    ) -> None:
        processor_refund = lost.in_dashboard(2500)
        kept = lost.processor.books.refunds[processor_refund.id]
        kept.processor_refund = replace(processor_refund, created_at_ms=1000, refunded_at_ms=1000)
        assert decide(lost, ItSucceeded(processor_refund.id)).after.state is State.SUCCEEDED

    def test_one_without_a_time_is_a_persons_to_judge(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        tamper(lost, snapshot=None)
        kept = lost.processor.books.refunds[processor_refund.id]
        kept.processor_refund = replace(processor_refund, created_at_ms=None, refunded_at_ms=None)
        assert decide(lost, ItSucceeded(processor_refund.id)).after.state is State.SUCCEEDED

    def test_one_that_failed_is_no_success(self, lost: World) -> None:
        lost.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        processor_refund = lost.in_dashboard(2500)
        assert "it failed" in str(refused(lost, ItSucceeded(processor_refund.id)))

    def test_one_that_is_pending_is_bound_and_followed_to_its_end(self, lost: World) -> None:
        # Given a processor refund that HitPay holds back
        lost.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = lost.in_dashboard(2500)
        # When a person says that it is ours
        done = decide(lost, ItSucceeded(processor_refund.id, "same minute"))
        # Then it is bound, keeps its amount, and is said so
        stored = lost.stored("k")
        assert (stored.state, stored.processor_refund_id) == (State.REVIEW, processor_refund.id)
        assert stored.report.state is ReportState.NOT_DUE
        assert (lost.payment().slot, lost.payment().held) == (None, 2500)
        assert stored.history[-1].cause == "resolved"
        assert stored.history[-1].evidence["reason"] == "same minute"
        assert done.processor_refund == processor_refund
        # And again is harmless
        again = decide(lost, ItSucceeded(processor_refund.id))
        assert again.is_done
        assert again.processor_refund == processor_refund
        assert lost.stored("k") == stored
        # And when it ends, it is settled by itself
        lost.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
        lost.settle_due()
        assert lost.stored("k").state is State.SUCCEEDED

    def test_one_that_is_bound_and_has_succeeded_meanwhile_need_not_wait(self, lost: World) -> None:
        lost.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = lost.in_dashboard(2500)
        decide(lost, ItSucceeded(processor_refund.id))
        lost.processor.books.set_status(processor_refund.id, ProcessorRefundStatus.SUCCEEDED)
        done = decide(lost, ItSucceeded(processor_refund.id))
        assert not done.is_done
        assert lost.stored("k").state is State.SUCCEEDED
        assert lost.doorbell.rung == [lost.stored("k").id]

    def test_without_a_snapshot_only_its_time_speaks_against_it(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        tamper(lost, snapshot=None)
        assert decide(lost, ItSucceeded(processor_refund.id)).after.state is State.SUCCEEDED

    def test_its_looks_are_counted_anew(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        tamper(lost, looks=3, look_ups=2)
        decide(lost, ItSucceeded(processor_refund.id))
        assert (lost.stored("k").looks, lost.stored("k").look_ups) == (0, 0)

    def test_one_of_a_payment_that_no_record_books_fails_to_be_reported(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        refund = tamper(lost, payment_record=None, source=Source.PROCESSOR)
        decide(lost, ItSucceeded(processor_refund.id))
        assert lost.stored("k").report.state is ReportState.FAILED
        failed = {"refund_id": refund.id, "reason": "payment_not_linked"}
        assert ("report_failed", failed) in lost.telemetry.notes
        assert lost.doorbell.rung == []

    def test_a_refund_that_is_bound_is_bound_for_ever(self, doubtful: World) -> None:
        tamper(doubtful, processor_refund_id="hitpay-refund-7")
        told = str(refused(doubtful, ItSucceeded(ours(doubtful).id)))
        assert "bound to hitpay-refund-7" in told

    def test_a_doorbell_that_is_broken_is_rung_by_settling(self, doubtful: World) -> None:
        doubtful.doorbell.is_broken = True
        decide(doubtful, ItSucceeded(ours(doubtful).id))
        assert doubtful.telemetry.notes[-1] == (
            "doorbell_lost",
            {"refund_id": doubtful.stored("k").id},
        )
        doubtful.doorbell.is_broken = False
        doubtful.settle_for(STEP_MS)
        assert doubtful.doorbell.rung == [doubtful.stored("k").id]

    def test_one_that_no_record_books_is_not_rung_for(self, doubtful: World) -> None:
        tamper(doubtful, payment_record=None)
        done = decide(doubtful, ItSucceeded(ours(doubtful).id))
        assert (done.after.state, done.after.report.state) == (State.SUCCEEDED, ReportState.FAILED)
        assert doubtful.doorbell.rung == []


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


class TestNothingToDecide:
    """Only a review is a person's to decide."""

    @pytest.mark.parametrize("state", [one for one in State if one is not State.REVIEW])
    def test_in_any_other_state_it_is_said_what_happens_instead(
        self, lost: World, state: State
    ) -> None:
        processor_refund = lost.in_dashboard(2500)
        tamper(lost, state=state)
        decisions: list[Decision] = [ItSucceeded(processor_refund.id), NO_MONEY]
        if state is State.FAILED:
            decisions.remove(NO_MONEY)
        for decision in decisions:
            told = str(refused(lost, decision))
            assert told.startswith(lost.stored("k").id)
            assert told.endswith(".")

    def test_an_unknown_refund_is_no_refund(self, lost: World) -> None:
        with pytest.raises(RefundNotFoundError):
            resolver(lost).weigh("rfd_nobody", NO_MONEY, lost.deadline())

    def test_a_processor_that_gives_no_answer_decides_nothing(self, lost: World) -> None:
        lost.processor.is_down = True
        for decision in (ItSucceeded("m"), NO_MONEY):
            with pytest.raises(ProviderUnavailableError):
                resolver(lost).weigh(lost.stored("k").id, decision, lost.deadline())


class Meanwhile(MemoryLedger):
    """A ledger in which something happens just before a commit."""

    happens: Callable[[], None] | None = None

    def commit(self, commit: object) -> None:
        if (happens := self.happens) is not None:
            self.happens = None
            happens()
        super().commit(commit)  # type: ignore[arg-type]


@pytest.fixture
def busy() -> World:
    """As ``doubtful``, with such a ledger."""
    world = World(ledger=Meanwhile())
    world.pay()
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    world.in_dashboard(2500)
    world.settle_due()
    return world


def meanwhile(world: World, happens: Callable[[], None]) -> None:
    assert isinstance(world.ledger, Meanwhile)
    world.ledger.happens = happens


class TestRaces:
    """Somebody else writes between the reading and the writing."""

    def test_another_write_of_the_same_refund_is_read_and_weighed_anew(self, busy: World) -> None:
        meanwhile(busy, lambda: touch(busy))
        assert decide(busy, ItSucceeded(ours(busy).id)).after.state is State.SUCCEEDED
        assert busy.stored("k").looked_at_ms == 5

    def test_another_write_of_the_payment_is_read_and_weighed_anew(self, busy: World) -> None:
        def other() -> None:
            payment = busy.payment()
            busy.ledger.payments[payment.key] = replace(payment, revision=payment.revision + 1)

        meanwhile(busy, other)
        assert decide(busy, ItSucceeded(ours(busy).id)).after.state is State.SUCCEEDED

    def test_two_people_who_decide_alike_decide_once(self, busy: World) -> None:
        decision = ItSucceeded(ours(busy).id)
        meanwhile(busy, lambda: discard(decide(busy, decision)))
        assert decide(busy, decision).is_done
        assert [one.cause for one in busy.stored("k").history].count("resolved") == 2
        assert busy.doorbell.rung == [busy.stored("k").id]

    def test_of_two_people_who_decide_differently_the_first_has_decided(self, lost: World) -> None:
        processor_refund = lost.in_dashboard(2500)
        resolve, refund_id = resolver(lost), lost.stored("k").id
        decision = ItFailed("sure", despite_evidence=True)
        agreed = resolve.weigh(refund_id, decision, lost.deadline())
        decide(lost, ItSucceeded(processor_refund.id))
        with pytest.raises(ResolutionRefusedError, match="has succeeded"):
            resolve.carry_out(refund_id, decision, agreed, lost.deadline())

    def test_a_processor_refund_that_another_refund_claims_meanwhile_is_refused(
        self, busy: World
    ) -> None:
        def claim() -> None:
            busy.ledger.processor_refunds["hitpay", ours(busy).id] = "rfd_other"

        meanwhile(busy, claim)
        with pytest.raises(ResolutionRefusedError, match="belongs to rfd_other"):
            decide(busy, ItSucceeded(ours(busy).id))
        assert busy.stored("k").state is State.REVIEW

    def test_evidence_that_changes_after_it_was_agreed_to_writes_nothing(self, lost: World) -> None:
        # Given a person who agrees to a failure with nothing against it
        resolve, refund_id = resolver(lost), lost.stored("k").id
        decision = ItFailed("sure", despite_evidence=True)
        agreed = resolve.weigh(refund_id, decision, lost.deadline())
        # When a processor refund appears that can be ours
        lost.in_dashboard(2500)
        # Then that is not what was agreed to
        with pytest.raises(EvidenceChangedError):
            resolve.carry_out(refund_id, decision, agreed, lost.deadline())
        assert lost.stored("k").state is State.REVIEW

    @pytest.mark.parametrize("record", ["pr_1", None])
    def test_a_processor_refund_that_ends_after_it_was_agreed_to_writes_nothing(
        self, lost: World, record: str | None
    ) -> None:
        tamper(lost, payment_record=record)
        lost.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        decision = ItSucceeded(lost.in_dashboard(2500).id)
        resolve, refund_id = resolver(lost), lost.stored("k").id
        agreed = resolve.weigh(refund_id, decision, lost.deadline())
        lost.processor.books.set_status(
            decision.processor_refund_id, ProcessorRefundStatus.SUCCEEDED
        )
        with pytest.raises(EvidenceChangedError):
            resolve.carry_out(refund_id, decision, agreed, lost.deadline())

    def test_a_report_that_comes_to_be_owed_after_it_was_agreed_to_writes_nothing(
        self, doubtful: World
    ) -> None:
        tamper(doubtful, payment_record=None)
        resolve, refund_id = resolver(doubtful), doubtful.stored("k").id
        decision = ItSucceeded(ours(doubtful).id)
        agreed = resolve.weigh(refund_id, decision, doubtful.deadline())
        tamper(doubtful, payment_record="pr_1")
        with pytest.raises(EvidenceChangedError):
            resolve.carry_out(refund_id, decision, agreed, doubtful.deadline())

    def test_a_refund_that_keeps_changing_is_left_alone(
        self, doubtful: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries: list[Stored] = []

        def conflict(_: object, current: Stored, after: Refund, **__: object) -> Stored:
            tries.append(current)
            raise LedgerConflictError(after.id)

        resolve, refund_id = resolver(doubtful), doubtful.stored("k").id
        decision = ItSucceeded(ours(doubtful).id)
        agreed = resolve.weigh(refund_id, decision, doubtful.deadline())
        monkeypatch.setattr(type(resolve.recorder), "write", conflict)
        with pytest.raises(EvidenceChangedError, match="keeps changing"):
            resolve.carry_out(refund_id, decision, agreed, doubtful.deadline())
        assert len(tries) == 5

    def test_a_write_whose_reply_was_lost_is_found_when_it_is_done_again(self, busy: World) -> None:
        # Given a commit that is applied, and its reply lost
        decision = ItSucceeded(ours(busy).id)
        original = busy.ledger.commit

        def reply_lost(commit: object) -> None:
            original(commit)  # type: ignore[arg-type]
            busy.ledger.commit = original  # type: ignore[method-assign]
            raise LedgerUnavailableError("no answer")

        busy.ledger.commit = reply_lost  # type: ignore[method-assign]
        with pytest.raises(LedgerUnavailableError):
            decide(busy, decision)
        # When it is done again, then it is found done, and the report is still rung for
        assert decide(busy, decision).is_done
        busy.settle_for(STEP_MS)
        assert busy.doorbell.rung == [busy.stored("k").id]


def touch(world: World) -> None:
    refund = world.stored("k")
    tamper(world, looked_at_ms=5, revision=refund.revision + 1)


def discard(_: Resolution) -> None:
    """For its effect only."""


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
