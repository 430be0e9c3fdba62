from dataclasses import FrozenInstanceError, replace

import pytest

from refund_bridge.domain.refund import Entry, Failure, imported_refund_id, refund_id_of
from refund_bridge.domain.state_machine import (
    CreditNoteEvent,
    Event,
    IllegalTransitionError,
    ReportEvent,
    ReportState,
    State,
)
from refund_bridge.domain.transitions import (
    Why,
    born,
    credit_note_transition,
    noted,
    report_transition,
    transition,
)
from tests.contract.ledger.examples import NOW, a_refund

LATER = Why(at_ms=NOW + 5, cause="answered", actor="shop", evidence={"status": 200})


def test_one_key_is_one_refund_per_stage() -> None:
    assert refund_id_of("order-1007", "test") == refund_id_of("order-1007", "test")
    ids = {
        refund_id_of("order-1007", "test"),
        refund_id_of("order-1007", "production"),
        refund_id_of("order-1008", "test"),
        refund_id_of("ORDER-1007", "test"),
        refund_id_of("order-1007 ", "test"),
    }
    assert len(ids) == 5


def test_ids_never_change_between_releases() -> None:
    assert refund_id_of("order-1007", "test") == "rfd_w2yencsnj2ayc7usgwz7vbqbnq2xclv5"
    assert imported_refund_id("hitpay", "hp_1", "test") == "rfd_aaq7xubmaf6t66hqzkmdxu5ia22fwtbx"


def test_ids_are_short_and_safe_in_an_address() -> None:
    made = refund_id_of("é" * 255, "test")
    assert len(made) == 36
    assert made.isascii()
    assert made.removeprefix("rfd_").isalnum()
    assert made == made.lower()


def test_an_imported_refund_shares_its_id_with_no_callers_key() -> None:
    imported = imported_refund_id("hitpay", "hp_1", "test")
    keys = ["hp_1", "processor hitpay hp_1", "hitpay\0hp_1", "processor\0hitpay\0hp_1"]
    assert imported not in {refund_id_of(key, "test") for key in keys}
    assert imported != imported_refund_id("hitpay", "hp_2", "test")
    assert imported != imported_refund_id("other", "hp_1", "test")
    assert imported != imported_refund_id("hitpay", "hp_1", "production")


def test_a_birth_is_the_first_line_of_history() -> None:
    refund = a_refund(Event.ACCEPT_SCHEDULED)
    assert refund.state is State.REQUESTED
    assert refund.history == (
        Entry(seq=1, at_ms=NOW, before=None, after="requested", cause="asked", actor="test"),
    )


def test_a_birth_takes_the_state_from_the_table_alone() -> None:
    template = replace(a_refund(), state=State.REVIEW, history=())
    assert born(template, Event.IMPORT_SUCCEEDED, LATER).state is State.SUCCEEDED
    with pytest.raises(IllegalTransitionError):
        born(template, Event.SUCCEED, LATER)


def test_a_transition_changes_state_facts_time_and_history_together() -> None:
    before = a_refund()
    failure = Failure(code="refund_rejected", message="no", status=422)
    after = transition(before, Event.REJECT, LATER, failure=failure, next_check_ms=None)
    line = Entry(
        seq=2,
        at_ms=NOW + 5,
        before="submitting",
        after="rejected",
        cause="answered",
        actor="shop",
        evidence={"status": 200},
    )
    assert after == replace(
        before,
        state=State.REJECTED,
        failure=failure,
        updated_at_ms=NOW + 5,
        history=(*before.history, line),
    )


def test_a_step_outside_the_table_changes_nothing() -> None:
    before = transition(a_refund(), Event.REJECT, LATER)
    with pytest.raises(IllegalTransitionError):
        transition(before, Event.START, LATER)
    with pytest.raises(IllegalTransitionError):
        report_transition(before, ReportEvent.GIVE_UP, LATER)


def test_a_report_has_its_own_lines_of_history() -> None:
    before = transition(a_refund(), Event.SUCCEED, LATER)
    after = report_transition(before, ReportEvent.OWE, LATER, last_ring_ms=7)
    assert after.state is State.SUCCEEDED
    assert (after.report.state, after.report.last_ring_ms) == (ReportState.DUE, 7)
    assert [(e.seq, e.before, e.after) for e in after.history] == [
        (1, None, "submitting"),
        (2, "submitting", "succeeded"),
        (3, "report:not_due", "report:due"),
    ]
    assert after.updated_at_ms == NOW + 5


def test_every_step_says_when_the_refund_last_changed() -> None:
    refund = a_refund()
    assert refund.updated_at_ms == NOW
    for after in (
        noted(refund, LATER),
        transition(refund, Event.LOSE, LATER),
        report_transition(refund, ReportEvent.OWE, LATER),
        credit_note_transition(refund, CreditNoteEvent.OWE, LATER),
    ):
        assert after.updated_at_ms == after.history[-1].at_ms == NOW + 5


def test_evidence_in_the_history_does_not_change_with_what_it_was_copied_from() -> None:
    evidence = {"status": 200}
    after = transition(a_refund(), Event.LOSE, replace(LATER, evidence=evidence))
    evidence["status"] = 500
    assert after.history[-1].evidence == {"status": 200}


def test_a_refund_is_not_changed_in_place() -> None:
    refund = a_refund()
    with pytest.raises(FrozenInstanceError):
        refund.amount = 1  # type: ignore[misc]


@pytest.mark.parametrize("state", State)
def test_the_amount_is_held_unless_it_is_certain_that_nothing_moved(state: State) -> None:
    free = state in (State.REJECTED, State.ABORTED, State.FAILED)
    assert replace(a_refund(), state=state).holds_headroom is not free
