"""A person decides about a report: Stripe must be told, was told by others, or is never told.

::

    owed    we report it the next time the reporter is woken, without comparing the sums. Also for
            a report that Stripe confirmed, if Stripe now shows less than the reports that it
            confirmed: Stripe takes each reference once, so nothing is reported twice
    told    others reported it: Stripe's sum must have room for the amount. If the room was counted
            for reports that the sums alone show (beliefs), those are owed again
    waived  Stripe is never told: its sum has no room, or Stripe cannot be told the amount

A person may decide about reports that failed or wait, that only the sums show, or that were waived,
and about refunds that are older than this service. Either exactly what the person agreed to is
written, or nothing.
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
# A person may decide about these; the others are certain, or are decided without a person.
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
    """Nobody told Stripe: we report the refund, whatever Stripe's sums say."""

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
    """What a decision would change.

    Attributes:
        refund: as it is stored.
        sums: what Stripe, the charge and the ledger show together; ``None``: there is no Payment
            Record, or Stripe does not show it.
        after: the state that the report would have, and its cause.
        owe: ids of refunds whose reports are then owed again, since Stripe's sum has no room for
            them too.
    """

    refund: Refund
    sums: Sums | None
    after: tuple[ReportState, ReportCause | None]
    owe: tuple[str, ...] = ()

    @property
    def meaning(self) -> tuple[object, ...]:
        """What a person agrees to: everything except the time of writing."""
        return self.refund.report.state, self.refund.report.cause, self.after, self.owe


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportByHand:
    """Weighs a person's decision about a report against the sums, and writes it.

    Attributes:
        lease_ms: for how long the lease keeps all others from reporting refunds of the payment.
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
        """What the decision would change; of the report nothing is written.

        Raises:
            ReportDecisionRefusedError: the decision does not fit.
            RefundNotFoundError: there is no such refund.
            RefundBridgeError: Stripe could not be read now, and its sum is needed.
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
            ReportDecisionRefusedError: the decision would now change something else; weigh it
                again.
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
        """The sums; ``None`` if there are none.

        Only "told by others" needs the sums. The other decisions do without them, so that a report
        does not stay open for ever because a payment cannot be read any more.
        """
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
                    # Make it owed first, then waived: the history has both lines.
                    refund = owed(refund, why)
                return canceled(refund, why, ReportCause.WAIVED, soon_ms)


def _is_missing(refund: Refund, decision: ReportDecision, sums: Sums | None) -> bool:
    """Whether a report that Stripe confirmed must be repeated, since Stripe shows too little."""
    is_certain = standing_of(refund) is Standing.REPORTED
    is_short = sums is not None and sums.unexplained < 0
    return is_certain and is_short and isinstance(decision, Owed)


def _cause(refund: Refund) -> str:
    return "" if refund.report.cause is None else f" ({refund.report.cause})"
