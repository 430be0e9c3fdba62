"""Checks a refund that has ended: do its processor and Stripe still show the same?"""

from dataclasses import replace
from typing import Final

from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.state_machine import FINAL, FREED
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.settling.settling import (
    REVIEW_STEPS,
    Settled,
    Settling,
    is_owed_to_stripe,
    words_of,
)

# When a refund that has ended is checked again, in steps of the settle interval. These checks
# notice, without webhooks, what others report later and what a processor takes back or executes
# after all.
AFTER_STEPS: Final = (60, REVIEW_STEPS, 7 * REVIEW_STEPS, 30 * REVIEW_STEPS)


def look_after(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Check the refund at its processor and at Stripe; durable on return."""
    refund, record = stored.refund, stored.payment.payment_record
    if settling.out_of_reach(refund) is not None:
        return _next_look(settling, stored, soon=False)
    looked, unread = None, None
    try:
        if record is not None:
            looked = settling.look_at_sums(stored.payment, record, deadline)
    except RefundBridgeError as error:
        # Stripe or the charge cannot be read; perhaps the refund itself can be.
        unread = error
    try:
        if looked is None or not looked.followed(refund):
            followed = settling.follow.again(refund, deadline)
            if followed:
                return Settled.MOVED_ON
    except ProviderUnavailableError as error:
        told = f"not looked after: {words_of(error)}"
        return settling.hold(settling.heard(stored, error), told, before=stored)
    if unread is not None:
        return settling.hold(stored, f"not looked after: {unread.code}")
    soon = looked is not None and looked.again
    return _next_look(settling, settling.recorder.read(refund.id), soon=soon)


def _next_look(settling: Settling, stored: Stored, *, soon: bool) -> Settled:
    refund, now_ms, step_ms = stored.refund, settling.clock.now_ms(), settling.settings.step_ms
    rests = refund.state in FINAL | FREED
    if not rests or is_owed_to_stripe(refund):
        return Settled.MOVED_ON
    since_ms = refund.history[-1].at_ms if refund.history else refund.entered_at_ms
    looks = (since_ms + steps * step_ms for steps in AFTER_STEPS)
    next_ms = next((at_ms for at_ms in looks if at_ms > now_ms), None)
    after = replace(refund, looks=0, next_check_ms=now_ms + step_ms if soon else next_ms)
    settling.recorder.write(stored, after)
    return Settled.HELD
