"""Tell Stripe of a refund that succeeded: exactly once, with the parameters frozen at success.

::

    take     due → due, leased to this worker          one conditional write that also reads
    tell     Stripe report_refund                      key = refund id + epoch
    confirm  due → reported                            refund and payment in one transaction;
                                                       a refunded invoice owes its credit note now

Called for every message of the report queue: duplicated, late, replayed from the dead-letter queue
or for a refund that owes nothing. The ledger decides, never the message.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from refunds.credit_note import IssueCreditNote, owing_credit_note
from refunds.outcome import RING_CHECK_MS
from refunds.payment import payment_key_of, revision_after
from refunds.ports import (
    Book,
    Clock,
    Commit,
    Deadline,
    Ledger,
    LedgerConflictError,
    ProviderUnavailableError,
    RefundWrite,
    ReportAccepted,
    ReportOutcome,
    ReportRefused,
    ReportStep,
    ReportUnclear,
    StripeObjectNotFoundError,
    Trail,
)
from refunds.refund import Refund, Why, report_transition
from refunds.state_machine import ReportEvent, ReportState

ACTOR: Final = "report_refund"
# Whoever else writes the refund meanwhile (settling, a taken-back success) wins a round.
WRITE_ATTEMPTS: Final = 25


class Reported(StrEnum):
    """How a message ended well; it may leave the queue."""

    REPORTED = "reported"
    NOTHING_DUE = "nothing_due"


class ReportDeferredError(Exception):
    """Not reported yet; the message must come back.

    Attributes:
        reason: for logs.
        retry_after_s: Stripe's wish, if it gave one.
        leased: whether another worker has the report now, so nothing was tried here.
    """

    def __init__(
        self, reason: str, *, retry_after_s: int | None = None, leased: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.leased = leased


class ReportFailedError(Exception):
    """The report became ``failed``: the message belongs in the dead-letter queue."""


class UnknownRefundError(Exception):
    """A message names a refund that the ledger does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRefund:
    """Reports one refund to Stripe.

    Attributes:
        lease_ms: how long one worker has a report to itself; longer than the function may run.
        credit_notes: issues credit notes on refunded invoices; ``None``: none are issued.
    """

    ledger: Ledger
    book: Book
    clock: Clock
    trail: Trail
    lease_ms: int
    credit_notes: IssueCreditNote | None = None

    def __call__(self, refund_id: str, deadline: Deadline, *, receive: int, last: bool) -> Reported:
        """Report the refund, if it owes a report; ``reported`` is durable on return.

        ``receive`` says how often this message was received; on the ``last`` allowed receive a
        report that still fails becomes ``failed``.

        Raises:
            ReportDeferredError: try again later.
            ReportFailedError: the report is ``failed`` now, durably; a person must look.
            UnknownRefundError: the ledger has no such refund.
            LedgerUnavailableError: the ledger gave no answer; try again later.
        """
        refund = self._take(refund_id, first_receive=receive == 1)
        if refund is None:
            return Reported.NOTHING_DUE
        outcome = self._tell(refund, deadline)
        match outcome:
            case ReportAccepted():
                self._confirm(refund, deadline)
                return Reported.REPORTED
            case ReportRefused(reason, code):
                return self._conclude(refund, deadline, f"refused: {code or reason}", last=last)
            case ReportUnclear(reason, new_epoch, retry_after_s):
                if last and not outcome.credential_refused:
                    return self._conclude(refund, deadline, f"unclear: {reason}", last=True)
                self._release(refund, reason, new_epoch=new_epoch)
                raise ReportDeferredError(reason, retry_after_s=retry_after_s)

    def _take(self, refund_id: str, *, first_receive: bool) -> Refund | None:
        """The report, leased to this worker; ``None`` if nothing is owed."""
        now_ms = self.clock.now_ms()
        until_ms = now_ms + self.lease_ms
        taken = self.ledger.take_report(refund_id, now_ms=now_ms, lease_until_ms=until_ms)
        if taken is not None:
            return taken
        refund = self.ledger.refund(refund_id)
        if refund is None:
            raise UnknownRefundError(refund_id)
        if refund.report.state is ReportState.DUE:
            raise ReportDeferredError("another worker has this report", leased=True)
        if refund.report.state is ReportState.FAILED:
            if not first_receive or refund.report.parameters is None:
                # Without parameters there is nothing to ask: no Payment Record books the refund.
                raise ReportFailedError(refund.report.last_error or "failed before")
            if refund.late_failure_at_ms is not None:
                # The money came back meanwhile: there is nothing left to tell.
                self.trail.note("nothing_due", refund_id=refund_id, report="taken back")
                return None
            # Received for the first time though the report failed: redriven from the dead-letter
            # queue, or a second message of the same refund. Asking once more is right for both.
            self._replay(refund)
            return self.ledger.take_report(refund_id, now_ms=now_ms, lease_until_ms=until_ms)
        self.trail.note("nothing_due", refund_id=refund_id, report=refund.report.state)
        return None

    def _tell(self, refund: Refund, deadline: Deadline) -> ReportOutcome:
        parameters = refund.report.parameters
        if parameters is None:
            raise ReportFailedError(f"{refund.id} owes a report that has no parameters")
        key = idempotency_key_of(refund)
        return self.book.report_refund(parameters, key, deadline)

    def _conclude(self, refund: Refund, deadline: Deadline, reason: str, *, last: bool) -> Reported:
        """The end of asking: booked by an earlier attempt after all, or failed."""
        if self._is_booked(refund, deadline, last=last):
            self._confirm(refund, deadline)
            return Reported.REPORTED
        self._give_up(refund, reason)
        raise ReportFailedError(reason)

    def _is_booked(self, refund: Refund, deadline: Deadline, *, last: bool) -> bool:
        """At the end of asking: does the record show this refund all the same?

        A refusal may mean that an earlier attempt was booked and its answer lost: the reference is
        unique, so Stripe refuses the second. A first attempt has no such excuse. Stripe cannot be
        asked for a reference, but if the record has risen by just what is due over what the ledger
        surely knows to be in the book, then all that is due is booked. Anything else is for a
        person.
        """
        payment = self.ledger.payment(payment_key_of(refund))
        first = refund.report.attempts <= 1 and not last
        if payment is None or refund.payment_record is None or first:
            return False
        try:
            record = self.book.payment_record(refund.payment_record, deadline)
        except (ProviderUnavailableError, StripeObjectNotFoundError) as error:
            if last:
                return False
            self._release(refund, "refused, record not readable", new_epoch=False)
            raise ReportDeferredError("refused, and the record could not be read") from error
        unchanged = self.ledger.payment(payment.key) == payment
        risen = record.amount_refunded - payment.booked - payment.foreign_in_book
        self.trail.note("refusal_judged", refund_id=refund.id, risen=risen, unchanged=unchanged)
        in_doubt = payment.report_failed_amount or payment.foreign_doubt
        if unchanged and not in_doubt and risen == payment.report_due_amount:
            return True
        if payment.report_due_count > 1 and not last:
            # Another report of this payment may be at Stripe just now: look again when it is not.
            self._release(refund, "refused while another report is due", new_epoch=False)
            raise ReportDeferredError("refused while another report of the payment is due")
        return False

    def _confirm(self, refund: Refund, deadline: Deadline) -> None:
        now_ms = self.clock.now_ms()
        confirmed = self._step(
            refund, ReportEvent.CONFIRM, "stripe_accepted", reported_at_ms=now_ms
        )
        if confirmed is not None:
            lag_ms = now_ms - (refund.succeeded_at_ms or now_ms)
            attempts = refund.report.attempts
            self.trail.note(
                "refund_reported", refund_id=refund.id, lag_ms=lag_ms, attempts=attempts
            )
        if confirmed is not None and self.credit_notes is not None:
            self.credit_notes.at_once(confirmed, deadline)

    def _give_up(self, refund: Refund, reason: str) -> None:
        self._step(refund, ReportEvent.GIVE_UP, reason, last_error=reason)
        self.trail.note("report_failed", refund_id=refund.id, reason=reason)

    def _replay(self, refund: Refund) -> None:
        # Answers stored at Stripe under the old key must not decide a replay.
        now_ms, epoch = self.clock.now_ms(), refund.report.epoch + 1
        self._step(refund, ReportEvent.REPLAY, "redriven", epoch=epoch, last_ring_ms=now_ms)

    def _release(self, refund: Refund, reason: str, *, new_epoch: bool) -> None:
        """Give the lease back and note the error, so that the next receive may try at once."""
        report, now_ms = refund.report, self.clock.now_ms()
        age_ms = now_ms - (refund.report_due_at_ms or now_ms)
        self.trail.note("report_delayed", refund_id=refund.id, age_ms=age_ms, reason=reason)
        epoch = report.epoch + 1 if new_epoch else report.epoch
        released = replace(
            refund,
            report=replace(report, lease_until_ms=None, last_error=reason, epoch=epoch),
            updated_at_ms=now_ms,
        )
        try:
            self.ledger.commit(Commit(refunds=(RefundWrite(refund, released),)))
        except LedgerConflictError:
            # Somebody else wrote meanwhile; the lease then simply ends by itself.
            self.trail.note("lease_not_released", refund_id=refund.id)

    def _step(
        self, refund: Refund, event: ReportEvent, cause: str, **facts: str | int | None
    ) -> Refund | None:
        """Write one step of the report, and what it means for the payment, in one transaction.

        Returns the refund as stored; ``None`` if somebody else has moved its report on.
        """
        due = refund.report.state
        for _ in range(WRITE_ATTEMPTS):
            why = Why(at_ms=self.clock.now_ms(), cause=cause, actor=ACTOR)
            after = report_transition(refund, event, why, lease_until_ms=None, **facts)
            is_owed = after.report.state is ReportState.DUE
            after = replace(after, next_check_ms=why.at_ms + RING_CHECK_MS if is_owed else None)
            if event is ReportEvent.CONFIRM and self.credit_notes is not None:
                after = owing_credit_note(after, why)
            step = ReportStep(refund, after)
            try:
                self.ledger.commit(Commit(refunds=(RefundWrite(refund, after),), reports=(step,)))
            except LedgerConflictError:
                again = self.ledger.refund(refund.id)
                if again is None or again.report.state is not due:
                    return None
                refund = again
            else:
                return replace(after, revision=revision_after(refund))
        raise ReportDeferredError("the payment is too busy to write the report")


def idempotency_key_of(refund: Refund) -> str:
    """Stripe's idempotency key of this refund's report: stable within an epoch."""
    return f"{refund.id}:{refund.report.epoch}"
