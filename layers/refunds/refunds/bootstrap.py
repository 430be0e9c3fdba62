"""Puts each function's world together: the only place that builds adapters.

Nothing is built at import, and no secret, network or clock is touched before the first call, so
that a snapshot of an initialised function holds none of them. What is built is kept for the life of
the worker: clients and connections are made once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from uuid import uuid4

from aws_lambda_powertools import Logger

from refunds.accept import AcceptRefund, RefuseRequest
from refunds.adapters.aws_clients import (
    dynamodb_client,
    events_client,
    sqs_client,
    ssm_client,
)
from refunds.adapters.breaker import Breaker
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.dynamodb_backlog import DynamoDbBacklog
from refunds.adapters.dynamodb_ledger import DynamoDbLedger
from refunds.adapters.dynamodb_listing import DynamoDbListing
from refunds.adapters.dynamodb_sweeps import DynamoDbSweeps
from refunds.adapters.eventbridge import EventBridgeBus
from refunds.adapters.guarded_ports import GuardedBook, GuardedCreditNotes, GuardedProcessor
from refunds.adapters.log_trail import LogTrail
from refunds.adapters.metric_trail import Meters, MetricTrail
from refunds.adapters.metric_trail import metered as metered_by
from refunds.adapters.mode_check import ModeCheckedKey, require_hitpay_url
from refunds.adapters.pace import Pace
from refunds.adapters.provider_calls import ProviderCalls
from refunds.adapters.side_by_side import SideBySide
from refunds.adapters.sqs_dead_letters import SqsDeadLetters
from refunds.adapters.sqs_doorbell import SqsDoorbell
from refunds.adapters.ssm_secrets import ApiKeys, Secrets
from refunds.adapters.stripe_book import StripeBook
from refunds.adapters.stripe_credit_notes import StripeCreditNotes
from refunds.adapters.system_clock import SystemClock
from refunds.adapters.visibility import HIDDEN_SECONDS_MAX, VisibilityBackoff
from refunds.adapters.watched_ports import WatchedBook, WatchedCreditNotes, WatchedProcessor
from refunds.adapters.webhook_salts import WebhookSalts
from refunds.adapters.xray import XRay
from refunds.address_throttle import AddressThrottle
from refunds.adopt import Adopter
from refunds.announce import AnnounceBacklog, AnnounceChanges
from refunds.callers import Callers, KeyCallers, SignedCallers
from refunds.config import (
    HitPayWebhookSettings,
    MoneySettings,
    PublishEventsSettings,
    RefundApiSettings,
    RefundRequestedSettings,
    ReportRefundSettings,
    SettleRefundsSettings,
    SettlingSettings,
    SweepChargesSettings,
)
from refunds.credit_note import IssueCreditNote
from refunds.execute import ExecuteRefund
from refunds.link import LinkResolver
from refunds.listing import ListRefunds
from refunds.observe import ObservePayment
from refunds.open_refunds import MeasureOpenRefunds
from refunds.ports import Clock, Processor, Trail
from refunds.processors.hitpay import HitPay
from refunds.read_payment import ReadPayment
from refunds.read_refund import ReadRefund
from refunds.record import Recorder
from refunds.report import ReportRefund
from refunds.reserve import Reservation
from refunds.settle import SettleRefund, SettleSettings
from refunds.settle_run import SettleRun
from refunds.sweep import SweepPayments

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - a parameter's name, not its value
HITPAY_API_KEY = "hitpay-api-key"
# Longer than settling one refund can take, shorter than anybody would wait for it.
SETTLE_TAKE_MS = 90_000

# What this worker's invocation counts, until it ends. Each of its functions is called once at a
# time, and every trail feeds these.
_meters = Meters()
metered = metered_by(_meters)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApi:
    """What ``refund_api`` works with."""

    stage: str
    execute: ExecuteRefund
    read_refund: ReadRefund
    list_refunds: ListRefunds
    read_payment: ReadPayment
    callers: Callers
    clock: Clock
    new_token: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefundsWorld:
    """What ``settle_refunds`` works with."""

    run: SettleRun
    measure: MeasureOpenRefunds
    announce: AnnounceBacklog
    clock: Clock
    settle_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequestedWorld:
    """What ``refund_requested`` works with."""

    stage: str
    accept: AcceptRefund
    refuse: RefuseRequest
    clock: Clock
    backoff: VisibilityBackoff
    max_receives: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishEventsWorld:
    """What ``publish_events`` works with."""

    announce: AnnounceChanges
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class HitPayWebhookWorld:
    """What ``hitpay_webhook`` works with."""

    observe: ObservePayment
    salts: WebhookSalts
    clock: Clock
    trail: Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChargesWorld:
    """What ``sweep_charges`` works with."""

    sweep: SweepPayments
    clock: Clock


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


def _trail(logger: Logger) -> Trail:
    return MetricTrail(LogTrail(logger), _meters)


def _calls_to(provider: str, clock: Clock, trail: Trail, *, tracing: bool) -> ProviderCalls:
    return ProviderCalls(provider, clock, trail, XRay(clock) if tracing else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MoneyPath:
    """What every function that moves money stands on."""

    ledger: DynamoDbLedger
    processors: Mapping[str, Processor]
    execute: ExecuteRefund
    doorbell: SqsDoorbell
    credit_notes: GuardedCreditNotes
    clock: SystemClock
    trail: Trail


def _money_path(settings: MoneySettings, logger: Logger) -> _MoneyPath:
    require_hitpay_url(settings.hitpay_url, settings.mode)
    clock, trail = SystemClock(), _trail(logger)
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
            _calls_to(HitPay.name, clock, trail, tracing=settings.tracing),
        ),
        Breaker(HitPay.name, clock, trail),
    )
    processors: dict[str, Processor] = {hitpay.name: hitpay}
    stripe_key = ModeCheckedKey(secrets.secret(STRIPE_SECRET_KEY), settings.mode)
    to_stripe = _calls_to("stripe", clock, trail, tracing=settings.tracing)
    book = GuardedBook(
        WatchedBook(
            StripeBook(base_url=settings.stripe_url, key=stripe_key, http=http), to_stripe
        ),
        Breaker("stripe", clock, trail),
    )
    credit_notes = GuardedCreditNotes(
        WatchedCreditNotes(
            StripeCreditNotes(base_url=settings.stripe_url, key=stripe_key, http=http), to_stripe
        ),
        Breaker("stripe credit notes", clock, trail),
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
        credit_notes=credit_notes,
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
    listing = DynamoDbListing(dynamodb_client(), settings.ledger_table)
    list_refunds = ListRefunds(ledger=path.ledger, listing=listing, clock=path.clock)
    return RefundApi(
        stage=settings.stage,
        execute=path.execute,
        read_refund=ReadRefund(ledger=path.ledger, settle=_settle(path, settings)),
        list_refunds=list_refunds,
        read_payment=ReadPayment(
            ledger=path.ledger,
            list_refunds=list_refunds,
            resolver=path.execute.resolver,
            adopter=path.execute.reservation.adopter,
        ),
        callers=_callers(settings, path.clock, path.trail),
        clock=path.clock,
        new_token=_new_token,
    )


def _callers(settings: RefundApiSettings, clock: Clock, trail: Trail) -> Callers:
    if settings.api_auth == "AWS_IAM":
        return SignedCallers(trail)
    keys = ApiKeys(
        ssm_client(),
        settings.secrets_prefix,
        max_age_s=settings.secrets_cache_seconds,
        trail=trail,
    )
    return KeyCallers(keys, AddressThrottle(clock), trail)


@cache
def settle_refunds(logger: Logger) -> SettleRefundsWorld:
    """The world of ``settle_refunds``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes real and play money.
    """
    settings = SettleRefundsSettings.from_environment()
    path = _money_path(settings, logger)
    credit_notes = IssueCreditNote(
        ledger=path.ledger,
        notes=path.credit_notes,
        clock=path.clock,
        trail=path.trail,
        actor="settle_refunds",
        step_ms=settings.settle_seconds * 1000,
    )
    settle = _settle(path, settings)
    run = SettleRun(
        ledger=path.ledger,
        settle=replace(settle, credit_notes=credit_notes) if settings.credit_notes else settle,
        together=SideBySide(settings.settle_concurrency),
        clock=path.clock,
        trail=path.trail,
    )
    listing = DynamoDbListing(dynamodb_client(), settings.ledger_table)
    announce = AnnounceBacklog(
        ledger=path.ledger,
        payments=listing.payments,
        bus=EventBridgeBus(events_client(), settings.event_bus, path.trail),
        backlog=DynamoDbBacklog(dynamodb_client(), settings.ledger_table),
        clock=path.clock,
        trail=path.trail,
        step_ms=settings.settle_seconds * 1000,
    )
    return SettleRefundsWorld(
        run=run,
        measure=MeasureOpenRefunds(listing=listing, clock=path.clock, trail=path.trail),
        announce=announce,
        clock=path.clock,
        settle_seconds=settings.settle_seconds,
    )


@cache
def refund_requested(logger: Logger) -> RefundRequestedWorld:
    """The world of ``refund_requested``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes real and play money.
    """
    settings = RefundRequestedSettings.from_environment()
    path = _money_path(settings, logger)
    accept = AcceptRefund(execute=path.execute, stage=settings.stage, new_token=_new_token)
    refuse = RefuseRequest(
        bus=EventBridgeBus(events_client(), settings.event_bus, path.trail),
        dead_letters=SqsDeadLetters(sqs_client(), settings.request_dead_letter_queue_url),
        clock=path.clock,
        trail=path.trail,
    )
    backoff = VisibilityBackoff(
        sqs_client(),
        settings.request_queue_url,
        base_seconds=settings.request_backoff_seconds,
        trail=path.trail,
    )
    return RefundRequestedWorld(
        stage=settings.stage,
        accept=accept,
        refuse=refuse,
        clock=path.clock,
        backoff=backoff,
        max_receives=settings.request_max_receives,
    )


@cache
def publish_events(logger: Logger) -> PublishEventsWorld:
    """The world of ``publish_events``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = PublishEventsSettings.from_environment()
    clock, trail = SystemClock(), _trail(logger)
    announce = AnnounceChanges(
        payments=DynamoDbListing(dynamodb_client(), settings.ledger_table).payments,
        bus=EventBridgeBus(events_client(), settings.event_bus, trail),
        backlog=DynamoDbBacklog(dynamodb_client(), settings.ledger_table),
        clock=clock,
        trail=trail,
    )
    return PublishEventsWorld(announce=announce, clock=clock)


