"""Makes all clients of AWS, with the same short timeouts.

boto3's own timeouts are 60 s and 60 s, longer than any function here may run. Region, credentials
and endpoint come from the environment by boto3's own rules, so that the same code runs on AWS and
against the local cloud. Importing this is cheap: boto3 is imported with the first client.
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
# Parameter Store answers 40 calls a second for a whole account and region, and many workers may
# start together. https://docs.aws.amazon.com/general/latest/gr/ssm.html
SSM_ATTEMPTS: Final = 4
USER_AGENT: Final = "refund-bridge"
# The services that the functions call; the layer has descriptions of only these (its Makefile).
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
    """Forget the clients after a snapshot was restored, so that the next calls make new ones.

    The old sockets are dead. The credentials may have expired, so the session is forgotten too.
    """
    with _lock:
        _made.clear()
        _session.cache_clear()


def prime() -> None:
    """Import and read what the first clients need, by making clients and throwing them away.

    They have no credentials and send nothing, so this may be done before a snapshot is taken.
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
    with _lock:  # only one thread at a time may use a session; any number may use its clients
        if service not in _made:
            attempts = SSM_ATTEMPTS if service == "ssm" else ATTEMPTS
            _made[service] = _session().client(service, config=_config(attempts))
        return _made[service]


@cache
def _session() -> Any:
    """The session of all clients, which share its credentials and settings."""
    # These imports are a third of a cold start.
    from boto3.session import Session  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    core = get_session()
    core.register_component("data_loader", _descriptions())
    return Session(botocore_session=core)


@cache
def _descriptions() -> Any:
    """botocore's loaded descriptions of AWS's services, kept also for sessions after a snapshot."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


def _config(attempts: int) -> "Config":
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # Without this, botocore builds a longer one out of forty parts for every request.
        user_agent=USER_AGENT,
    )
