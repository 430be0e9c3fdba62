"""``sweep_charges``: the daily schedule → read the processors' lists of payments → learn.

``observing/sweep_payments.py`` says what a sweep does.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.sweep_charges import sweep_charges
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.ports.runtime import Deadline

# The function's timeout is 300 s; a run begins nothing in its last 24 s and less.
SWEEP_BUDGET_MS = 270_000

logger = function_log()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Sweep for as long as one run may; returns how many payments differed."""
    world = sweep_charges(logger)
    return {"differing": world.sweep(Deadline.after(world.clock, SWEEP_BUDGET_MS))}
