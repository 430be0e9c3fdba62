"""``report_refund``: the report queue → one report to Stripe per message → partial batch failures.

``reporting/report.py`` says what a report is and when it may be made. A message that must come back
is hidden for longer each time. After the last allowed receive the queue moves it to its dead-letter
queue, and the report in the ledger is ``failed``.
"""

from typing import Any

from aws_lambda_powertools.utilities.batch import EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.adapters.sqs.doorbell import PoisonMessageError, parse_doorbell
from refund_bridge.adapters.sqs.threaded_batch import ThreadedBatchProcessor
from refund_bridge.adapters.telemetry.function_log import function_log
from refund_bridge.bootstrap.report_refund import ReportRefundWorld, report_refund
from refund_bridge.bootstrap.telemetry import metered
from refund_bridge.ports.runtime import Deadline
from refund_bridge.reporting.report import (
    ReportDeferredError,
    ReportFailedError,
    UnknownRefundError,
)

# For reading record and charge, and for one attempt at Stripe: at most 2 s to connect and 8 s to
# answer.
ATTEMPT_BUDGET_MS = 15_000

# Errors for which waiting does not help: the message comes back at once, so that it soon is a dead
# letter for a person.
HOPELESS = (PoisonMessageError, ReportFailedError, UnknownRefundError)

logger = function_log()


@logger.inject_lambda_context(clear_state=True)
@metered
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Report every refund of the batch; returns the ids of the messages that must come back."""
    world = report_refund(logger)
    if not event["Records"]:  # not from the queue: `make deploy` tests whether this version runs
        return {"batchItemFailures": []}
    processor = ThreadedBatchProcessor(EventType.SQS, threads=world.concurrency)
    return process_partial_response(
        event=event,
        record_handler=lambda record: report_one(world, record),
        processor=processor,
        context=context,
    )


def report_one(world: ReportRefundWorld, record: SQSRecord) -> None:
    """Report the refund that one message names.

    Raises:
        Exception: the message must come back; it is hidden for its backoff.
    """
    receive = int(record.attributes.approximate_receive_count)
    # These keys belong to this thread, which handled another message before.
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(message_id=record.message_id)
    try:
        refund_id = parse_doorbell(record.body)
        logger.thread_safe_append_keys(refund_id=refund_id)
        world.pace.wait()
        world.report(
            refund_id,
            Deadline.after(world.clock, ATTEMPT_BUDGET_MS),
            receive=receive,
            last=receive >= world.max_receives,
        )
    except Exception as error:
        logger.warning(
            "report_not_made",
            receive=receive,
            error=type(error).__name__,
            reason=str(error),
        )
        if isinstance(error, HOPELESS):
            world.backoff.hurry(record.receipt_handle)
        else:
            wish = error.retry_after_s if isinstance(error, ReportDeferredError) else None
            world.backoff.hide(record.receipt_handle, receive=receive, at_least_s=wish)
        raise
