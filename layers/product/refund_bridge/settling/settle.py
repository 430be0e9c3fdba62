"""Move on what is due: find out what became of a refund, ring lost doorbells, run scheduled ones.

Called every minute, by the processor's webhook and on request, for one refund at a time that is
first taken by a conditional write, so that two runs never work on one refund. Whatever a run does
not finish stays due in the ledger.

::

    submitting, lease over ─▶ unknown       the call that sent it died
    unknown, review        ─▶ the processor is asked, by what it can tell (``Dedupe``):
                              by look-up: exactly one refund of the charge can be ours → bound
                              by key: it knows our instruction → bound; not → handed over once more
                              none → held, as long as an instruction may still arrive, then → review
    pending                ─▶ the processor refund is read; too old, or gone for long → review
    requested              ─▶ executed, if the slot is free and it is the payment's oldest
    succeeded, report due  ─▶ the doorbell is rung (again), if no message seems to be under way
    reported, note due     ─▶ one more attempt at the credit note
    succeeded, failed,
    rejected, aborted      ─▶ after an hour, 1, 7 and 30 days: is it all still so, on all sides?
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
        """Do what is due for the refund; what it comes to is durable on return.

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
            # Somebody else wrote meanwhile; what is still due then is found by the next run.
            return Settled.HELD

    def look_now(self, refund_id: str, deadline: Deadline) -> None:
        """Ask the processor what became of a refund, though it may not be due, as somebody asks.

        Only where that is not known and no call may still be sending it; at most once in
        ``LOOK_AGAIN_AFTER_MS``, whoever asks. What it finds is durable on return. Neither a
        processor that gives no answer nor somebody else who writes meanwhile is an error.

        Raises:
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored, now_ms = self.recorder.read(refund_id), self.clock.now_ms()
        if not _is_worth_a_look(stored.refund, now_ms):
            return
        try:
            # Of all that ask at once, the one whose write comes first looks.
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
    """Whether the processor may know more of it, and was not asked on request a moment ago."""
    is_open = refund.state in (State.UNKNOWN, State.PENDING, State.REVIEW)
    is_abandoned = refund.state is State.SUBMITTING and now_ms >= (refund.lease_until_ms or 0)
    looked_at_ms = refund.looked_at_ms
    # The clocks of two workers differ, in either direction.
    is_fresh = looked_at_ms is not None and abs(now_ms - looked_at_ms) < LOOK_AGAIN_AFTER_MS
    return (is_open or is_abandoned) and not is_fresh
