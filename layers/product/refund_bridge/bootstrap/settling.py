"""The settings of the functions that settle refunds."""

from typing import Annotated

from pydantic import Field

from refund_bridge.adapters.sqs.visibility import HIDDEN_SECONDS_MAX
from refund_bridge.bootstrap.money_path import MoneySettings
from refund_bridge.bootstrap.use_cases import Times
from refund_bridge.config import Seconds
from refund_bridge.settling.settling import AfterHold, SettleSettings

# Longer than settling one refund can take; if a run dies, its refund is due again after this.
SETTLE_TAKE_MS = 90_000
# An hour is enough for somebody who refunded in a dashboard; no report should wait longer.
ReportDelay = Annotated[int, Field(ge=0, le=3_600)]


class SettlingSettings(MoneySettings):
    """What the functions that settle refunds read.

    Attributes:
        external_report_delay_seconds: the grace: how long others may take to report an external
            refund to Stripe themselves.
        settle_seconds: the settle interval; every backoff is a multiple of it.
        hold_seconds: the late-arrival window: how long after it was sent an instruction may still
            be executed.
    """

    settle_seconds: Seconds
    hold_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)]
    after_hold: AfterHold
    report_max_receives: Annotated[int, Field(ge=1, le=1000)]
    report_lease_seconds: Seconds
    external_report_delay_seconds: ReportDelay


def times_of(settings: SettlingSettings) -> Times:
    """The times of reports and of settling, from the stage's settings."""
    step_ms, grace_ms = (
        settings.settle_seconds * 1000,
        settings.external_report_delay_seconds * 1000,
    )
    return Times(
        report_lease_ms=settings.report_lease_seconds * 1000,
        step_ms=step_ms,
        grace_ms=grace_ms,
        settling=SettleSettings(
            step_ms=step_ms,
            hold_ms=settings.hold_seconds * 1000,
            after_hold=settings.after_hold,
            take_ms=SETTLE_TAKE_MS,
            unheard_ms=settings.report_max_receives * HIDDEN_SECONDS_MAX * 1000,
            grace_ms=grace_ms,
        ),
    )
