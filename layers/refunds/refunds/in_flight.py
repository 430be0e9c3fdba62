"""Waits for an answer that may still come: another call with the same key is sending the refund.

Stripe's SDKs repeat a call after a second or two and then give up. So a repeated call is not told
at once that its key is in use; it is answered with what the other call comes to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refunds.errors import KeyInUseError
from refunds.execute import Answer, ExecuteRefund
from refunds.ports import Clock, Deadline
from refunds.reserve import CreateRefund

# With the write that may follow, under the gateway's 29 s.
WAIT_MS: Final = 20_000
PAUSE_MS: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteOrAwait:
    """``ExecuteRefund`` for callers who wait.

    Attributes:
        pause: lets so many seconds pass.
    """

    execute: ExecuteRefund
    clock: Clock
    pause: Callable[[float], None]

    def __call__(self, command: CreateRefund, deadline: Deadline) -> Answer:
        """As ``ExecuteRefund``; while its key is in use, at most ``WAIT_MS`` later.

        Raises:
            KeyInUseError: the other call is still at it.
            RefundBridgeError, LedgerUnavailableError: as ``ExecuteRefund``.
        """
        patience = Deadline.after(self.clock, WAIT_MS)
        while True:
            try:
                return self.execute(command, deadline)
            except KeyInUseError:
                if patience.remaining_ms() < PAUSE_MS:
                    raise
            self.pause(PAUSE_MS / 1000)
