"""Execute a scheduled refund whose turn it is; cancel what is refused for a whole day."""

from dataclasses import replace
from typing import Final

from refund_bridge.domain.errors import PaymentNotFoundError, RefundBridgeError, final_codes
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import transition
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.settling.settling import ACTOR, NOT_SET_UP, REVIEW_STEPS, Settled, Settling

# Between a refusal that a scheduled refund met and what kept it from asking once more.
THEN: Final = "; then "
# A refund that is refused so for a day is canceled. A payment that is not found may be there again:
# with a wrong key of ours no payment is shown.
_HOPELESS: Final = final_codes() - {PaymentNotFoundError.code}


def run_scheduled(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Execute it, if it is its turn."""
    refund, payment = stored.refund, stored.payment
    if payment.slot is not None or payment.waiting[:1] != (refund.id,):
        return settling.hold(stored, "waiting for its turn", steps=1)
    if refund.processor not in settling.processors:
        # A release beside this one may have it set up: what was accepted is not canceled here.
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
    """It cannot be sent as things are; should they stay so for a day, it is canceled."""
    refund, now_ms, result = stored.refund, settling.clock.now_ms(), f"not begun: {error.code}"
    since_ms = refund.refused_since_ms if _refusal_of(refund) == result else None
    if since_ms is None:
        later = replace(refund, refused_since_ms=now_ms)
        return settling.hold(replace(stored, refund=later), result, before=stored)
    if now_ms < since_ms + REVIEW_STEPS * settling.settings.step_ms:
        return settling.hold(stored, result)
    return _cancel(settling, stored, error)


def _cancel(settling: Settling, stored: Stored, error: RefundBridgeError) -> Settled:
    """What was accepted cannot be sent any more, and never was."""
    failure = Failure(code=error.code, message=error.message)
    why = settling.why("cannot_be_sent", code=error.code)
    after = transition(stored.refund, Event.CANCEL, why, failure=failure, next_check_ms=None)
    return settling.move_on(stored, after)


def _refusal_of(refund: Refund) -> str:
    """The refusal that its last looks met, whatever kept some of them from asking again."""
    return (refund.last_look or "").partition(THEN)[0]


def _beside_refusal(refund: Refund, error: RefundBridgeError) -> str:
    """What kept a scheduled refund from its turn, behind the refusal that it met before.

    That a provider cannot be asked for a while is no sign that it would not refuse any more.
    """
    result, refusal = f"not begun: {error.code}", _refusal_of(refund)
    was_refused = refusal in {f"not begun: {code}" for code in _HOPELESS}
    return f"{refusal}{THEN}{error.code}" if was_refused else result
