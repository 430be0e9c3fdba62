"""Settling one refund, for every function that may."""

from typing import Annotated

from pydantic import Field

from refund_bridge.adapters.sqs.visibility import HIDDEN_SECONDS_MAX
from refund_bridge.bootstrap.money_path import MoneyPath, MoneySettings
from refund_bridge.config import Seconds
from refund_bridge.reporting.look_at_sums import LookAtSums
from refund_bridge.reporting.read_sums import ReadSums
from refund_bridge.settling.settle import AfterHold, SettleRefund, SettleSettings

# Longer than settling one refund can take, shorter than anybody would wait for it.
SETTLE_TAKE_MS = 90_000
# An hour is long for whoever just refunded in a dashboard, and no refund should wait longer.
ReportDelay = Annotated[int, Field(ge=0, le=3_600)]


class SettlingSettings(MoneySettings):
    """What the functions that settle refunds read.

    Attributes:
        external_report_delay_seconds: how long whoever made a refund elsewhere may be about to
            report it to Stripe themselves.
        settle_seconds: the settle interval; every backoff is a multiple of it.
        hold_seconds: how long after it was sent an order may still arrive.
    """

    settle_seconds: Seconds
    hold_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)]
    after_hold: AfterHold
    report_max_receives: Annotated[int, Field(ge=1, le=1000)]
    report_lease_seconds: Seconds
    external_report_delay_seconds: ReportDelay


def read_sums_of(path: MoneyPath, *, grace_seconds: int) -> ReadSums:
    """Reading a payment on all sides, on the money's path."""
    return ReadSums(
        ledger=path.ledger,
        book=path.book,
        processors=path.processors,
        learn=path.learn,
        every_refund=path.learn.every_refund,
        clock=path.clock,
        grace_ms=grace_seconds * 1000,
    )


def look_at_sums_of(path: MoneyPath, settings: SettlingSettings) -> LookAtSums:
    """Comparing a payment's sums, on the money's path."""
    return LookAtSums(
        ledger=path.ledger,
        read_sums=read_sums_of(path, grace_seconds=settings.external_report_delay_seconds),
        clock=path.clock,
        trail=path.trail,
        lease_ms=settings.report_lease_seconds * 1000,
        step_ms=settings.settle_seconds * 1000,
    )


def settle_of(path: MoneyPath, settings: SettlingSettings) -> SettleRefund:
    """The use case on the money's path."""
    return SettleRefund(
        ledger=path.ledger,
        processors=path.processors,
        recorder=path.execute.recorder,
        execute=path.execute,
        learn=path.learn,
        look_at_sums=look_at_sums_of(path, settings),
        accounts=path.accounts,
        doorbell=path.doorbell,
        clock=path.clock,
        trail=path.trail,
        settings=SettleSettings(
            step_ms=settings.settle_seconds * 1000,
            hold_ms=settings.hold_seconds * 1000,
            after_hold=settings.after_hold,
            take_ms=SETTLE_TAKE_MS,
            unheard_ms=settings.report_max_receives * HIDDEN_SECONDS_MAX * 1000,
            grace_ms=settings.external_report_delay_seconds * 1000,
        ),
    )
