"""How long a message that must come back stays hidden: longer each time, with jitter."""

from collections.abc import Callable
from secrets import randbelow
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.ports.runtime import Telemetry

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HIDDEN_SECONDS_MAX: Final = 900


class VisibilityBackoff:
    """Sets the visibility timeout of messages that were not handled.

    A redrive policy only counts receives; only the visibility timeout can make a backoff.
    """

    def __init__(
        self,
        client: "SQSClient",
        queue_url: str,
        *,
        base_seconds: int,
        telemetry: Telemetry,
        below: Callable[[int], int] = randbelow,
    ) -> None:
        """``base_seconds`` hides a message after its first receive; each further one doubles it.

        ``below`` draws the jitter: an int from 0 to one below its argument.
        """
        self._client = client
        self._queue_url = queue_url
        self._base_seconds = base_seconds
        self._telemetry = telemetry
        self._below = below

    def hide(self, receipt_handle: str, *, receive: int, at_least_s: int | None = None) -> None:
        """Hide the message for its backoff, and for ``at_least_s`` if a provider asked for that."""
        self._hide(receipt_handle, self.seconds(receive, at_least_s=at_least_s))

    def put_off(self, receipt_handle: str, *, seconds: int) -> None:
        """Hide the message for exactly that long; SQS takes 12 hours at most."""
        self._hide(receipt_handle, seconds)

    def hurry(self, receipt_handle: str) -> None:
        """Let the message come back at once, so that it soon reaches the dead-letter queue.

        For messages that waiting cannot help.
        """
        self._hide(receipt_handle, 1)

    def _hide(self, receipt_handle: str, seconds: int) -> None:
        # If the queue does not answer, the message comes back after the queue's own visibility
        # timeout.
        try:
            self._client.change_message_visibility(
                QueueUrl=self._queue_url,
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=seconds,
            )
        except (BotoCoreError, ClientError) as error:
            self._telemetry.note("visibility_not_changed", error=type(error).__name__)

    def seconds(self, receive: int, *, at_least_s: int | None = None) -> int:
        """Between half and all of ``base × 2^(receive - 1)``, at most 15 minutes."""
        whole = min(self._base_seconds << min(receive - 1, 16), HIDDEN_SECONDS_MAX)
        jittered = whole - self._below(whole // 2 + 1)
        return min(max(jittered, at_least_s or 0, 1), HIDDEN_SECONDS_MAX)
