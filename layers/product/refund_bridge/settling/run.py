"""One run of settling: which refunds, how many at once, and for how long.

What is due is sorted by processor and by kind of work, and every such group has its turn: so a
processor that answers slowly, or a thousand look-ups, delay nothing but themselves. In each group
the oldest come first, and a share of what is read are the newest, so that a backlog drains without
starving what has just become due. A row that cannot be settled stops nothing: it was taken for a
while, and is due again afterwards.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from typing import Final

from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import DUE_SHARDS, Ledger
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry, Together
from refund_bridge.ports.sweeps import SweepLog
from refund_bridge.refunding.learn_from_charge import SINCE_MARGIN_MS
from refund_bridge.settling.settle import SettleRefund
from refund_bridge.settling.settling import Settled

# Of eight shards: a group has its turn as soon as one of its rows is among these.
OLDEST_PER_SHARD: Final = 240
NEWEST_PER_SHARD: Final = 16
# What one refund may take: reading, and the one call that moves money.
ROW_MS: Final = 24_000
ERROR_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRun:
    """Settles what is due, for as long as it may.

    Attributes:
        refunds: the refunds of those ids, as they are now.
        sweeps: where it is kept since when this stage looks at each of its processors.
    """

    ledger: Ledger
    refunds: Callable[[Sequence[str]], Mapping[str, Refund]]
    sweeps: SweepLog
    settle: SettleRefund
    together: Together
    clock: Clock
    telemetry: Telemetry

    def __call__(self, deadline: Deadline) -> int:
        """Settle rows until nothing is due or the time is over; returns how many were settled.

        No row is begun that might not end before ``deadline``.

        Raises:
            LedgerUnavailableError: what is due could not be read.
        """
        for name in self.settle.processors:
            self.sweeps.sweep(name, begin_ms=self.clock.now_ms() - SINCE_MARGIN_MS)
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
        self.telemetry.note("settle_run", settled=settled)
        return settled

    def _due(self) -> list[str]:
        """Ids that seem to be due, each once, in the order in which the groups take turns."""
        before_ms = self.clock.now_ms() + 1
        found: dict[str, None] = {}
        for newest, limit in ((False, OLDEST_PER_SHARD), (True, NEWEST_PER_SHARD)):
            for shard in range(DUE_SHARDS):
                ids = self.ledger.due(shard, before_ms=before_ms, limit=limit, newest_first=newest)
                found.update(dict.fromkeys(ids))
        refunds = self.refunds(list(found))
        groups: dict[tuple[str, str], list[Refund]] = {}
        for refund_id in found:
            if (refund := refunds.get(refund_id)) is not None:
                groups.setdefault((refund.processor, refund.state), []).append(refund)
        return [refund.id for refund in _in_turn(groups.values())]

    def _one(self, outcomes: list[Settled], deadline: Deadline, refund_id: str) -> None:
        if deadline.remaining_ms() <= ROW_MS:
            return
        try:
            outcomes.append(self.settle(refund_id, deadline.at_most(ROW_MS)))
        except Exception as error:  # noqa: BLE001 - one poison row must not stop the others
            self.telemetry.note("settle_failed", refund_id=refund_id, error=_named(error))


def _in_turn(groups: Iterable[list[Refund]]) -> Iterable[Refund]:
    """One of each group after the other; in each, what has been due for longest first."""
    in_order = (sorted(group, key=lambda one: one.next_check_ms or 0) for group in groups)
    return (one for one in chain.from_iterable(zip_longest(*in_order)) if one is not None)


def _named(error: Exception) -> str:
    """The error for the log; our own errors' sentences hold neither secrets nor customers' data."""
    return f"{type(error).__name__}: {error}"[:ERROR_MAX]
