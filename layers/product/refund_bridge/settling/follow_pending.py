"""Follows a refund that its processor has accepted, until it ends."""

from typing import Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import stands_for
from refund_bridge.domain.outcome import after_processor_refund, of_its_payment
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.look_up import processor_refund_of
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.settling.settling import (
    ACTOR,
    HOLD_LOOK_UPS_MIN,
    REVIEW_STEPS,
    Settled,
    Settling,
    no_look_up,
)

# By then no processor's refund is still pending; a bank takes a week or two.
PENDING_STEPS_MAX: Final = 30 * REVIEW_STEPS
GONE: Final = "the processor does not show the refund"


def follow_pending(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Check whether the refund has ended, is not shown any more, or is pending for too long.

    What follows from the check is durable on return.

    Raises:
        LedgerConflictError, LedgerUnavailableError: the refund stays due.
    """
    refund, bound_to = stored.refund, stored.refund.processor_refund_id or ""
    if (why_not := settling.out_of_reach(refund)) is not None:
        return _still_pending(settling, stored, why_not)
    processor = settling.processors[refund.processor]
    try:
        processor_refund = processor_refund_of(
            processor, bound_to, refund.refunded_payment, deadline
        )
    except ProviderUnavailableError as error:
        return _still_pending(settling, stored, no_look_up(error), looked_up=0, error=error)
    return (
        _gone(settling, stored)
        if processor_refund is None
        else _shown(settling, stored, processor_refund)
    )


def _shown(settling: Settling, stored: Stored, processor_refund: ProcessorRefund) -> Settled:
    refund = stored.refund
    if not stands_for(processor_refund, refund):
        shown = {
            "shown_amount": processor_refund.money.amount,
            "currency": processor_refund.money.currency,
        }
        return settling.escalate(stored, "the processor shows another refund", shown)
    if processor_refund.status is ProcessorRefundStatus.PENDING:
        return _still_pending(
            settling, stored, f"still {processor_refund.processor_status or 'pending'}"
        )
    linked = of_its_payment(refund, stored.payment)
    after = after_processor_refund(
        linked, processor_refund, at_ms=settling.clock.now_ms(), cause="looked_up", actor=ACTOR
    )
    return settling.move_on(stored, after)


def _gone(settling: Settling, stored: Stored) -> Settled:
    """Handle an accepted refund that the processor does not show: its list lags, or it is lost."""
    refund = stored.refund
    settling.telemetry.note("pending_movement_gone", refund_id=refund.id)
    times = refund.look_ups if refund.last_look == GONE else 0
    if times + 1 >= HOLD_LOOK_UPS_MIN and settling.is_late(refund):
        return settling.escalate(stored, GONE, {})
    return settling.hold(stored, GONE, looked_up=times + 1 - refund.look_ups)


def _still_pending(
    settling: Settling,
    stored: Stored,
    result: str,
    *,
    looked_up: int = 1,
    error: ProviderUnavailableError | None = None,
) -> Settled:
    since_ms = stored.refund.entered_at_ms
    is_old = settling.clock.now_ms() >= since_ms + PENDING_STEPS_MAX * settling.settings.step_ms
    if is_old and stored.refund.state is State.PENDING:
        return settling.escalate(stored, f"{result} for too long", {})
    heard = stored if error is None else settling.heard(stored, error)
    return settling.hold(heard, result, looked_up=looked_up, before=stored)
