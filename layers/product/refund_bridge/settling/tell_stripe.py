"""Rings again for a report that is due, and issues a credit note that is due."""

from dataclasses import replace

from refund_bridge.domain.state_machine import ReportState
from refund_bridge.ports.queues import DoorbellError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.reporting.credit_note import begun
from refund_bridge.settling.settling import REVIEW_STEPS, Settled, Settling


def tell_stripe(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Ring for a report that is due, or issue the credit note that follows it."""
    if stored.refund.report.state is ReportState.DUE:
        return _ring_again(settling, stored)
    return _issue_credit_note(settling, stored, deadline)


def _ring_again(settling: Settling, stored: Stored) -> Settled:
    """Ring, unless a message is under way, or others may still report it themselves (grace)."""
    refund, now_ms = stored.refund, settling.clock.now_ms()
    report, due_at_ms = refund.report, refund.report_due_at_ms or now_ms
    if report.last_ring_ms is None:
        grace_ends_ms = due_at_ms + settling.settings.grace_ms
        if not (refund.is_ours or report.forced) and now_ms < grace_ends_ms:
            settling.recorder.write(stored, replace(refund, next_check_ms=grace_ends_ms))
            return Settled.HELD
    else:
        age_ms = now_ms - due_at_ms
        settling.telemetry.note(
            "report_delayed", refund_id=refund.id, age_ms=age_ms, reason="not heard of"
        )
        patience_ms = settling.settings.unheard_ms if report.attempts else settling.settings.step_ms
        if now_ms < report.last_ring_ms + patience_ms:
            return settling.hold(stored, "the queue has it")
    try:
        settling.doorbell.ring(refund.id)
    except DoorbellError:
        return settling.hold(stored, "the doorbell is broken")
    rung = replace(report, last_ring_ms=now_ms, rings=report.rings + 1)
    settling.telemetry.note("rung_again", refund_id=refund.id, rings=rung.rings)
    settling.hold(replace(stored, refund=replace(refund, report=rung)), "rung", before=stored)
    return Settled.RUNG


def _issue_credit_note(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    if settling.credit_notes is None:
        return settling.hold(stored, "credit notes are off", steps=REVIEW_STEPS)
    attempt = settling.recorder.write(stored, begun(stored.refund))
    has_ended = settling.credit_notes(attempt.refund, deadline)
    return Settled.MOVED_ON if has_ended else Settled.HELD
