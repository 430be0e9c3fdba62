"""``publish_events``: the ledger's stream → events on the bus, and messages to the webhooks' queue.

Which change is told by which event stands in ``events/announcements.py``; what the bus does not
take is kept in the ledger and published from there (``events/announce.py``), so that only a ledger
that cannot be written makes the stream show a change again.
"""

from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes import DynamoDBStreamEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.dynamodb.stream import changes_in
from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.publish_events import publish_events
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.ports.runtime import Deadline

# Together under the function's 60 s. What is not published by then is kept, too; what addresses
# are owed is noted afterwards.
PUBLISH_BUDGET_MS = 38_000
RING_BUDGET_MS = 18_000

logger = function_log()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], _context: LambdaContext) -> PartialItemFailureResponse:
    """Publish what the batch tells; returned are the changes to be shown again, with all later."""
    world = publish_events(logger)
    records = [record.raw_event for record in DynamoDBStreamEvent(event).records]
    changes = list(changes_in(records))
    again = world.announce(changes, Deadline.after(world.clock, PUBLISH_BUDGET_MS))
    again |= world.ring(changes, Deadline.after(world.clock, RING_BUDGET_MS))
    return {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(again)]}
