"""Turns the refunds of a payment into the lines that ``stripe_knows`` weighs. Pure."""

from collections.abc import Iterable

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.domain.stripe_knows import Line, Standing


def lines_of(refunds: Iterable[Refund], *, now_ms: int, grace_ms: int) -> tuple[Line, ...]:
    """Each refund as a line; ``grace_ms``: how long others may take to report a refund."""
    return tuple(line_of(refund, now_ms=now_ms, grace_ms=grace_ms) for refund in refunds)


def line_of(refund: Refund, *, now_ms: int, grace_ms: int) -> Line:
    """One refund, with what matters for telling Stripe."""
    # A refund that was recognised by elimination may be external, so it is treated as such.
    ours = refund.is_ours and not refund.was_found
    # The grace begins when ours was sent (others see it then), or when another became due here.
    known_at_ms = refund.last_sent_at_ms if ours else first_due_at_ms(refund)
    return Line(
        refund_id=refund.id,
        amount=refund.amount,
        standing=standing_of(refund),
        sent=refund.report.was_sent,
        forced=refund.report.forced,
        in_grace=known_at_ms is not None and now_ms < known_at_ms + grace_ms,
        ours=ours,
        taken_back=refund.late_failure_at_ms is not None,
        made_at_ms=refund.created_at_ms,
    )


def first_due_at_ms(refund: Refund) -> int | None:
    """When the refund's report became due for the first time, Unix milliseconds."""
    due = f"report:{ReportState.DUE}"
    return next((entry.at_ms for entry in refund.history if entry.after == due), None)


def standing_of(refund: Refund) -> Standing:
    """The refund's standing at Stripe."""
    report = refund.report
    match report.state:
        case ReportState.DUE:
            return Standing.DUE
        case ReportState.FAILED:
            undecided = report.cause is ReportCause.CANNOT_TELL and not report.was_sent
            return Standing.UNDECIDED if undecided else Standing.FAILED
        case ReportState.REPORTED:
            believed = report.cause is ReportCause.BY_SUMS
            return Standing.BELIEVED if believed else Standing.REPORTED
    if refund.is_before_adoption:
        return Standing.BEFORE_ADOPTION
    may_move = refund.state in (State.PENDING, State.REVIEW)
    is_bound = refund.processor_refund_id is not None
    return Standing.PENDING if may_move and is_bound else Standing.CLOSED