@cache
def hitpay_webhook(logger: Logger) -> HitPayWebhookWorld:
    """The world of ``hitpay_webhook``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes real and play money.
    """
    settings = HitPayWebhookSettings.from_environment()
    path = _money_path(settings, logger)
    salts = WebhookSalts(
        ssm_client(),
        settings.secrets_prefix,
        max_age_s=settings.secrets_cache_seconds,
        clock=path.clock,
    )
    observe = _observe(path, settings)
    return HitPayWebhookWorld(observe=observe, salts=salts, clock=path.clock, trail=path.trail)


@cache
def sweep_charges(logger: Logger) -> SweepChargesWorld:
    """The world of ``sweep_charges``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes real and play money.
    """
    settings = SweepChargesSettings.from_environment()
    path = _money_path(settings, logger)
    observe = _observe(path, settings)
    sweep = SweepPayments(
        processors=path.processors,
        sweeps=observe.sweeps,
        payments=DynamoDbListing(dynamodb_client(), settings.ledger_table).payments,
        observe=observe,
        together=SideBySide(settings.settle_concurrency),
        clock=path.clock,
        trail=path.trail,
    )
    return SweepChargesWorld(sweep=sweep, clock=path.clock)


def _settle(path: _MoneyPath, settings: SettlingSettings) -> SettleRefund:
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


