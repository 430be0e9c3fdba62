"""Puts each function's world together: the only place that builds adapters.

Nothing is built at import, and no secret, network or clock is touched before the first call, so
that a snapshot of an initialised function holds none of them. What is built is kept for the life of
the worker: clients and connections are made once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from uuid import uuid4

from aws_lambda_powertools import Logger

from refunds.adapters.aws_clients import dynamodb_client, sqs_client, ssm_client
from refunds.adapters.breaker import Breaker
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.dynamodb_ledger import DynamoDbLedger
from refunds.adapters.guarded_ports import GuardedBook, GuardedProcessor
from refunds.adapters.log_trail import LogTrail
from refunds.adapters.mode_check import ModeCheckedKey, require_hitpay_url
from refunds.adapters.pace import Pace
from refunds.adapters.side_by_side import SideBySide
from refunds.adapters.sqs_doorbell import SqsDoorbell
from refunds.adapters.ssm_secrets import ApiKeys, Secrets
from refunds.adapters.stripe_book import StripeBook
from refunds.adapters.system_clock import SystemClock
from refunds.adapters.visibility import HIDDEN_SECONDS_MAX, VisibilityBackoff
from refunds.adopt import Adopter
from refunds.config import (
    MoneySettings,
    RefundApiSettings,
    ReportRefundSettings,
    SettleRefundsSettings,
)
from refunds.execute import ExecuteRefund
from refunds.link import LinkResolver
from refunds.ports import Clock, Ledger, Processor
from refunds.processors.hitpay import HitPay
from refunds.record import Recorder
from refunds.report import ReportRefund
from refunds.reserve import Reservation
from refunds.settle import SettleRefund, SettleSettings
from refunds.settle_run import SettleRun

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - a parameter's name, not its value
HITPAY_API_KEY = "hitpay-api-key"
# Longer than settling one refund can take, shorter than anybody would wait for it.
SETTLE_TAKE_MS = 90_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApi:
    """What ``refund_api`` works with."""

    stage: str
    execute: ExecuteRefund
    ledger: Ledger
    api_keys: ApiKeys
    clock: Clock
    new_token: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefundsWorld:
    """What ``settle_refunds`` works with."""

    run: SettleRun
    clock: Clock
    settle_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRefundWorld:
    """What ``report_refund`` works with."""

    report: ReportRefund
    clock: Clock
    pace: Pace
    backoff: VisibilityBackoff
    concurrency: int
    max_receives: int


def _new_token() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class _MoneyPath:
    """What every function that moves money stands on."""

    ledger: DynamoDbLedger
    processors: Mapping[str, Processor]
    execute: ExecuteRefund
    doorbell: SqsDoorbell
    clock: SystemClock
    trail: LogTrail


def _money_path(settings: MoneySettings, logger: Logger) -> _MoneyPath:
    require_hitpay_url(settings.hitpay_url, settings.mode)
    clock, trail = SystemClock(), LogTrail(logger)
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
        HitPay(
            base_url=settings.hitpay_url,
            key=secrets.secret(HITPAY_API_KEY),
            http=http,
            zero_decimals_as_integer=settings.hitpay_zero_decimal_form == "integer",
        ),
        Breaker(HitPay.name, clock, trail),
    )
    processors: dict[str, Processor] = {hitpay.name: hitpay}
    book = GuardedBook(
        StripeBook(
            base_url=settings.stripe_url,
            key=ModeCheckedKey(secrets.secret(STRIPE_SECRET_KEY), settings.mode),
            http=http,
        ),
        Breaker("stripe", clock, trail),
    )
    doorbell = SqsDoorbell(sqs_client(), settings.report_queue_url)
    execute = ExecuteRefund(
        ledger=ledger,
        resolver=LinkResolver(
            ledger=ledger,
            book=book,
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
        new_token=_new_token,
    )
    return _MoneyPath(
        ledger=ledger,
        processors=processors,
        execute=execute,
        doorbell=doorbell,
        clock=clock,
        trail=trail,
    )


@cache
def refund_api(logger: Logger) -> RefundApi:
    """The world of ``refund_api``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes real and play money.
    """
    settings = RefundApiSettings.from_environment()
    path = _money_path(settings, logger)
    api_keys = ApiKeys(
        ssm_client(),
        settings.secrets_prefix,
        max_age_s=settings.secrets_cache_seconds,
        trail=path.trail,
    )
    return RefundApi(
        stage=settings.stage,
        execute=path.execute,
        ledger=path.ledger,
        api_keys=api_keys,
        clock=path.clock,
        new_token=_new_token,
    )


@cache
def settle_refunds(logger: Logger) -> SettleRefundsWorld:
    """The world of ``settle_refunds``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes real and play money.
    """
    settings = SettleRefundsSettings.from_environment()
    path = _money_path(settings, logger)
    settle = SettleRefund(
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
    run = SettleRun(
        ledger=path.ledger,
        settle=settle,
        together=SideBySide(settings.settle_concurrency),
        clock=path.clock,
        trail=path.trail,
    )
    return SettleRefundsWorld(run=run, clock=path.clock, settle_seconds=settings.settle_seconds)


@cache
def report_refund(logger: Logger) -> ReportRefundWorld:
    """The world of ``report_refund``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = ReportRefundSettings.from_environment()
    clock, trail = SystemClock(), LogTrail(logger)
    secrets = Secrets(
        ssm_client(),
        settings.secrets_prefix,
        (STRIPE_SECRET_KEY,),
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
    )
    report = ReportRefund(
        ledger=DynamoDbLedger(dynamodb_client(), settings.ledger_table),
        book=GuardedBook(
            StripeBook(
                base_url=settings.stripe_url,
                key=ModeCheckedKey(secrets.secret(STRIPE_SECRET_KEY), settings.mode),
                http=DeadlineHttp(clock),
            ),
            Breaker("stripe", clock, trail),
        ),
        clock=clock,
        trail=trail,
        lease_ms=settings.report_lease_seconds * 1000,
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
