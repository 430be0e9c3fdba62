"""A person decides a review, and what the evidence does not allow is refused."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.evidence import CLOCK_TOLERANCE_MS
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.reporting.report import Reported
from refundctl.deciding.resolve import Decision, ItSucceeded
from tests.fakes.processor_fates import Conduct
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.deciding.reviews import (
    ACTOR,
    NO_MONEY,
    decide,
    ours,
    refused,
    resolver,
    tamper,
)


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
