"""The world of ``report_refund``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refunds.adapters.aws_clients import dynamodb_client, sqs_client, ssm_client
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.dynamodb_ledger import DynamoDbLedger
from refunds.adapters.pace import Pace
from refunds.adapters.ssm_secrets import Secrets
from refunds.adapters.system_clock import SystemClock
from refunds.adapters.visibility import VisibilityBackoff
from refunds.bootstrap.stripe_side import STRIPE_SECRET_KEY, stripe_side
from refunds.bootstrap.trails import trail_of
from refunds.config import Seconds, Settings
from refunds.credit_note import IssueCreditNote
from refunds.ports import Clock
from refunds.report import ReportRefund


class ReportRefundSettings(Settings):
    """What ``report_refund`` reads.

    Attributes:
        credit_notes: as in ``SettleRefundsSettings``.
        settle_seconds: the settle interval, by which a credit note that was not issued is put off.
    """

    report_max_receives: Annotated[int, Field(ge=1, le=1000)]
    report_lease_seconds: Seconds
    report_backoff_seconds: Seconds
    report_concurrency: Annotated[int, Field(ge=1, le=10)]
    stripe_reports_per_second: Annotated[int, Field(ge=1, le=100)]
    credit_notes: bool
    settle_seconds: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRefundWorld:
    """What ``report_refund`` works with."""

    report: ReportRefund
    clock: Clock
    pace: Pace
    backoff: VisibilityBackoff
    concurrency: int
    max_receives: int


@cache
def report_refund(logger: Logger) -> ReportRefundWorld:
    """The world of ``report_refund``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = ReportRefundSettings.from_environment()
    clock, trail = SystemClock(), trail_of(logger)
    secrets = Secrets(
        ssm_client(),
        settings.secrets_prefix,
        (STRIPE_SECRET_KEY,),
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
    )
    ledger, http = DynamoDbLedger(dynamodb_client(), settings.ledger_table), DeadlineHttp(clock)
    stripe = stripe_side(settings, secrets, http, clock, trail)
    credit_notes = IssueCreditNote(
        ledger=ledger,
        notes=stripe.credit_notes,
        clock=clock,
        trail=trail,
        actor="report_refund",
        step_ms=settings.settle_seconds * 1000,
    )
    report = ReportRefund(
        ledger=ledger,
        book=stripe.book,
        clock=clock,
        trail=trail,
        lease_ms=settings.report_lease_seconds * 1000,
        credit_notes=credit_notes if settings.credit_notes else None,
    )
    return ReportRefundWorld(
        report=report,
        clock=clock,
        pace=Pace(settings.stripe_reports_per_second),
        backoff=VisibilityBackoff(
            sqs_client(),
            settings.report_queue_url,
            base_seconds=settings.report_backoff_seconds,
            trail=trail,
        ),
        concurrency=settings.report_concurrency,
        max_receives=settings.report_max_receives,
    )
