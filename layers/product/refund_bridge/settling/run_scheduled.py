"""Executes a scheduled refund whose turn it is; cancels one that is refused for a whole day."""

from dataclasses import replace
from typing import Final

from refund_bridge.domain.errors import PaymentNotFoundError, RefundBridgeError, final_codes
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import transition
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.settling.settling import ACTOR, NOT_SET_UP, REVIEW_STEPS, Settled, Settling

# Stands in ``last_look`` between the refusal and what later kept the refund from being tried again.
THEN: Final = "; then "
# A refund that is refused so for a day is canceled. A payment that is not found may be there again:
# with a wrong key of ours no payment is shown.
_HOPELESS: Final = final_codes() - {PaymentNotFoundError.code}


def run_scheduled(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Execute the refund, if it is its turn."""
    refund, payment = stored.refund, stored.payment
    if payment.slot is not None or payment.waiting[:1] != (refund.id,):
        return settling.hold(stored, "waiting for its turn", steps=1)
    if refund.processor not in settling.processors:
        # Another release beside this one may have it set up, so the refund is not canceled.
        return settling.hold(stored, NOT_SET_UP)
    try:
        done = settling.execute.run_scheduled(stored, deadline, ACTOR)
    except RefundBridgeError as error:
        if error.code in _HOPELESS:
            return _refused(settling, stored, error)
        return settling.hold(stored, _beside_refusal(refund, error))
    if done.refund.state is State.REQUESTED:
        return settling.hold(done, "deferred")
    return Settled.MOVED_ON


def _refused(settling: Settling, stored: Stored, error: RefundBridgeError) -> Settled:
    """Handle a refusal: try again later; cancel the refund if it is refused for a whole day."""
    refund, now_ms, result = stored.refund, settling.clock.now_ms(), f"not begun: {error.code}"
    since_ms = refund.refused_since_ms if _refusal_of(refund) == result else None
    if since_ms is None:
        later = replace(refund, refused_since_ms=now_ms)
        return settling.hold(replace(stored, refund=later), result, before=stored)
    if now_ms < since_ms + REVIEW_STEPS * settling.settings.step_ms:
        return settling.hold(stored, result)
    return _cancel(settling, stored, error)


def _cancel(settling: Settling, stored: Stored, error: RefundBridgeError) -> Settled:
    """Cancel a refund that was accepted, was never executed and cannot be sent any more."""
    failure = Failure(code=error.code, message=error.message)
    why = settling.why("cannot_be_sent", code=error.code)
    after = transition(stored.refund, Event.CANCEL, why, failure=failure, next_check_ms=None)
    return settling.move_on(stored, after)


def _refusal_of(refund: Refund) -> str:
    """The refusal that the refund met last, without what later kept it from being tried again."""
    return (refund.last_look or "").partition(THEN)[0]


def _beside_refusal(refund: Refund, error: RefundBridgeError) -> str:
    """The text to store: why the refund was not begun, after the refusal that it met before.

    The refusal is kept, because a provider that cannot be asked for a while may still refuse.
    """
    result, refusal = f"not begun: {error.code}", _refusal_of(refund)
    was_refused = refusal in {f"not begun: {code}" for code in _HOPELESS}
    return f"{refusal}{THEN}{error.code}" if was_refused else result
