"""The world of ``settle_refunds``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import dynamodb_client, events_client, sqs_client
from refund_bridge.adapters.dynamodb.backlog import DynamoDbBacklog
from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.adapters.dynamodb.webhook_cursors import DynamoDbWebhookCursors
from refund_bridge.adapters.eventbridge import EventBridgeBus
from refund_bridge.adapters.sqs.webhook_bell import SqsWebhookBell
from refund_bridge.bootstrap.money_path import Duties, money_path
from refund_bridge.bootstrap.settling import SettlingSettings, times_of
from refund_bridge.delivering.ring import RingAgain
from refund_bridge.events.announce import AnnounceBacklog
from refund_bridge.ports.runtime import Clock
from refund_bridge.settling.open_refunds import MeasureOpenRefunds
from refund_bridge.settling.run import SettleRun


class SettleRefundsSettings(SettlingSettings):
    """What ``settle_refunds`` reads.

    Attributes:
        credit_notes: whether refunded invoices get their credit notes, ``on`` or ``off``.
    """

    settle_concurrency: Annotated[int, Field(ge=1, le=32)]
    credit_notes: bool
    event_bus: Annotated[str, Field(min_length=1)]
    webhook_queue_url: str
    webhook_retry_seconds: Annotated[int, Field(ge=1, le=60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefundsWorld:
    """What ``settle_refunds`` works with."""

    run: SettleRun
    measure: MeasureOpenRefunds
    announce: AnnounceBacklog
    ring_again: RingAgain
    clock: Clock
    settle_seconds: int


@cache
def settle_refunds(logger: Logger) -> SettleRefundsWorld:
    """The world of ``settle_refunds``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes live and test mode.
    """
    settings = SettleRefundsSettings.from_environment()
    path = money_path(
        settings,
        logger,
        Duties(
            times=times_of(settings),
            credit_notes_by="settle_refunds" if settings.credit_notes else None,
            threads=settings.settle_concurrency,
        ),
    )
    listing = path.listing
    announce = AnnounceBacklog(
        ledger=path.ledger,
        payments=listing.payments,
        bus=EventBridgeBus(events_client(), settings.event_bus, path.telemetry),
        backlog=DynamoDbBacklog(dynamodb_client(), settings.ledger_table),
        clock=path.clock,
        telemetry=path.telemetry,
        step_ms=settings.settle_seconds * 1000,
    )
    ring_again = RingAgain(
        cursors=DynamoDbWebhookCursors(dynamodb_client(), settings.ledger_table),
        states=DynamoDbWebhookAddresses(dynamodb_client(), settings.ledger_table),
        bell=SqsWebhookBell(sqs_client(), settings.webhook_queue_url),
        clock=path.clock,
        telemetry=path.telemetry,
        step_ms=settings.webhook_retry_seconds * 1000,
    )
    return SettleRefundsWorld(
        run=path.use_cases.settle_run,
        measure=MeasureOpenRefunds(listing=listing, clock=path.clock, telemetry=path.telemetry),
        announce=announce,
        ring_again=ring_again,
        clock=path.clock,
        settle_seconds=settings.settle_seconds,
    )
