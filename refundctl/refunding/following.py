"""Follow a refund in the ledger until it is at its end: final, and reported to Stripe."""

import time
from collections.abc import Callable

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FINAL, ReportState, State
from refundctl.world import World

EVERY_S = 1


def is_at_its_end(refund: Refund) -> bool:
    """Whether there is nothing to wait for: it failed, or it succeeded and Stripe was told."""
    if refund.state not in FINAL:
        return refund.state in (State.REVIEW, State.ABORTED)
    return refund.state is not State.SUCCEEDED or refund.report.state is not ReportState.DUE


def follow(
    world: World,
    refund_id: str,
    *,
    wait_s: int,
    saw: Callable[[Refund], object],
    sleep: Callable[[float], object] | None = None,
) -> Refund | None:
    """The refund at its end, or as it is after `wait_s`; each time it is read, `saw` is called.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    pause = sleep or time.sleep
    refund = world.ledger.refund(refund_id)
    for _ in range(wait_s // EVERY_S):
        if refund is None:
            return None
        saw(refund)
        if is_at_its_end(refund):
            break
        pause(EVERY_S)
        refund = world.ledger.refund(refund_id)
    return refund
