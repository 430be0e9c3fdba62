"""The whole product of states and events, against a drawing of the machine of its own."""

from itertools import product

import pytest

from refund_bridge.domain.state_machine import (
    CREDIT_NOTE_TRANSITIONS,
    FINAL,
    FREED,
    PUBLIC_STATUS,
    REPORT_TRANSITIONS,
    TRANSITIONS,
    UNBOUND,
    CreditNoteEvent,
    CreditNoteState,
    Event,
    IllegalTransitionError,
    ReportEvent,
    ReportState,
    State,
    may_follow,
    next_credit_note_state,
    next_report_state,
    next_state,
)

# One row per state ("new": the refund does not exist yet), one column per event, "-" for never.
DRAWING = """
            accept_instant accept_scheduled import_succeeded import_pending
new         submitting     requested        succeeded        pending
requested   -              -                -                -
submitting  -              -                -                -
succeeded   -              -                -                -
pending     -              -                -                -
rejected    -              -                -                -
aborted     -              -                -                -
unknown     -              -                -                -
failed      -              -                -                -
review      -              -                -                -

            start          cancel           succeed          pend
new         -              -                -                -
requested   submitting     failed           -                -
submitting  -              -                succeeded        pending
succeeded   -              -                -                -
pending     -              -                succeeded        -
rejected    -              -                succeeded        -
aborted     submitting     -                succeeded        -
unknown     -              -                succeeded        pending
failed      -              -                succeeded        -
review      -              -                succeeded        -

            reject         abort            defer            lose
new         -              -                -                -
requested   -              -                -                -
submitting  rejected       aborted          requested        unknown
succeeded   -              -                -                -
pending     -              -                -                -
rejected    -              -                -                -
aborted     -              -                -                -
unknown     -              -                -                -
failed      -              -                -                -
review      -              -                -                -

            fail           escalate
new         -              -
requested   -              -
submitting  -              -
succeeded   -              -
pending     failed         review
rejected    -              -
aborted     -              -
unknown     failed         review
failed      -              -
review      failed         -
"""

REPORT_DRAWING = """
            owe            confirm          give_up          replay           cancel
not_due     due            reported         -                -                -
due         -              reported         failed           -                not_due
reported    due            reported         -                -                -
failed      -              reported         -                due              not_due
"""

CREDIT_NOTE_DRAWING = """
            owe            issue            give_up          replay           cancel
not_due     due            -                -                -                -
due         -              issued           failed           -                not_due
issued      -              -                -                -                -
failed      -              -                -                due              -
"""


def drawn(drawing: str) -> dict[tuple[str, str], str]:
    """The cells of a drawing: (state, event) → next state."""
    cells: dict[tuple[str, str], str] = {}
    for block in drawing.strip("\n").split("\n\n"):
        header, *rows = block.splitlines()
        for row in rows:
            state, *targets = row.split()
            cells |= {(state, e): t for e, t in zip(header.split(), targets, strict=True)}
    return cells


EXPECTED = drawn(DRAWING)
EXPECTED_REPORT = drawn(REPORT_DRAWING)
EXPECTED_CREDIT_NOTE = drawn(CREDIT_NOTE_DRAWING)
STATES: list[State | None] = [None, *State]


def row_of(state: State | None) -> str:
    return "new" if state is None else state.value


def test_every_state_and_event_is_drawn() -> None:
    assert set(EXPECTED) == set(product(map(row_of, STATES), (e.value for e in Event)))
    assert set(EXPECTED_REPORT) == set(
        product((s.value for s in ReportState), (e.value for e in ReportEvent))
    )
    assert set(EXPECTED_CREDIT_NOTE) == set(
        product((s.value for s in CreditNoteState), (e.value for e in CreditNoteEvent))
    )


@pytest.mark.parametrize(("state", "event"), list(product(STATES, Event)))
def test_every_event_leads_from_every_state_where_it_is_drawn(
    state: State | None, event: Event
) -> None:
    expected = EXPECTED[row_of(state), event.value]
    if expected == "-":
        with pytest.raises(IllegalTransitionError):
            next_state(state, event)
    else:
        assert next_state(state, event) is State(expected)


