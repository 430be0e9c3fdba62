"""Builds what every function needs that works with refunds: ledger, processors, Stripe."""

import os
import time
from dataclasses import dataclass
from functools import partial
from secrets import token_urlsafe
from typing import Annotated, Literal

from aws_lambda_powertools import Logger
from pydantic import Field

from refund_bridge.adapters.aws_runtime.clients import dynamodb_client, sqs_client, ssm_client
from refund_bridge.adapters.aws_runtime.side_by_side import SideBySide
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.listing import DynamoDbListing
from refund_bridge.adapters.dynamodb.looks import DynamoDbLooks
from refund_bridge.adapters.dynamodb.sweeps import DynamoDbSweeps
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.providers.breaker import Breaker
from refund_bridge.adapters.sqs.doorbell import SqsDoorbell
from refund_bridge.adapters.ssm.secrets import Secrets
from refund_bridge.bootstrap.processors import keys_of, processor_side
from refund_bridge.bootstrap.stripe_side import STRIPE_SECRET_KEY, key_of, stripe_side
from refund_bridge.bootstrap.telemetry import calls_to, telemetry_of
from refund_bridge.bootstrap.use_cases import Ports, Rules, Times, UseCases
from refund_bridge.config import ConfigurationError, Seconds, Settings
from refund_bridge.domain.payouts import PayoutRules, UnlinkedRefunds
from refund_bridge.ports.runtime import Telemetry
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, set_up, variable_of
from refund_bridge.reading.listing import every_refund_of
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.refunding.recent_looks import LookOnce


class MoneySettings(Settings):
    """The settings of functions that use processors; the registry reads the processors' own."""

    verify_charge: VerifyCharge
    lease_seconds: Seconds


class PayoutSettings(MoneySettings):
    """The further settings of functions that accept requests for refunds.

    Attributes:
        payout_amount_max: the most of one payout, minor units.
        payout_day_max: the most of all payouts in one currency on one UTC day, minor units.
    """

    unlinked_refunds: UnlinkedRefunds = UnlinkedRefunds.OFF
    unlinked_refunds_by_events: Literal["on", "off"] = "off"
    payout_amount_max: Annotated[int, Field(ge=1)] = 1
    payout_day_max: Annotated[int, Field(ge=1)] = 1


def new_token() -> str:
    """A unique token; it is short, because it is stored with the refund."""
    return token_urlsafe(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyPath:
    """The use cases, with the ports that functions also use directly."""

    use_cases: UseCases
    ledger: DynamoDbLedger
    listing: DynamoDbListing
    clock: SystemClock
    telemetry: Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """What a function does besides making refunds.

    Attributes:
        times: the times of reports and of settling, if the function does either.
        credit_notes_by: the actor of credit notes, for the history; ``None``: it issues none.
        threads: how many payments or refunds a run works on at once.
        needs_processor: whether the function refuses to start if no processor is set up. Those that
            only learn from HitPay just have nothing to do then.
    """

    times: Times | None = None
    credit_notes_by: str | None = None
    threads: int | None = None
    needs_processor: bool = True


def look_once_of(settings: MoneySettings, path: MoneyPath) -> LookOnce:
    """The limit for repeated looks, on the ledger's table."""
    return LookOnce(
        looks=DynamoDbLooks(dynamodb_client(), settings.ledger_table),
        clock=path.clock,
        pause=time.sleep,
    )


def payout_rules(settings: PayoutSettings) -> PayoutRules:
    """The stage's rules for unlinked refunds."""
    return PayoutRules(
        unlinked=settings.unlinked_refunds,
        by_events=settings.unlinked_refunds_by_events == "on",
        amount_max=settings.payout_amount_max,
    )


def money_path(settings: MoneySettings, logger: Logger, duties: Duties) -> MoneyPath:
    """Build ledger, processors, Stripe and the doorbell, and the use cases on them.

    Raises:
        ConfigurationError: a processor is set up wrongly, none is set up, or the settings mix live
            and test mode.
    """
    found = set_up(os.environ, settings.mode)
    if duties.needs_processor and not found:
        variables = ", ".join(variable_of(name, "url") for name in REGISTRY)
        raise ConfigurationError(f"No processor is set up: give one of {variables}.")
    clock, telemetry = SystemClock(), telemetry_of(logger)
    http = DeadlineHttp(clock)
    secrets = Secrets(
        ssm_client(),
        settings.secrets_prefix,
        (STRIPE_SECRET_KEY, *keys_of(found)),
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
    )
    ledger = DynamoDbLedger(dynamodb_client(), settings.ledger_table)
    listing = DynamoDbListing(dynamodb_client(), settings.ledger_table)
    side = processor_side(
        found,
        partial(key_of, secrets=secrets, mode=settings.mode),
        http,
        calls_to=lambda name: calls_to(name, clock, telemetry, tracing=settings.tracing),
        breaker_of=lambda name: Breaker(name, clock, telemetry),
    )
    stripe = stripe_side(settings, secrets, http, clock, telemetry)
    ports = Ports(
        ledger=ledger,
        refunds=listing.refunds,
        every_refund=partial(every_refund_of, listing),
        payments=listing.payments,
        sweeps=DynamoDbSweeps(dynamodb_client(), settings.ledger_table),
        stripe_reports=stripe.stripe_reports,
        processors=side.by_name,
        accounts={name: own.account for name, own in found.items()},
        doorbell=SqsDoorbell(sqs_client(), settings.report_queue_url),
        together=SideBySide(),
        clock=clock,
        telemetry=telemetry,
        in_doubt=side.in_doubt,
        new_token=new_token,
        credit_notes=stripe.credit_notes if duties.credit_notes_by else None,
        together_in_runs=SideBySide(duties.threads) if duties.threads else None,
    )
    rules = Rules(
        stage=settings.stage,
        livemode=settings.livemode,
        names=OF_RECORDS,
        verify_charge=settings.verify_charge,
        lease_ms=settings.lease_seconds * 1000,
        # A function that accepts no requests reserves no payouts.
        payout_day_max=settings.payout_day_max if isinstance(settings, PayoutSettings) else 0,
        actor=duties.credit_notes_by or "",
    )
    return MoneyPath(
        use_cases=UseCases(ports, rules, duties.times),
        ledger=ledger,
        listing=listing,
        clock=clock,
        telemetry=telemetry,
    )
