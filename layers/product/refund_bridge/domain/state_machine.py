"""The states of a refund, its report and its credit note, and every legal step between them.

Pure tables, and the only place that knows which step is legal. ``transitions.py`` applies them, the
ledger's conditional writes are derived from them, the tests walk the full product of states and
events.

::

    (new) ─▶ requested ─▶ submitting ─┬─▶ succeeded
                │  ▲                  ├─▶ pending ──▶ succeeded | failed | review
                │  └── certainly not ─┤
                │      executed       ├─▶ rejected                         amount freed
                ▼                     ├─▶ aborted ──▶ submitting           amount freed, retried
              failed                  └─▶ unknown ──▶ succeeded | pending | failed | review
    review                     ─▶ succeeded | failed
    failed, rejected, aborted  ─▶ succeeded    the processor shows that its very money moved
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    SUBMITTING = "submitting"
    SUCCEEDED = "succeeded"
    PENDING = "pending"
    REJECTED = "rejected"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    FAILED = "failed"
    REVIEW = "review"


class Event(StrEnum):
    """What can happen to a refund."""

    ACCEPT_INSTANT = "accept_instant"
    ACCEPT_SCHEDULED = "accept_scheduled"
    IMPORT_SUCCEEDED = "import_succeeded"
    IMPORT_PENDING = "import_pending"
    START = "start"
    CANCEL = "cancel"
    SUCCEED = "succeed"
    PEND = "pend"
    REJECT = "reject"
    ABORT = "abort"
    DEFER = "defer"
    LOSE = "lose"
    FAIL = "fail"
    ESCALATE = "escalate"


TRANSITIONS: Final[dict[tuple[State | None, Event], State]] = {
    (None, Event.ACCEPT_INSTANT): State.SUBMITTING,
    (None, Event.ACCEPT_SCHEDULED): State.REQUESTED,
    (None, Event.IMPORT_SUCCEEDED): State.SUCCEEDED,
    (None, Event.IMPORT_PENDING): State.PENDING,
    (State.REQUESTED, Event.START): State.SUBMITTING,
    (State.REQUESTED, Event.CANCEL): State.FAILED,
    (State.SUBMITTING, Event.SUCCEED): State.SUCCEEDED,
    (State.SUBMITTING, Event.PEND): State.PENDING,
    (State.SUBMITTING, Event.REJECT): State.REJECTED,
    (State.SUBMITTING, Event.ABORT): State.ABORTED,
    (State.SUBMITTING, Event.DEFER): State.REQUESTED,
    (State.SUBMITTING, Event.LOSE): State.UNKNOWN,
    (State.ABORTED, Event.START): State.SUBMITTING,
    (State.UNKNOWN, Event.SUCCEED): State.SUCCEEDED,
    (State.UNKNOWN, Event.PEND): State.PENDING,
    (State.UNKNOWN, Event.FAIL): State.FAILED,
    (State.UNKNOWN, Event.ESCALATE): State.REVIEW,
    (State.PENDING, Event.SUCCEED): State.SUCCEEDED,
    (State.PENDING, Event.FAIL): State.FAILED,
    # A look-up that shows another amount, payment or refund than the one that it was bound to.
    (State.PENDING, Event.ESCALATE): State.REVIEW,
    (State.REVIEW, Event.SUCCEED): State.SUCCEEDED,
    (State.REVIEW, Event.FAIL): State.FAILED,
    # The processor contradicts itself: what it had refused or called failed has moved money.
    (State.FAILED, Event.SUCCEED): State.SUCCEEDED,
    (State.REJECTED, Event.SUCCEED): State.SUCCEEDED,
    (State.ABORTED, Event.SUCCEED): State.SUCCEEDED,
}

# A processor refund may exist that no processor refund id is bound to: one such refund per payment.
UNBOUND: Final = frozenset({State.SUBMITTING, State.UNKNOWN, State.REVIEW})
# It is certain that no money moved under this id, so its amount is not held on the payment.
FREED: Final = frozenset({State.REJECTED, State.ABORTED, State.FAILED})
# From here nothing is sent of what is stored: an aborted refund is sent again only for a caller who
# says all of it again.
NEVER_SENT_AGAIN: Final = frozenset(State) - {State.REQUESTED, State.SUBMITTING, State.UNKNOWN}
# Nothing moves on by itself from here.
FINAL: Final = frozenset({State.SUCCEEDED, State.REJECTED, State.FAILED})

# What callers are told: four words for nine states (API.md, the refund object).
PUBLIC_STATUS: Final[dict[State, str]] = {
    State.REQUESTED: "pending",
    State.SUBMITTING: "pending",
    State.UNKNOWN: "pending",
    State.PENDING: "pending",
    State.SUCCEEDED: "succeeded",
    State.REJECTED: "failed",
    State.ABORTED: "failed",
    State.FAILED: "failed",
    State.REVIEW: "review",
}


class ReportState(StrEnum):
    """What Stripe has been told."""

    NOT_DUE = "not_due"
    DUE = "due"
    REPORTED = "reported"
    FAILED = "failed"


class ReportEvent(StrEnum):
    """What can happen to a report."""

    OWE = "owe"
    CONFIRM = "confirm"
    GIVE_UP = "give_up"
    REPLAY = "replay"
    CANCEL = "cancel"


REPORT_TRANSITIONS: Final[dict[tuple[ReportState, ReportEvent], ReportState]] = {
    (ReportState.NOT_DUE, ReportEvent.OWE): ReportState.DUE,
    (ReportState.DUE, ReportEvent.CONFIRM): ReportState.REPORTED,
    (ReportState.DUE, ReportEvent.GIVE_UP): ReportState.FAILED,
    (ReportState.FAILED, ReportEvent.REPLAY): ReportState.DUE,
    # Stripe turns out to show what others told it of.
    (ReportState.FAILED, ReportEvent.CONFIRM): ReportState.REPORTED,
    (ReportState.NOT_DUE, ReportEvent.CONFIRM): ReportState.REPORTED,
    # That others had told Stripe was believed by the sums: they do not hold it any more, or a
    # person knows it for certain.
    (ReportState.REPORTED, ReportEvent.OWE): ReportState.DUE,
    (ReportState.REPORTED, ReportEvent.CONFIRM): ReportState.REPORTED,
    # There is nothing to tell: the processor took the money back before Stripe was asked, or a
    # person decided that Stripe is never told.
    (ReportState.DUE, ReportEvent.CANCEL): ReportState.NOT_DUE,
    (ReportState.FAILED, ReportEvent.CANCEL): ReportState.NOT_DUE,
}


class CreditNoteState(StrEnum):
    """Where the credit note on a refund's invoice stands."""

    NOT_DUE = "not_due"
    DUE = "due"
    ISSUED = "issued"
    FAILED = "failed"


