"""The world of ``refund_api``."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import ssm_client
from refund_bridge.adapters.ssm.api_keys import ApiKeys
from refund_bridge.bootstrap.money_path import (
    Duties,
    PayoutSettings,
    look_once_of,
    money_path,
    new_token,
    payout_rules,
)
from refund_bridge.bootstrap.settling import SettlingSettings, times_of
from refund_bridge.domain.payouts import PayoutRules
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import Callers, KeyCallers, SignedCallers
from refund_bridge.ports.runtime import Clock, Telemetry
from refund_bridge.reading.listing import ListRefunds
from refund_bridge.reading.read_payment import ReadPayment
from refund_bridge.reading.read_refund import ReadRefund
from refund_bridge.refunding.in_flight import ExecuteOrAwait
from refund_bridge.refunding.withdraw import WithdrawRefund


class RefundApiSettings(SettlingSettings, PayoutSettings):
    """What ``refund_api`` reads.

    Attributes:
        stripe_account_id: the Stripe account that this stage serves, ``acct_…``; empty: none is
            configured, so a caller that names one is refused.
        api_auth: how callers are identified: by this function with a bearer key, or by the gateway
            with a signature (SAM's word for that).
    """

    api_auth: Literal["bearer", "AWS_IAM"]
    stripe_account_id: Annotated[str, Field(pattern=r"^(acct_\w+)?$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApi:
    """What ``refund_api`` works with."""

    stage: str
    stripe_account_id: str
    execute: ExecuteOrAwait
    payouts: PayoutRules
    withdraw: Callable[[str], WithdrawRefund]
    read_refund: ReadRefund
    list_refunds: ListRefunds
    read_payment: ReadPayment
    callers: Callers
    clock: Clock
    new_token: Callable[[], str]


@cache
def refund_api(logger: Logger) -> RefundApi:
    """The world of ``refund_api``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes live and test mode.
    """
    settings = RefundApiSettings.from_environment()
    path = money_path(settings, logger, Duties(times=times_of(settings)))
    use_cases = path.use_cases
    list_refunds = ListRefunds(ledger=path.ledger, listing=path.listing, clock=path.clock)
    return RefundApi(
        stage=settings.stage,
        stripe_account_id=settings.stripe_account_id,
        execute=ExecuteOrAwait(execute=use_cases.execute, clock=path.clock, pause=time.sleep),
        payouts=payout_rules(settings),
        withdraw=lambda actor: WithdrawRefund(
            recorder=use_cases.recorder, clock=path.clock, actor=actor
        ),
        read_refund=use_cases.read_refund,
        list_refunds=list_refunds,
        read_payment=ReadPayment(
            ledger=path.ledger,
            list_refunds=list_refunds,
            locator=use_cases.locator,
            learn=use_cases.learn,
            look_once=look_once_of(settings, path),
        ),
        callers=_callers(settings, path.clock, path.telemetry),
        clock=path.clock,
        new_token=new_token,
    )


def _callers(settings: RefundApiSettings, clock: Clock, telemetry: Telemetry) -> Callers:
    if settings.api_auth == "AWS_IAM":
        return SignedCallers(telemetry)
    keys = ApiKeys(
        ssm_client(),
        settings.secrets_prefix,
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
        telemetry=telemetry,
    )
    return KeyCallers(keys, AddressThrottle(clock), telemetry)
