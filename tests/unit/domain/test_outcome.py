"""From what the processor answered to the refund's next state, and what its history keeps of it."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import (
    News,
    after_news,
    after_outcome,
    after_processor_refund,
    booked_by,
    news_of,
    report_parameters,
    taken_back,
)
from refund_bridge.domain.refund import HANDED_OVER_AGAIN, Entry, Failure, Refund
from refund_bridge.domain.refund_request import ReferenceType, RefundType
from refund_bridge.domain.report import ProviderAnswer, Report, ReportCause, ReportParameters
from refund_bridge.domain.state_machine import Event, IllegalTransitionError, ReportState, State
from refund_bridge.domain.transitions import noted, transition
from refund_bridge.ports.ledger import ProcessorRefundClaim
from refund_bridge.refunding.claims import claims_of
from tests.contract.ledger.examples import NOW, a_refund, a_request, why
from tests.unit.domain.test_payment_sums import an_import, old

AT = NOW + 5_000
LATER = AT + 5_000
ACTOR = "api_key:test"


def submitting(**facts: Any) -> Refund:
    """A refund of SGD 25.00 whose call is on its way."""
    plain: dict[str, Any] = {
        "amount": 2500,
        "payment_record": "pr_1",
        "started_at_ms": NOW,
        "lease_until_ms": NOW + 60_000,
        "next_check_ms": NOW + 65_000,
        "looks": 3,
    }
    return a_refund(**(plain | facts))


def unknown(**facts: Any) -> Refund:
    return transition(submitting(**facts), Event.LOSE, why("lost"))


def pending() -> Refund:
    return transition(submitting(), Event.PEND, why("pends"), processor_refund_id="m1")


def processor_refund(
    status: ProcessorRefundStatus = ProcessorRefundStatus.SUCCEEDED, **facts: Any
) -> ProcessorRefund:
    plain = ProcessorRefund(
        id="m1",
        payment_id="c",
        money=Money(2500, "sgd"),
        status=status,
        processor_status="Word",
        refunded_at_ms=NOW + 3_000,
        created_at_ms=NOW + 2_000,
    )
    return replace(plain, **facts)


EVIDENCE = {
    "processor_refund_id": "m1",
    "amount": 2500,
    "currency": "sgd",
    "processor_status": "Word",
    "refunded_at_ms": NOW + 3_000,
    "created_at_ms": NOW + 2_000,
}


def answered(refund: Refund, outcome: Outcome) -> Refund:
    return after_outcome(refund, outcome, at_ms=AT, actor=ACTOR)


def last_line(refund: Refund) -> tuple[str, str, int, Any]:
    entry = refund.history[-1]
    return entry.cause, entry.actor, entry.at_ms, entry.evidence


class TestAnswers:
    """What each kind of answer makes of a refund that is on its way."""

    def test_a_success_is_bound_and_owes_a_report_that_was_rung_for_just_now(self) -> None:
        # When the processor accepts the refund as done
        after = answered(submitting(), Accepted(processor_refund()))
        # Then it is bound, nobody else may wait for its call, and its report is due
        assert (after.state, after.processor_refund_id) == (State.SUCCEEDED, "m1")
        assert after.lease_until_ms is None
        assert after.report.state is ReportState.DUE
        assert after.report.last_ring_ms == AT
        # And settling looks whether the doorbell was heard when it was going to look anyway
        assert after.next_check_ms == NOW + 65_000
        # And the history says so, the evidence once
        success, owed = after.history[-2:]
        assert (success.cause, success.actor, success.at_ms) == ("accepted", ACTOR, AT)
        assert success.evidence == EVIDENCE
        assert (owed.cause, owed.actor, owed.at_ms) == ("accepted", ACTOR, AT)
        assert owed.evidence == {}

    @pytest.mark.parametrize(
        ("stands_ms", "then_ms"),
        [
            (AT + 14_999, AT + 15_000),
            (AT + 15_000, AT + 15_000),
            (AT + 75_000, AT + 75_000),
            (AT + 75_001, AT + 15_000),
            (None, AT + 15_000),
        ],
    )
    def test_a_look_that_would_be_too_early_or_too_late_for_the_doorbell_is_moved(
        self, stands_ms: int | None, then_ms: int
    ) -> None:
        after = answered(submitting(next_check_ms=stands_ms), Accepted(processor_refund()))
        assert (after.report.state, after.next_check_ms) == (ReportState.DUE, then_ms)

    def test_an_unlinked_success_that_names_no_record_owes_nothing(self) -> None:
        request = replace(
            submitting().request, reference_type=ReferenceType.PAYMENT_METHOD, reference_id="card-1"
        )
        after = answered(
            submitting(payment_record=None, request=request), Accepted(processor_refund())
        )
        assert (after.state, after.report.state) == (State.SUCCEEDED, ReportState.NOT_DUE)

    def test_a_success_whose_record_was_taken_from_it_has_failed_to_be_reported(self) -> None:
        after = answered(submitting(payment_record=None), Accepted(processor_refund()))
        assert after.state is State.SUCCEEDED
        assert after.report == Report(
            state=ReportState.FAILED,
            cause=ReportCause.NOT_LINKED,
            last_error="payment_not_linked",
        )
        # And the history says why, the evidence once
        success, owed, failed = after.history[-3:]
        assert success.evidence == EVIDENCE
        assert (owed.after, owed.cause, owed.evidence) == ("report:due", "accepted", {})
        assert (failed.after, failed.cause) == ("report:failed", "payment_not_linked")
        assert (failed.actor, failed.at_ms, failed.evidence) == (ACTOR, AT, {})

    def test_a_success_at_stripe_itself_owes_nothing_and_is_looked_at_again(self) -> None:
        after = answered(
            submitting(processor="stripe", next_check_ms=None), Accepted(processor_refund())
        )
        assert (after.state, after.report.state) == (State.SUCCEEDED, ReportState.NOT_DUE)
        assert after.next_check_ms == AT + 15_000

    @pytest.mark.parametrize(
        "status", [ProcessorRefundStatus.PENDING, ProcessorRefundStatus.FAILED]
    )
    def test_what_is_accepted_but_not_done_is_pending_and_due_at_once(
        self, status: ProcessorRefundStatus
    ) -> None:
        after = answered(submitting(), Accepted(processor_refund(status)))
        assert (after.state, after.processor_refund_id) == (State.PENDING, "m1")
        assert (after.lease_until_ms, after.next_check_ms) == (None, AT)
        assert last_line(after) == ("accepted", ACTOR, AT, EVIDENCE)

    def test_a_refusal_is_final_and_says_what_the_processor_said(self) -> None:
        left = {"remaining_refundable": 100}
        after = answered(submitting(), Rejected("No balance.", 422, "no_balance", left))
        assert after.state is State.REJECTED
        assert after.failure == Failure(
            code="no_balance", message="No balance.", status=422, details=left
        )
        assert (after.lease_until_ms, after.next_check_ms) == (None, None)
        assert last_line(after) == ("rejected", ACTOR, AT, {"code": "no_balance", "status": 422})

    def test_a_refusal_without_a_code_of_its_own_has_ours(self) -> None:
        after = answered(submitting(), Rejected("No.", 403))
        assert after.failure == Failure(code="refund_rejected", message="No.", status=403)

    def test_what_was_certainly_not_sent_is_aborted_and_not_looked_at(self) -> None:
        after = answered(submitting(), Aborted("refused", 7))
        assert after.state is State.ABORTED
        assert after.failure == Failure(
            code="processor_unavailable",
            message="The processor could not be asked; nothing was executed.",
            retry_after_s=7,
        )
        assert (after.lease_until_ms, after.next_check_ms) == (None, None)
        evidence = {"reason": "refused", "code": "processor_unavailable", "status": None}
        assert last_line(after) == ("aborted", ACTOR, AT, evidence)

    def test_a_scheduled_refund_that_was_not_sent_goes_back_and_is_due_at_once(self) -> None:
        refund = submitting(request=a_request(refund_type=RefundType.SCHEDULED))
        after = answered(refund, Aborted("refused"))
        assert (after.state, after.next_check_ms) == (State.REQUESTED, AT)
        assert after.failure is None
        assert after.lease_until_ms is None

    def test_an_answer_that_says_nothing_makes_it_unknown_and_due_at_once(self) -> None:
        after = answered(submitting(), Unknown("timeout"))
        assert (after.state, after.lease_until_ms) == (State.UNKNOWN, None)
        assert (after.next_check_ms, after.looks) == (AT, 0)
        assert last_line(after) == ("no_usable_answer", ACTOR, AT, {"reason": "timeout"})

    @pytest.mark.parametrize("outcome", [Aborted("x" * 301), Unknown("x" * 301)])
    def test_of_a_long_reason_three_hundred_characters_are_kept(self, outcome: Outcome) -> None:
        after = answered(submitting(), outcome)
        assert after.history[-1].evidence["reason"] == "x" * 300


class TestLateAnswers:
    """Settling has moved the refund on; the answer to its own call is still the best evidence."""

    def test_nothing_said_changes_nothing(self) -> None:
        before = unknown()
        assert answered(before, Unknown("timeout")) is before

    def test_a_refusal_is_a_failure_now(self) -> None:
        after = answered(unknown(), Rejected("No.", 422))
        assert after.state is State.FAILED
        assert after.failure == Failure(code="refund_rejected", message="No.", status=422)

    @pytest.mark.parametrize("kind", list(RefundType))
    def test_what_was_not_sent_is_a_failure_now(self, kind: RefundType) -> None:
        after = answered(unknown(request=a_request(refund_type=kind)), Aborted("refused"))
        assert (after.state, after.next_check_ms) == (State.FAILED, None)

    def test_a_success_settles_it(self) -> None:
        assert answered(unknown(), Accepted(processor_refund())).state is State.SUCCEEDED


class TestLateAnswersToARepeatedInstruction:
    """The first answer comes when the same instruction was handed over again meanwhile."""

    @pytest.fixture
    def repeated(self) -> Refund:
        return noted(unknown(), replace(why("again"), cause=HANDED_OVER_AGAIN))

    @pytest.mark.parametrize("late", [Rejected("No.", 422), Aborted("never connected")])
    def test_that_it_moved_nothing_says_nothing_of_the_second(
        self, repeated: Refund, late: Outcome
    ) -> None:
        assert answered(repeated, late) == repeated

    def test_that_it_moved_money_is_what_both_came_to(self, repeated: Refund) -> None:
        after = answered(repeated, Accepted(processor_refund()))
        assert (after.state, after.processor_refund_id) == (State.SUCCEEDED, "m1")


class TestProcessorRefunds:
    """What a look at the processor refund makes of a refund that is not done."""

    def looked(self, refund: Refund, seen: ProcessorRefund) -> Refund:
        return after_processor_refund(refund, seen, at_ms=AT, cause="looked_up", actor=ACTOR)

    def test_the_fee_is_what_is_said_of_it_last(self) -> None:
        before = self.looked(unknown(), processor_refund(ProcessorRefundStatus.PENDING))
        assert before.fee is None
        # Given a fee that is said while it is pending
        pends = self.looked(
            before, processor_refund(ProcessorRefundStatus.PENDING, fee=Money(65, "usd"))
        )
        assert pends.fee == Money(65, "usd")
        # When it succeeds, then an answer that leaves it out changes nothing, and another one does
        assert self.looked(pends, processor_refund()).fee == Money(65, "usd")
        assert self.looked(pends, processor_refund(fee=Money(0, "usd"))).fee == Money(0, "usd")

    def test_the_fee_of_another_processor_refund_is_not_its_own(self) -> None:
        bound = self.looked(
            unknown(), processor_refund(ProcessorRefundStatus.PENDING, fee=Money(65, "sgd"))
        )
        assert self.looked(bound, processor_refund(id="m2")).fee is None

    def test_a_failure_frees_it_and_says_the_processors_word(self) -> None:
        after = self.looked(pending(), processor_refund(ProcessorRefundStatus.FAILED))
        assert after.state is State.FAILED
        assert after.failure == Failure(
            code="refund_failed", message="The processor shows the refund as Word."
        )
        assert after.next_check_ms is None
        assert last_line(after) == ("looked_up", ACTOR, AT, EVIDENCE)

    def test_or_why_where_the_processor_says_it(self) -> None:
        told = {"failure_code": "expired_card", "failure_message": "The card has expired."}
        after = self.looked(pending(), processor_refund(ProcessorRefundStatus.FAILED, **told))
        assert after.failure == Failure(code="expired_card", message="The card has expired.")

    def test_a_failed_processor_refund_that_is_found_is_bound_all_the_same(self) -> None:
        after = self.looked(unknown(), processor_refund(ProcessorRefundStatus.FAILED))
        assert (after.state, after.processor_refund_id) == (State.FAILED, "m1")

    def test_an_unknown_refund_that_is_found_pending_is_pending(self) -> None:
        after = self.looked(unknown(), processor_refund(ProcessorRefundStatus.PENDING))
        assert (after.state, after.next_check_ms) == (State.PENDING, AT)

    def test_a_pending_refund_that_is_still_pending_has_no_new_line_of_history(self) -> None:
        before = pending()
        after = self.looked(before, processor_refund(ProcessorRefundStatus.PENDING))
        assert after.history == before.history
        assert (after.next_check_ms, after.looks) == (AT, 0)

    def test_a_review_that_is_found_pending_is_bound_and_waits_for_its_end(self) -> None:
        review = transition(unknown(), Event.ESCALATE, why("hold over"))
        after = self.looked(review, processor_refund(ProcessorRefundStatus.PENDING))
        assert (after.state, after.processor_refund_id) == (State.REVIEW, "m1")
        assert (after.history, after.next_check_ms) == (review.history, AT)

    @pytest.mark.parametrize(
        "status", [ProcessorRefundStatus.PENDING, ProcessorRefundStatus.FAILED]
    )
    def test_what_is_final_changes_by_a_success_only(self, status: ProcessorRefundStatus) -> None:
        rejected = answered(submitting(), Rejected("No.", 422))
        with pytest.raises(IllegalTransitionError):
            self.looked(rejected, processor_refund(status))
        moved = self.looked(rejected, processor_refund())
        assert (moved.state, moved.failure) == (State.SUCCEEDED, None)
        assert moved.report.state is ReportState.DUE


class TestNews:
    """What the processor shows that the ledger does not know yet."""

    @pytest.mark.parametrize(
        ("state", "late", "status", "expected"),
        [
            (State.PENDING, False, ProcessorRefundStatus.SUCCEEDED, News.ENDED),
            (State.REVIEW, False, ProcessorRefundStatus.FAILED, News.ENDED),
            (State.PENDING, False, ProcessorRefundStatus.PENDING, None),
            (State.SUCCEEDED, False, ProcessorRefundStatus.FAILED, News.TAKEN_BACK),
            (State.SUCCEEDED, True, ProcessorRefundStatus.FAILED, None),
            (State.SUCCEEDED, True, ProcessorRefundStatus.SUCCEEDED, News.RESTORED),
            (State.SUCCEEDED, False, ProcessorRefundStatus.SUCCEEDED, None),
            (State.FAILED, False, ProcessorRefundStatus.SUCCEEDED, News.MOVED_AFTER_ALL),
            (State.REJECTED, False, ProcessorRefundStatus.SUCCEEDED, News.MOVED_AFTER_ALL),
            (State.ABORTED, False, ProcessorRefundStatus.SUCCEEDED, News.MOVED_AFTER_ALL),
            (State.FAILED, False, ProcessorRefundStatus.FAILED, None),
            (State.UNKNOWN, False, ProcessorRefundStatus.SUCCEEDED, None),
        ],
    )
    def test_it_is_told_by_the_state_and_by_what_is_shown(
        self, state: State, late: bool, status: ProcessorRefundStatus, expected: News | None
    ) -> None:
        refund = replace(submitting(), state=state, late_failure_at_ms=AT if late else None)
        assert news_of(refund, processor_refund(status)) is expected
        assert expected is None or expected.contradicts is (expected is not News.ENDED)

    def back(self, **facts: Any) -> Refund:
        """A success that the processor took back before Stripe was told of it."""
        succeeded = answered(submitting(), Accepted(processor_refund()))
        failed = processor_refund(ProcessorRefundStatus.FAILED)
        return replace(taken_back(succeeded, failed, at_ms=AT, actor="o"), **facts)

    def again(self, back: Refund) -> Refund:
        """It moved again five seconds later."""
        moved = processor_refund(refunded_at_ms=LATER)
        return after_news(back, moved, at_ms=LATER, cause="seen", actor="o")

    def test_what_came_back_and_went_again_is_as_if_nothing_had_been(self) -> None:
        # Given a success that came back, which a person has handled
        back = self.back(handled_at_ms=AT + 1)
        again = self.again(back)
        # Then its report is due, of what it was due of first, and it is not handled any more
        assert again == replace(
            back,
            late_failure_at_ms=None,
            handled_at_ms=None,
            report=replace(back.report, state=ReportState.DUE, last_ring_ms=LATER),
            updated_at_ms=LATER,
            next_check_ms=LATER + 15_000,
            history=again.history,
        )

    def test_earlier_attempts_to_tell_stripe_stay_counted_and_their_key_is_not_used_again(
        self,
    ) -> None:
        # Given a report that a person waived after two attempts, and that is due again
        answers = (ProviderAnswer(attempt=2, at_ms=NOW, said="Stripe answered 500"),)
        waived = replace(
            self.back().report, cause=ReportCause.WAIVED, epoch=3, attempts=2, answers=answers
        )
        again = self.again(self.back(report=waived))
        assert again.report == Report(
            state=ReportState.DUE,
            parameters=waived.parameters,
            epoch=4,
            attempts=2,
            answers=answers,
            last_ring_ms=LATER,
        )

    def test_what_is_told_names_the_record_that_books_it_now(self) -> None:
        again = self.again(self.back(payment_record="pr_2"))
        told = report_parameters(again, processor_refund(refunded_at_ms=LATER), at_ms=LATER)
        assert (again.report.parameters, told.payment_record) == (told, "pr_2")

    def test_what_is_older_than_this_service_is_not_owed_when_it_went_again(self) -> None:
        before = old(an_import(amount=2500))
        failed = processor_refund(ProcessorRefundStatus.FAILED)
        again = self.again(taken_back(before, failed, at_ms=AT, actor="o"))
        assert again.is_before_adoption
        assert (again.late_failure_at_ms, again.report) == (None, before.report)

    def test_what_was_reported_stays_reported_when_it_went_again(self) -> None:
        succeeded = answered(submitting(), Accepted(processor_refund()))
        told = replace(
            succeeded,
            report=replace(succeeded.report, state=ReportState.REPORTED, cause=ReportCause.BY_US),
        )
        back = taken_back(told, processor_refund(ProcessorRefundStatus.FAILED), at_ms=AT, actor="o")
        again = after_news(back, processor_refund(), at_ms=AT, cause="seen", actor="o")
        assert (again.late_failure_at_ms, again.report) == (None, told.report)


class TestTakenBack:
    """The processor takes back what it had paid."""

    def succeeded(self) -> Refund:
        return answered(submitting(), Accepted(processor_refund()))

    def test_a_report_that_nobody_has_begun_is_canceled(self) -> None:
        after = taken_back(
            self.succeeded(), processor_refund(ProcessorRefundStatus.FAILED), at_ms=AT, actor="o"
        )
        assert (after.state, after.report.state) == (State.SUCCEEDED, ReportState.NOT_DUE)
        assert after.late_failure_at_ms == AT
        assert last_line(after) == ("taken_back", "o", AT, EVIDENCE)

    def test_a_report_that_a_worker_has_begun_goes_on(self) -> None:
        before = self.succeeded()
        before = replace(before, report=replace(before.report, attempts=1))
        after = taken_back(
            before, processor_refund(ProcessorRefundStatus.FAILED), at_ms=AT, actor="o"
        )
        assert (after.state, after.report) == (State.SUCCEEDED, before.report)
        assert (after.late_failure_at_ms, after.next_check_ms) == (AT, before.next_check_ms)
        assert last_line(after) == ("taken_back", "o", AT, EVIDENCE)

    def test_a_report_that_failed_unsent_is_canceled_too(self) -> None:
        before = answered(submitting(payment_record=None), Accepted(processor_refund()))
        after = taken_back(
            before, processor_refund(ProcessorRefundStatus.FAILED), at_ms=AT, actor="o"
        )
        assert (after.state, after.late_failure_at_ms) == (State.SUCCEEDED, AT)
        assert after.report == replace(before.report, state=ReportState.NOT_DUE, cause=None)


class TestLinks:
    """The Payment Record of a refund becomes known only now."""

    def linked(self, refund: Refund) -> Refund:
        return booked_by(refund, "pr_2", processor_refund(), at_ms=LATER, actor=ACTOR)

    @pytest.fixture
    def failed(self) -> Refund:
        """Its report has failed, because there was no record."""
        return answered(submitting(payment_record=None), Accepted(processor_refund()))

    def test_a_report_that_failed_for_want_of_it_is_due_at_once_and_not_rung_for(
        self, failed: Refund
    ) -> None:
        # Given a report for which a message went in vain
        before = replace(failed, report=replace(failed.report, last_ring_ms=AT))
        after = self.linked(before)
        line = Entry(
            seq=len(before.history) + 1,
            at_ms=LATER,
            before="report:failed",
            after="report:due",
            cause="link_found",
            actor=ACTOR,
            evidence={"payment_record": "pr_2"},
        )
        assert after == replace(
            before,
            payment_record="pr_2",
            report=Report(
                state=ReportState.DUE,
                parameters=report_parameters(after, processor_refund(), at_ms=LATER),
            ),
            updated_at_ms=LATER,
            next_check_ms=LATER,
            history=(*before.history, line),
        )

    def test_one_that_the_processor_took_back_or_has_not_done_only_gets_the_record(
        self, failed: Refund
    ) -> None:
        for before in (
            replace(failed, late_failure_at_ms=AT),
            replace(pending(), payment_record=None),
        ):
            after = self.linked(before)
            assert after == replace(before, payment_record="pr_2", updated_at_ms=LATER)


class TestReportParameters:
    """What Stripe will be told: seconds, the refund's never before its start."""

    def test_they_are_the_refunds_own_facts_and_the_processor_refunds_time(self) -> None:
        told = report_parameters(submitting(), processor_refund(), at_ms=AT)
        assert told == ReportParameters(
            payment_record="pr_1",
            amount=2500,
            currency="sgd",
            refund_reference="m1",
            initiated_at_s=NOW // 1000,
            refunded_at_s=(NOW + 3_000) // 1000,
        )

    def test_without_its_end_its_beginning_counts_and_without_both_the_present(self) -> None:
        began = report_parameters(submitting(), processor_refund(refunded_at_ms=None), at_ms=AT)
        assert began.refunded_at_s == (NOW + 2_000) // 1000
        timeless = processor_refund(refunded_at_ms=None, created_at_ms=None)
        assert report_parameters(submitting(), timeless, at_ms=AT).refunded_at_s == AT // 1000

    def test_one_that_seems_older_than_its_instruction_counts_from_the_instruction(self) -> None:
        told = report_parameters(
            submitting(), processor_refund(refunded_at_ms=NOW - 9_000), at_ms=AT
        )
        assert (told.initiated_at_s, told.refunded_at_s) == (NOW // 1000, NOW // 1000)

    def test_an_imported_refund_began_when_it_moved(self) -> None:
        told = report_parameters(submitting(started_at_ms=None), processor_refund(), at_ms=AT)
        assert told.initiated_at_s == told.refunded_at_s == (NOW + 3_000) // 1000

    def test_there_are_none_for_a_refund_that_no_record_books(self) -> None:
        with pytest.raises(ValueError, match="no Payment Record"):
            report_parameters(submitting(payment_record=None), processor_refund(), at_ms=AT)


def test_a_bound_refund_claims_its_processor_refund_and_an_unbound_one_nothing() -> None:
    assert claims_of(submitting()) == ()
    bound = pending()
    assert claims_of(bound) == (ProcessorRefundClaim("hitpay", "m1", bound.id),)
