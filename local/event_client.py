"""Uses the service's event bus: asks for refunds, receives published events, reads dead letters."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deployed.clients import CloudClients

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

SOURCE = "demo.orders"
DETAIL_TYPE = "Refund Requested"
TOLD_BY = "refund-bridge"


@dataclass(frozen=True)
class Heard:
    """An event as a subscriber gets it."""

    name: str
    detail: dict[str, Any]
    envelope: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """The id by which a subscriber recognises a duplicate."""
        return str(self.detail["event_id"])


class EventProducer:
    """A producer that asks for refunds by events."""

    def __init__(self, clients: CloudClients, bus: str) -> None:
        self._events: EventBridgeClient = clients.client("events")
        self._bus = bus

    def ask(self, detail: Any, *, source: str = SOURCE, name: str = DETAIL_TYPE) -> str:
        """Put one event on the bus; returns the id that EventBridge gave it."""
        text = detail if isinstance(detail, str) else json.dumps(detail)
        answer = self._events.put_events(
            Entries=[
                {
                    "EventBusName": self._bus,
                    "Source": source,
                    "DetailType": name,
                    "Detail": text,
                }
            ]
        )
        (entry,) = answer["Entries"]
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the bus refused the event: {entry}")
        return entry["EventId"]


class EventListener:
    """A subscriber: it keeps all events that it received, duplicates too."""

    def __init__(self, clients: CloudClients, queue_url: str) -> None:
        self._sqs: SQSClient = clients.client("sqs")
        self._queue_url = queue_url
        self._heard: list[Heard] = []

    def heard(self) -> list[Heard]:
        """All events received so far, in the order of arrival."""
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            if not messages:
                return list(self._heard)
            for message in messages:
                event = json.loads(message["Body"])
                self._heard.append(Heard(event["detail-type"], event["detail"], event))
                self._sqs.delete_message(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
                )

    def of(self, refund_id: str) -> list[Heard]:
        """The events of one refund."""
        return [event for event in self.heard() if event.detail.get("id") == refund_id]


class DeadLetters:
    """The queue where the service puts events that it cannot accept."""

    def __init__(self, clients: CloudClients, queue_url: str) -> None:
        self._sqs: SQSClient = clients.client("sqs")
        self._queue_url = queue_url

    def take(self, event_id: str) -> dict[str, Any] | None:
        """The message with that event, taken out of the queue; ``None`` if it is not there yet."""
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageAttributeNames=["All"],
        )
        for message in answer.get("Messages", []):
            if event_id in message["Body"]:
                receipt = message["ReceiptHandle"]
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=receipt)
                return dict(message)
        return None


def reasons(letter: dict[str, Any]) -> dict[str, str]:
    """The message attributes of a dead letter, which say why it is there."""
    return {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}


@contextmanager
def listening(clients: CloudClients, bus: str, *, source: str = TOLD_BY) -> Iterator[EventListener]:
    """Subscribe a new queue to the events that the service publishes, while the body runs.

    On AWS the queue would also need a policy that lets the rule in; docs/events.md shows it.
    """
    events: EventBridgeClient = clients.client("events")
    sqs: SQSClient = clients.client("sqs")
    name = f"listener-{uuid.uuid4().hex}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = json.dumps({"source": [source]})
    events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    events.put_targets(
        Rule=name,
        EventBusName=bus,
        Targets=[{"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}],
    )
    try:
        yield EventListener(clients, queue)
    finally:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)
