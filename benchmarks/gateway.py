"""The events that API Gateway, SQS and the ledger's stream hand to the functions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

API_KEY = "rbk_benchmark"
# The parameter, under the stage's prefix, that stores the digest of the caller's key.
CALLER_PARAMETER = "api-keys/benchmark"
CALLER = json.dumps(
    {
        "name": "benchmark",
        "scopes": ["refunds:read", "refunds:write"],
        "sha256": hashlib.sha256(API_KEY.encode()).hexdigest(),
    }
)


def refund_event(job: dict[str, Any]) -> dict[str, Any]:
    """``POST /v1/refunds`` with the reference, amount, key and kind (``scheduled``) of ``job``."""
    more = {"refund_type": "scheduled"} if job.get("scheduled") else {}
    body = json.dumps({job["by"]: job["id"], "amount": job["amount"], **more})
    headers = {
        "Authorization": f"Bearer {API_KEY}",
        "Content-Type": "application/json",
        "Idempotency-Key": job["key"],
        "User-Agent": "benchmark",
    }
    return {
        "resource": "/v1/{proxy+}",
        "path": "/v1/refunds",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": "refunds"},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/v1/{proxy+}",
            "httpMethod": "POST",
            "path": "/benchmark/v1/refunds",
            "stage": "benchmark",
            "requestId": f"request-{job['key']}",
            "accountId": "000000000000",
            "apiId": "benchmark",
            "protocol": "HTTP/1.1",
            "requestTimeEpoch": 1_700_000_000_000,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "benchmark"},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def report_event(bodies: Sequence[str], *, sent_ms: int = 1_700_000_000_000) -> dict[str, Any]:
    """A batch of the report queue, or of another one."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(sent_ms),
                    "SenderId": "benchmark",
                    "ApproximateFirstReceiveTimestamp": "1700000000000",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:ap-southeast-1:000000000000:benchmark",
                "awsRegion": "ap-southeast-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def stream_event(items: Sequence[Mapping[str, Any]], *, new: bool = True) -> dict[str, Any]:
    """A batch of the ledger's stream that shows these items, in DynamoDB's JSON.

    Either they are ``new``, or they changed in no way for which an event would be published.
    """
    return {
        "Records": [
            {
                "eventID": f"event-{number}",
                "eventName": "INSERT" if new else "MODIFY",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "ap-southeast-1",
                "dynamodb": {
                    "Keys": {name: item[name] for name in ("pk", "sk")},
                    "NewImage": dict(item),
                    **({} if new else {"OldImage": dict(item)}),
                    "SequenceNumber": str(number),
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": "arn:aws:dynamodb:ap-southeast-1:000000000000:table/ledger",
            }
            for number, item in enumerate(items, 1)
        ]
    }


class Context:
    """The context that Lambda passes to a handler."""

    function_name = "benchmark"
    function_version = "1"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:benchmark"
    aws_request_id = "00000000-0000-0000-0000-000000000000"
    log_group_name = "benchmark"
    log_stream_name = "benchmark"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """A time that is always enough."""
        return 45_000
