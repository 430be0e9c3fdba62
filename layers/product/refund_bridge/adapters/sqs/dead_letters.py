"""A dead-letter queue in SQS, for messages that are set aside together with the reason."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.ports.queues import DeadLettersError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Enough to say what is wrong, and small enough to fit into a message beside its body.
REASON_MAX: Final = 1024
# Characters that SQS does not take in a text, by its API reference: it would refuse the message.
_REFUSED: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class SqsDeadLetters:
    """``ports.queues.DeadLetters`` on the queue ``queue_url``."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def set_aside(self, body: str, reasons: Mapping[str, str]) -> None:
        """Keep the message as it came, each reason an attribute of it.

        Raises:
            DeadLettersError: it may not have been kept.
        """
        try:
            self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": _text(reason)}
                    for name, reason in reasons.items()
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise DeadLettersError(f"SQS: {type(error).__name__}") from error


def _text(reason: str) -> str:
    # SQS takes no empty text either.
    return _REFUSED.sub("\N{REPLACEMENT CHARACTER}", reason)[:REASON_MAX] or "-"
