"""A person withdraws a refund that waits for its turn: no money moved for it, and none will.

Only a refund in ``requested`` can be withdrawn: a scheduled refund that was never sent, or whose
last instruction was certainly not executed. In a restored ledger, such a refund may have been
executed after the moment to which the ledger was restored; once withdrawn it is not executed again.
"""

from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.outcome import REASON_MAX
from refund_bridge.domain.refund import WITHDRAWN, Failure, Refund
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import Why, transition
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.runtime import Clock
from refund_bridge.refunding.record_outcome import Recorder, Stored

FAILURE: Final = Failure(code=WITHDRAWN, message="It was withdrawn while it waited for its turn.")
WRITE_ATTEMPTS: Final = 5


class WithdrawalRefusedError(Exception):
    """The refund does not wait for its turn any more; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawRefund:
    """Ends a refund that waits, and frees its amount.

    Attributes:
        actor: who does it, for the history.
    """

    recorder: Recorder
    clock: Clock
    actor: str

    def weigh(self, refund_id: str) -> Stored:
        """The refund that would be withdrawn, and its payment; nothing is written.

        Raises:
            RefundNotFoundError: there is no such refund.
            WithdrawalRefusedError: it does not wait for its turn.
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored = self.recorder.read_named(refund_id)
        state = stored.refund.state
        if state is not State.REQUESTED and not is_withdrawn(stored.refund):
            raise WithdrawalRefusedError(
                f"{refund_id} is {state}: only what waits for its turn can be withdrawn."
            )
        return stored

    def carry_out(self, refund_id: str, reason: str) -> Stored:
        """Withdraw the refund; durable on return. Doing it again writes nothing.

        If settling begins to send the refund at the same moment, one of the two writes is refused:
        a refund that is being sent is not withdrawn, and a withdrawn one is not sent.

        Raises:
            WithdrawalRefusedError, RefundNotFoundError: as ``weigh``.
            LedgerUnavailableError: the write may or may not be durable; doing it again is safe.
        """
        for _ in range(WRITE_ATTEMPTS):
            stored = self.weigh(refund_id)
            if is_withdrawn(stored.refund):
                return stored
            why = Why(
                at_ms=self.clock.now_ms(),
                cause="withdrawn",
                actor=self.actor,
                evidence={"reason": reason[:REASON_MAX]},
            )
            after = transition(
                stored.refund, Event.CANCEL, why, failure=FAILURE, next_check_ms=None
            )
            try:
                return self.recorder.write(stored, after)
            except LedgerConflictError:
                continue
        raise WithdrawalRefusedError(f"{refund_id} keeps changing; nothing was written.")


def is_withdrawn(refund: Refund) -> bool:
    """Whether somebody withdrew the refund before."""
    return refund.failure == FAILURE
