"""The world of ``report_refund``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import sqs_client
from refund_bridge.adapters.providers.pace import Pace
from refund_bridge.adapters.sqs.visibility import VisibilityBackoff
from refund_bridge.bootstrap.money_path import Duties, MoneySettings, money_path
from refund_bridge.bootstrap.settling import ReportDelay
from refund_bridge.bootstrap.use_cases import Times
from refund_bridge.config import Seconds
from refund_bridge.domain.stripe_knows import OthersReport
from refund_bridge.ports.runtime import Clock
from refund_bridge.reporting.report import ReportRefund


class ReportRefundSettings(MoneySettings):
    """What ``report_refund`` reads.

    Attributes:
        credit_notes: as in ``SettleRefundsSettings``.
        settle_seconds: the settle interval; the pauses of reports that are put off are multiples of
            it.
        external_report_delay_seconds: as in ``SettlingSettings``.
        others_report: how others report their external refunds to Stripe: always under the
            processor's refund id (``by_processor_id``), or in any way (``anyhow``).
    """

    report_max_receives: Annotated[int, Field(ge=1, le=1000)]
    report_lease_seconds: Seconds
    report_backoff_seconds: Seconds
    report_concurrency: Annotated[int, Field(ge=1, le=10)]
    stripe_reports_per_second: Annotated[int, Field(ge=1, le=100)]
    credit_notes: bool
    settle_seconds: Seconds
    external_report_delay_seconds: ReportDelay
    others_report: OthersReport


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
    times = Times(
        report_lease_ms=settings.report_lease_seconds * 1000,
        step_ms=settings.settle_seconds * 1000,
        grace_ms=settings.external_report_delay_seconds * 1000,
        others_report=settings.others_report,
    )
    path = money_path(
        settings,
        logger,
        Duties(
            times=times,
            credit_notes_by="report_refund" if settings.credit_notes else None,
            needs_processor=False,
        ),
    )
    return ReportRefundWorld(
        report=path.use_cases.report,
        clock=path.clock,
        pace=Pace(settings.stripe_reports_per_second),
        backoff=VisibilityBackoff(
            sqs_client(),
            settings.report_queue_url,
            base_seconds=settings.report_backoff_seconds,
            telemetry=path.telemetry,
        ),
        concurrency=settings.report_concurrency,
        max_receives=settings.report_max_receives,
    )
