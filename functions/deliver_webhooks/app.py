"""``deliver_webhooks``: the webhooks' queue → events to merchants' own HTTPS addresses.

``delivering/deliver.py`` handles one message. A message that must come back is hidden until then
and never sent anew. If invoked with ``{"test_address": "we_…"}`` (``refundctl webhooks test``), it
sends a test event to that address and answers with the result.
"""

from typing import Any

from aws_lambda_powertools.utilities.batch import EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.sqs.threaded_batch import ThreadedBatchProcessor
from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.deliver_webhooks import DeliverWebhooksWorld, deliver_webhooks
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.delivering.message import PoisonMessageError, parse_message
from refund_bridge.ports.runtime import Deadline

# Under the function's 60 s: the last event is begun 14 s before.
BUDGET_MS = 45_000
BATCH_SIZE = 10

logger = function_log()


class ComesBackError(Exception):
    """The message is hidden, and comes back."""


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Handle every message of the batch; returns the ids of those that must come back."""
    world = deliver_webhooks(logger)
    if isinstance(event.get("test_address"), str):
        return world.test(event["test_address"], Deadline.after(world.clock, BUDGET_MS))
    if not event["Records"]:  # not from the queue: `make deploy` tests whether this version runs
        return {"batchItemFailures": []}
    return process_partial_response(
        event=event,
        record_handler=lambda record: deliver_one(world, record),
        processor=ThreadedBatchProcessor(EventType.SQS, threads=BATCH_SIZE),
        context=context,
    )


def deliver_one(world: DeliverWebhooksWorld, record: SQSRecord) -> None:
    """Handle one message, or set it aside if it cannot be read.

    Raises:
        Exception: the message must come back; it is hidden until then.
    """
    receive = int(record.attributes.approximate_receive_count)
    # These keys belong to this thread, which handled another message before.
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(message_id=record.message_id)
    try:
        message = parse_message(record.body)
        logger.thread_safe_append_keys(refund_id=message.refund_id, address_id=message.address_id)
        left = world.deliver(
            message,
            Deadline.after(world.clock, BUDGET_MS),
            age_ms=world.clock.now_ms() - int(record.attributes.sent_timestamp),
            receive=receive,
        )
    except PoisonMessageError as error:
        logger.warning("webhook_message_poison", reason=str(error))
        world.dead_letters.set_aside(record.body, {"reason": str(error)})
        return
    except Exception as error:
        world.deliver.telemetry.note(
            "webhook_not_tried", receive=receive, error=type(error).__name__
        )
        world.hidden.hide(record.receipt_handle, receive=receive)
        raise
    if left is not None:
        world.hidden.put_off(record.receipt_handle, seconds=max(1, left.ms // 1000))
        raise ComesBackError
