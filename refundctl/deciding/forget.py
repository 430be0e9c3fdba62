"""Removes from a refund what a caller wrote about a customer; amounts, ids and times stay.

The reason and the metadata are a caller's own words, and a payout names a customer. Each is
replaced by a digest, by which we can only tell whether a repeated idempotency key brings the same
words again. Amounts, ids and times belong to the accounts, which must be kept.
"""

from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import FORGETTABLE
from refund_bridge.domain.state_machine import NEVER_SENT_AGAIN, CreditNoteState
from refund_bridge.domain.transitions import Why, noted
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.runtime import Clock
from refund_bridge.refunding.record_outcome import Recorder, Stored

WRITE_ATTEMPTS: Final = 5


class NeededStillError(Exception):
    """The words may still have to be sent to the processor or to Stripe, or the refund kept
    changing; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetWords:
    """Replaces what a refund says about a customer by digests.

    Attributes:
        actor: who does it, for the history.
    """

    recorder: Recorder
    clock: Clock
    actor: str

    def weigh(self, refund_id: str) -> Stored:
        """The refund whose words would be removed, and its payment; nothing is written.

        Raises:
            RefundNotFoundError: there is no such refund.
            NeededStillError: the words may still have to be sent to the processor or to Stripe.
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored = self.recorder.read_named(refund_id)
        refund = stored.refund
        if refund.state not in NEVER_SENT_AGAIN:
            raise NeededStillError(f"{refund_id} is {refund.state}: it may still be sent.")
        if refund.credit_note.state is CreditNoteState.DUE:
            raise NeededStillError(f"The credit note of {refund_id}, which says why, is still due.")
        return stored

    def carry_out(self, refund_id: str) -> Stored:
        """Remove the refund's words; durable on return. Doing it again writes nothing.

        Raises:
            NeededStillError, RefundNotFoundError: as ``weigh``.
            LedgerUnavailableError: it is not known whether it was written; doing it again is safe.
        """
        for _ in range(WRITE_ATTEMPTS):
            stored = self.weigh(refund_id)
            words = words_of(stored.refund)
            if not words:
                return stored
            why = Why(
                at_ms=self.clock.now_ms(),
                cause="forgotten",
                actor=self.actor,
                evidence={"members": list(words)},
            )
            refund = stored.refund
            request = refund.request.without(words, refund.token or refund.id)
            try:
                return self.recorder.write(stored, replace(noted(refund, why), request=request))
            except LedgerConflictError:
                continue
        raise NeededStillError(f"{refund_id} keeps changing; nothing was written.")


def words_of(refund: Refund) -> tuple[str, ...]:
    """Which members of the refund's request still have words that can be removed."""
    return tuple(name for name in FORGETTABLE if getattr(refund.request, name))
