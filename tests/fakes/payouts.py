"""The days' sums of payouts in memory; tests/contract/ledger holds them to the real promises."""

from collections import Counter
from typing import Any

from refunds.payouts import PayoutRules, UnlinkedRefunds
from tests.fakes.world import World


class MemoryPayouts:
    """``payouts.PayoutSums`` in a dictionary."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()

    def add(self, day: str, currency: str, amount: int, *, at_most: int) -> bool:
        if self.asked[day, currency] + amount > at_most:
            return False
        self.asked[day, currency] += amount
        return True


def payout_rules(world: World, **rules: Any) -> PayoutRules:
    """What a stage on this world allows; everything, if nothing else is said."""
    given: dict[str, Any] = {
        "unlinked": UnlinkedRefunds.ON,
        "by_events": True,
        "amount_max": 10**12,
        "day_max": 10**15,
        "ledger": world.ledger,
        "sums": MemoryPayouts(),
        "clock": world.clock,
    }
    return PayoutRules(**(given | rules))
