"""The world of ``publish_events``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refunds.adapters.aws_clients import dynamodb_client, events_client
from refunds.adapters.dynamodb_backlog import DynamoDbBacklog
from refunds.adapters.dynamodb_listing import DynamoDbListing
from refunds.adapters.eventbridge import EventBridgeBus
from refunds.adapters.system_clock import SystemClock
from refunds.announce import AnnounceChanges
from refunds.bootstrap.trails import trail_of
from refunds.config import Settings
from refunds.ports import Clock


class PublishEventsSettings(Settings):
    """What ``publish_events`` reads."""

    event_bus: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishEventsWorld:
    """What ``publish_events`` works with."""

    announce: AnnounceChanges
    clock: Clock


@cache
def publish_events(logger: Logger) -> PublishEventsWorld:
    """The world of ``publish_events``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = PublishEventsSettings.from_environment()
    clock, trail = SystemClock(), trail_of(logger)
    announce = AnnounceChanges(
        payments=DynamoDbListing(dynamodb_client(), settings.ledger_table).payments,
        bus=EventBridgeBus(events_client(), settings.event_bus, trail),
        backlog=DynamoDbBacklog(dynamodb_client(), settings.ledger_table),
        clock=clock,
        trail=trail,
    )
    return PublishEventsWorld(announce=announce, clock=clock)
