"""The product's ledger, providers and use cases for an operator: built with the operator's own
rights, from the outputs and parameters of the deployed stack.

`bootstrap/` builds the same for the functions, from their environment. Nothing is read before it is
needed: the providers' keys are read with the first call to a provider.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from refund_bridge.adapters.aws_runtime.side_by_side import SideBySide
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.dynamodb.backlog import DynamoDbBacklog
from refund_bridge.adapters.dynamodb.batches import DynamoDbBatches
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.listing import DynamoDbListing
from refund_bridge.adapters.dynamodb.sweeps import DynamoDbSweeps
from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.sqs.doorbell import SqsDoorbell
from refund_bridge.adapters.ssm.secrets import Secrets
from refund_bridge.adapters.stripe.key_of_mode import ModeCheckedKey
from refund_bridge.adapters.stripe.reports import StripeSdkReports
from refund_bridge.bootstrap.use_cases import Ports, Rules, Times, UseCases
from refund_bridge.config import Mode
from refund_bridge.ports.batches import BatchLog
from refund_bridge.ports.events import Backlog
from refund_bridge.ports.ledger import Ledger
from refund_bridge.ports.listing import Listing
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.ports.stripe import StripeReports
from refund_bridge.processors.registry import REGISTRY, build
from refund_bridge.reading.listing import every_refund_of
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.locate_payment import PaymentLocator, VerifyCharge
from refund_bridge.refunding.record_outcome import Recorder
from refund_bridge.refunding.withdraw import WithdrawRefund
from refund_bridge.reporting.read_sums import ReadSums
from refundctl.deciding.accept_excess import AcceptExcess
from refundctl.deciding.forget import ForgetWords
from refundctl.deciding.handle import HandleTakenBack
from refundctl.deciding.replay_credit_note import ReplayCreditNote
from refundctl.deciding.report_by_hand import ReportByHand
from refundctl.deciding.resolve import ResolveRefund
from refundctl.deciding.unlink import Unlink
from refundctl.processors import settings_of
from refundctl.target import Target
from refundctl.webhooks_out import WebhooksOut, webhooks_out_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - a parameter's name, not its value
SECRETS_SECONDS = 300
# All calls to providers about one refund must be answered within this time.
ASKING_MS = 24_000
# Used for a stack of an earlier release, which lacks the parameter.
EXTERNAL_REPORT_DELAY_SECONDS = "120"


@dataclass(frozen=True)
class Deployment:
    """The stage, as the deployed stack names it, and whether its money is real."""

    stage: str
    mode: Mode

    def __str__(self) -> str:
        return f"{self.stage} ({self.mode.value})"


@dataclass(frozen=True, kw_only=True)
class World:
    """What the commands work with.

    Attributes:
        stage: the deployment's name as it is part of refunds' ids.
        mode: whether its money is real.
        hold_ms: the late-arrival window: how long after it was sent an instruction may still be
            executed.
        lease_ms: for how long only one worker may report refunds of a payment.
        step_ms: the settle interval.
        close: closes the connections to the providers; call none of them afterwards.
    """

    stage: str
    mode: Mode
    hold_ms: int
    lease_ms: int
    step_ms: int
    ledger: Ledger
    listing: Listing
    backlog: Backlog
    processors: Mapping[str, Processor]
    accounts: Mapping[str, str]
    stripe_reports: StripeReports
    read_sums: ReadSums
    locator: PaymentLocator
    learn: LearnFromCharge
    batches: BatchLog
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry
    webhooks: WebhooksOut
    close: Callable[[], None]

    @property
    def deployment(self) -> Deployment:
        """The deployment's name as a person reads it before money moves, and after."""
        return Deployment(self.stage, self.mode)

    def deadline(self) -> Deadline:
        """The time by which all calls about one refund must be answered."""
        return Deadline.after(self.clock, ASKING_MS)

    def resolve(self, actor: str) -> ResolveRefund:
        """The use case of deciding a review, for somebody."""
        return ResolveRefund(
            ledger=self.ledger,
            processors=self.processors,
            accounts=self.accounts,
            recorder=self._recorder(),
            doorbell=self.doorbell,
            clock=self.clock,
            telemetry=self.telemetry,
            hold_ms=self.hold_ms,
            actor=actor,
        )

    def report_by_hand(self, actor: str) -> ReportByHand:
        """The use case of deciding about a report, for somebody."""
        return ReportByHand(
            ledger=self.ledger,
            read_sums=self.read_sums,
            doorbell=self.doorbell,
            clock=self.clock,
            telemetry=self.telemetry,
            lease_ms=self.lease_ms,
            step_ms=self.step_ms,
            actor=actor,
        )

    def accept_excess(self, actor: str) -> AcceptExcess:
        """The use case of accepting an excess that Stripe shows, for somebody."""
        return AcceptExcess(
            ledger=self.ledger,
            read_sums=self.read_sums,
            clock=self.clock,
            telemetry=self.telemetry,
            actor=actor,
        )

    def unlink(self, actor: str) -> Unlink:
        """The use case of taking back a link, for somebody."""
        return Unlink(ledger=self.ledger, telemetry=self.telemetry, actor=actor)

    def withdraw(self, actor: str) -> WithdrawRefund:
        """The use case of withdrawing a refund that waits for its turn, for somebody."""
        return WithdrawRefund(recorder=self._recorder(), clock=self.clock, actor=actor)

    def forget(self, actor: str) -> ForgetWords:
        """The use case of removing words about a customer, for somebody."""
        return ForgetWords(recorder=self._recorder(), clock=self.clock, actor=actor)

    def handle_taken_back(self, actor: str) -> HandleTakenBack:
        """The use case of marking a refund that was taken back as handled, for somebody."""
        return HandleTakenBack(recorder=self._recorder(), clock=self.clock, actor=actor)

    def replay_credit_note(self, actor: str) -> ReplayCreditNote:
        """The use case of trying a failed credit note again, for somebody."""
        return ReplayCreditNote(ledger=self.ledger, clock=self.clock, actor=actor)

    def _recorder(self) -> Recorder:
        return Recorder(
            ledger=self.ledger, clock=self.clock, telemetry=self.telemetry, stage=self.stage
        )


