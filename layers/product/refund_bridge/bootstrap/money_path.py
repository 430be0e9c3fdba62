"""What every function that moves money stands on."""

import os
import time
from collections.abc import Mapping
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
from refund_bridge.adapters.providers.guarded import GuardedCreditNotes
from refund_bridge.adapters.sqs.doorbell import SqsDoorbell
from refund_bridge.adapters.ssm.secrets import Secrets
from refund_bridge.bootstrap.processors import keys_of, processor_side
from refund_bridge.bootstrap.stripe_side import STRIPE_SECRET_KEY, key_of, stripe_side
from refund_bridge.bootstrap.trails import calls_to, trail_of
from refund_bridge.config import ConfigurationError, Seconds, Settings
from refund_bridge.domain.payouts import PayoutRules, UnlinkedRefunds
from refund_bridge.ports.listing import Listing
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.runtime import Trail
from refund_bridge.ports.stripe import Book
from refund_bridge.ports.sweeps import SweepLog
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, set_up, variable_of
from refund_bridge.reading.listing import every_refund_of
from refund_bridge.refunding.execute import ExecuteRefund
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.locate_payment import LinkResolver, VerifyCharge
from refund_bridge.refunding.recent_looks import LookOnce
from refund_bridge.refunding.record_outcome import Recorder
from refund_bridge.refunding.reserve import Reservation


class MoneySettings(Settings):
    """What the functions that ask processors read; what sets these up is read by the registry."""

    verify_charge: VerifyCharge
    lease_seconds: Seconds


class PayoutSettings(MoneySettings):
    """What the functions that are asked for refunds read besides.

    Attributes:
        payout_amount_max, payout_day_max: of one, and of one currency on one UTC day; minor units.
    """

    unlinked_refunds: UnlinkedRefunds = UnlinkedRefunds.OFF
    unlinked_refunds_by_events: Literal["on", "off"] = "off"
    payout_amount_max: Annotated[int, Field(ge=1)] = 1
    payout_day_max: Annotated[int, Field(ge=1)] = 1


def new_token() -> str:
    """A token that no other worker has, short since the refund is stored with it."""
    return token_urlsafe(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyPath:
    """What every function that moves money stands on."""

    ledger: DynamoDbLedger
    listing: Listing
    sweeps: SweepLog
    book: Book
    processors: Mapping[str, Processor]
    accounts: Mapping[str, str]
    execute: ExecuteRefund
    learn: LearnFromCharge
    doorbell: SqsDoorbell
    credit_notes: GuardedCreditNotes
    clock: SystemClock
    trail: Trail


def look_once_of(settings: MoneySettings, path: MoneyPath) -> LookOnce:
    """What was looked at a moment ago, on the ledger's table."""
    return LookOnce(
        looks=DynamoDbLooks(dynamodb_client(), settings.ledger_table),
        clock=path.clock,
        pause=time.sleep,
    )


def payout_rules(settings: PayoutSettings) -> PayoutRules:
    """What a stage sends to payment methods that are named."""
    return PayoutRules(
        unlinked=settings.unlinked_refunds,
        by_events=settings.unlinked_refunds_by_events == "on",
        amount_max=settings.payout_amount_max,
    )


def money_path(
    settings: MoneySettings, logger: Logger, *, needs_processor: bool = True
) -> MoneyPath:
    """Ledger, processors, Stripe and the doorbell, and the use case on them.

    Args:
        settings: the function's own.
        logger: the function's own.
        needs_processor: whether the function is of no use without one. Those that only learn what
            HitPay does have nothing to do in a stage without it.

    Raises:
        ConfigurationError: a processor is set up wrongly, none is, or the settings mix real and
            play money.
    """
    found = set_up(os.environ, settings.mode)
    if needs_processor and not found:
        variables = ", ".join(variable_of(name, "url") for name in REGISTRY)
        raise ConfigurationError(f"No processor is set up: give one of {variables}.")
    clock, trail = SystemClock(), trail_of(logger)
    http = DeadlineHttp(clock)
    secrets = Secrets(
        ssm_client(),
        settings.secrets_prefix,
        (STRIPE_SECRET_KEY, *keys_of(found)),
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
    )
    ledger = DynamoDbLedger(dynamodb_client(), settings.ledger_table)
    side = processor_side(
        found,
        partial(key_of, secrets=secrets, mode=settings.mode),
        http,
        calls_to=lambda name: calls_to(name, clock, trail, tracing=settings.tracing),
        breaker_of=lambda name: Breaker(name, clock, trail),
    )
    processors: Mapping[str, Processor] = side.by_name
    stripe = stripe_side(settings, secrets, http, clock, trail)
    doorbell = SqsDoorbell(sqs_client(), settings.report_queue_url)
    listing = DynamoDbListing(dynamodb_client(), settings.ledger_table)
    sweeps = DynamoDbSweeps(dynamodb_client(), settings.ledger_table)
    accounts = {name: own.account for name, own in found.items()}
    recorder = Recorder(ledger=ledger, clock=clock, trail=trail, stage=settings.stage)
    learn = LearnFromCharge(
        ledger=ledger,
        refunds=listing.refunds,
        every_refund=partial(every_refund_of, listing),
        sweeps=sweeps,
        processors=processors,
        recorder=recorder,
        doorbell=doorbell,
        clock=clock,
        trail=trail,
        stage=settings.stage,
    )
    execute = ExecuteRefund(
        ledger=ledger,
        resolver=LinkResolver(
            ledger=ledger,
            book=stripe.book,
            processors=processors,
            names=OF_RECORDS,
            together=SideBySide(),
            verify_charge=settings.verify_charge,
            livemode=settings.livemode,
            in_doubt=side.in_doubt,
        ),
        reservation=Reservation(
            ledger=ledger,
            learn=learn,
            accounts=accounts,
            clock=clock,
            trail=trail,
            lease_ms=settings.lease_seconds * 1000,
            # Who is asked for none has none to reserve.
            payout_day_max=settings.payout_day_max if isinstance(settings, PayoutSettings) else 0,
        ),
        recorder=recorder,
        processors=processors,
        doorbell=doorbell,
        clock=clock,
        trail=trail,
        new_token=new_token,
    )
    return MoneyPath(
        ledger=ledger,
        listing=listing,
        sweeps=sweeps,
        book=stripe.book,
        processors=processors,
        accounts=accounts,
        execute=execute,
        learn=learn,
        doorbell=doorbell,
        credit_notes=stripe.credit_notes,
        clock=clock,
        trail=trail,
    )
