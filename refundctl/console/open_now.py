"""What is open: refunds without an outcome, and refunds that are not reported to Stripe yet.

All of these stand in the index of what settling checks next, however old they are. A refund whose
report was given up does not; it is found by the time it was made (`activity.py`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState, State
from refundctl.console.sources import Sources
from refundctl.facts import NOT_FINAL, is_stuck
from refundctl.walk import due_ids

# In an outage there may be more open refunds. The console must not slow down settling, which reads
# the same table.
PER_SHARD: Final = 250


@dataclass(frozen=True)
class Sum:
    """A number of refunds of one currency, and the sum of their amounts in its minor unit."""

    count: int
    amount: int


@dataclass(frozen=True)
class OpenNow:
    """What is open at one moment.

    Attributes:
        refunds: oldest first; if there are more than are read, mostly those that are due first.
        is_all: whether all were read.
    """

    refunds: Sequence[Refund]
    is_all: bool
    at_ms: int

    @cached_property
    def not_final(self) -> Sequence[Refund]:
        """Those whose outcome is not known."""
        return [refund for refund in self.refunds if refund.state in NOT_FINAL]

    @cached_property
    def by_state(self) -> Mapping[State, int]:
        """How many there are of each state that is not final."""
        return Counter(refund.state for refund in self.not_final)

    @cached_property
    def in_flight(self) -> Mapping[str, Sum]:
        """The money that may be moving, by currency."""
        return sums(self.not_final)

    @cached_property
    def unreported(self) -> Mapping[str, Sum]:
        """The money that moved and that Stripe is still to be told of, by currency."""
        return sums([one for one in self.refunds if one.report.state is ReportState.DUE])


def open_now(sources: Sources) -> OpenNow:
    """Read what is open: at most 16 queries and 20 batches of 100 refunds.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    ids, is_all = due_ids(sources.ledger, PER_SHARD)
    # The index lags behind the table: some refunds may have ended meanwhile.
    found = [one for one in sources.listing.refunds(ids).values() if is_stuck(one)] if ids else []
    found.sort(key=lambda one: (one.created_at_ms, one.id))
    return OpenNow(refunds=found, is_all=is_all, at_ms=sources.clock.now_ms())


def sums(refunds: Sequence[Refund]) -> Mapping[str, Sum]:
    """How many refunds there are, and their sum, by currency."""
    amounts: dict[str, list[int]] = {}
    for refund in refunds:
        amounts.setdefault(refund.currency, []).append(refund.amount)
    return {currency: Sum(len(some), sum(some)) for currency, some in sorted(amounts.items())}
