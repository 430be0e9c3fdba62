"""One run of settling: which refunds, how many at once, and for how long.

The oldest due rows come first, and a share of every round goes to the newest, so that a backlog
drains without starving what has just become due. A row that cannot be settled stops nothing: it was
taken for a while, and is due again afterwards.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from refunds.ports import DUE_SHARDS, Clock, Deadline, Ledger, Together, Trail
from refunds.settle import Settled, SettleRefund

OLDEST_PER_SHARD: Final = 12
NEWEST_PER_SHARD: Final = 4
# What one refund may take: reading, and the one call that moves money.
ROW_MS: Final = 24_000
ERROR_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRun:
    """Settles what is due, for as long as it may."""

    ledger: Ledger
    settle: SettleRefund
    together: Together
    clock: Clock
    trail: Trail

    def __call__(self, deadline: Deadline) -> int:
        """Settle rows until nothing is due or the time is over; returns how many were settled.

        No row is begun that might not end before ``deadline``.

        Raises:
            LedgerUnavailableError: what is due could not be read.
        """
        settled = 0
        while deadline.remaining_ms() > ROW_MS:
            due = self._due()
            if not due:
                break
            outcomes: list[Settled] = []
            self.together.each(partial(self._one, outcomes, deadline), due)
            done = sum(outcome is not Settled.NOTHING_DUE for outcome in outcomes)
            settled += done
            if not done:
                # The index is behind, or another run has them: the next run looks again.
                break
        self.trail.note("settle_run", settled=settled)
        return settled

    def _due(self) -> list[str]:
        """Ids that seem to be due, oldest and newest of every shard, each once."""
        before_ms = self.clock.now_ms() + 1
        found: dict[str, None] = {}
        for newest, limit in ((False, OLDEST_PER_SHARD), (True, NEWEST_PER_SHARD)):
            for shard in range(DUE_SHARDS):
                ids = self.ledger.due(shard, before_ms=before_ms, limit=limit, newest_first=newest)
                found.update(dict.fromkeys(ids))
        return list(found)

    def _one(self, outcomes: list[Settled], deadline: Deadline, refund_id: str) -> None:
        if deadline.remaining_ms() <= ROW_MS:
            return
        try:
            outcomes.append(self.settle(refund_id, deadline.at_most(ROW_MS)))
        except Exception as error:  # noqa: BLE001 - one poison row must not stop the others
            self.trail.note("settle_failed", refund_id=refund_id, error=_named(error))


def _named(error: Exception) -> str:
    """The error for the log; our own errors' sentences hold neither secrets nor customers' data."""
    return f"{type(error).__name__}: {error}"[:ERROR_MAX]
