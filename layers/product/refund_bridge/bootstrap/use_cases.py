"""Wires every use case on one set of ports.

The functions use it with AWS, the tests with fakes, the simulation with ports that fail in every
way: so what is tested and simulated is wired like what is deployed. Nothing here knows an adapter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.stripe_knows import OthersReport
from refund_bridge.observing.observe_payment import ObservePayment
from refund_bridge.observing.sweep_payments import SweepPayments
from refund_bridge.ports.ledger import Ledger
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Telemetry, Together
from refund_bridge.ports.stripe import CreditNotes, StripeReports
from refund_bridge.ports.sweeps import SweepLog
from refund_bridge.reading.read_refund import ReadRefund
from refund_bridge.refunding.execute import ExecuteRefund
from refund_bridge.refunding.follow_refund import FollowRefund
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.locate_payment import PaymentLocator, VerifyCharge
from refund_bridge.refunding.payment_links import PaymentLinks
from refund_bridge.refunding.record_outcome import Recorder
from refund_bridge.refunding.reserve import Reservation
from refund_bridge.reporting.credit_note import IssueCreditNote
from refund_bridge.reporting.look_at_sums import LookAtSums
from refund_bridge.reporting.read_sums import ReadSums
from refund_bridge.reporting.report import ReportRefund
from refund_bridge.settling.run import SettleRun
from refund_bridge.settling.settle import SettleRefund
from refund_bridge.settling.settling import SettleSettings


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All ports that the use cases need.

    Attributes:
        refunds: reads the refunds of those ids.
        every_refund: reads all refunds of the payment; the newest may be missing.
        payments: reads the payments of those keys from the ledger.
        accounts: as in ``Reservation``.
        credit_notes: issues credit notes; ``None``: credit notes are off.
        together: runs calls at once, as many as a call of the API may.
        together_in_runs: the same for settling and the sweep.
        in_doubt: whether the processor of that name failed a moment ago.
        new_token: makes a unique token for a call.
    """

    ledger: Ledger
    refunds: Callable[[Sequence[str]], Mapping[str, Refund]]
    every_refund: Callable[[PaymentKey], Sequence[Refund]]
    payments: Callable[[Sequence[PaymentKey]], Mapping[PaymentKey, Payment]]
    sweeps: SweepLog
    stripe_reports: StripeReports
    processors: Mapping[str, Processor]
    accounts: Mapping[str, str]
    doorbell: Doorbell
    together: Together
    clock: Clock
    telemetry: Telemetry
    in_doubt: Callable[[str], bool]
    new_token: Callable[[], str]
    credit_notes: CreditNotes | None = None
    together_in_runs: Together | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The stage's settings that every function needs.

    Attributes:
        names: the processors to which a Payment Record may lead.
        lease_ms: how long only the call that sends a refund may store its result.
        payout_day_max: as in ``Reservation``.
        actor: the function that issues credit notes, for the history.
    """

    stage: str
    livemode: bool
    names: tuple[str, ...]
    verify_charge: VerifyCharge
    lease_ms: int
    payout_day_max: int = 0
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of reports and of settling, in milliseconds.

    Attributes:
        report_lease_ms: for how long only one worker may report refunds of a payment.
        step_ms, grace_ms: as in ``SettleSettings``.
        settling: the times of settling; ``None`` in a function that does not settle.
    """

    report_lease_ms: int
    step_ms: int
    grace_ms: int
    others_report: OthersReport = OthersReport.ANYHOW
    settling: SettleSettings | None = None


class NotWiredError(RuntimeError):
    """A function uses a use case for which it was given no times."""


