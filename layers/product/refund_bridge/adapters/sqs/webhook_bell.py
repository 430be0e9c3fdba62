"""The webhooks' queue in SQS: messages of two ids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.delivering.message import message_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsWebhookBell:
    """``delivering.ports.Bell`` on the queue ``queue_url``."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def ring(self, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Send a message for each (refund, address); returns those that may not have been sent.

        If the queue does not answer, the others are not sent either.
        """
        for number, pair in enumerate(pairs):
            try:
                self._client.send_message(QueueUrl=self._queue_url, MessageBody=message_text(*pair))
            except (BotoCoreError, ClientError):
                return pairs[number:]
        return []
