"""Settling one refund, for every function that may."""

from typing import Annotated

from pydantic import Field

from refunds.adapters.visibility import HIDDEN_SECONDS_MAX
from refunds.bootstrap.money_path import MoneyPath, MoneySettings
from refunds.config import Seconds
from refunds.settle import AfterHold, SettleRefund, SettleSettings

# Longer than settling one refund can take, shorter than anybody would wait for it.
SETTLE_TAKE_MS = 90_000


class SettlingSettings(MoneySettings):
    """What the functions that settle refunds read.

    Attributes:
        settle_seconds: the settle interval; every backoff is a multiple of it.
        hold_seconds: how long after it was sent an order may still arrive.
    """

    settle_seconds: Seconds
    hold_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)]
    after_hold: AfterHold
    report_max_receives: Annotated[int, Field(ge=1, le=1000)]


def settle_of(path: MoneyPath, settings: SettlingSettings) -> SettleRefund:
    """The use case on the money's path."""
    return SettleRefund(
        ledger=path.ledger,
        processors=path.processors,
        recorder=path.execute.recorder,
        execute=path.execute,
        doorbell=path.doorbell,
        clock=path.clock,
        trail=path.trail,
        settings=SettleSettings(
            step_ms=settings.settle_seconds * 1000,
            hold_ms=settings.hold_seconds * 1000,
            after_hold=settings.after_hold,
            take_ms=SETTLE_TAKE_MS,
            unheard_ms=settings.report_max_receives * HIDDEN_SECONDS_MAX * 1000,
        ),
    )
