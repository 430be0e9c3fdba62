"""What every function that moves money stands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import uuid4

from aws_lambda_powertools import Logger
from pydantic import Field

from refunds.adapters.aws_clients import dynamodb_client, sqs_client, ssm_client
from refunds.adapters.breaker import Breaker
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.dynamodb_ledger import DynamoDbLedger
from refunds.adapters.guarded_ports import GuardedCreditNotes, GuardedProcessor
from refunds.adapters.mode_check import require_hitpay_url
from refunds.adapters.side_by_side import SideBySide
from refunds.adapters.sqs_doorbell import SqsDoorbell
from refunds.adapters.ssm_secrets import Secrets
from refunds.adapters.system_clock import SystemClock
from refunds.adapters.watched_ports import WatchedProcessor
from refunds.adopt import Adopter
from refunds.bootstrap.stripe_side import STRIPE_SECRET_KEY, stripe_side
from refunds.bootstrap.trails import calls_to, trail_of
from refunds.config import Seconds, Settings
from refunds.execute import ExecuteRefund
from refunds.link import LinkResolver, VerifyCharge
from refunds.ports import Processor, Trail
from refunds.processors.hitpay import HitPay
from refunds.record import Recorder
from refunds.reserve import Reservation

HITPAY_API_KEY = "hitpay-api-key"


class MoneySettings(Settings):
    """What the functions that ask HitPay read."""

    hitpay_url: Annotated[str, Field(pattern=r"^https?://")]
    hitpay_zero_decimal_form: Literal["integer", "decimal"]
    verify_charge: VerifyCharge
    lease_seconds: Seconds


def new_token() -> str:
    """A token that no other worker has."""
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyPath:
    """What every function that moves money stands on."""

    ledger: DynamoDbLedger
    processors: Mapping[str, Processor]
    execute: ExecuteRefund
    doorbell: SqsDoorbell
    credit_notes: GuardedCreditNotes
    clock: SystemClock
    trail: Trail


def money_path(settings: MoneySettings, logger: Logger) -> MoneyPath:
    """Ledger, processors, Stripe and the doorbell, and the use case on them.

    Raises:
        ConfigurationError: the settings mix real and play money.
    """
    require_hitpay_url(settings.hitpay_url, settings.mode)
    clock, trail = SystemClock(), trail_of(logger)
    http = DeadlineHttp(clock)
    secrets = Secrets(
        ssm_client(),
        settings.secrets_prefix,
        (STRIPE_SECRET_KEY, HITPAY_API_KEY),
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
    )
    ledger = DynamoDbLedger(dynamodb_client(), settings.ledger_table)
    hitpay = GuardedProcessor(
        WatchedProcessor(
            HitPay(
                base_url=settings.hitpay_url,
                key=secrets.secret(HITPAY_API_KEY),
                http=http,
                zero_decimals_as_integer=settings.hitpay_zero_decimal_form == "integer",
            ),
            calls_to(HitPay.name, clock, trail, tracing=settings.tracing),
        ),
        Breaker(HitPay.name, clock, trail),
    )
    processors: dict[str, Processor] = {hitpay.name: hitpay}
    stripe = stripe_side(settings, secrets, http, clock, trail)
    doorbell = SqsDoorbell(sqs_client(), settings.report_queue_url)
    execute = ExecuteRefund(
        ledger=ledger,
        resolver=LinkResolver(
            ledger=ledger,
            book=stripe.book,
            processors=processors,
            together=SideBySide(),
            verify_charge=settings.verify_charge,
            livemode=settings.livemode,
            in_doubt=lambda _: hitpay.in_doubt,
        ),
        reservation=Reservation(
            ledger=ledger,
            adopter=Adopter(ledger=ledger, clock=clock, trail=trail, stage=settings.stage),
            clock=clock,
            trail=trail,
            lease_ms=settings.lease_seconds * 1000,
        ),
        recorder=Recorder(ledger=ledger, clock=clock, trail=trail, stage=settings.stage),
        processors=processors,
        doorbell=doorbell,
        clock=clock,
        trail=trail,
        new_token=new_token,
    )
    return MoneyPath(
        ledger=ledger,
        processors=processors,
        execute=execute,
        doorbell=doorbell,
        credit_notes=stripe.credit_notes,
        clock=clock,
        trail=trail,
    )
