"""The world of ``sweep_charges``."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.bootstrap.money_path import Duties, money_path
from refund_bridge.bootstrap.settling import SettlingSettings, times_of
from refund_bridge.observing.sweep_payments import SweepPayments
from refund_bridge.ports.runtime import Clock


class SweepChargesSettings(SettlingSettings):
    """What ``sweep_charges`` reads."""

    settle_concurrency: Annotated[int, Field(ge=1, le=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChargesWorld:
    """What ``sweep_charges`` works with."""

    sweep: SweepPayments
    clock: Clock


@cache
def sweep_charges(logger: Logger) -> SweepChargesWorld:
    """The world of ``sweep_charges``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes live and test mode.
    """
    settings = SweepChargesSettings.from_environment()
    path = money_path(
        settings,
        logger,
        Duties(
            times=times_of(settings), threads=settings.settle_concurrency, needs_processor=False
        ),
    )
    return SweepChargesWorld(sweep=path.use_cases.sweep, clock=path.clock)
