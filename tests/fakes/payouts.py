"""What a stage allows of payouts, on a world in memory."""

from typing import Any

from refunds.payouts import PayoutRules, UnlinkedRefunds
from tests.fakes.world import World


def payout_rules(world: World, **rules: Any) -> PayoutRules:
    """What a stage on this world allows; everything, if nothing else is said."""
    given: dict[str, Any] = {
        "unlinked": UnlinkedRefunds.ON,
        "by_events": True,
        "amount_max": 10**12,
        "ledger": world.ledger,
    }
    return PayoutRules(**(given | rules))
