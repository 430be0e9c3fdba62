"""The one place that makes clients of AWS, all with the same short patience.

boto3's own timeouts are 60 s and 60 s, longer than any function here lives. Region, credentials and
endpoint come from the environment by its own rules, which is how the same code runs on AWS and
against the local cloud. Importing this costs nothing: boto3 is imported with the first client.
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
# Parameter Store answers 40 calls a second of a whole account and region, and workers may start
# together. https://docs.aws.amazon.com/general/latest/gr/ssm.html
SSM_ATTEMPTS: Final = 4
USER_AGENT: Final = "refund-bridge"
# What the functions call, and so all that the layer has descriptions of (its Makefile).
SERVICES: Final = ("dynamodb", "events", "sqs", "ssm")

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
    """Import and read what first clients need; the ones that are made for it are thrown away.

    They have no credentials and ask nobody, so this may be done before a snapshot is taken.
    """
    nobody = "none"
    for service in SERVICES:
        _session().client(
            service,
            region_name="us-east-1",
            aws_access_key_id=nobody,
            aws_secret_access_key=nobody,
            config=_config(ATTEMPTS),
        ).close()
    forget_clients()


def _client(service: str) -> Any:
    with _lock:  # a session may be used by one thread at a time only, what it makes by any number
        if service not in _made:
            attempts = SSM_ATTEMPTS if service == "ssm" else ATTEMPTS
            _made[service] = _session().client(service, config=_config(attempts))
        return _made[service]


@cache
def _session() -> Any:
    """All clients' session: what it has read of credentials and settings, they share."""
    # A third of a cold start.
    from boto3.session import Session  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    core = get_session()
    core.register_component("data_loader", _descriptions())
    return Session(botocore_session=core)


@cache
def _descriptions() -> Any:
    """What botocore has read of AWS's services; a new session after a snapshot has them too."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


def _config(attempts: int) -> "Config":
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # botocore would make up a longer one anew for every request, out of forty parts.
        user_agent=USER_AGENT,
    )
