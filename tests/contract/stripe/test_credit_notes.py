"""The promises of ``CreditNotes``: issued under a key, found by the refund that a note names."""

from dataclasses import replace

import pytest

from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.stripe import (
    CreditNoteInstruction,
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNoteUnclear,
    ReportAccepted,
)
from tests.contract.stripe.note_worlds import NoteWorld
from tests.fakes.stripe_records import FakeRecord

KEY = "rfd_1:credit_note"


@pytest.fixture
def instruction(note_world: NoteWorld) -> CreditNoteInstruction:
    """A note of SGD 25.00 on an invoice of SGD 99.99 whose refund was reported."""
    note_world.add_record(FakeRecord("pr_1", "sgd", 9999, 9999))
    note_world.add_invoice("in_1", 9999)
    told = ReportParameters(
        payment_record="pr_1",
        amount=2500,
        currency="sgd",
        refund_reference="ref-1",
        initiated_at_s=note_world.now_s() - 1,
        refunded_at_s=note_world.now_s(),
    )
    outcome = note_world.stripe.report_refund(told, "rfd_1:0", note_world.deadline())
    assert isinstance(outcome, ReportAccepted)
    return CreditNoteInstruction(
        refund_id="rfd_1",
        invoice="in_1",
        payment_record="pr_1",
        refund_reference="ref-1",
        amount=2500,
        currency="sgd",
        reason="duplicate",
    )


def issue(
    world: NoteWorld, instruction: CreditNoteInstruction, key: str = KEY
) -> CreditNoteOutcome:
    return world.notes.issue_credit_note(instruction, key, world.deadline())


def look_up(world: NoteWorld, refund_id: str = "rfd_1", invoice: str = "in_1") -> str | None:
    return world.notes.credit_note_of(invoice, refund_id, world.deadline())


