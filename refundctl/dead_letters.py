"""A dead-letter queue of SQS: read it without taking messages away, and move messages back.

AWS can move a whole queue (`StartMessageMoveTask`), one task at a time. The embedded cloud has no
such call, and AWS has none for single messages: there we receive each message, send it to the queue
that it came from, and then delete it. If that is interrupted in between, one message is sent twice,
which is harmless; none is lost.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refund_bridge.adapters.providers.pace import Pace

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef, MessageTypeDef

# The error codes of a cloud that does not have the call.
NO_SUCH_CALL = frozenset(
    {
        "InvalidAction",
        "UnknownOperationException",
        "UnsupportedOperation",
        "AWS.SimpleQueueService.UnsupportedOperation",
    }
)
UNDER_WAY = frozenset({"RUNNING", "CANCELLING"})
BATCH = 10  # SQS hands out no more at once
# Longer than reading all of them takes. If this process is killed, they stay hidden for so long.
HIDDEN_SECONDS = 60
# SQS keeps a queue on many machines, and one receive asks only some of them.
EMPTY_RECEIVES = 2
PATIENCE_SECONDS = 120

Tell = Callable[[int, int], object]
"""Is told how many have been moved, of how many."""


class MoveFailedError(RuntimeError):
    """AWS stopped moving messages; those moved before stay moved."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that lies in a dead-letter queue."""

    queue: str
    message_id: str
    body: str = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    sent_at_ms: int
    receives: int
    receipt: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class DeadLetterQueue:
    """One such queue.

    Attributes:
        name: as the commands call it.
        destination_url: where its messages came from; `None` if they cannot go back there.
        sleep: waits for a number of seconds.
    """

    sqs: "SQSClient"
    name: str
    url: str
    destination_url: str | None
    sleep: Callable[[float], None] = field(default_factory=lambda: time.sleep)

    def depth(self) -> int:
        """About how many messages lie there, those included that somebody reads just now."""
        asked = self.sqs.get_queue_attributes(
            QueueUrl=self.url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(int(value) for value in asked["Attributes"].values())

    def peek(self, limit: int) -> list[DeadLetter]:
        """At most `limit` of its messages, the oldest first; all stay in the queue."""
        found: list[DeadLetter] = []
        try:
            for letter in self._received(limit):
                found.append(letter)
        finally:
            self._release(found)
        return sorted(found, key=lambda letter: (letter.sent_at_ms, letter.message_id))

    def empty(self) -> None:
        """Delete all of its messages; it may take a minute until the last is gone."""
        self.sqs.purge_queue(QueueUrl=self.url)

    # --- by AWS itself ----------------------------------------------------------------------------

    def can_move_by_itself(self) -> bool:
        """Whether the cloud has a call that moves all of a queue."""
        try:
            self.sqs.list_message_move_tasks(SourceArn=self._arn(self.url), MaxResults=1)
        except ClientError as error:
            if error.response["Error"]["Code"] in NO_SUCH_CALL:
                return False
            raise
        return True

    def move_all(self, *, per_second: int, tell: Tell) -> int:
        """Let AWS move all messages back, and follow it to the end; returns how many it moved.

        If a move is under way already, that one is followed: there is never more than one.

        Raises:
            MoveFailedError: AWS stopped it.
            TimeoutError: it took longer than it should; AWS goes on with it.
        """
        source, total = self._arn(self.url), self.depth()
        if not any(task.get("Status") in UNDER_WAY for task in self._tasks(source)):
            self.sqs.start_message_move_task(
                SourceArn=source,
                DestinationArn=self._arn(self._destination()),
                MaxNumberOfMessagesPerSecond=per_second,
            )
        for _ in range(PATIENCE_SECONDS + 2 * total // per_second):
            # The newest task comes first, and no other can start while it runs.
            task = self._tasks(source)[0]
            moved = task.get("ApproximateNumberOfMessagesMoved", 0)
            tell(moved, task.get("ApproximateNumberOfMessagesToMove", total))
            if task.get("Status") == "COMPLETED":
                return moved
            if task.get("Status") not in UNDER_WAY:
                raise MoveFailedError(task.get("FailureReason") or str(task.get("Status")))
            self.sleep(1)
        raise TimeoutError(f"{self.name}: AWS is still moving them; run it again to see.")

    def _tasks(self, source: str) -> "list[ListMessageMoveTasksResultEntryTypeDef]":
        return self.sqs.list_message_move_tasks(SourceArn=source, MaxResults=10)["Results"]

    # --- by hand ----------------------------------------------------------------------------------

    def move_some(
        self, wanted: Callable[[DeadLetter], bool], *, per_second: int, tell: Tell
    ) -> list[DeadLetter]:
        """Send the wanted messages back, and delete them from this queue; returns them.

        It goes once through the messages that are here now. A message that fails again and comes
        back meanwhile stays.
        """
        total, pace = self.depth(), Pace(per_second)
        sent: set[str] = set()
        moved: list[DeadLetter] = []
        left: list[DeadLetter] = []
        try:
            for letter in self._received(total):
                if letter.message_id in sent or not wanted(letter):
                    left.append(letter)
                    continue
                pace.wait()
                sent.add(self._send_back(letter))
                moved.append(letter)
                tell(len(moved), total)
        finally:
            self._release(left)
        return moved

    def _send_back(self, letter: DeadLetter) -> str:
        """Send a message to the queue it came from, then delete it here; returns its new id."""
        attributes: Any = {
            name: {"DataType": "String", "StringValue": text}
            for name, text in letter.attributes.items()
        }
        answer = self.sqs.send_message(
            QueueUrl=self._destination(), MessageBody=letter.body, MessageAttributes=attributes
        )
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)
        return answer["MessageId"]

    def _received(self, limit: int) -> Iterator[DeadLetter]:
        """At most `limit` messages, each once; they stay hidden from other readers for a while."""
        seen: set[str] = set()
        empty = 0
        while len(seen) < limit and empty < EMPTY_RECEIVES:
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(BATCH, limit - len(seen)),
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
                MessageAttributeNames=["All"],
            )
            found = [
                letter
                for letter in map(self._letter, answer.get("Messages", []))
                if letter.message_id not in seen
            ]
            empty = 0 if found else empty + 1
            seen.update(letter.message_id for letter in found)
            yield from found

    def _letter(self, message: "MessageTypeDef") -> DeadLetter:
        system = message.get("Attributes", {})
        return DeadLetter(
            queue=self.name,
            message_id=message["MessageId"],
            body=message["Body"],
            attributes={
                name: value["StringValue"]
                for name, value in message.get("MessageAttributes", {}).items()
                if "StringValue" in value
            },
            sent_at_ms=int(system.get("SentTimestamp", "0")),
            receives=int(system.get("ApproximateReceiveCount", "0")),
            receipt=message["ReceiptHandle"],
        )

    def _release(self, letters: Sequence[DeadLetter]) -> None:
        """Make the messages visible to other readers again."""
        for start in range(0, len(letters), BATCH):
            self.sqs.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": letter.receipt,
                        "VisibilityTimeout": 0,
                    }
                    for number, letter in enumerate(letters[start : start + BATCH])
                ],
            )

    def _destination(self) -> str:
        if self.destination_url is None:
            raise ValueError(f"nothing can be sent back from {self.name}")
        return self.destination_url

    def _arn(self, url: str) -> str:
        asked = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return asked["Attributes"]["QueueArn"]
