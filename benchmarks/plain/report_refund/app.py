"""The reporter, written plainly: a batch of the queue, one report to Stripe after the other."""

import json
import os
import time
from typing import Any

import boto3
import stripe
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS)
table = boto3.resource("dynamodb").Table(os.environ["REFUNDS_TABLE"])


def report(record: SQSRecord) -> None:
    """Report one refund."""
    refund: dict[str, Any] = table.get_item(Key={"id": json.loads(record.body)["id"]})["Item"]
    key = parameters.get_parameter(
        f"{os.environ['SECRETS_PREFIX']}/stripe-secret-key", decrypt=True, max_age=60
    )
    client = stripe.StripeClient(str(key), base_addresses={"api": os.environ["STRIPE_URL"]})
    client.v1.payment_records.report_refund(
        refund["payment_record"],
        {
            "amount": {"value": int(refund["amount"]), "currency": refund["currency"]},
            "processor_details": {
                "type": "custom",
                "custom": {"refund_reference": refund["refund_id"]},
            },
            "outcome": "refunded",
            "refunded": {"refunded_at": int(time.time())},
        },
        {"idempotency_key": refund["id"]},
    )
    table.update_item(
        Key={"id": refund["id"]},
        UpdateExpression="SET reported_at = :now",
        ExpressionAttributeValues={":now": int(time.time())},
    )


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Report a batch."""
    return process_partial_response(
        event=event, record_handler=report, processor=processor, context=context
    )
