"""The steps of a refund, of its report and of its credit note: each adds an entry of history."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from refund_bridge.domain.refund import Entry, Refund
from refund_bridge.domain.state_machine import (
    NEVER_SENT_AGAIN,
    CreditNoteEvent,
    Event,
    ReportEvent,
    next_credit_note_state,
    next_report_state,
    next_state,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What a history entry has beside the states: when, why, by whom, and on what evidence."""

    at_ms: int
    cause: str
    actor: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def born(refund: Refund, event: Event, why: Why) -> Refund:
    """The new refund in the state that ``event`` leads to, with the first entry of its history."""
    after = next_state(None, event)
    return replace(refund, state=after, history=(_entry(refund, None, after, why),))


def transition(refund: Refund, event: Event, why: Why, **facts: Any) -> Refund:
    """The refund after ``event``: new state, one more entry of history, and ``facts`` replaced.

    In states in which its instruction is not sent again, ``customer`` is kept as a digest only.

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    after = next_state(refund.state, event)
    if after in NEVER_SENT_AGAIN:
        facts["request"] = refund.request.without(("customer",), refund.token or refund.id)
    return replace(
        refund,
        state=after,
        updated_at_ms=why.at_ms,
        history=(*refund.history, _entry(refund, refund.state, after, why)),
        **facts,
    )


def report_transition(refund: Refund, event: ReportEvent, why: Why, **facts: Any) -> Refund:
    """The refund after its report's ``event``; ``facts`` are replaced on the report.

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    before = refund.report.state
    after = next_report_state(before, event)
    return replace(
        refund,
        report=replace(refund.report, state=after, **facts),
        updated_at_ms=why.at_ms,
        history=(*refund.history, _entry(refund, f"report:{before}", f"report:{after}", why)),
    )


def credit_note_transition(
    refund: Refund, event: CreditNoteEvent, why: Why, **facts: Any
) -> Refund:
    """The refund after its credit note's ``event``; ``facts`` are replaced on the credit note.

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    before = refund.credit_note.state
    after = next_credit_note_state(before, event)
    entry = _entry(refund, f"credit_note:{before}", f"credit_note:{after}", why)
    return replace(
        refund,
        credit_note=replace(refund.credit_note, state=after, **facts),
        updated_at_ms=why.at_ms,
        history=(*refund.history, entry),
    )


def noted(refund: Refund, why: Why) -> Refund:
    """The refund in the same state, with one more entry of history."""
    entry = _entry(refund, refund.state, refund.state, why)
    return replace(refund, updated_at_ms=why.at_ms, history=(*refund.history, entry))


def _entry(refund: Refund, before: str | None, after: str, why: Why) -> Entry:
    return Entry(
        seq=len(refund.history) + 1,
        at_ms=why.at_ms,
        before=before,
        after=after,
        cause=why.cause,
        actor=why.actor,
        evidence=dict(why.evidence),
    )
