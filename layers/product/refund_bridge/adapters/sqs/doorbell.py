"""The doorbell in SQS: a message with a refund's id and nothing else."""

import json
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.ports.queues import DoorbellError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SCHEMA_VERSION: Final = 1

_ID_LENGTH_MAX: Final = 255


class PoisonMessageError(ValueError):
    """A message that no retry makes readable. Its text may hold anything, so it is not repeated."""


class SqsDoorbell:
    """``ports.queues.Doorbell`` on the queue ``queue_url``."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def ring(self, refund_id: str) -> None:
        """Queue one message that names the refund.

        Raises:
            DoorbellError: it may not have been queued.
        """
        body = json.dumps({"refund_id": refund_id, "schema_version": SCHEMA_VERSION})
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=body)
        except (BotoCoreError, ClientError) as error:
            raise DoorbellError(f"SQS: {type(error).__name__}") from error


def parse_doorbell(body: str) -> str:
    """The refund that a message names.

    Unknown members and a newer ``schema_version`` are ignored: a doorbell only ever has the id, and
    during a deployment two releases read one queue.

    Raises:
        PoisonMessageError: it names none.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise PoisonMessageError("the message is not JSON") from None
    if not isinstance(message, dict):
        raise PoisonMessageError("the message is not a JSON object")
    version = message.get("schema_version")
    if type(version) is not int or version < SCHEMA_VERSION:
        raise PoisonMessageError("the message has no schema_version that was ever in use")
    refund_id = message.get("refund_id")
    if not isinstance(refund_id, str) or not 0 < len(refund_id) <= _ID_LENGTH_MAX:
        raise PoisonMessageError("the message has no refund_id")
    return refund_id
