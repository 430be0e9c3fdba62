"""One run of settling: which refunds, how many at once, and for how long.

Due refunds are grouped by processor and state, and the groups take turns: so a processor that
answers slowly, or a thousand checks, delay only their own group. In each group the oldest come
first. A share of what is read are the newest, so that refunds that have just become due need not
wait for a backlog. A refund that cannot be settled does not stop the others: the run took it for a
while, and afterwards it is due again.
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

# From each of eight shards; a group takes part as soon as one of its rows is among these.
OLDEST_PER_SHARD: Final = 240
NEWEST_PER_SHARD: Final = 16
# The longest that one refund may take: reading, and the one call that moves money.
ROW_MS: Final = 24_000
ERROR_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRun:
    """Settles what is due until the deadline.

    Attributes:
        refunds: reads the refunds of those ids.
        sweeps: keeps since when this stage has been watching each of its processors.
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
                # The index lags behind, or another run has them: leave them to the next run.
                break
        self.telemetry.note("settle_run", settled=settled)
        return settled

    def _due(self) -> list[str]:
        """The ids of refunds that seem to be due, each once, in the order of settling."""
        before_ms = self.clock.now_ms() + 1
        found: dict[str, None] = {}
        full = list[int]()
        for shard in range(DUE_SHARDS):
            oldest = self.ledger.due(shard, before_ms=before_ms, limit=OLDEST_PER_SHARD)
            found.update(dict.fromkeys(oldest))
            if len(oldest) == OLDEST_PER_SHARD:
                full.append(shard)
        for shard in full:
            newest = self.ledger.due(
                shard, before_ms=before_ms, limit=NEWEST_PER_SHARD, newest_first=True
            )
            found.update(dict.fromkeys(newest))
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
    """The refunds, one of each group in turn; in each group the longest due comes first."""
    in_order = (sorted(group, key=lambda one: one.next_check_ms or 0) for group in groups)
    return (one for one in chain.from_iterable(zip_longest(*in_order)) if one is not None)


def _named(error: Exception) -> str:
    """The error for the log; our own errors' texts contain no secrets and no customers' data."""
    return f"{type(error).__name__}: {error}"[:ERROR_MAX]
