"""The world of ``publish_events``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refunds.adapters.aws_clients import dynamodb_client, events_client, sqs_client
from refunds.adapters.dynamodb_backlog import DynamoDbBacklog
from refunds.adapters.dynamodb_listing import DynamoDbListing
from refunds.adapters.dynamodb_webhook_addresses import DynamoDbWebhookAddresses
from refunds.adapters.dynamodb_webhook_cursors import DynamoDbWebhookCursors
from refunds.adapters.eventbridge import EventBridgeBus
from refunds.adapters.sqs_webhook_bell import SqsWebhookBell
from refunds.adapters.system_clock import SystemClock
from refunds.announce import AnnounceChanges
from refunds.bootstrap.trails import trail_of
from refunds.config import Settings
from refunds.delivering.ring import RingForWebhooks
from refunds.ports import Clock


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
    clock, trail = SystemClock(), trail_of(logger)
    dynamodb, table = dynamodb_client(), settings.ledger_table
    announce = AnnounceChanges(
        payments=DynamoDbListing(dynamodb, table).payments,
        bus=EventBridgeBus(events_client(), settings.event_bus, trail),
        backlog=DynamoDbBacklog(dynamodb, table),
        clock=clock,
        trail=trail,
    )
    ring = RingForWebhooks(
        cursors=DynamoDbWebhookCursors(dynamodb, table),
        states=DynamoDbWebhookAddresses(dynamodb, table),
        bell=SqsWebhookBell(sqs_client(), settings.webhook_queue_url),
        clock=clock,
        trail=trail,
        step_ms=settings.webhook_retry_seconds * 1000,
    )
    return PublishEventsWorld(announce=announce, ring=ring, clock=clock)
