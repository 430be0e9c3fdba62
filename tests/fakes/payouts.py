"""What a stage allows of payouts."""

from typing import Any

from refund_bridge.domain.payouts import PayoutRules, UnlinkedRefunds


def payout_rules(**rules: Any) -> PayoutRules:
    """What a stage allows of payouts; by default everything."""
    given: dict[str, Any] = {
        "unlinked": UnlinkedRefunds.ON,
        "by_events": True,
        "amount_max": 10**12,
    }
    return PayoutRules(**(given | rules))
