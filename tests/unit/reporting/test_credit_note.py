"""The credit note of a refunded invoice: owed with the report, tried at once, settled later."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.report import CreditNote, ProviderAnswer
from refund_bridge.domain.state_machine import CreditNoteState, ReportState
from refund_bridge.domain.transitions import Why, noted
from refund_bridge.ports.ledger import Commit, LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.processor import CredentialRefusedError, ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import CreditNoteInstruction, StripeObjectNotFoundError
from refund_bridge.reporting.credit_note import (
    ATTEMPTS_MAX,
    IssueCreditNote,
    begun,
    idempotency_key_of,
    owing_credit_note,
)
from refund_bridge.reporting.report import ReportDeferredError, Reported, ReportFailedError
from refund_bridge.settling.settling import Settled
from tests.fakes.stripe_fates import AnswerLost, Fails, Fate, NotAllowed, ReportLost, TurnedAway
from tests.fakes.world import STEP_MS, World

REPORTERS_MS = 60_000
DAY_STEPS = 24 * 60


@pytest.fixture
def world() -> World:
    """A world with one invoice of SGD 99.99, ``in_1``, in which credit notes are on."""
    made = World(credit_notes=True)
    made.pay_invoice()
    return made


def refund(world: World, **asked: Any) -> Refund:
    """A refund of SGD 25.00 that was asked for by the invoice."""
    by_invoice = {"reference_type": ReferenceType.INVOICE, "reference_id": "in_1"}
    return world.refund("k", **({"amount": 2500} | by_invoice | asked)).refund


def reported(world: World, **asked: Any) -> Refund:
    """The same, reported a second later; with its note, if that went well."""
    made = refund(world, **asked)
    world.clock.advance(1_000)
    assert world.report(made.id) is Reported.REPORTED
    return world.stored("k")


def settle_when_due(world: World) -> Settled:
    """Let time pass until the note is due, and settle it."""
    world.clock.advance(max(0, waits(world)))
    return world.settle(world.stored("k").id, world.deadline())


def waits(world: World) -> int:
    """After how many milliseconds the note is tried again."""
    due_ms = world.stored("k").next_check_ms
    assert due_ms is not None
    return due_ms - world.clock.now_ms()


def facts_of(world: World, event: str) -> list[dict[str, Any]]:
    """What was said each time that the event was noted."""
    return [facts for name, facts in world.telemetry.notes if name == event]


def steps_of(refund: Refund) -> list[tuple[str | None, str, str]]:
    """The note's lines in the history: before, after, and why."""
    return [
        (line.before, line.after, line.cause)
        for line in refund.history
        if line.after.startswith("credit_note:")
    ]


