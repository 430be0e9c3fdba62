"""``publish_events``: the ledger's stream → events on the bus, and messages to the webhooks' queue.

``events/announcements.py`` says which change makes which event. What the bus does not take is noted
in the ledger and published from there (``events/announce.py``). So the stream must show a change
again only if the ledger cannot be written.
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

# Together below the function's 60 s. What is not published in time is noted in the ledger, too;
# after that, what addresses are owed is noted.
PUBLISH_BUDGET_MS = 38_000
RING_BUDGET_MS = 18_000

logger = function_log()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], _context: LambdaContext) -> PartialItemFailureResponse:
    """Publish the batch's events; returns the changes that the stream must show again."""
    world = publish_events(logger)
    records = [record.raw_event for record in DynamoDBStreamEvent(event).records]
    changes = list(changes_in(records))
    again = world.announce(changes, Deadline.after(world.clock, PUBLISH_BUDGET_MS))
    again |= world.ring(changes, Deadline.after(world.clock, RING_BUDGET_MS))
    return {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(again)]}