class NoTelemetry:
    """`ports.runtime.Telemetry` that keeps nothing: the operator sees the command's own result."""

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class ProviderKeys:
    """The providers' keys; none is read before it is asked for, and none is ever shown.

    Attributes:
        processors: the keys of the processors that are set up, by name.
    """

    stripe: ApiKey
    processors: Mapping[str, ApiKey]


def provider_keys(target: Target, clock: Clock) -> ProviderKeys:
    """The keys that the functions of that deployment use.

    Raises:
        ConfigurationError: no processor is set up correctly.
    """
    ssm: SSMClient = target.client("ssm")
    parameters = {name: REGISTRY[name].secret for name in settings_of(target.stack.parameters)}
    secrets = Secrets(
        ssm,
        target.stack.outputs["SecretsPrefix"],
        tuple(dict.fromkeys((STRIPE_SECRET_KEY, *parameters.values()))),
        max_age_s=SECRETS_SECONDS,
        clock=clock,
    )
    mode = Mode(target.stack.parameters["Mode"])
    stripe = ModeCheckedKey(secrets.secret(STRIPE_SECRET_KEY), mode)
    return ProviderKeys(
        stripe=stripe,
        processors={
            name: stripe if parameter == STRIPE_SECRET_KEY else secrets.secret(parameter)
            for name, parameter in parameters.items()
        },
    )


def world_of(target: Target) -> World:
    """The world of a deployment.

    Raises:
        UnreachableError: there is no such stack.
        ConfigurationError: it mixes real and play money, or no processor is set up correctly.
    """
    stack, clock = target.stack, SystemClock()
    given = stack.parameters
    mode = Mode(given["Mode"])
    dynamodb: DynamoDBClient = target.client("dynamodb")
    sqs: SQSClient = target.client("sqs")
    table, keys, http = (
        stack.outputs["LedgerTable"],
        provider_keys(target, clock),
        DeadlineHttp(clock),
    )
    ledger, listing = DynamoDbLedger(dynamodb, table), DynamoDbListing(dynamodb, table)
    processors: Mapping[str, Processor] = {
        name: build(name, settings, keys.processors[name], http)
        for name, settings in settings_of(given).items()
    }
    stripe_reports = StripeSdkReports(base_url=given["StripeUrl"], key=keys.stripe, http=http)
    doorbell, telemetry = SqsDoorbell(sqs, stack.outputs["ReportQueueUrl"]), NoTelemetry()
    grace_s = int(given.get("ExternalReportDelaySeconds", EXTERNAL_REPORT_DELAY_SECONDS))
    accounts = {name: own.account for name, own in settings_of(given).items()}
    wired = UseCases(
        Ports(
            ledger=ledger,
            refunds=listing.refunds,
            every_refund=partial(every_refund_of, listing),
            payments=listing.payments,
            sweeps=DynamoDbSweeps(dynamodb, table),
            stripe_reports=stripe_reports,
            processors=processors,
            accounts=accounts,
            doorbell=doorbell,
            together=SideBySide(),
            clock=clock,
            telemetry=telemetry,
            in_doubt=lambda _: False,
            new_token=_nothing_is_sent_from_here,
        ),
        Rules(
            stage=given["Stage"],
            livemode=mode is Mode.LIVE,
            names=tuple(REGISTRY),
            verify_charge=VerifyCharge.ALWAYS,
            lease_ms=0,
        ),
        Times(
            report_lease_ms=int(given["ReportLeaseSeconds"]) * 1000,
            step_ms=int(given["SettleSeconds"]) * 1000,
            grace_ms=grace_s * 1000,
        ),
    )
    return World(
        stage=given["Stage"],
        mode=mode,
        hold_ms=int(given["HoldSeconds"]) * 1000,
        lease_ms=int(given["ReportLeaseSeconds"]) * 1000,
        step_ms=int(given["SettleSeconds"]) * 1000,
        ledger=ledger,
        listing=listing,
        backlog=DynamoDbBacklog(dynamodb, table),
        processors=processors,
        accounts=accounts,
        stripe_reports=stripe_reports,
        read_sums=wired.read_sums,
        locator=wired.locator,
        learn=wired.learn,
        batches=DynamoDbBatches(dynamodb, table),
        doorbell=doorbell,
        clock=clock,
        telemetry=telemetry,
        webhooks=webhooks_out_of(target),
        close=http.close,
    )


def _nothing_is_sent_from_here() -> str:
    raise NotImplementedError("a refund is asked for at the deployed interface")
