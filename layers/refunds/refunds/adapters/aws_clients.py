"""The one place that makes clients of AWS, all with the same short patience.

botocore makes them, as it does boto3's, without what boto3 adds: resources and S3's transfers,
which no function uses. Its own timeouts are 60 s and 60 s, longer than any function here lives.
Region, credentials and endpoint come from the environment by botocore's own rules, which is how the
same code runs on AWS and against the local cloud. Importing this costs nothing: botocore is
imported with the first client.
"""

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 3
ATTEMPTS: Final = 3
USER_AGENT: Final = "refund-bridge"

_lock: Final = Lock()
_made: Final[dict[str, Any]] = {}


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
    """Let the next call make new ones, after a snapshot was restored: its sockets are dead.

    Its credentials may be too, so the session goes with them.
    """
    with _lock:
        _made.clear()
        _session.cache_clear()


def prime() -> None:
    """Import and read what a first client needs; the one that is made for it is thrown away.

    It has no credentials and asks nobody, so this may be done before a snapshot is taken.
    """
    from botocore.session import Session  # noqa: PLC0415

    nobody = "none"
    Session().create_client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id=nobody,
        aws_secret_access_key=nobody,
        config=_config(),
    ).close()


def _client(service: str) -> Any:
    with _lock:  # a session may be used by one thread at a time only, what it makes by any number
        if service not in _made:
            _made[service] = _session().create_client(service, config=_config())
        return _made[service]


@cache
def _session() -> Any:
    """All clients' session: what it has read of AWS's endpoints and credentials, they share."""
    from botocore.session import Session  # noqa: PLC0415 - a third of a cold start

    return Session()


def _config() -> "Config":
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # botocore would make up a longer one anew for every request, out of forty parts.
        user_agent=USER_AGENT,
    )
