"""Waits for an answer that may still come: another call with the same key is sending the refund.

Stripe's SDKs repeat a call after a second or two and then give up. So a repeated call is not told
at once that its key is in use; it is answered with what the other call comes to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.errors import KeyInUseError
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import Answer, ExecuteRefund

# With the write that may follow, under the gateway's 29 s.
WAIT_MS: Final = 20_000
# Soon at first, then ever less often: many may wait for one.
PAUSE_MS: Final = 250
PAUSE_MS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteOrAwait:
    """``ExecuteRefund`` for callers who wait.

    Attributes:
        pause: lets so many seconds pass.
    """

    execute: ExecuteRefund
    clock: Clock
    pause: Callable[[float], None]

    def __call__(
        self, command: CreateRefund, deadline: Deadline, allow: Callable[[], object]
    ) -> Answer:
        """As ``ExecuteRefund``; while its key is in use, at most ``WAIT_MS`` later.

        Raises:
            KeyInUseError: the other call is still at it.
            RefundBridgeError, LedgerUnavailableError: as ``ExecuteRefund``.
        """
        patience, pause_ms = Deadline.after(self.clock, WAIT_MS), PAUSE_MS
        while True:
            try:
                return self.execute(command, deadline, allow)
            except KeyInUseError:
                if not patience.remaining_ms():
                    raise
            self.pause(min(pause_ms, patience.remaining_ms()) / 1000)
            pause_ms = min(2 * pause_ms, PAUSE_MS_MAX)
