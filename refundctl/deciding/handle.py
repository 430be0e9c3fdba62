"""A person marks as handled that the processor took a succeeded refund back.

The merchant has the money again; what the merchant does then (pay the customer in another way, say)
happens outside of this service. Until somebody marks the refund as handled, operators see it first
in every list.
"""

from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.outcome import REASON_MAX
from refund_bridge.domain.transitions import Why, noted
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.runtime import Clock
from refund_bridge.refunding.record_outcome import Recorder, Stored

CAUSE: Final = "handled"
WRITE_ATTEMPTS: Final = 5


class NothingToHandleError(Exception):
    """The processor did not take the refund back; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleTakenBack:
    """Marks a refund that was taken back as handled.

    Attributes:
        actor: who does it, for the history.
    """

    recorder: Recorder
    clock: Clock
    actor: str

    def weigh(self, refund_id: str) -> Stored:
        """The refund that would be marked as handled, and its payment; nothing is written.

        Raises:
            RefundNotFoundError: there is no such refund.
            NothingToHandleError: the processor did not take it back.
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored = self.recorder.read_named(refund_id)
        if stored.refund.late_failure_at_ms is None:
            raise NothingToHandleError(
                f"{refund_id} is {stored.refund.state}: the processor did not take it back."
            )
        return stored

    def carry_out(self, refund_id: str, note: str) -> Stored:
        """Mark it, with the note in its history; durable on return. Doing it again writes nothing.

        Raises:
            NothingToHandleError, RefundNotFoundError: as ``weigh``.
            LedgerConflictError: the refund changes too fast; try again.
            LedgerUnavailableError: it is not known whether it was written; doing it again is safe.
        """
        for _ in range(WRITE_ATTEMPTS):
            stored = self.weigh(refund_id)
            if not stored.refund.awaits_handling:
                return stored
            at_ms = self.clock.now_ms()
            why = Why(
                at_ms=at_ms, cause=CAUSE, actor=self.actor, evidence={"note": note[:REASON_MAX]}
            )
            try:
                after = replace(noted(stored.refund, why), handled_at_ms=at_ms)
                return self.recorder.write(stored, after)
            except LedgerConflictError:
                continue
        raise LedgerConflictError(f"{refund_id} keeps changing")
