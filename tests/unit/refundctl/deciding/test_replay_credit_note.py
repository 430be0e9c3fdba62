"""A credit note that was given up is tried again at a person's word, and never made twice."""

from dataclasses import replace

import pytest

from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import CreditNoteState
from refund_bridge.ports.ledger import Commit, LedgerConflictError
from refund_bridge.reporting.credit_note import ATTEMPTS_MAX, idempotency_key_of
from refundctl.deciding.replay_credit_note import NothingToReplayError, ReplayCreditNote
from tests.fakes.stripe_fates import AnswerLost, Fails, Fate, TurnedAway
from tests.fakes.world import STEP_MS, World

HOUR_MS = 60 * STEP_MS


@pytest.fixture
def world() -> World:
    """A world with one invoice of SGD 99.99, ``in_1``, in which credit notes are on."""
    made = World(credit_notes=True)
    made.pay_invoice()
    return made


@pytest.fixture
def replay(world: World) -> ReplayCreditNote:
    return ReplayCreditNote(ledger=world.ledger, clock=world.clock, actor="operator:kim")


def refunded(world: World) -> Refund:
    """A refund of SGD 25.00 that was asked for by the invoice, and reported."""
    refund = world.refund(
        "k", reference_type=ReferenceType.INVOICE, reference_id="in_1", amount=2500
    ).refund
    world.report(refund.id)
    return world.stored("k")


def refused(world: World) -> Refund:
    """One whose note Stripe refused, since nothing was left to credit just then."""
    paid, world.notes.paid["in_1"] = world.notes.paid["in_1"], 0
    failed = refunded(world)
    assert failed.credit_note.state is CreditNoteState.FAILED
    world.notes.paid["in_1"] = paid
    return failed


def given_up(world: World, *fates: Fate) -> Refund:
    """One whose note had no answer as often as it was tried."""
    world.notes.fates.extend([fates[0]] * (ATTEMPTS_MAX - 1) + [fates[-1]])
    refunded(world)
    world.settle_for(7 * HOUR_MS)
    failed = world.stored("k")
    assert (failed.credit_note.state, failed.credit_note.attempts) == (
        CreditNoteState.FAILED,
        ATTEMPTS_MAX,
    )
    return failed


def test_a_refused_note_is_due_again_and_issued_under_a_key_of_its_own(
    world: World, replay: ReplayCreditNote
) -> None:
    failed = refused(world)
    world.ledger.refunds[failed.id] = replace(failed, looks=7)
    world.clock.advance(STEP_MS)
    due = replay.carry_out(failed.id)
    # Then it is due now, its attempts counted anew, by whom stands in the history
    stored = world.stored("k")
    assert stored.credit_note == due.credit_note
    note = stored.credit_note
    assert (note.state, note.attempts, note.epoch) == (CreditNoteState.DUE, 0, 1)
    assert (stored.next_check_ms, stored.looks) == (world.clock.now_ms(), 0)
    entry = stored.history[-1]
    assert (entry.before, entry.after) == ("credit_note:failed", "credit_note:due")
    assert (entry.cause, entry.actor) == ("replayed", "operator:kim")
    # And settling issues it
    world.settle_due()
    (issued,) = world.notes.issued
    assert issued.key == f"{failed.id}:credit_note:1"
    assert world.stored("k").credit_note.state is CreditNoteState.ISSUED


@pytest.mark.parametrize(
    ("fates", "epoch"),
    [
        ((TurnedAway(0),), 0),  # asked over and over under one key, and so is the replay
        ((TurnedAway(0), Fails()), 1),  # Stripe keeps the last answer under the key
    ],
)
def test_a_note_without_an_answer_keeps_its_key_unless_stripe_keeps_an_answer_under_it(
    world: World, replay: ReplayCreditNote, fates: tuple[Fate, ...], epoch: int
) -> None:
    failed = given_up(world, *fates)
    due = replay.carry_out(failed.id)
    assert due.credit_note.epoch == epoch
    assert idempotency_key_of(due) == idempotency_key_of(failed)
    world.settle_due()
    assert len(world.notes.issued) == 1


def test_one_that_was_issued_without_our_hearing_of_it_is_found(
    world: World, replay: ReplayCreditNote
) -> None:
    # Given a last attempt that was carried out, and its answer lost
    failed = given_up(world, TurnedAway(0), AnswerLost())
    replay.carry_out(failed.id)
    world.settle_due()
    assert world.stored("k").credit_note.id == "cn_1"
    assert len(world.notes.issued) == 1


def test_replaying_twice_is_harmless(world: World, replay: ReplayCreditNote) -> None:
    failed = refused(world)
    due = replay.carry_out(failed.id)
    assert replay.carry_out(failed.id).credit_note == due.credit_note
    world.settle_due()
    with pytest.raises(NothingToReplayError, match="has its credit note: cn_1"):
        replay.carry_out(failed.id)
    assert len(world.notes.issued) == 1


def test_looking_writes_nothing(world: World, replay: ReplayCreditNote) -> None:
    failed = refused(world)
    assert replay.weigh(failed.id) == failed
    assert world.stored("k") == failed


def test_a_refund_that_owes_no_note_has_none_to_replay(
    world: World, replay: ReplayCreditNote
) -> None:
    refund = world.refund("plain", amount=100).refund
    with pytest.raises(NothingToReplayError, match="owes no credit note"):
        replay.carry_out(refund.id)
    with pytest.raises(RefundNotFoundError, match="rfd_nobody"):
        replay.carry_out("rfd_nobody")


def test_nothing_is_credited_for_money_that_came_back(
    world: World, replay: ReplayCreditNote
) -> None:
    failed = refused(world)
    taken_back = replace(failed, late_failure_at_ms=world.clock.now_ms())
    world.ledger.refunds[failed.id] = taken_back
    with pytest.raises(NothingToReplayError, match="taken back"):
        replay.carry_out(failed.id)
    assert world.stored("k") == taken_back


def test_a_write_that_met_another_is_made_again_and_not_for_ever(
    world: World, replay: ReplayCreditNote, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = refused(world)
    commit, tries = world.ledger.commit, list[Commit]()

    def conflict(asked: Commit) -> None:
        tries.append(asked)
        raise LedgerConflictError(failed.id)

    monkeypatch.setattr(world.ledger, "commit", conflict)
    with pytest.raises(NothingToReplayError, match="keeps changing"):
        replay.carry_out(failed.id)
    assert len(tries) == 5

    def once(asked: Commit) -> None:
        monkeypatch.setattr(world.ledger, "commit", commit)
        raise LedgerConflictError(failed.id)

    monkeypatch.setattr(world.ledger, "commit", once)
    assert replay.carry_out(failed.id).credit_note.state is CreditNoteState.DUE
