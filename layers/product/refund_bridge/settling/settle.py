"""Settles one refund that is due: finds out its result, rings lost doorbells, runs scheduled ones.

Called every minute, by the processor's webhook and on request. Each call first takes its refund by
a conditional write, so that two runs never work on one refund. Whatever a run does not finish stays
due in the ledger.

::

    submitting, lease over ─▶ unknown       the call that sent it died
    unknown, review        ─▶ check at the processor, as far as it can tell (``Dedupe``):
                              by the charge: exactly one refund there can be ours → bind it
                              by key: it knows our instruction → bind; if not → send it again
                              none → retry later during the late-arrival window; then → review,
                              or failed if the operator chose so; anything else → review
    pending                ─▶ read the processor refund; too old, or not shown for long → review
    requested              ─▶ execute it, if the slot is free and it is the payment's oldest
    succeeded, report due  ─▶ ring the doorbell (again), if no message seems to be under way
    reported, note due     ─▶ try once more to issue the credit note
    succeeded, failed,
    rejected, aborted      ─▶ after an hour, 1, 7 and 30 days: check that nothing has changed
"""

from dataclasses import dataclass, replace

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.recent_looks import LOOK_AGAIN_AFTER_MS
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.refunding.reserve import TakenByAnotherCallError
from refund_bridge.settling.find_out import find_out, take_over
from refund_bridge.settling.follow_pending import follow_pending
from refund_bridge.settling.look_after import look_after
from refund_bridge.settling.run_scheduled import run_scheduled
from refund_bridge.settling.settling import Settled, Settling, is_owed_to_stripe
from refund_bridge.settling.tell_stripe import tell_stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefund(Settling):
    """Settles one refund."""

    def __call__(self, refund_id: str, deadline: Deadline) -> Settled:
        """Do what is due for the refund; the result is durable on return.

        Raises:
            LedgerUnavailableError: the ledger gave no answer; the refund stays due.
        """
        now_ms = self.clock.now_ms()
        refund = self.ledger.take_check(
            refund_id, now_ms=now_ms, until_ms=now_ms + self.settings.take_ms
        )
        if refund is None:
            return Settled.NOTHING_DUE
        try:
            return self._settle(self.recorder.with_payment(refund), deadline)
        except (LedgerConflictError, TakenByAnotherCallError):
            # Another worker wrote meanwhile; the next run finds what is still due.
            return Settled.HELD

    def look_now(self, refund_id: str, deadline: Deadline) -> None:
        """Check a refund at the processor because a caller asks, even if it is not due.

        The check is made only if the refund has not ended and no call may still be sending it, and
        at most once in ``LOOK_AGAIN_AFTER_MS`` for all callers together. What it finds is durable
        on return. It is no error if the processor does not answer or another worker writes
        meanwhile.

        Raises:
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored, now_ms = self.recorder.read(refund_id), self.clock.now_ms()
        if not _is_worth_a_look(stored.refund, now_ms):
            return
        try:
            # If several callers ask at once, the one whose write comes first makes the check.
            asked = self.recorder.write(stored, replace(stored.refund, looked_at_ms=now_ms))
            replace(self, on_request=True)._settle(asked, deadline)
        except LedgerConflictError:
            self.telemetry.note("look_met_another_write", refund_id=refund_id)

    def _settle(self, stored: Stored, deadline: Deadline) -> Settled:
        match stored.refund.state:
            case State.SUBMITTING:
                return take_over(self, stored, deadline)
            case State.PENDING | State.REVIEW if stored.refund.processor_refund_id:
                return follow_pending(self, stored, deadline)
            case State.UNKNOWN | State.REVIEW:
                return find_out(self, stored, deadline)
            case State.REQUESTED:
                return run_scheduled(self, stored, deadline)
            case State.SUCCEEDED if is_owed_to_stripe(stored.refund):
                return tell_stripe(self, stored, deadline)
            case _:
                return look_after(self, stored, deadline)


def _is_worth_a_look(refund: Refund, now_ms: int) -> bool:
    """Whether the processor may know more, and was not asked on request a moment ago."""
    is_open = refund.state in (State.UNKNOWN, State.PENDING, State.REVIEW)
    is_abandoned = refund.state is State.SUBMITTING and now_ms >= (refund.lease_until_ms or 0)
    looked_at_ms = refund.looked_at_ms
    # The clocks of two workers differ, in either direction.
    is_fresh = looked_at_ms is not None and abs(now_ms - looked_at_ms) < LOOK_AGAIN_AFTER_MS
    return (is_open or is_abandoned) and not is_fresh
