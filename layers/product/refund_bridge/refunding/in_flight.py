"""Waits while another call with the same key is sending the refund, and answers with its result.

Stripe's SDKs repeat a call after a second or two and then give up. So a repeated call is not told
at once that its key is in use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.errors import KeyInUseError
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import Answer, ExecuteRefund

# Waiting and the write that may follow stay below the gateway's 29 s.
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
        """As ``ExecuteRefund``, but wait up to ``WAIT_MS`` while the key is in use.

        Raises:
            KeyInUseError: the other call is still sending.
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
