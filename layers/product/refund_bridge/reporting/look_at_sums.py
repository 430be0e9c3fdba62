"""Checks what Stripe and the charge show of a payment, though no report of it is due.

This happens an hour after each report, then after 1, 7 and 30 days, and wherever the sums differ.
It notices what others report later, and what a processor takes back late.
"""

from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.stripe_knows import Look, look
from refund_bridge.domain.transitions import Why
from refund_bridge.ports.ledger import Ledger, LedgerConflictError
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.reporting.read_sums import ReadSums, Sums
from refund_bridge.reporting.report_steps import (
    STEPS_MAX,
    ReportsChangedError,
    Step,
    WriteReports,
    all_reports_of,
    confirmed,
    owed,
)

ACTOR: Final = "settle_refunds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The result of one check of the sums.

    Attributes:
        again: whether the sums must be read once more before they are believed.
        listed: as in ``Sums``.
    """

    again: bool
    listed: frozenset[str] | None

    def followed(self, refund: Refund) -> bool:
        """Whether this check has already told what became of the refund.

        It has not if the charge lists nothing readable or does not list the refund's processor
        refund: a payment may list that under another id, or not any more.
        """
        bound_to = refund.processor_refund_id
        return self.listed is not None and (bound_to is None or bound_to in self.listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtSums:
    """Compares one payment's sums, and acts on what they show.

    Attributes:
        lease_ms: for how long no other worker may report a refund of the payment.
        step_ms: the settle interval.
    """

    ledger: Ledger
    read_sums: ReadSums
    clock: Clock
    telemetry: Telemetry
    lease_ms: int
    step_ms: int

    def __call__(self, payment: Payment, payment_record: str, deadline: Deadline) -> Looked:
        """Check the sums once; what follows from it is durable on return.

        Raises:
            RefundBridgeError: Stripe or the processor could not be read now.
            LedgerConflictError: another worker reports or writes; check later.
            LedgerUnavailableError: the ledger gave no answer.
        """
        write, now_ms = WriteReports(ledger=self.ledger), self.clock.now_ms()
        try:
            with all_reports_of(payment, write, now_ms=now_ms, lease_ms=self.lease_ms) as taken:
                sums = self.read_sums(taken, payment_record, deadline)
                found = look(
                    sums.lines,
                    sums.unexplained,
                    seen_before=sums.seen_before,
                    slot_taken=sums.payment.slot is not None,
                    all_listed=sums.all_listed,
                )
                write(sums.payment, self._steps(sums, found))
        except ReportsChangedError as error:
            raise LedgerConflictError(str(error)) from error
        self._tell(sums, found)
        again = sums.unexplained not in (0, sums.seen_before)
        return Looked(again=again, listed=sums.listed)

    def _steps(self, sums: Sums, found: Look) -> list[tuple[Refund, Step]]:
        now_ms = self.clock.now_ms()
        by_sums = Why(at_ms=now_ms, cause=ReportCause.BY_SUMS, actor=ACTOR)
        again = Why(at_ms=now_ms, cause="sums_do_not_hold_it", actor=ACTOR)
        soon_ms = now_ms + self.step_ms
        known: list[tuple[Refund, Step]] = [
            (
                sums.refunds[one],
                lambda stored: confirmed(stored, by_sums, ReportCause.BY_SUMS, soon_ms),
            )
            for one in found.known
        ]
        owing: list[tuple[Refund, Step]] = [
            (sums.refunds[one], lambda stored: owed(stored, again)) for one in found.owe
        ]
        return [*known, *owing][:STEPS_MAX]

    def _tell(self, sums: Sums, found: Look) -> None:
        for one in found.known:
            self.telemetry.note("report_known_by_sums", refund_id=one)
        if found.alarm is not None:
            self.telemetry.note(
                found.alarm,
                payment_record=sums.payment.payment_record,
                charge=sums.payment.key.charge_id,
                amount=abs(sums.unexplained),
            )