class TestWithTheReport:
    """It is owed from the write that confirms the report, and tried in the same call."""

    def test_a_reported_refund_of_an_invoice_gets_its_note(self, world: World) -> None:
        done = reported(world, reason="duplicate")
        # Then one note says what Stripe was told, and is tied to it
        [note] = world.notes.issued
        assert done.report.parameters is not None
        assert note.instruction == CreditNoteInstruction(
            refund_id=done.id,
            invoice="in_1",
            payment_record="pr_1",
            refund_reference=done.report.parameters.refund_reference,
            amount=2500,
            currency="sgd",
            reason="duplicate",
        )
        assert note.key == f"{done.id}:credit_note"
        # And the refund says so, and owes nothing more
        now_ms = world.clock.now_ms()
        assert done.credit_note == CreditNote(
            state=CreditNoteState.ISSUED, id="cn_1", attempts=1, issued_at_ms=now_ms
        )
        assert done.report.state is ReportState.REPORTED
        assert done.next_check_ms == world.clock.now_ms() + 60 * STEP_MS
        assert steps_of(done) == [
            ("credit_note:not_due", "credit_note:due", "stripe_accepted"),
            ("credit_note:due", "credit_note:issued", "issued"),
        ]
        assert done.history[-1].evidence == {"credit_note": "cn_1"}
        assert done.history[-1].actor == "test"
        assert facts_of(world, "credit_note_issued") == [
            {"refund_id": done.id, "credit_note": "cn_1"}
        ]

    def test_it_is_due_in_the_very_write_that_confirms_the_report(self, world: World) -> None:
        # Given a reporter that dies right after that write
        made = refund(world)
        world.clock.advance(1_000)
        world.notes.credit_note_of = killed  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            world.report(made.id)
        # Then the note is due, its attempt counted, and settling's when the reporter's time is over
        left = world.stored("k")
        assert left.report.state is ReportState.REPORTED
        assert left.credit_note == CreditNote(state=CreditNoteState.DUE, attempts=1)
        assert left.history[-1].evidence == {}
        assert left.next_check_ms == world.clock.now_ms() + REPORTERS_MS

    def test_messages_that_come_again_issue_none(self, world: World) -> None:
        done = reported(world)
        for receive in (1, 2, 8):
            assert world.report(done.id, receive=receive) is Reported.NOTHING_DUE
        world.settle_for(DAY_STEPS * STEP_MS, every_ms=60 * STEP_MS)
        assert (len(world.notes.issued), world.notes.look_ups) == (1, 1)

    def test_a_report_that_turns_out_to_be_booked_gets_one_too(self, world: World) -> None:
        # Given a report whose answer was lost, under a key that Stripe has forgotten
        world.stripe.fates.append(AnswerLost())
        made = refund(world)
        with pytest.raises(ReportDeferredError):
            world.report(made.id)
        world.stripe.forget_keys()
        # When the record shows it all the same
        world.report(made.id, receive=2)
        assert len(world.notes.issued) == 1

    @pytest.mark.parametrize(
        ("last", "error"), [(False, ReportDeferredError), (True, ReportFailedError)]
    )
    def test_a_report_that_was_not_made_owes_no_note(
        self, world: World, *, last: bool, error: type[Exception]
    ) -> None:
        world.stripe.fates.append(ReportLost())
        made = refund(world)
        with pytest.raises(error):
            world.report(made.id, receive=8, last=last)
        assert world.stored("k").credit_note == CreditNote()
        assert world.notes.look_ups == 0

    def test_a_refund_that_names_no_invoice_gets_none(self, world: World) -> None:
        made = world.refund("k", amount=2500).refund
        world.report(made.id)
        assert world.stored("k").credit_note == CreditNote()
        assert world.notes.look_ups == 0

    def test_switched_off_none_is_owed_or_looked_for(self) -> None:
        world = World(credit_notes=False)
        world.pay_invoice()
        done = reported(world)
        assert (done.invoice, done.credit_note) == ("in_1", CreditNote())
        assert world.notes.look_ups == 0
        assert done.next_check_ms == world.clock.now_ms() + 60 * STEP_MS

    def test_a_refund_without_one_costs_the_ledger_nothing_more(self, world: World) -> None:
        # Given a reporter with credit notes, and one without
        asked = [count_ledger_calls(one) for one in (world, World(credit_notes=False))]
        assert asked[0] == asked[1] > 0

    def test_a_refund_that_was_taken_back_owes_none(self, world: World) -> None:
        taken_back = replace(refund(world), late_failure_at_ms=1)
        why = Why(at_ms=5, cause="stripe_accepted", actor="test")
        assert owing_credit_note(taken_back, why) is taken_back

    def test_one_that_has_had_its_note_owes_no_other(self, world: World) -> None:
        done = reported(world)
        why = Why(at_ms=5, cause="by_reference", actor="test")
        assert owing_credit_note(done, why) is done

    @pytest.mark.parametrize("fate", [ReportLost(), AnswerLost(), Fails(), TurnedAway(7)])
    def test_whatever_becomes_of_it_the_report_stays_made(self, world: World, fate: Fate) -> None:
        world.notes.fates.append(fate)
        left = reported(world)
        assert (left.report.state, left.report.attempts) == (ReportState.REPORTED, 1)
        assert left.credit_note.state is CreditNoteState.DUE
        assert left.credit_note.last_error
        assert world.payment().report_due_count == 0

    def test_an_error_that_nobody_foresaw_is_noted_and_leaves_it_due(self, world: World) -> None:
        def breaks(*_: object) -> object:
            raise ZeroDivisionError

        world.notes.credit_note_of = breaks  # type: ignore[method-assign, assignment]
        left = reported(world)
        assert left.credit_note.state is CreditNoteState.DUE
        assert facts_of(world, "credit_note_put_off") == [
            {"refund_id": left.id, "error": "ZeroDivisionError"}
        ]


