"""The world of ``publish_events``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import dynamodb_client, events_client, sqs_client
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.dynamodb.backlog import DynamoDbBacklog
from refund_bridge.adapters.dynamodb.listing import DynamoDbListing
from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.adapters.dynamodb.webhook_cursors import DynamoDbWebhookCursors
from refund_bridge.adapters.eventbridge import EventBridgeBus
from refund_bridge.adapters.sqs.webhook_bell import SqsWebhookBell
from refund_bridge.bootstrap.telemetry import telemetry_of
from refund_bridge.config import Settings
from refund_bridge.delivering.ring import RingForWebhooks
from refund_bridge.events.announce import AnnounceChanges
from refund_bridge.ports.runtime import Clock


class PublishEventsSettings(Settings):
    """What ``publish_events`` reads."""

    event_bus: Annotated[str, Field(min_length=1)]
    webhook_queue_url: str
    webhook_retry_seconds: Annotated[int, Field(ge=1, le=60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishEventsWorld:
    """What ``publish_events`` works with."""

    announce: AnnounceChanges
    ring: RingForWebhooks
    clock: Clock


@cache
def publish_events(logger: Logger) -> PublishEventsWorld:
    """The world of ``publish_events``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = PublishEventsSettings.from_environment()
    clock, telemetry = SystemClock(), telemetry_of(logger)
    dynamodb, table = dynamodb_client(), settings.ledger_table
    announce = AnnounceChanges(
        payments=DynamoDbListing(dynamodb, table).payments,
        bus=EventBridgeBus(events_client(), settings.event_bus, telemetry),
        backlog=DynamoDbBacklog(dynamodb, table),
        clock=clock,
        telemetry=telemetry,
    )
    ring = RingForWebhooks(
        cursors=DynamoDbWebhookCursors(dynamodb, table),
        states=DynamoDbWebhookAddresses(dynamodb, table),
        bell=SqsWebhookBell(sqs_client(), settings.webhook_queue_url),
        clock=clock,
        telemetry=telemetry,
        step_ms=settings.webhook_retry_seconds * 1000,
    )
    return PublishEventsWorld(announce=announce, ring=ring, clock=clock)
