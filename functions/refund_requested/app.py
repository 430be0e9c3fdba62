"""``refund_requested``: the request queue, filled by a rule of the event bus → scheduled refunds.

``events/requested.py`` says what a request may ask, ``events/accept.py`` what becomes of it. A
message that must come back is hidden for longer each time. One that cannot be accepted is put among
the dead letters here, together with the reason, which the queue itself could not add.
"""

from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.sqs.threaded_batch import ThreadedBatchProcessor
from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.refund_requested import RefundRequestedWorld, refund_requested
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.payouts import AskedAt
from refund_bridge.events.requested import asked_by, letter_of, parse_event, require_source
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.runtime import Deadline

# All provider calls of one request together, as for a call over HTTP; the messages of a batch are
# handled side by side. After that there is time to publish a refusal.
PROVIDER_BUDGET_MS = 24_000
TELL_BUDGET_MS = 14_000
BATCH_SIZE = 5

logger = function_log()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Accept every request of the batch; returns the ids of the messages that must come back."""
    world = refund_requested(logger)
    if not event["Records"]:  # not from the queue: `make deploy` tests whether this version runs
        return {"batchItemFailures": []}
    return process_partial_response(
        event=event,
        record_handler=lambda record: accept_one(world, record),
        processor=ThreadedBatchProcessor(EventType.SQS, threads=BATCH_SIZE),
        context=context,
    )


def accept_one(world: RefundRequestedWorld, record: SQSRecord) -> None:
    """Accept the request in one message, or set it aside.

    Raises:
        Exception: the message must come back; it is hidden for its backoff.
    """
    receive = int(record.attributes.approximate_receive_count)
    # These keys belong to this thread, which handled another message before.
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(message_id=record.message_id)
    try:
        asked = asked_by(parse_event(record.body))
        logger.thread_safe_append_keys(event_id=asked.id)
        require_source(asked, world.sources)
        allow = partial(world.payouts.require_allowed, asked.request, AskedAt.EVENTS)
        answer = world.accept(asked, Deadline.after(world.clock, PROVIDER_BUDGET_MS), allow)
        logger.info("request_accepted", refund_id=answer.refund.id)
    except Exception as error:
        if _is_dealt_with(world, record, error, receive):
            return
        logger.warning(
            "request_not_accepted",
            receive=receive,
            error=type(error).__name__,
            exc_info=not isinstance(error, RefundBridgeError | LedgerUnavailableError),
        )
        wish = error.retry_after_s if isinstance(error, RefundBridgeError) else None
        world.backoff.hide(record.receipt_handle, receive=receive, at_least_s=wish)
        raise


def _is_dealt_with(
    world: RefundRequestedWorld, record: SQSRecord, error: Exception, receive: int
) -> bool:
    """Set the message aside if refused; whether it is among the dead letters and may leave."""
    letter = letter_of(record.body, receive=receive, stage=world.stage)
    deadline = Deadline.after(world.clock, TELL_BUDGET_MS)
    last = receive >= world.max_receives
    try:
        return world.refuse(letter, error, deadline, last=last)
    except Exception:
        # After the last receive the queue itself moves it to the dead letters.
        logger.exception("request_not_set_aside")
        return False
