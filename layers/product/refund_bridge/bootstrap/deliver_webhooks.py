"""The world of ``deliver_webhooks``."""

import random
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import dynamodb_client, sqs_client, ssm_client
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.listing import DynamoDbListing
from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.adapters.dynamodb.webhook_cursors import DynamoDbWebhookCursors
from refund_bridge.adapters.http.webhook_sender import WebhookSender
from refund_bridge.adapters.sqs.dead_letters import SqsDeadLetters
from refund_bridge.adapters.sqs.visibility import VisibilityBackoff
from refund_bridge.adapters.ssm.webhook_addresses import SsmWebhookAddresses
from refund_bridge.bootstrap.telemetry import telemetry_of
from refund_bridge.config import Settings
from refund_bridge.delivering.deliver import DeliverWebhooks, places_of
from refund_bridge.delivering.post import PostEvent
from refund_bridge.delivering.tell import TellAddress
from refund_bridge.delivering.trial import SendTestEvent
from refund_bridge.ports.queues import DeadLetters
from refund_bridge.ports.runtime import Clock

LOCAL_STAGE = "local"
# The first pause of a message that could not be handled because the ledger or the parameters gave
# no answer. It doubles each time, so that the receives that SQS allows last for three days.
AWAY_SECONDS = 60


class DeliverWebhooksSettings(Settings):
    """What ``deliver_webhooks`` reads.

    Attributes:
        webhook_retry_seconds: the first pause before a webhook is sent again; all other pauses are
            multiples of it.
        webhook_workers: the most invocations at once.
    """

    webhook_queue_url: str
    webhook_dead_letter_queue_url: str
    webhook_retry_seconds: Annotated[int, Field(ge=1, le=60)]
    webhook_workers: Annotated[int, Field(ge=2, le=1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverWebhooksWorld:
    """What ``deliver_webhooks`` works with."""

    deliver: DeliverWebhooks
    test: SendTestEvent
    dead_letters: DeadLetters
    hidden: VisibilityBackoff
    clock: Clock


@cache
def deliver_webhooks(logger: Logger) -> DeliverWebhooksWorld:
    """The world of ``deliver_webhooks``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = DeliverWebhooksSettings.from_environment()
    clock, telemetry = SystemClock(), telemetry_of(logger)
    dynamodb, table = dynamodb_client(), settings.ledger_table
    step_ms = settings.webhook_retry_seconds * 1000
    local = settings.stage == LOCAL_STAGE
    book = SsmWebhookAddresses(
        ssm_client(),
        settings.secrets_prefix,
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
        telemetry=telemetry,
    )
    cursors = DynamoDbWebhookCursors(dynamodb, table)
    letters = SqsDeadLetters(sqs_client(), settings.webhook_dead_letter_queue_url)
    post = PostEvent(sender=WebhookSender(local=local), clock=clock, local=local)
    tell = TellAddress(
        ledger=DynamoDbLedger(dynamodb, table),
        payments=DynamoDbListing(dynamodb, table).payments,
        cursors=cursors,
        post=post,
        dead_letters=letters,
        clock=clock,
        telemetry=telemetry,
        livemode=settings.livemode,
        step_ms=step_ms,
    )
    deliver = DeliverWebhooks(
        tell=tell,
        cursors=cursors,
        states=DynamoDbWebhookAddresses(dynamodb, table),
        book=book,
        dead_letters=letters,
        clock=clock,
        telemetry=telemetry,
        chance=random.random,
        places=places_of(settings.webhook_workers),
        step_ms=step_ms,
    )
    return DeliverWebhooksWorld(
        deliver=deliver,
        test=SendTestEvent(
            book=book, post=post, clock=clock, telemetry=telemetry, livemode=settings.livemode
        ),
        dead_letters=letters,
        hidden=VisibilityBackoff(
            sqs_client(), settings.webhook_queue_url, base_seconds=AWAY_SECONDS, telemetry=telemetry
        ),
        clock=clock,
    )
