"""The world of ``refund_requested``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import events_client, sqs_client
from refund_bridge.adapters.eventbridge import EventBridgeBus
from refund_bridge.adapters.sqs.dead_letters import SqsDeadLetters
from refund_bridge.adapters.sqs.visibility import VisibilityBackoff
from refund_bridge.bootstrap.money_path import (
    Duties,
    PayoutSettings,
    money_path,
    new_token,
    payout_rules,
)
from refund_bridge.config import Seconds
from refund_bridge.domain.payouts import PayoutRules
from refund_bridge.events.accept import AcceptRefund, RefuseRequest
from refund_bridge.events.announcements import SOURCE
from refund_bridge.ports.runtime import Clock


class RefundRequestedSettings(PayoutSettings):
    """What ``refund_requested`` reads.

    Attributes:
        request_max_receives: the queue's limit; after so many receives a request is set aside.
        refund_request_sources: the event sources that may ask, separated by commas.
    """

    event_bus: Annotated[str, Field(min_length=1)]
    request_queue_url: str
    request_dead_letter_queue_url: str
    request_max_receives: Annotated[int, Field(ge=1, le=1000)]
    request_backoff_seconds: Seconds
    refund_request_sources: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequestedWorld:
    """What ``refund_requested`` works with."""

    stage: str
    accept: AcceptRefund
    payouts: PayoutRules
    refuse: RefuseRequest
    clock: Clock
    backoff: VisibilityBackoff
    max_receives: int
    sources: frozenset[str]


@cache
def refund_requested(logger: Logger) -> RefundRequestedWorld:
    """The world of ``refund_requested``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes live and test mode.
    """
    settings = RefundRequestedSettings.from_environment()
    path = money_path(settings, logger, Duties())
    accept = AcceptRefund(execute=path.use_cases.execute, stage=settings.stage, new_token=new_token)
    refuse = RefuseRequest(
        bus=EventBridgeBus(events_client(), settings.event_bus, path.telemetry),
        dead_letters=SqsDeadLetters(sqs_client(), settings.request_dead_letter_queue_url),
        clock=path.clock,
        telemetry=path.telemetry,
    )
    backoff = VisibilityBackoff(
        sqs_client(),
        settings.request_queue_url,
        base_seconds=settings.request_backoff_seconds,
        telemetry=path.telemetry,
    )
    return RefundRequestedWorld(
        stage=settings.stage,
        accept=accept,
        payouts=payout_rules(settings),
        refuse=refuse,
        clock=path.clock,
        backoff=backoff,
        max_receives=settings.request_max_receives,
        sources=frozenset(settings.refund_request_sources.split(",")) - {SOURCE},
    )
