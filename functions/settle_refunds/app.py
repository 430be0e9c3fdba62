"""``settle_refunds``: the schedule → one run of settling → work on what is due.

``settling/settle.py`` says what settling does. If the settle interval is below a minute (only on a
local stage), one invocation makes several runs, because no schedule fires more often.
"""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.settle_refunds import SettleRefundsWorld, settle_refunds
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.ports.runtime import Deadline

# A run begins no refund in the last 24 s of its budget. Two runs may overlap for a moment, but they
# never work on the same refund. After each run, events that the bus did not take are published
# again, and lost messages of webhooks are sent again.
RUN_BUDGET_MS = 75_000
MEASURE_BUDGET_MS = 5_000
ANNOUNCE_BUDGET_MS = 30_000
WEBHOOKS_BUDGET_MS = 20_000
ALL_RUNS_MS = 100_000
SCHEDULE_MS = 60_000

logger = function_log()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Settle what is due; returns how many refunds were worked on."""
    world = settle_refunds(logger)
    step_ms = world.settle_seconds * 1000
    next_schedule = Deadline.after(world.clock, SCHEDULE_MS)
    end = Deadline.after(world.clock, ALL_RUNS_MS)
    world.measure(end.at_most(MEASURE_BUDGET_MS))
    settled = _run(world, end)
    while next_schedule.remaining_ms() > step_ms:
        time.sleep(world.settle_seconds)
        settled += _run(world, end)
    return {"settled": settled}


def _run(world: SettleRefundsWorld, end: Deadline) -> int:
    settled = world.run(end.at_most(RUN_BUDGET_MS))
    world.announce(end.at_most(ANNOUNCE_BUDGET_MS))
    try:
        world.ring_again(end.at_most(WEBHOOKS_BUDGET_MS))
    except Exception as error:  # noqa: BLE001 - no webhook may make a run of settling fail
        logger.warning("webhooks_not_rung_again", error=type(error).__name__)
    return settled
