"""SQS in memory, as far as the commands ask for it: with a call that moves queues, or without."""

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class FakeMessage:
    """A message that lies in a queue; `hidden` while somebody looks at it."""

    id: str
    body: str
    attributes: dict[str, str]
    sent_at_ms: int
    receives: int = 0
    hidden: bool = False


@dataclass
class Task:
    """A move that is under way: so many messages each time somebody looks."""

    source: str
    destination: str
    per_second: int
    to_move: int
    moved: int = 0
    status: str = "RUNNING"


@dataclass
class FakeSqs:
    """Queues by their addresses; what a real one does with order and chance, this does not.

    Attributes:
        native: whether it knows `StartMessageMoveTask`.
        moves_fail: whether AWS gives moves up.
        on_send: is called with the queue and the body of every message that is sent.
    """

    native: bool = False
    moves_fail: bool = False
    now_ms: int = 1_700_000_000_000
    queues: dict[str, list[FakeMessage]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    empty_first: int = 0

    def put(self, queue: str, body: str, **attributes: str) -> str:
        """A message that lies there; returns its id."""
        count = sum(map(len, self.queues.values()))
        message = FakeMessage(f"message-{count + 1}", body, attributes, self.now_ms)
        self.queues.setdefault(queue, []).append(message)
        return message.id

    def bodies(self, queue: str) -> list[str]:
        """What lies in a queue."""
        return [message.body for message in self.queues.get(queue, [])]

    # --- the calls of boto3's client -------------------------------------------------------------

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> Any:  # noqa: N803
        messages = self.queues.get(QueueUrl, [])
        hidden = sum(message.hidden for message in messages)
        known = {
            "QueueArn": f"arn:aws:sqs:ap-southeast-1:1:{QueueUrl}",
            "ApproximateNumberOfMessages": str(len(messages) - hidden),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
        }
        return {"Attributes": {name: known[name] for name in AttributeNames}}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, **_: Any) -> Any:  # noqa: N803
        self.calls.append("receive_message")
        if self.empty_first:
            self.empty_first -= 1
            return {}
        visible = [one for one in self.queues.get(QueueUrl, []) if not one.hidden]
        found = visible[:MaxNumberOfMessages]
        for message in found:
            message.hidden, message.receives = True, message.receives + 1
        return {
            "Messages": [
                {
                    "MessageId": message.id,
                    "ReceiptHandle": f"receipt of {message.id}",
                    "Body": message.body,
                    "Attributes": {
                        "SentTimestamp": str(message.sent_at_ms),
                        "ApproximateReceiveCount": str(message.receives),
                    },
                    "MessageAttributes": {
                        name: {"DataType": "String", "StringValue": value}
                        for name, value in message.attributes.items()
                    },
                }
                for message in found
            ]
        }

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        for entry in Entries:
            message = self._by_receipt(QueueUrl, entry["ReceiptHandle"])
            message.hidden = entry["VisibilityTimeout"] > 0

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MessageBody: str,  # noqa: N803
        MessageAttributes: Any,  # noqa: N803
    ) -> Any:
        self.calls.append("send_message")
        attributes = {name: value["StringValue"] for name, value in MessageAttributes.items()}
        return {"MessageId": self.put(QueueUrl, MessageBody, **attributes)}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        self.calls.append("delete_message")
        self.queues[QueueUrl].remove(self._by_receipt(QueueUrl, ReceiptHandle))

    def purge_queue(self, *, QueueUrl: str) -> None:  # noqa: N803
        self.calls.append("purge_queue")
        self.queues[QueueUrl] = []

    def list_message_move_tasks(self, *, SourceArn: str, MaxResults: int) -> Any:  # noqa: N803
        if not self.native:
            raise ClientError({"Error": {"Code": "InvalidAction", "Message": "no"}}, "List")
        tasks = [task for task in reversed(self.tasks) if task.source == SourceArn]
        for task in tasks:
            self._move_a_little(task)
        return {"Results": [self._shown(task) for task in tasks[:MaxResults]]}

    def start_message_move_task(
        self,
        *,
        SourceArn: str,  # noqa: N803
        DestinationArn: str,  # noqa: N803
        MaxNumberOfMessagesPerSecond: int,  # noqa: N803
    ) -> Any:
        assert not any(task.status == "RUNNING" for task in self.tasks)
        lies_there = len(self.queues.get(_name(SourceArn), []))
        self.tasks.append(Task(SourceArn, DestinationArn, MaxNumberOfMessagesPerSecond, lies_there))
        return {"TaskHandle": "handle"}

    # --- inside ----------------------------------------------------------------------------------

    def _move_a_little(self, task: Task) -> None:
        if task.status != "RUNNING":
            return
        if self.moves_fail:
            task.status = "FAILED"
            return
        source = self.queues.get(_name(task.source), [])
        some, rest = source[: task.per_second], source[task.per_second :]
        self.queues[_name(task.source)] = rest
        self.queues.setdefault(_name(task.destination), []).extend(some)
        task.moved += len(some)
        if task.moved >= task.to_move:
            task.status = "COMPLETED"

    def _shown(self, task: Task) -> dict[str, Any]:
        shown = {
            "Status": task.status,
            "ApproximateNumberOfMessagesMoved": task.moved,
            "ApproximateNumberOfMessagesToMove": task.to_move,
        }
        return shown | ({"FailureReason": "AccessDenied"} if task.status == "FAILED" else {})

    def _by_receipt(self, queue: str, receipt: str) -> FakeMessage:
        (found,) = [one for one in self.queues[queue] if receipt == f"receipt of {one.id}"]
        return found


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]