@pytest.mark.parametrize(("state", "event"), list(product(ReportState, ReportEvent)))
def test_every_report_event_leads_where_it_is_drawn(state: ReportState, event: ReportEvent) -> None:
    expected = EXPECTED_REPORT[state.value, event.value]
    if expected == "-":
        with pytest.raises(IllegalTransitionError):
            next_report_state(state, event)
    else:
        assert next_report_state(state, event) is ReportState(expected)


@pytest.mark.parametrize(("state", "event"), list(product(CreditNoteState, CreditNoteEvent)))
def test_every_credit_note_event_leads_where_it_is_drawn(
    state: CreditNoteState, event: CreditNoteEvent
) -> None:
    expected = EXPECTED_CREDIT_NOTE[state.value, event.value]
    if expected == "-":
        with pytest.raises(IllegalTransitionError):
            next_credit_note_state(state, event)
    else:
        assert next_credit_note_state(state, event) is CreditNoteState(expected)


@pytest.mark.parametrize(("before", "after"), list(product(STATES, State)))
def test_a_stored_state_may_be_followed_by_itself_and_by_what_is_drawn(
    before: State | None, after: State
) -> None:
    targets = {EXPECTED[row_of(before), event.value] for event in Event}
    assert may_follow(before, after) == (before is after or after.value in targets)


def test_the_tables_hold_no_more_than_the_drawings() -> None:
    legal = {cell for cell, target in EXPECTED.items() if target != "-"}
    assert {(row_of(state), event.value) for state, event in TRANSITIONS} == legal
    assert len(REPORT_TRANSITIONS) == sum(t != "-" for t in EXPECTED_REPORT.values())
    legal_notes = sum(t != "-" for t in EXPECTED_CREDIT_NOTE.values())
    assert len(CREDIT_NOTE_TRANSITIONS) == legal_notes


def test_a_refund_is_never_unborn() -> None:
    assert all(may_follow(state, state) for state in State)
    assert not any(may_follow(None, state) for state in FREED | {State.UNKNOWN, State.REVIEW})


def test_out_of_a_final_state_leads_only_that_its_money_moved_after_all() -> None:
    assert {"succeeded", "rejected", "failed"} == FINAL
    out = {(event, after) for (state, event), after in TRANSITIONS.items() if state in FINAL}
    assert out == {(Event.SUCCEED, State.SUCCEEDED)}
    assert not any(state is State.SUCCEEDED for state, _ in TRANSITIONS)


def test_money_is_freed_where_none_moved_and_may_be_unbound_where_it_is_not_known() -> None:
    assert {"rejected", "aborted", "failed"} == FREED
    assert {"submitting", "unknown", "review"} == UNBOUND
    assert not FREED & UNBOUND


def test_only_an_aborted_refund_or_a_waiting_one_is_ever_sent() -> None:
    sent = {state for (state, _), after in TRANSITIONS.items() if after is State.SUBMITTING}
    assert sent == {None, State.REQUESTED, State.ABORTED}


def test_a_refund_whose_outcome_is_not_known_is_never_sent_again() -> None:
    reachable, frontier = set[State](), {State.UNKNOWN}
    while frontier:
        reachable |= frontier
        frontier = {a for (b, _), a in TRANSITIONS.items() if b in frontier} - reachable
    assert not reachable & {State.SUBMITTING, State.REQUESTED, State.ABORTED}


def test_every_state_has_a_word_for_callers() -> None:
    assert set(PUBLIC_STATUS) == set(State)
    assert set(PUBLIC_STATUS.values()) == {"pending", "succeeded", "failed", "review"}
    assert {s for s, word in PUBLIC_STATUS.items() if word == "failed"} == FREED


def test_a_refused_step_says_what_was_asked_of_what() -> None:
    with pytest.raises(IllegalTransitionError, match="pend is not possible in rejected"):
        next_state(State.REJECTED, Event.PEND)
    with pytest.raises(IllegalTransitionError, match="succeed is not possible in new"):
        next_state(None, Event.SUCCEED)
    with pytest.raises(IllegalTransitionError, match="reported cannot give_up"):
        next_report_state(ReportState.REPORTED, ReportEvent.GIVE_UP)
    with pytest.raises(IllegalTransitionError, match="a credit note that is issued cannot issue"):
        next_credit_note_state(CreditNoteState.ISSUED, CreditNoteEvent.ISSUE)


def test_no_credit_note_is_issued_twice() -> None:
    assert not any(state is CreditNoteState.ISSUED for state, _ in CREDIT_NOTE_TRANSITIONS)