@dataclass(frozen=True)
class UseCases:
    """The use cases; each is made once, when it is first used."""

    ports: Ports
    rules: Rules
    times: Times | None = None

    @cached_property
    def locator(self) -> PaymentLocator:
        """Finds the payment that a request names."""
        ports, rules = self.ports, self.rules
        return PaymentLocator(
            ledger=ports.ledger,
            stripe_reports=ports.stripe_reports,
            processors=ports.processors,
            names=rules.names,
            together=ports.together,
            verify_charge=rules.verify_charge,
            livemode=rules.livemode,
            in_doubt=ports.in_doubt,
        )

    @cached_property
    def recorder(self) -> Recorder:
        """Writes refunds together with their payments."""
        ports = self.ports
        return Recorder(
            ledger=ports.ledger,
            clock=ports.clock,
            telemetry=ports.telemetry,
            stage=self.rules.stage,
        )

    @cached_property
    def follow(self) -> FollowRefund:
        """Updates known refunds with what their processor shows now."""
        ports = self.ports
        return FollowRefund(
            ledger=ports.ledger,
            processors=ports.processors,
            recorder=self.recorder,
            doorbell=ports.doorbell,
            clock=ports.clock,
            telemetry=ports.telemetry,
        )

    @cached_property
    def links(self) -> PaymentLinks:
        """Handles a Payment Record that the ledger has linked to another payment."""
        return PaymentLinks(ledger=self.ports.ledger, telemetry=self.ports.telemetry)

    @cached_property
    def learn(self) -> LearnFromCharge:
        """Updates the ledger from a charge that was just read."""
        ports = self.ports
        return LearnFromCharge(
            ledger=ports.ledger,
            refunds=ports.refunds,
            every_refund=ports.every_refund,
            sweeps=ports.sweeps,
            processors=ports.processors,
            follow=self.follow,
            links=self.links,
            clock=ports.clock,
            telemetry=ports.telemetry,
            stage=self.rules.stage,
        )

    @cached_property
    def execute(self) -> ExecuteRefund:
        """Makes a refund once."""
        ports, rules = self.ports, self.rules
        return ExecuteRefund(
            ledger=ports.ledger,
            locator=self.locator,
            reservation=Reservation(
                ledger=ports.ledger,
                learn=self.learn,
                links=self.links,
                accounts=ports.accounts,
                clock=ports.clock,
                telemetry=ports.telemetry,
                lease_ms=rules.lease_ms,
                payout_day_max=rules.payout_day_max,
            ),
            recorder=self.recorder,
            processors=ports.processors,
            doorbell=ports.doorbell,
            clock=ports.clock,
            telemetry=ports.telemetry,
            new_token=ports.new_token,
        )

    @cached_property
    def read_sums(self) -> ReadSums:
        """Reads a payment at Stripe, at its processor and in the ledger."""
        ports = self.ports
        return ReadSums(
            ledger=ports.ledger,
            stripe_reports=ports.stripe_reports,
            processors=ports.processors,
            learn=self.learn,
            every_refund=ports.every_refund,
            clock=ports.clock,
            grace_ms=self._times.grace_ms,
        )

    @cached_property
    def look_at_sums(self) -> LookAtSums:
        """Compares the sums of the three, and acts on what they show."""
        ports, times = self.ports, self._times
        return LookAtSums(
            ledger=ports.ledger,
            read_sums=self.read_sums,
            clock=ports.clock,
            telemetry=ports.telemetry,
            lease_ms=times.report_lease_ms,
            step_ms=times.step_ms,
        )

    @cached_property
    def issue_credit_note(self) -> IssueCreditNote | None:
        """Issues an invoice's credit note; ``None`` if credit notes are off."""
        ports = self.ports
        if ports.credit_notes is None:
            return None
        return IssueCreditNote(
            ledger=ports.ledger,
            notes=ports.credit_notes,
            clock=ports.clock,
            telemetry=ports.telemetry,
            actor=self.rules.actor,
            step_ms=self._times.step_ms,
        )

    @cached_property
    def report(self) -> ReportRefund:
        """Tells Stripe of a refund."""
        ports, times = self.ports, self._times
        return ReportRefund(
            ledger=ports.ledger,
            stripe_reports=ports.stripe_reports,
            read_sums=self.read_sums,
            clock=ports.clock,
            telemetry=ports.telemetry,
            lease_ms=times.report_lease_ms,
            step_ms=times.step_ms,
            others_report=times.others_report,
            credit_notes=self.issue_credit_note,
        )

    @cached_property
    def settle(self) -> SettleRefund:
        """Settles one refund that is due."""
        ports, settings = self.ports, self._times.settling
        if settings is None:
            raise NotWiredError("this function does not settle")
        return SettleRefund(
            ledger=ports.ledger,
            processors=ports.processors,
            recorder=self.recorder,
            execute=self.execute,
            learn=self.learn,
            follow=self.follow,
            look_at_sums=self.look_at_sums,
            accounts=ports.accounts,
            doorbell=ports.doorbell,
            clock=ports.clock,
            telemetry=ports.telemetry,
            settings=settings,
            credit_notes=self.issue_credit_note,
        )

    @cached_property
    def settle_run(self) -> SettleRun:
        """Settles all refunds that are due."""
        ports = self.ports
        return SettleRun(
            ledger=ports.ledger,
            refunds=ports.refunds,
            sweeps=ports.sweeps,
            settle=self.settle,
            together=ports.together_in_runs or ports.together,
            clock=ports.clock,
            telemetry=ports.telemetry,
        )

    @cached_property
    def observe(self) -> ObservePayment:
        """Updates the ledger's payment with what its charge shows now."""
        ports = self.ports
        return ObservePayment(
            ledger=ports.ledger,
            locator=self.locator,
            learn=self.learn,
            links=self.links,
            look_at_sums=self.look_at_sums,
            recorder=self.recorder,
            settle=self.settle,
            clock=ports.clock,
            telemetry=ports.telemetry,
        )

    @cached_property
    def sweep(self) -> SweepPayments:
        """Observes every listed payment that differs from the ledger."""
        ports = self.ports
        return SweepPayments(
            processors=ports.processors,
            sweeps=ports.sweeps,
            payments=ports.payments,
            observe=self.observe,
            together=ports.together_in_runs or ports.together,
            clock=ports.clock,
            telemetry=ports.telemetry,
        )

    @cached_property
    def read_refund(self) -> ReadRefund:
        """Reads a refund from the ledger, if asked to after one check at the processor."""
        return ReadRefund(ledger=self.ports.ledger, settle=self.settle)

    @property
    def _times(self) -> Times:
        if self.times is None:
            raise NotWiredError("this function neither reports nor settles")
        return self.times
