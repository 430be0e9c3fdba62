"""A person decides about a report: Stripe is owed it, was told of it, or is never told.

::

    owed    told without asking the sums, from the next ring on; also what was certain, where Stripe
            shows less than all that is: it takes each reference once, so nothing is told twice
    told    Stripe shows it: its sum must hold the amount; beliefs that held it are owed again
    waived  Stripe is never told: there is no room, or it cannot be told the amount

For reports that failed or wait, for what is only believed to be at Stripe, for what was waived, and
for refunds that are older than this service. What a person agreed to is written, or nothing is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import REASON_MAX
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.record_lines import standing_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.domain.stripe_knows import NotShown, Standing, told_by_person
from refund_bridge.domain.transitions import Why
from refund_bridge.ports.ledger import Ledger, LedgerConflictError
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.record_outcome import refund_named
from refund_bridge.reporting.read_sums import ReadSums, Sums
from refund_bridge.reporting.report_steps import (
    STEPS_MAX,
    ReportsChangedError,
    Step,
    WriteReports,
    all_reports_of,
    canceled,
    confirmed,
    owed,
)

CAUSE: Final = "decided_by_person"
# What a person may decide about; everything else is certain, or decides itself.
OPEN: Final = frozenset(
    {
        Standing.DUE,
        Standing.UNDECIDED,
        Standing.FAILED,
        Standing.BELIEVED,
        Standing.BEFORE_ADOPTION,
    }
)


@dataclass(frozen=True, slots=True)
class Owed:
    """Nobody told Stripe: it is to be told, whatever its sums say."""

    reason: str


@dataclass(frozen=True, slots=True)
class ToldByOthers:
    """Somebody told Stripe, under whatever reference."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waive:
    """Stripe is never told."""

    reason: str


ReportDecision = Owed | ToldByOthers | Waive


