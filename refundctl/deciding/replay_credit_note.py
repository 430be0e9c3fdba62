"""A person has a credit note that was given up tried again.

Settling does what it does for a new one: it looks for the refund's note on the invoice, and issues
one only if there is none. Stripe keeps its refusal under the idempotency key; that key was given up
with the note (``credit_note.py``), so Stripe does not repeat the old refusal.
"""

from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import CreditNoteEvent, CreditNoteState
from refund_bridge.domain.transitions import Why, credit_note_transition
from refund_bridge.ports.ledger import Commit, Ledger, LedgerConflictError, RefundWrite
from refund_bridge.ports.runtime import Clock
from refund_bridge.refunding.record_outcome import refund_named

WRITE_ATTEMPTS: Final = 5


class NothingToReplayError(Exception):
    """No credit note of this refund was given up; nothing was written.

    The error's sentence says why.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCreditNote:
    """Makes a failed credit note due again.

    Attributes:
        actor: who does it, for the history.
    """

    ledger: Ledger
    clock: Clock
    actor: str

    def weigh(self, refund_id: str) -> Refund:
        """The refund whose credit note failed, or is due again already; nothing is written.

        Raises:
            RefundNotFoundError: there is no such refund.
            NothingToReplayError: it owes no note, has one, or the processor took the refund back.
            LedgerUnavailableError: the ledger gave no answer.
        """
        refund = refund_named(self.ledger, refund_id)
        note = refund.credit_note
        if note.state is CreditNoteState.ISSUED:
            raise NothingToReplayError(f"{refund_id} has its credit note: {note.id}.")
        if refund.late_failure_at_ms is not None:
            raise NothingToReplayError(f"{refund_id} was taken back: there is nothing to credit.")
        if note.state is CreditNoteState.NOT_DUE:
            raise NothingToReplayError(f"{refund_id} owes no credit note.")
        return refund

    def carry_out(self, refund_id: str) -> Refund:
        """Make the credit note due now, with attempts counted from 0; durable on return.

        A note that is due already stays as it is, so doing it twice is harmless.

        Raises:
            NothingToReplayError, RefundNotFoundError: as ``weigh``.
            LedgerUnavailableError: it is not known whether it was written; doing it again is safe.
        """
        for _ in range(WRITE_ATTEMPTS):
            refund = self.weigh(refund_id)
            if refund.credit_note.state is CreditNoteState.DUE:
                return refund
            now_ms = self.clock.now_ms()
            why = Why(at_ms=now_ms, cause="replayed", actor=self.actor)
            due = credit_note_transition(refund, CreditNoteEvent.REPLAY, why, attempts=0)
            after = replace(due, looks=0, next_check_ms=now_ms)
            try:
                self.ledger.commit(Commit(refunds=(RefundWrite(refund, after),)))
            except LedgerConflictError:
                continue
            return after
        raise NothingToReplayError(f"{refund_id} keeps changing; nothing was written.")
