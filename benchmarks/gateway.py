"""The events that API Gateway and SQS hand to the functions."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

API_KEY = "rbk_benchmark"
# Under the stage's prefix: where the caller's digest is stored, and as what.
CALLER_PARAMETER = "api-keys/benchmark"
CALLER = json.dumps(
    {
        "name": "benchmark",
        "scopes": ["refunds:read", "refunds:write"],
        "sha256": hashlib.sha256(API_KEY.encode()).hexdigest(),
    }
)


def refund_event(job: dict[str, Any]) -> dict[str, Any]:
    """``POST /v1/refunds`` with the reference, amount and key of ``job``."""
    body = json.dumps({job["by"]: job["id"], "amount": job["amount"]})
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


def report_event(bodies: Sequence[str]) -> dict[str, Any]:
    """A batch of the report queue."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1700000000000",
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


class Context:
    """What Lambda tells a handler of its function."""

    function_name = "benchmark"
    function_version = "1"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:benchmark"
    aws_request_id = "00000000-0000-0000-0000-000000000000"
    log_group_name = "benchmark"
    log_stream_name = "benchmark"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Always enough."""
        return 45_000