def _observe(path: _MoneyPath, settings: SettlingSettings) -> ObservePayment:
    return ObservePayment(
        ledger=path.ledger,
        sweeps=DynamoDbSweeps(dynamodb_client(), settings.ledger_table),
        resolver=path.execute.resolver,
        adopter=path.execute.reservation.adopter,
        recorder=path.execute.recorder,
        settle=_settle(path, settings),
        execute=path.execute,
        clock=path.clock,
        trail=path.trail,
    )


@cache
def report_refund(logger: Logger) -> ReportRefundWorld:
    """The world of ``report_refund``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong.
    """
    settings = ReportRefundSettings.from_environment()
    clock, trail = SystemClock(), _trail(logger)
    secrets = Secrets(
        ssm_client(),
        settings.secrets_prefix,
        (STRIPE_SECRET_KEY,),
        max_age_s=settings.secrets_cache_seconds,
        clock=clock,
    )
    ledger, http = DynamoDbLedger(dynamodb_client(), settings.ledger_table), DeadlineHttp(clock)
    stripe_key = ModeCheckedKey(secrets.secret(STRIPE_SECRET_KEY), settings.mode)
    to_stripe = _calls_to("stripe", clock, trail, tracing=settings.tracing)
    credit_notes = IssueCreditNote(
        ledger=ledger,
        notes=GuardedCreditNotes(
            WatchedCreditNotes(
                StripeCreditNotes(base_url=settings.stripe_url, key=stripe_key, http=http),
                to_stripe,
            ),
            Breaker("stripe credit notes", clock, trail),
        ),
        clock=clock,
        trail=trail,
        actor="report_refund",
        step_ms=settings.settle_seconds * 1000,
    )
    report = ReportRefund(
        ledger=ledger,
        book=GuardedBook(
            WatchedBook(
                StripeBook(base_url=settings.stripe_url, key=stripe_key, http=http), to_stripe
            ),
            Breaker("stripe", clock, trail),
        ),
        clock=clock,
        trail=trail,
        lease_ms=settings.report_lease_seconds * 1000,
        credit_notes=credit_notes if settings.credit_notes else None,
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
