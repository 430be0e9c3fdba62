"""The one place that makes boto3 clients, all with the same short patience.

boto3's own timeouts are 60 s and 60 s, longer than any function here lives. Region, credentials and
endpoint come from the environment by boto3's own rules, which is how the same code runs on AWS and
against the local cloud. Importing this costs nothing: boto3 is imported with the first client.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 3
ATTEMPTS: Final = 3


def dynamodb_client() -> "DynamoDBClient":
    """The process's client of DynamoDB."""
    client: DynamoDBClient = _client("dynamodb")
    return client


def sqs_client() -> "SQSClient":
    """The process's client of SQS."""
    client: SQSClient = _client("sqs")
    return client


def ssm_client() -> "SSMClient":
    """The process's client of the Systems Manager, for its parameters."""
    client: SSMClient = _client("ssm")
    return client


def events_client() -> "EventBridgeClient":
    """The process's client of EventBridge."""
    client: EventBridgeClient = _client("events")
    return client


def forget_clients() -> None:
    """Let the next call make new ones, after a snapshot was restored: its sockets are dead."""
    _client.cache_clear()


@cache
def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415 - half of a cold start, paid only by those who need a client
    from botocore.config import Config  # noqa: PLC0415

    # A session of its own, since boto3's default one must not be used by two threads at once.
    return boto3.session.Session().client(  # type: ignore[call-overload]
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