class CreditNoteEvent(StrEnum):
    """What can happen to a credit note."""

    OWE = "owe"
    ISSUE = "issue"
    GIVE_UP = "give_up"
    REPLAY = "replay"
    CANCEL = "cancel"


CREDIT_NOTE_TRANSITIONS: Final[dict[tuple[CreditNoteState, CreditNoteEvent], CreditNoteState]] = {
    (CreditNoteState.NOT_DUE, CreditNoteEvent.OWE): CreditNoteState.DUE,
    (CreditNoteState.DUE, CreditNoteEvent.ISSUE): CreditNoteState.ISSUED,
    (CreditNoteState.DUE, CreditNoteEvent.GIVE_UP): CreditNoteState.FAILED,
    (CreditNoteState.FAILED, CreditNoteEvent.REPLAY): CreditNoteState.DUE,
    # The processor took the money back before the note was issued: there is nothing to credit.
    (CreditNoteState.DUE, CreditNoteEvent.CANCEL): CreditNoteState.NOT_DUE,
}


class IllegalTransitionError(Exception):
    """A step that the table does not have: a defect or a lost race, never a state to store."""


def next_state(state: State | None, event: Event) -> State:
    """Where ``event`` leads from ``state`` (``None``: the refund does not exist yet).

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} is not possible in {state or 'new'}") from None


def next_report_state(state: ReportState, event: ReportEvent) -> ReportState:
    """Where ``event`` leads a report from ``state``.

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    try:
        return REPORT_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"a report that is {state} cannot {event}") from None


def next_credit_note_state(state: CreditNoteState, event: CreditNoteEvent) -> CreditNoteState:
    """Where ``event`` leads a credit note from ``state``.

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    try:
        return CREDIT_NOTE_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"a credit note that is {state} cannot {event}") from None


def may_follow(before: State | None, after: State) -> bool:
    """Whether a stored refund in ``before`` may be replaced by one in ``after``.

    Staying in a state is not a transition: facts such as the next look-up's time change there.
    """
    return before is after or any(
        source is before and target is after for (source, _), target in TRANSITIONS.items()
    )
