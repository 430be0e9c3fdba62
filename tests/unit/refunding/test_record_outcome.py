"""An answer becomes durable over whatever was written meanwhile, and never over a later attempt."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import follow
from refund_bridge.domain.refund import Refund, imported_refund_id
from refund_bridge.domain.state_machine import Event, ReportState, State
from refund_bridge.domain.transitions import noted, transition
from refund_bridge.ports.ledger import (
    Commit,
    LedgerConflictError,
    LedgerUnavailableError,
    PaymentWrite,
    ProcessorRefundClaim,
    RefundWrite,
)
from refund_bridge.refunding.record_outcome import Recorder, Stored
from tests.contract.ledger.examples import NOW, a_payment, a_refund_of, why
from tests.fakes.ledger import MemoryLedger
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry

ACTOR = "api_key:test"
Mishap = Callable[[], object]


class ShakyLedger(MemoryLedger):
    """A ledger to whose next commits and reads something happens first."""

    def __init__(self) -> None:
        super().__init__()
        self.before_commits: deque[Mishap] = deque()
        self.before_reads: deque[Mishap] = deque()
        self.commits: list[Commit] = []

    def commit(self, commit: Commit) -> None:
        self.commits.append(commit)
        if self.before_commits:
            self.before_commits.popleft()()
        super().commit(commit)

    def refund(self, refund_id: str) -> Refund | None:
        if self.before_reads:
            self.before_reads.popleft()()
        return super().refund(refund_id)


def down() -> None:
    raise LedgerUnavailableError("no answer")


def raced() -> None:
    raise LedgerConflictError("another write")


class Desk:
    """A recorder, its ledger, and one refund of SGD 25.00 that is on its way."""

    def __init__(self) -> None:
        self.ledger = ShakyLedger()
        self.clock = VirtualClock(NOW + 5_000)
        self.telemetry = FakeTelemetry()
        self.recorder = Recorder(
            ledger=self.ledger, clock=self.clock, telemetry=self.telemetry, stage="test"
        )
        payment = a_payment()
        refund = a_refund_of(payment, amount=2500, attempt=1, payment_record=payment.payment_record)
        MemoryLedger.commit(
            self.ledger,
            Commit(
                refunds=(RefundWrite(None, refund),),
                payments=(PaymentWrite(None, follow(payment, None, refund)),),
            ),
        )
        self.sent = self.recorder.read(refund.id)

    def outcome(self, outcome: Outcome) -> Stored:
        return self.recorder.outcome(self.sent, outcome, ACTOR, self.clock.deadline())

    def stored(self) -> Stored:
        return self.recorder.read(self.sent.refund.id)

    def meanwhile(self, event: Event, **facts: Any) -> Mishap:
        """Somebody else moves the refund on."""

        def happens() -> None:
            current = self.stored()
            after = transition(current.refund, event, why("meanwhile"), **facts)
            payment = follow(current.payment, current.refund, after)
            MemoryLedger.commit(
                self.ledger,
                Commit(
                    refunds=(RefundWrite(current.refund, after),),
                    payments=(PaymentWrite(current.payment, payment),),
                ),
            )

        return happens


@pytest.fixture
def desk() -> Desk:
    return Desk()


def moved(
    name: str = "m1", status: ProcessorRefundStatus = ProcessorRefundStatus.SUCCEEDED
) -> Accepted:
    return Accepted(
        ProcessorRefund(
            id=name,
            payment_id="c",
            money=Money(2500, "sgd"),
            status=status,
            processor_status=str(status),
            created_at_ms=NOW,
        )
    )


def test_what_is_returned_is_what_the_ledger_holds(desk: Desk) -> None:
    # When a success is recorded
    recorded = desk.outcome(moved())
    # Then refund, payment and claim were written at once, and are returned with their revisions
    assert recorded == desk.stored()
    assert recorded.refund.state is State.SUCCEEDED
    assert (recorded.payment.slot, recorded.payment.moved) == (None, 2500)
    (commit,) = desk.ledger.commits
    assert commit.claims == (ProcessorRefundClaim("hitpay", "m1", recorded.refund.id),)
    assert [entry.actor for entry in recorded.refund.history[1:]] == [ACTOR, ACTOR]
    # And the log says what became of it
    facts = {
        "refund_id": recorded.refund.id,
        "before": State.SUBMITTING,
        "after": State.SUCCEEDED,
        "outcome": "succeeded",
        "processor": "hitpay",
        "amount": 2500,
        "currency": "sgd",
    }
    assert desk.telemetry.notes == [("refund_moved", facts)]


def test_a_success_beyond_what_was_paid_is_told_once(desk: Desk) -> None:
    # Given a refund that failed for want of evidence, and others that refunded its amount since
    desk.meanwhile(Event.LOSE)()
    desk.meanwhile(Event.FAIL)()
    payment = replace(desk.stored().payment, foreign_on_charge=9000)
    desk.ledger.payments[payment.key] = payment
    # When it turns out to have moved money
    recorded = desk.outcome(moved())
    # Then more was refunded than was paid
    facts = {"refund_id": recorded.refund.id, "charge": payment.key.charge_id}
    told = [note for note in desk.telemetry.notes if note[0] == "over_refunded"]
    assert told == [("over_refunded", facts)]
    # And a later write of that refund does not tell it again
    desk.recorder.write(recorded, replace(recorded.refund, last_look="x"))
    assert desk.telemetry.events.count("over_refunded") == 1


def test_a_write_that_changes_nothing_of_the_payment_leaves_it_alone(desk: Desk) -> None:
    # When the refund only becomes unknown
    recorded = desk.outcome(Unknown("timeout"))
    # Then the payment is neither written nor counted as written, and nothing is claimed
    assert desk.ledger.commits[0].payments == ()
    assert desk.ledger.commits[0].claims == ()
    assert recorded.payment.revision == desk.sent.payment.revision
    assert recorded == desk.stored()


def test_a_step_of_a_bound_refund_does_not_claim_its_processor_refund_again(desk: Desk) -> None:
    recorded = desk.outcome(moved())
    late = replace(recorded.refund, late_failure_at_ms=NOW)
    desk.recorder.write(recorded, late)
    assert desk.ledger.commits[-1].claims == ()


def test_what_is_as_it_was_is_not_written(desk: Desk) -> None:
    assert desk.recorder.write(desk.sent, desk.sent.refund) is desk.sent
    assert desk.ledger.commits == []


def test_an_answer_about_a_processor_refund_of_another_refund_is_no_evidence(desk: Desk) -> None:
    # Given a processor refund that already belongs to another refund
    desk.ledger.processor_refunds["hitpay", "m1"] = "rfd_other"
    # When the answer names it
    recorded = desk.outcome(moved())
    # Then the outcome is not known
    assert recorded.refund.state is State.UNKNOWN
    assert desk.telemetry.notes[0] == (
        "movement_already_claimed",
        {"refund_id": recorded.refund.id},
    )
    assert desk.telemetry.events[1:] == ["refund_moved"]
    assert recorded == desk.stored()


def test_an_answer_is_recorded_over_what_settling_wrote_meanwhile(desk: Desk) -> None:
    # Given settling that makes the refund unknown just before its answer is written
    desk.ledger.before_commits.append(desk.meanwhile(Event.LOSE))
    # When the answer comes
    recorded = desk.outcome(moved())
    # Then it settles the refund from there
    assert [e.after for e in recorded.refund.history][1:3] == ["unknown", "succeeded"]
    assert recorded == desk.stored()
    told = {"refund_id": recorded.refund.id, "outcome": "accepted"}
    assert desk.telemetry.notes[0] == ("outcome_met_another_write", told)
    assert desk.telemetry.events[1:] == ["refund_moved"]


def test_an_answer_is_recorded_when_only_another_refund_wrote_the_payment(desk: Desk) -> None:
    # Given another refund of the payment that is written just before
    def other() -> None:
        payment = desk.stored().payment
        desk.ledger.payments[payment.key] = replace(payment, revision=payment.revision + 1)

    desk.ledger.before_commits.append(other)
    assert desk.outcome(moved()).refund.state is State.SUCCEEDED
    assert desk.outcome(moved()) == desk.stored()


class TestTooLate:
    """The refund was settled, or tried again, before the answer of its call came."""

    def settled(self, desk: Desk, processor_refund: str = "m1") -> Stored:
        """Settling has bound the refund to that processor refund."""
        desk.meanwhile(Event.SUCCEED, processor_refund_id=processor_refund)()
        return desk.stored()

    def test_an_answer_that_says_the_same_is_not_kept(self, desk: Desk) -> None:
        settled = self.settled(desk)
        assert desk.outcome(moved()) == settled == desk.stored()
        assert "outcome_too_late" not in desk.telemetry.events

    @pytest.mark.parametrize(
        "outcome", [Unknown("timeout"), Aborted("refused"), Rejected("No.", 422)]
    )
    def test_an_answer_without_a_processor_refund_is_not_kept(
        self, desk: Desk, outcome: Outcome
    ) -> None:
        settled = self.settled(desk)
        assert desk.outcome(outcome) == settled == desk.stored()
        assert desk.telemetry.notes[-1] == ("outcome_too_late", {"refund_id": settled.refund.id})

    def test_a_processor_refund_that_failed_is_not_kept(self, desk: Desk) -> None:
        settled = self.settled(desk, "other")
        assert desk.outcome(moved(status=ProcessorRefundStatus.FAILED)) == settled == desk.stored()

    def test_another_processor_refund_is_kept_as_evidence_and_imported(self, desk: Desk) -> None:
        # Given a refund that settling bound to another processor refund than its own answer names
        self.settled(desk, "other")
        # When that answer comes
        recorded = desk.outcome(moved())
        # Then the refund stays as it is
        assert recorded == desk.stored()
        assert recorded.refund.processor_refund_id == "other"
        # And the processor refund of the answer is a refund of its own, which Stripe has yet to
        # hear of
        owner = desk.ledger.claimed("hitpay", ["m1"])["m1"]
        imported = desk.recorder.read(owner).refund
        assert imported.id == imported_refund_id("hitpay", "m1", "test")
        assert (imported.state, imported.amount) == (State.SUCCEEDED, 2500)
        assert imported.report.state is ReportState.DUE
        assert imported.payment_record == recorded.refund.payment_record
        assert imported.contradicts is None
        assert "movement_contradicts" not in desk.telemetry.events
        assert imported.created_at_ms == NOW
        assert imported.updated_at_ms == NOW + 5_000
        assert (recorded.payment.held, recorded.payment.moved) == (5000, 5000)
        line = recorded.refund.history[-1]
        assert (line.cause, line.actor, line.at_ms) == ("late_answer", ACTOR, NOW + 5_000)
        assert line.evidence["processor_refund_id"] == "m1"

    def test_a_review_that_is_bound_to_another_processor_refund_stays_bound_to_it(
        self, desk: Desk
    ) -> None:
        # Given a review that waits for the end of another processor refund
        desk.meanwhile(Event.LOSE)()
        desk.meanwhile(Event.ESCALATE, processor_refund_id="other")()
        # When the answer to its own call comes
        recorded = desk.outcome(moved())
        # Then that processor refund is imported
        assert recorded.refund.processor_refund_id == "other"
        assert recorded.refund.state is State.REVIEW
        assert "m1" in desk.ledger.claimed("hitpay", ["m1"])

    def test_a_refund_that_failed_for_want_of_evidence_has_succeeded_after_all(
        self, desk: Desk
    ) -> None:
        # Given a refund whose hold ended without a processor refund
        desk.meanwhile(Event.LOSE)()
        desk.meanwhile(Event.FAIL)()
        # When the answer to its call shows one after all
        recorded = desk.outcome(moved())
        # Then it is this very refund, and the money is accounted for
        assert recorded.refund.state is State.SUCCEEDED
        assert "m1" in desk.ledger.claimed("hitpay", ["m1"])
        assert recorded.payment.held == 2500

    def test_one_that_is_pending_for_a_refund_that_failed_is_imported_and_a_person_is_told(
        self, desk: Desk
    ) -> None:
        # Given a refund whose hold ended without a processor refund
        desk.meanwhile(Event.LOSE)()
        desk.meanwhile(Event.FAIL)()
        failed = desk.stored().refund
        # When the answer to its call shows one that is not certain to move money
        recorded = desk.outcome(moved(status=ProcessorRefundStatus.PENDING))
        # Then the refund stays failed, and what contradicts it is a refund of its own
        assert recorded == desk.stored()
        assert recorded.refund.state is State.FAILED
        imported = desk.recorder.read(desk.ledger.claimed("hitpay", ["m1"])["m1"]).refund
        assert (imported.state, imported.contradicts) == (State.PENDING, failed.id)
        facts = {"movement": "m1", "failed": failed.id}
        assert desk.telemetry.notes[-1] == ("movement_contradicts", facts)

    @pytest.mark.parametrize("mishap", [LedgerConflictError("race"), LedgerUnavailableError("no")])
    def test_evidence_that_cannot_be_written_is_told_to_the_log(
        self, desk: Desk, mishap: Exception
    ) -> None:
        settled = self.settled(desk, "other")

        def fails() -> None:
            raise mishap

        desk.ledger.before_commits.extend([lambda: None, fails])
        assert desk.outcome(moved()) == settled == desk.stored()
        facts = {"refund_id": settled.refund.id, "movement": "m1"}
        assert desk.telemetry.notes[-1] == ("late_answer_not_kept", facts)

    def test_what_moved_for_one_that_waits_for_its_turn_again_is_imported(self, desk: Desk) -> None:
        # Given a refund that is thought not to have been sent, and awaits its turn
        desk.meanwhile(Event.DEFER)()
        # When the answer to its call shows that money moved
        recorded = desk.outcome(moved())
        # Then what moved is a refund of its own, since only an attempt can succeed
        assert recorded == desk.stored()
        assert (recorded.refund.state, recorded.payment.moved) == (State.REQUESTED, 2500)
        owner = desk.ledger.claimed("hitpay", ["m1"])["m1"]
        assert owner == imported_refund_id("hitpay", "m1", "test")

    def test_an_answer_to_an_earlier_attempt_says_nothing_of_the_next(self, desk: Desk) -> None:
        # Given a refund that was aborted, and whose next attempt is on its way
        desk.meanwhile(Event.ABORT)()
        desk.meanwhile(Event.START, attempt=2)()
        # When the first attempt's answer comes
        recorded = desk.outcome(Rejected("No.", 422))
        # Then the second attempt is left alone
        assert (recorded.refund.state, recorded.refund.attempt) == (State.SUBMITTING, 2)
        assert recorded == desk.stored()


class TestLedgerDown:
    """The ledger gives no answer when the outcome is to be written."""

    def test_a_write_that_was_not_applied_is_tried_again(self, desk: Desk) -> None:
        desk.ledger.before_commits.append(down)
        recorded = desk.outcome(moved())
        assert recorded.refund.state is State.SUCCEEDED
        assert recorded == desk.stored()
        told = {"refund_id": recorded.refund.id, "outcome": "accepted"}
        assert desk.telemetry.notes[0] == ("outcome_not_recorded", told)
        assert desk.telemetry.events[1:] == ["refund_moved"]

    def test_a_write_that_was_applied_is_found(self, desk: Desk) -> None:
        # Given a write whose reply is lost
        def applied() -> None:
            MemoryLedger.commit(desk.ledger, desk.ledger.commits[-1])
            down()

        desk.ledger.before_commits.append(applied)
        # Then it is read back, and not written again
        recorded = desk.outcome(moved())
        assert recorded == desk.stored()
        assert recorded.refund.state is State.SUCCEEDED
        assert len(desk.ledger.commits) == 1

    @pytest.mark.parametrize("write_fails", [down, raced])
    def test_neither_read_nor_write_is_given_up_at_once(
        self, desk: Desk, write_fails: Mishap
    ) -> None:
        desk.ledger.before_commits.append(write_fails)
        desk.ledger.before_reads.append(down)
        assert desk.outcome(moved()).refund.state is State.SUCCEEDED

    def test_after_twenty_five_attempts_what_stands_is_returned(self, desk: Desk) -> None:
        desk.ledger.before_commits.extend([down] * 100)
        recorded = desk.outcome(moved())
        assert len(desk.ledger.commits) == 25
        assert recorded == desk.sent == desk.stored()

    def test_at_the_deadline_what_stands_is_returned(self, desk: Desk) -> None:
        # Given a ledger that is down, and a caller who waits no longer
        def slowly() -> None:
            desk.clock.advance(5_000)
            down()

        desk.ledger.before_commits.extend([slowly] * 100)
        # Then it is tried for as long as the caller waits
        assert desk.outcome(moved()) == desk.sent
        assert len(desk.ledger.commits) == 2

    def test_a_first_attempt_is_made_however_late_it_is(self, desk: Desk) -> None:
        late = desk.clock.deadline(0)
        recorded = desk.recorder.outcome(desk.sent, moved(), ACTOR, late)
        assert recorded.refund.state is State.SUCCEEDED

    @pytest.mark.parametrize("missing", ["refunds", "payments"])
    def test_half_of_a_refund_is_no_refund(self, desk: Desk, missing: str) -> None:
        getattr(desk.ledger, missing).clear()
        with pytest.raises(LedgerUnavailableError, match=desk.sent.refund.id):
            desk.stored()


def test_a_payment_whose_slot_another_has_was_read_too_late(desk: Desk) -> None:
    # Given a refund and a payment that were read a moment apart, the slot given on in between
    torn = Stored(desk.sent.refund, replace(desk.sent.payment, slot="rfd_other"))
    # When the refund is written, then it has to be read again
    after = transition(desk.sent.refund, Event.LOSE, why("lost"))
    with pytest.raises(LedgerConflictError):
        desk.recorder.write(torn, after)
    assert desk.ledger.commits == []


class TestNextCheck:
    """When a refund that moved nothing is checked: it may have moved money after all."""

    HOUR_MS = 3_600_000
    MINUTE_MS = 60_000

    def waits(self, desk: Desk, recorded: Stored) -> int | None:
        next_ms = recorded.refund.next_check_ms
        return None if next_ms is None else next_ms - desk.clock.now_ms()

    def test_a_refusal_is_checked_after_an_hour(self, desk: Desk) -> None:
        assert self.waits(desk, desk.outcome(Rejected("No.", 422))) == self.HOUR_MS

    def test_one_whose_outcome_was_not_known_is_checked_after_a_minute(self, desk: Desk) -> None:
        # Given a refund that kept what others made from being imported
        desk.meanwhile(Event.LOSE)()
        assert self.waits(desk, desk.outcome(Rejected("No.", 422))) == self.MINUTE_MS

    def test_so_is_one_that_a_person_was_to_decide(self, desk: Desk) -> None:
        desk.meanwhile(Event.LOSE)()
        desk.meanwhile(Event.ESCALATE)()
        stored = desk.stored()
        failed = transition(stored.refund, Event.FAIL, why("decided"))
        assert self.waits(desk, desk.recorder.write(stored, failed)) == self.MINUTE_MS

    def test_so_is_one_of_a_payment_of_which_stripe_shows_another_sum(self, desk: Desk) -> None:
        self.out_of_step(desk)
        assert self.waits(desk, desk.outcome(Rejected("No.", 422))) == self.MINUTE_MS

    def test_a_check_that_is_planned_already_is_not_planned_anew(self, desk: Desk) -> None:
        self.out_of_step(desk)
        lost = transition(desk.sent.refund, Event.LOSE, why("lost"), next_check_ms=NOW + 7)
        assert desk.recorder.write(desk.sent, lost).refund.next_check_ms == NOW + 7

    def test_what_stays_in_its_state_is_not_checked_for_that(self, desk: Desk) -> None:
        self.out_of_step(desk)
        told = noted(desk.sent.refund, why("note"))
        assert desk.sent.refund.next_check_ms is None
        assert desk.recorder.write(desk.sent, told).refund.next_check_ms is None

    @pytest.mark.parametrize(
        ("attempt", "bound_to", "checked"),
        [(0, None, False), (0, "m1", True), (1, None, True)],
        ids=["never sent", "never sent by us", "sent"],
    )
    def test_what_was_never_sent_is_not_checked(
        self, desk: Desk, attempt: int, bound_to: str | None, checked: bool
    ) -> None:
        facts: dict[str, Any] = {"attempt": attempt, "processor_refund_id": bound_to}
        stored = replace(desk.sent, refund=replace(desk.sent.refund, **facts))
        desk.ledger.refunds[stored.refund.id] = stored.refund
        ended = transition(stored.refund, Event.REJECT, why("refused"))
        waits = self.waits(desk, desk.recorder.write(stored, ended))
        assert waits == (self.HOUR_MS if checked else None)

    def test_what_moved_money_is_not_checked_for_that(self, desk: Desk) -> None:
        facts = {"processor_refund_id": "m1"}
        succeeded = transition(desk.sent.refund, Event.SUCCEED, why("answer"), **facts)
        assert desk.recorder.write(desk.sent, succeeded).refund.next_check_ms is None

    def out_of_step(self, desk: Desk) -> None:
        """Stripe shows as refunded what nobody reported."""
        payment = replace(desk.sent.payment, unexplained=300)
        desk.ledger.payments[payment.key] = payment
        desk.sent = desk.stored()
