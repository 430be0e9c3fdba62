"""The webhooks' queue in SQS: messages of two ids, ten a request."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from refunds.delivering.message import message_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS's own limit on one request.
BATCH_MAX: Final = 10


class SqsWebhookBell:
    """``delivering.ports.Bell`` on the queue ``queue_url``."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def ring(self, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Send a message for each (refund, address); those that may not have been sent.

        A queue that does not answer is not asked for the others.
        """
        missed: list[tuple[str, str]] = []
        for start in range(0, len(pairs), BATCH_MAX):
            some = pairs[start : start + BATCH_MAX]
            try:
                answer = self._client.send_message_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {"Id": str(number), "MessageBody": message_text(*pair)}
                        for number, pair in enumerate(some)
                    ],
                )
            except (BotoCoreError, ClientError):
                return [*missed, *pairs[start:]]
            # A request that is answered may hold messages that were refused.
            sent = {one["Id"] for one in answer.get("Successful", ())}
            missed += [pair for number, pair in enumerate(some) if str(number) not in sent]
        return missed