class TestLater:
    """Settling goes on, each time a little later, and not for ever."""

    @pytest.fixture
    def left(self, world: World) -> Refund:
        """A reported refund whose note was lost on its way."""
        world.notes.fates.append(ReportLost())
        return reported(world)

    def test_it_is_issued_by_the_next_run(self, world: World, left: Refund) -> None:
        assert waits(world) == STEP_MS
        assert settle_when_due(world) is Settled.MOVED_ON
        note = world.stored("k").credit_note
        assert (note.state, note.id, note.attempts) == (CreditNoteState.ISSUED, "cn_1", 2)
        assert world.notes.asked == [f"{left.id}:credit_note"] * 2
        assert waits(world) == 60 * STEP_MS

    def test_it_is_not_tried_before_it_is_due(self, world: World, left: Refund) -> None:
        world.clock.advance(STEP_MS - 1)
        assert world.settle(left.id, world.deadline()) is Settled.NOTHING_DUE
        assert len(world.notes.asked) == 1

    def test_the_attempts_are_spaced_and_counted_and_end(self, world: World, left: Refund) -> None:
        # Given a Stripe that never answers
        world.notes.fates.extend([ReportLost()] * ATTEMPTS_MAX)
        pauses = [waits(world)]
        while settle_when_due(world) is Settled.HELD:
            pauses.append(waits(world))
        # Then the pauses are those of look-ups
        assert [pause // STEP_MS for pause in pauses] == [1, 2, 5, 15, 30, 60, 60]
        # And after the eighth attempt it is failed, and a person told
        failed = world.stored("k")
        assert len(world.notes.asked) == ATTEMPTS_MAX == 8
        assert (failed.credit_note.state, failed.credit_note.attempts) == ("failed", 8)
        assert failed.credit_note.last_error == "unclear: Stripe: no whole answer"
        assert steps_of(failed)[-1] == (
            "credit_note:due",
            "credit_note:failed",
            "unclear: Stripe: no whole answer",
        )
        assert facts_of(world, "credit_note_failed") == [
            {"refund_id": failed.id, "reason": "unclear: Stripe: no whole answer"}
        ]
        # And refund and report are as they were
        assert (failed.state, failed.report) == (left.state, left.report)

    def test_an_attempt_with_a_key_that_may_not_is_none(self, world: World, left: Refund) -> None:
        # Given a key of Stripe's that lacks the right to issue notes, for longer than attempts last
        world.notes.fates.extend([NotAllowed()] * 2 * ATTEMPTS_MAX)
        for _ in range(2 * ATTEMPTS_MAX):
            assert settle_when_due(world) is Settled.HELD
            assert waits(world) == STEP_MS
            assert world.stored("k").credit_note.attempts == 1
        # When the right is given, then the note is issued
        assert settle_when_due(world) is Settled.MOVED_ON
        assert world.stored("k").credit_note.state is CreditNoteState.ISSUED

    def test_nor_is_the_reporters_or_one_that_may_not_even_look(self, world: World) -> None:
        # Given a key of Stripe's that may not issue notes, and then may not look for them either
        world.notes.fates.append(NotAllowed())
        assert reported(world).credit_note.attempts == 0
        look = world.notes.credit_note_of

        def refused(*_: object) -> object:
            raise CredentialRefusedError("Stripe does not accept the key")

        world.notes.credit_note_of = refused  # type: ignore[method-assign, assignment]
        assert settle_when_due(world) is Settled.HELD
        assert world.stored("k").credit_note.attempts == 0
        # When it may, then the note is issued at the first attempt that counts
        world.notes.credit_note_of = look  # type: ignore[method-assign]
        settle_when_due(world)
        note = world.stored("k").credit_note
        assert (note.state, note.attempts) == (CreditNoteState.ISSUED, 1)

    def test_what_stripe_said_is_kept_and_told_again_where_it_was_not_asked(
        self, world: World, left: Refund
    ) -> None:
        # Given Stripe's answer to the first attempt
        said = ProviderAnswer(attempt=1, at_ms=world.clock.now_ms(), said="Stripe: no whole answer")
        assert left.credit_note.answers == (said,)

        # When it is not even asked at the second
        def not_asked(*_: object) -> object:
            raise ProviderUnavailableError("Stripe failed too often", was_asked=False)

        world.notes.credit_note_of = not_asked  # type: ignore[method-assign, assignment]
        settle_when_due(world)
        # Then the first answer is still to be read, and no other is kept
        note = world.stored("k").credit_note
        assert note == replace(
            left.credit_note,
            attempts=2,
            last_error="Stripe failed too often; the last answer: Stripe: no whole answer",
        )

    @pytest.mark.parametrize(("fate", "epoch"), [(Fails(), 1), (ReportLost(), 0)])
    def test_a_replay_of_a_note_that_failed_needs_another_key_only_if_stripe_keeps_the_failure(
        self, world: World, left: Refund, fate: Fate, epoch: int
    ) -> None:
        world.ledger.refunds[left.id] = replace(
            left, credit_note=replace(left.credit_note, attempts=ATTEMPTS_MAX - 1)
        )
        world.notes.fates.append(fate)
        settle_when_due(world)
        note = world.stored("k").credit_note
        assert (note.state, note.epoch) == (CreditNoteState.FAILED, epoch)

    def test_an_attempt_is_counted_before_it_is_made(self, world: World, left: Refund) -> None:
        world.notes.credit_note_of = killed  # type: ignore[method-assign, assignment]
        for attempt in (2, 3):
            with pytest.raises(KeyboardInterrupt):
                settle_when_due(world)
            assert world.stored("k").credit_note.attempts == attempt

    def test_after_a_last_attempt_without_a_word_only_its_trace_is_looked_for(
        self, world: World, left: Refund
    ) -> None:
        # Given an eighth attempt that issued the note and died, or died before
        spent = replace(left, credit_note=replace(left.credit_note, attempts=ATTEMPTS_MAX))
        world.ledger.refunds[left.id] = spent
        assert settle_when_due(world) is Settled.MOVED_ON
        failed = world.stored("k").credit_note
        assert (failed.state, failed.last_error) == (
            CreditNoteState.FAILED,
            "unclear: the last attempt was cut off",
        )
        assert len(world.notes.asked) == 1

    def test_a_note_whose_answer_was_lost_is_found_by_the_refund_that_it_names(
        self, world: World
    ) -> None:
        # Given a note that was issued, under a key that Stripe has forgotten
        world.notes.fates.append(AnswerLost())
        reported(world)
        world.notes.forget_keys()
        # When settling goes on
        settle_when_due(world)
        # Then it is that note, and nothing was asked again
        assert world.stored("k").credit_note.id == "cn_1"
        assert (len(world.notes.issued), len(world.notes.asked)) == (1, 1)

    @pytest.mark.parametrize("was_issued", [True, False])
    def test_a_failure_that_stripe_stores_is_asked_past_under_another_key(
        self, world: World, was_issued: bool
    ) -> None:
        world.notes.fates.append(Fails(booked=was_issued))
        made = reported(world)
        assert made.credit_note.epoch == 1
        settle_when_due(world)
        assert world.stored("k").credit_note.state is CreditNoteState.ISSUED
        assert len(world.notes.issued) == 1
        keys = [f"{made.id}:credit_note", f"{made.id}:credit_note:1"]
        assert world.notes.asked == (keys[:1] if was_issued else keys)

    def test_stripes_wish_to_wait_is_granted(self, world: World) -> None:
        world.notes.fates.extend([TurnedAway(90), TurnedAway(3)])
        reported(world)
        assert waits(world) == 90_000
        settle_when_due(world)
        assert waits(world) == 2 * STEP_MS

    def test_so_it_is_where_the_look_up_was_turned_away(self, world: World) -> None:
        def turned_away(*_: object) -> object:
            raise ProviderUnavailableError("Stripe limits the rate", retry_after_s=90)

        world.notes.credit_note_of = turned_away  # type: ignore[method-assign, assignment]
        assert reported(world).credit_note.last_error == "Stripe limits the rate"
        assert waits(world) == 90_000

    def test_without_a_wish_the_pause_is_the_backoffs_alone(self, world: World) -> None:
        issue = world.report_refund.credit_notes
        assert issue is not None
        hasty = replace(issue, step_ms=7)
        world.report_refund = replace(world.report_refund, credit_notes=hasty)
        world.notes.fates.append(ReportLost())
        left = reported(world)
        assert (waits(world), left.updated_at_ms) == (7, world.clock.now_ms())

    def test_putting_it_off_shows_in_the_time_of_the_last_change(self, world: World) -> None:
        world.notes.fates.extend([ReportLost()] * 2)
        reported(world)
        settle_when_due(world)
        assert world.stored("k").updated_at_ms == world.clock.now_ms()

    def test_without_a_look_up_none_is_issued(self, world: World) -> None:
        world.notes.is_down = True
        left = reported(world)
        assert left.credit_note.last_error == "Stripe: no whole answer"
        assert world.notes.asked == []
        world.notes.is_down = False
        settle_when_due(world)
        assert len(world.notes.issued) == 1

    def test_one_that_stripe_refuses_fails_at_once(self, world: World) -> None:
        # Given an invoice of which nothing is left to credit
        world.notes.paid["in_1"] = 2499
        failed = reported(world)
        # Then no second attempt is made
        assert failed.credit_note.state is CreditNoteState.FAILED
        assert failed.credit_note.last_error == (
            "refused: The amount is greater than the invoice's remaining amount."
        )
        assert failed.report.state is ReportState.REPORTED
        assert len(facts_of(world, "credit_note_failed")) == 1
        # And the reported refund is looked at as any other is
        assert waits(world) == 60 * STEP_MS

    def test_an_invoice_that_stripe_does_not_know_fails_at_once(self, world: World) -> None:
        def missing(*_: object) -> object:
            raise StripeObjectNotFoundError("No such invoice: 'in_1'")

        world.notes.credit_note_of = missing  # type: ignore[method-assign, assignment]
        assert reported(world).credit_note.last_error == "refused: No such invoice: 'in_1'"

    def test_switched_off_it_waits_for_a_day_at_a_time(self, world: World, left: Refund) -> None:
        world.settle = replace(world.settle, credit_notes=None)
        assert settle_when_due(world) is Settled.HELD
        held = world.stored("k")
        assert (waits(world), held.last_look) == (DAY_STEPS * STEP_MS, "credit notes are off")
        assert held.credit_note == left.credit_note
        assert len(world.notes.asked) == 1


class TestTakenBack:
    """The processor takes the money back between the report and the note."""

    @pytest.fixture
    def left(self, world: World) -> Refund:
        """A reported refund whose note is due, and whose money came back."""
        world.notes.fates.append(ReportLost())
        made = reported(world)
        return take_back(world, made)

    def test_nothing_is_credited_then(self, world: World, left: Refund) -> None:
        assert settle_when_due(world) is Settled.MOVED_ON
        canceled = world.stored("k")
        assert canceled.credit_note.state is CreditNoteState.NOT_DUE
        assert canceled.credit_note.last_error == "taken_back"
        assert steps_of(canceled)[-1][1:] == ("credit_note:not_due", "taken_back")
        assert world.notes.issued == []
        assert facts_of(world, "credit_note_failed") == []

    def test_but_a_note_that_is_there_is_told_of(self, world: World, left: Refund) -> None:
        world.notes.issue_elsewhere(instruction_id_of(left))
        settle_when_due(world)
        assert world.stored("k").credit_note.state is CreditNoteState.ISSUED


class TestOthersWrite:
    """Somebody else writes the refund while Stripe is asked."""

    def test_what_came_of_the_attempt_is_written_over_it(self, world: World) -> None:
        def lines_between(made: Refund) -> None:
            take_back(world, made)

        meanwhile(world, lines_between)
        done = reported(world)
        assert done.late_failure_at_ms is not None
        assert done.credit_note.state is CreditNoteState.ISSUED

    def test_but_not_over_another_workers_attempt(self, world: World) -> None:
        # Given another worker that has begun an attempt of its own
        def begins(made: Refund) -> None:
            note = replace(made.credit_note, attempts=2)
            world.ledger.refunds[made.id] = replace(
                made, credit_note=note, revision=made.revision + 1
            )

        meanwhile(world, begins)
        left = reported(world)
        # Then its outcome is left to that worker, who finds the note
        assert (left.credit_note.state, left.credit_note.attempts) == (CreditNoteState.DUE, 2)
        settle_when_due(world)
        assert world.stored("k").credit_note.id == "cn_1"
        assert len(world.notes.issued) == 1

    def test_nor_over_an_end(self, world: World) -> None:
        def ends(made: Refund) -> None:
            note = replace(made.credit_note, state=CreditNoteState.FAILED)
            world.ledger.refunds[made.id] = replace(
                made, credit_note=note, revision=made.revision + 1
            )

        meanwhile(world, ends)
        assert reported(world).credit_note.state is CreditNoteState.FAILED

    @pytest.mark.parametrize(
        "written",
        [
            {"credit_note": CreditNote(state=CreditNoteState.DUE, attempts=3)},
            {"credit_note": CreditNote(state=CreditNoteState.ISSUED, attempts=2)},
            None,
        ],
    )
    def test_the_end_is_then_not_known_to_this_one(
        self, world: World, written: dict[str, Any] | None
    ) -> None:
        # Given settling, which has begun its attempt
        world.notes.fates.append(ReportLost())
        reported(world)
        begun_by_settling = begun(world.stored("k"))
        world.ledger.refunds[begun_by_settling.id] = begun_by_settling

        # When the refund is another one by the time of its answer, or cannot be found
        def changes(made: Refund) -> None:
            if written is None:
                del world.ledger.refunds[made.id]
            else:
                world.ledger.refunds[made.id] = replace(made, revision=99, **written)

        meanwhile(world, changes)
        issue = world.report_refund.credit_notes
        assert issue is not None
        assert issue(begun_by_settling, world.deadline()) is False

    def test_a_ledger_that_never_takes_it_leaves_it_due(self, world: World) -> None:
        commit, tried = world.ledger.commit, list[Commit]()

        def contested(written: Commit) -> None:
            if not written.payments and is_about_a_due_note(written):
                tried.append(written)
                raise LedgerConflictError("race")
            commit(written)

        world.ledger.commit = contested  # type: ignore[method-assign, assignment]
        left = reported(world)
        assert left.credit_note.state is CreditNoteState.DUE
        assert len(tried) == 5
        issue = world.report_refund.credit_notes
        assert issue is not None
        assert issue(left, world.deadline()) is False

    def test_an_outcome_that_was_not_written_is_found_later(self, world: World) -> None:
        commit = world.ledger.commit

        def gone(written: Commit) -> None:
            if not written.payments and is_about_a_due_note(written):
                raise LedgerUnavailableError("no answer")
            commit(written)

        world.ledger.commit = gone  # type: ignore[method-assign, assignment]
        left = reported(world)
        assert left.credit_note.state is CreditNoteState.DUE
        assert facts_of(world, "credit_note_put_off")[0]["error"] == "LedgerUnavailableError"
        world.ledger.commit = commit  # type: ignore[method-assign]
        settle_when_due(world)
        assert (world.stored("k").credit_note.id, len(world.notes.issued)) == ("cn_1", 1)


def test_a_note_needs_an_invoice_and_a_report(world: World) -> None:
    made = refund(world)
    issue = world.report_refund.credit_notes
    assert isinstance(issue, IssueCreditNote)
    for lacking in (replace(made, invoice=None), replace(made, report=type(made.report)())):
        with pytest.raises(ValueError, match="without an invoice or a report"):
            issue(lacking, world.deadline())


@pytest.mark.parametrize(("epoch", "key"), [(0, "credit_note"), (3, "credit_note:3")])
def test_the_key_is_the_refunds_own(world: World, epoch: int, key: str) -> None:
    made = replace(refund(world), credit_note=CreditNote(epoch=epoch))
    assert idempotency_key_of(made) == f"{made.id}:{key}"


def killed(*_: object) -> object:
    raise KeyboardInterrupt


def take_back(world: World, made: Refund) -> Refund:
    """The processor takes the money back, and somebody sees it."""
    why = Why(at_ms=world.clock.now_ms(), cause="taken_back", actor="test")
    seen = replace(noted(made, why), late_failure_at_ms=why.at_ms, revision=made.revision + 1)
    world.ledger.refunds[made.id] = seen
    return seen


def instruction_id_of(made: Refund) -> CreditNoteInstruction:
    assert made.report.parameters is not None
    return CreditNoteInstruction(
        refund_id=made.id,
        invoice="in_1",
        payment_record="pr_1",
        refund_reference=made.report.parameters.refund_reference,
        amount=made.amount,
        currency=made.currency,
    )


def meanwhile(world: World, happens: Any) -> None:
    """Let it happen to the stored refund while Stripe issues the note."""
    issue = world.notes.issue_credit_note

    def interrupted(instruction: CreditNoteInstruction, key: str, deadline: Deadline) -> object:
        outcome = issue(instruction, key, deadline)
        happens(world.ledger.refunds[instruction.refund_id])
        return outcome

    world.notes.issue_credit_note = interrupted  # type: ignore[method-assign, assignment]


def is_about_a_due_note(written: Commit) -> bool:
    return any(
        write.before is not None and write.before.credit_note.state is CreditNoteState.DUE
        for write in written.refunds
    )


def count_ledger_calls(world: World) -> int:
    """What one report of a refund without an invoice asks of the ledger."""
    world.pay("2")
    made = world.refund("plain", record="pr_2", amount=2500).refund
    asked: list[str] = []

    def counted(name: str) -> Any:
        call = getattr(world.ledger, name)

        def count(*args: object, **facts: object) -> object:
            asked.append(name)
            return call(*args, **facts)

        return count

    for name in ("refund", "payment", "commit", "take_check"):
        setattr(world.ledger, name, counted(name))
    assert world.report(made.id) is Reported.REPORTED
    return len(asked)