class ReportDecisionRefusedError(Exception):
    """The decision does not fit what Stripe shows or how the report stands; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedReport:
    """What a decision comes to.

    Attributes:
        refund: as it is stored.
        sums: what Stripe, the charge and the ledger show together; ``None``: there is no Payment
            Record, or Stripe does not show it.
        after: where the report would stand.
        owe: ids of refunds that are then owed to Stripe again, since the sums cannot hold them too.
    """

    refund: Refund
    sums: Sums | None
    after: tuple[ReportState, ReportCause | None]
    owe: tuple[str, ...] = ()

    @property
    def meaning(self) -> tuple[object, ...]:
        """What a person agrees to: everything but when it is written."""
        return self.refund.report.state, self.refund.report.cause, self.after, self.owe


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportByHand:
    """Weighs a person's decision about a report against the sums, and writes it.

    Attributes:
        lease_ms: for how long nobody else reports a refund of the payment meanwhile.
        step_ms: the settle interval.
        actor: who decides, for the history.
    """

    ledger: Ledger
    read_sums: ReadSums
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry
    lease_ms: int
    step_ms: int
    actor: str

    def weigh(self, refund_id: str, decision: ReportDecision, deadline: Deadline) -> WeighedReport:
        """What the decision would make true; of the report nothing is written.

        Raises:
            ReportDecisionRefusedError: it does not fit.
            RefundNotFoundError: there is no such refund.
            RefundBridgeError: Stripe could not be read now, whose sum decides.
            LedgerConflictError: the payment changes too fast; weigh it again.
            LedgerUnavailableError: the ledger gave no answer.
        """
        refund = refund_named(self.ledger, refund_id)
        payment = self.ledger.payment(payment_key_of(refund))
        record = refund.payment_record
        if record is None and isinstance(decision, Waive):
            return self._weighed(refund, decision, None)
        if payment is None or record is None:
            raise ReportDecisionRefusedError(
                f"No Payment Record books {refund_id}: write its id where the payment is linked, "
                "and read the payment again."
            )
        return self._weighed(refund, decision, self._sums(payment, record, decision, deadline))

    def carry_out(
        self,
        refund_id: str,
        decision: ReportDecision,
        agreed: WeighedReport,
        deadline: Deadline,
    ) -> Refund:
        """Write the decision, if it still means what ``agreed`` does; durable on return.

        Raises:
            ReportDecisionRefusedError: it means something else by now; weigh it again.
            RefundNotFoundError, RefundBridgeError, LedgerConflictError: as ``weigh``.
            LedgerUnavailableError: it is not known whether it was written; doing it again is safe.
        """
        payment = self.ledger.payment(payment_key_of(refund_named(self.ledger, refund_id)))
        if payment is None:
            raise LedgerConflictError(f"the payment of {refund_id} is not there")
        write, now_ms = WriteReports(ledger=self.ledger), self.clock.now_ms()
        try:
            with all_reports_of(payment, write, now_ms=now_ms, lease_ms=self.lease_ms):
                now = self.weigh(refund_id, decision, deadline)
                if now.meaning != agreed.meaning:
                    raise ReportDecisionRefusedError(
                        f"What is known of {refund_id} changed meanwhile; nothing was written."
                    )
                latest = payment if now.sums is None else now.sums.payment
                written = write(latest, self._steps(now, decision))
        except ReportsChangedError as error:
            raise LedgerConflictError(str(error)) from error
        self.telemetry.note("report_decided", refund_id=refund_id, state=now.after[0])
        return written.refunds[0]

    # --- weighing ---------------------------------------------------------------------------------

    def _sums(
        self, payment: Payment, record: str, decision: ReportDecision, deadline: Deadline
    ) -> Sums | None:
        """As far as they can be read: a report is not left open for what nobody shows any more."""
        try:
            return self.read_sums(payment, record, deadline, without_charge=True)
        except RefundBridgeError:
            if isinstance(decision, ToldByOthers):
                raise
            return None

    def _weighed(
        self, refund: Refund, decision: ReportDecision, sums: Sums | None
    ) -> WeighedReport:
        refund = refund if sums is None else sums.refunds.get(refund.id, refund)
        is_waived = refund.report.cause is ReportCause.WAIVED and not isinstance(decision, Waive)
        is_open = standing_of(refund) in OPEN or is_waived
        if not is_open and not _is_missing(refund, decision, sums):
            raise ReportDecisionRefusedError(
                f"The report of {refund.id} is {refund.report.state}"
                f"{_cause(refund)}: there is nothing to decide about it."
            )
        match decision:
            case Owed():
                if refund.late_failure_at_ms is not None:
                    raise ReportDecisionRefusedError(
                        f"{refund.processor} took {refund.id} back: Stripe is not owed it."
                    )
                return WeighedReport(refund=refund, sums=sums, after=(ReportState.DUE, None))
            case Waive():
                after = (ReportState.NOT_DUE, ReportCause.WAIVED)
                return WeighedReport(refund=refund, sums=sums, after=after)
            case ToldByOthers() if sums is not None:
                told = told_by_person(refund.id, sums.lines, sums.unexplained)
                if isinstance(told, NotShown):
                    short = Money(told.short, refund.currency).for_people()
                    raise ReportDecisionRefusedError(
                        f"Nobody can have told Stripe of {refund.id}: for that, the sum that "
                        f"Stripe shows as refunded is {short} too small."
                    )
                after = (ReportState.REPORTED, ReportCause.TOLD_BY_PERSON)
                return WeighedReport(refund=refund, sums=sums, after=after, owe=told.owe)
        raise ReportDecisionRefusedError(f"Without a Payment Record Stripe shows no {refund.id}.")

    # --- writing ----------------------------------------------------------------------------------

    def _steps(
        self, weighed: WeighedReport, decision: ReportDecision
    ) -> Sequence[tuple[Refund, Step]]:
        why = Why(
            at_ms=self.clock.now_ms(),
            cause=CAUSE,
            actor=self.actor,
            evidence={"reason": decision.reason[:REASON_MAX]},
        )
        known = {} if weighed.sums is None else weighed.sums.refunds
        owing: list[tuple[Refund, Step]] = [
            (known[one], lambda stored: owed(stored, why)) for one in weighed.owe[:STEPS_MAX]
        ]
        return [(weighed.refund, lambda stored: self._decided(stored, decision, why)), *owing]

    def _decided(self, refund: Refund, decision: ReportDecision, why: Why) -> Refund:
        soon_ms = why.at_ms + self.step_ms
        match decision:
            case ToldByOthers():
                return confirmed(refund, why, ReportCause.TOLD_BY_PERSON, soon_ms)
            case Owed():
                return owed(refund, why, forced=True)
            case Waive():
                state = refund.report.state
                if state in (ReportState.NOT_DUE, ReportState.REPORTED):
                    # Owed and waived at once: the history then says both.
                    refund = owed(refund, why)
                return canceled(refund, why, ReportCause.WAIVED, soon_ms)


def _is_missing(refund: Refund, decision: ReportDecision, sums: Sums | None) -> bool:
    """Whether it is to be told again, though it was told, and Stripe shows less than that."""
    is_certain = standing_of(refund) is Standing.REPORTED
    is_short = sums is not None and sums.unexplained < 0
    return is_certain and is_short and isinstance(decision, Owed)


def _cause(refund: Refund) -> str:
    return "" if refund.report.cause is None else f" ({refund.report.cause})"
