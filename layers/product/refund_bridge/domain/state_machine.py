"""The states of a refund, its report and its credit note, and every legal step between them.

Pure tables, and the only place that says which step is legal. ``transitions.py`` applies them, the
ledger's conditional writes are derived from them, and the tests try every event in every state.

::

    (new) ─▶ requested ─▶ submitting ─┬─▶ succeeded
                │  ▲                  ├─▶ pending ──▶ succeeded | failed | review
                │  └── certainly not ─┤
                │      executed       ├─▶ rejected                         amount released
                ▼                     ├─▶ aborted ──▶ submitting           amount released, retried
              failed                  └─▶ unknown ──▶ succeeded | pending | failed | review
    review                     ─▶ succeeded | failed
    failed, rejected, aborted  ─▶ succeeded    the processor shows that its money moved after all
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The states of a refund."""

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
    # A person must decide: the processor shows another amount or payment than the refund's, does
    # not show the refund any more, or shows it as pending for too long.
    (State.PENDING, Event.ESCALATE): State.REVIEW,
    (State.REVIEW, Event.SUCCEED): State.SUCCEEDED,
    (State.REVIEW, Event.FAIL): State.FAILED,
    # The processor contradicts itself: a refund that it refused or called failed has moved money.
    (State.FAILED, Event.SUCCEED): State.SUCCEEDED,
    (State.REJECTED, Event.SUCCEED): State.SUCCEEDED,
    (State.ABORTED, Event.SUCCEED): State.SUCCEEDED,
}

# States in which the refund may have moved money without being bound to a processor refund; a
# payment has at most one such refund.
UNBOUND: Final = frozenset({State.SUBMITTING, State.UNKNOWN, State.REVIEW})
# States in which no money moved, so the refund's amount is not reserved on the payment.
FREED: Final = frozenset({State.REJECTED, State.ABORTED, State.FAILED})
# States in which the stored request is not sent again: an aborted refund is sent again only when a
# caller repeats the whole request.
NEVER_SENT_AGAIN: Final = frozenset(State) - {State.REQUESTED, State.SUBMITTING, State.UNKNOWN}
# States that a refund does not leave by itself.
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
    """The states of a report to Stripe."""

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
    # It turns out that others told Stripe of the refund.
    (ReportState.FAILED, ReportEvent.CONFIRM): ReportState.REPORTED,
    (ReportState.NOT_DUE, ReportEvent.CONFIRM): ReportState.REPORTED,
    # The report was believed by the sums. Now the sums do not show it any more (it is due again),
    # or a person knows for certain that Stripe was told.
    (ReportState.REPORTED, ReportEvent.OWE): ReportState.DUE,
    (ReportState.REPORTED, ReportEvent.CONFIRM): ReportState.REPORTED,
    # There is nothing to tell: the processor took the money back before Stripe was asked, or a
    # person decided that Stripe is never told.
    (ReportState.DUE, ReportEvent.CANCEL): ReportState.NOT_DUE,
    (ReportState.FAILED, ReportEvent.CANCEL): ReportState.NOT_DUE,
}


class CreditNoteState(StrEnum):
    """The states of the credit note on a refund's invoice."""

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
    """The table does not have this step: a defect or a lost race; nothing is stored."""


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

    Staying in a state is also allowed: facts such as the next check's time change meanwhile.
    """
    return before is after or any(
        source is before and target is after for (source, _), target in TRANSITIONS.items()
    )