def test_a_note_is_issued_and_found_by_its_refund(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    assert look_up(note_world) is None
    issued = issue(note_world, instruction)
    assert isinstance(issued, CreditNoteIssued)
    assert look_up(note_world) == issued.id
    assert look_up(note_world, "rfd_2") is None
    assert note_world.issued() == ["rfd_1"]


@pytest.mark.parametrize("reason", [None, "requested_by_customer", "fraudulent", "Too late"])
def test_every_reason_is_taken(
    note_world: NoteWorld, instruction: CreditNoteInstruction, reason: str | None
) -> None:
    assert isinstance(issue(note_world, replace(instruction, reason=reason)), CreditNoteIssued)


def test_the_same_instruction_under_its_key_is_issued_once(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    assert issue(note_world, instruction) == issue(note_world, instruction)
    assert note_world.issued() == ["rfd_1"]


def test_once_the_key_is_forgotten_only_looking_shows_that_it_was_issued(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    # Given a note whose answer got lost, a day ago
    note_world.lose_answer()
    assert isinstance(issue(note_world, instruction), CreditNoteUnclear)
    note_world.forget_keys()
    # Then it is found, and whoever does not look issues a second one
    assert look_up(note_world) is not None
    assert isinstance(issue(note_world, instruction), CreditNoteIssued)
    assert note_world.issued() == ["rfd_1", "rfd_1"]


def test_a_note_is_found_behind_a_page_of_others(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    # Given the oldest of more notes than fit on a page
    oldest = issue(note_world, replace(instruction, amount=1))
    assert isinstance(oldest, CreditNoteIssued)
    for number in range(100):
        other = replace(instruction, amount=1, refund_id=f"rfd_other_{number}")
        assert isinstance(issue(note_world, other, f"key-{number}"), CreditNoteIssued)
    # When it is looked for
    assert look_up(note_world) == oldest.id
    assert look_up(note_world, "rfd_nobody") is None


def test_more_than_the_invoice_is_refused(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    first = replace(instruction, amount=2500)
    note_world.add_invoice("in_1", 2499)
    outcome = issue(note_world, first)
    assert isinstance(outcome, CreditNoteRefused)
    assert outcome.reason
    assert note_world.issued() == []


@pytest.mark.parametrize("unknown", [{"invoice": "in_9"}, {"refund_reference": "ref-9"}])
def test_what_stripe_does_not_know_yet_is_asked_again_under_another_key(
    note_world: NoteWorld, instruction: CreditNoteInstruction, unknown: dict[str, str]
) -> None:
    outcome = issue(note_world, replace(instruction, **unknown))  # type: ignore[arg-type]
    assert isinstance(outcome, CreditNoteUnclear)
    assert outcome.new_epoch
    assert note_world.issued() == []


def test_an_instruction_that_got_lost_may_be_repeated_under_its_key(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    note_world.lose_instruction()
    lost = issue(note_world, instruction)
    assert isinstance(lost, CreditNoteUnclear)
    assert not lost.new_epoch
    assert look_up(note_world) is None
    assert isinstance(issue(note_world, instruction), CreditNoteIssued)
    assert note_world.issued() == ["rfd_1"]


def test_a_note_whose_answer_got_lost_is_found_and_kept_under_its_key(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    note_world.lose_answer()
    lost = issue(note_world, instruction)
    assert isinstance(lost, CreditNoteUnclear)
    assert not lost.new_epoch
    found = look_up(note_world)
    assert found is not None
    assert issue(note_world, instruction) == CreditNoteIssued(found)
    assert note_world.issued() == ["rfd_1"]


def test_a_note_may_be_issued_after_we_gave_up(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    note_world.issue_late()
    late = issue(note_world, instruction)
    assert isinstance(late, CreditNoteUnclear)
    assert not late.new_epoch
    note_world.wait_for_late()
    assert look_up(note_world) is not None
    assert isinstance(issue(note_world, instruction), CreditNoteIssued)
    assert note_world.issued() == ["rfd_1"]


def test_a_stored_failure_needs_another_key(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    note_world.fail(issued=False)
    for _ in range(2):
        failed = issue(note_world, instruction)
        assert isinstance(failed, CreditNoteUnclear)
        assert failed.new_epoch
    assert look_up(note_world) is None
    assert isinstance(issue(note_world, instruction, f"{KEY}:1"), CreditNoteIssued)


def test_a_failure_after_issuing_shows_in_the_look_up_alone(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    note_world.fail(issued=True)
    failed = issue(note_world, instruction)
    assert isinstance(failed, CreditNoteUnclear)
    assert failed.new_epoch
    assert look_up(note_world) is not None


def test_a_key_with_other_parameters_needs_another_key(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    issue(note_world, instruction)
    outcome = issue(note_world, replace(instruction, amount=2400))
    assert isinstance(outcome, CreditNoteUnclear)
    assert outcome.new_epoch
    assert note_world.issued() == ["rfd_1"]


@pytest.mark.parametrize("status", [429, 409])
def test_being_turned_away_leaves_the_key_as_it_was(
    note_world: NoteWorld, instruction: CreditNoteInstruction, status: int
) -> None:
    note_world.turn_away(status)
    outcome = issue(note_world, instruction)
    assert isinstance(outcome, CreditNoteUnclear)
    assert not outcome.new_epoch
    assert outcome.retry_after_s == (1 if status == 429 else None)
    assert isinstance(issue(note_world, instruction), CreditNoteIssued)


def test_a_stripe_that_cannot_be_reached_is_unclear(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    outcome = note_world.unreachable().issue_credit_note(instruction, KEY, note_world.deadline())
    assert isinstance(outcome, CreditNoteUnclear)
    assert not outcome.new_epoch
    assert note_world.issued() == []


def test_a_look_up_without_an_answer_says_nothing(
    note_world: NoteWorld, instruction: CreditNoteInstruction
) -> None:
    note_world.fail_look_ups()
    with pytest.raises(ProviderUnavailableError):
        look_up(note_world)
