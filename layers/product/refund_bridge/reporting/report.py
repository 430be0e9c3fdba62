"""Tells Stripe of a refund that succeeded: exactly once, with the parameters frozen at success.

::

    take     lease this report and all others of its payment to this worker for a while
    weigh    does Stripe know already? ``stripe_knows`` decides; most are told without weighing
    tell     Stripe report_refund           key = refund id + epoch; counted before Stripe is asked
    confirm  due → reported                 refund and payment in one transaction;
                                            a refunded invoice's credit note becomes due

Called for every message of the report queue, also for duplicated or late ones, for those redriven
from the dead-letter queue and for refunds whose report is not due. Only the ledger decides what is
done, never the message.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from refund_bridge.domain.backoff import backoff_steps
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.outcome import RING_CHECK_MS
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.record_lines import line_of
from refund_bridge.domain.refund import STRIPE_ACCEPTED, Refund
from refund_bridge.domain.report import ProviderAnswer, ReportCause, with_answer, with_last_answer
from refund_bridge.domain.state_machine import ReportState
from refund_bridge.domain.stripe_knows import (
    ByReference,
    CannotTell,
    Known,
    NothingToTell,
    OthersReport,
    Refused,
    Tell,
    Verdict,
    Wait,
    Waiting,
    judge_refusal,
    told_at_once,
    weigh,
)
from refund_bridge.domain.transitions import Why
from refund_bridge.ports.ledger import Ledger, LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.ports.stripe import (
    ReportAccepted,
    ReportOutcome,
    ReportRefused,
    ReportUnclear,
    StripeReports,
)
from refund_bridge.reporting.credit_note import IssueCreditNote, owing_credit_note
from refund_bridge.reporting.read_sums import ReadSums, Sums
from refund_bridge.reporting.report_steps import (
    STEPS_MAX,
    ReportsChangedError,
    Step,
    WriteReports,
    Written,
    about_to_be_sent,
    canceled,
    confirmed,
    given_up,
    owed,
    put_off,
    released,
    taken,
)

ACTOR: Final = "report_refund"
TAKE_ATTEMPTS: Final = 5
# With less time left Stripe is not asked: a shorter timeout would only leave more reports unclear.
TELL_MS_MIN: Final = 6_000
# An hour and a day, in steps of the settle interval (a minute).
HOUR_STEPS: Final = 60
DAY_STEPS: Final = 24 * 60


class Reported(StrEnum):
    """The result of a message that was handled and may leave the queue.

    ``waits``: the report is still due, and settling rings for it again.
    """

    REPORTED = "reported"
    NOTHING_DUE = "nothing_due"
    WAITS = "waits"


class ReportDeferredError(Exception):
    """The refund is not reported yet; the message must come back.

    Attributes:
        reason: for logs.
        retry_after_s: how long Stripe asked us to wait, if it did.
        leased: whether another worker has the payment's reports now, so nothing was tried here.
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


@dataclass(frozen=True, slots=True)
class _Taken:
    """A report that this worker has taken.

    Attributes:
        until_ms: until when this worker has the payment's reports; Unix milliseconds.
        answer: what Stripe answered to this attempt, if it was asked and did not accept it.
    """

    refund: Refund
    payment: Payment
    until_ms: int
    answer: ProviderAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRefund:
    """Reports one refund to Stripe.

    Attributes:
        lease_ms: how long one worker has a payment's reports; longer than the function may run.
        step_ms: the settle interval, of which every pause is a multiple.
        others_report: the merchant's setting: how others report their external refunds to Stripe.
        credit_notes: issues credit notes on refunded invoices; ``None``: none are issued.
    """

    ledger: Ledger
    stripe_reports: StripeReports
    read_sums: ReadSums
    clock: Clock
    telemetry: Telemetry
    lease_ms: int
    step_ms: int
    others_report: OthersReport = OthersReport.ANYHOW
    credit_notes: IssueCreditNote | None = None

    def __call__(self, refund_id: str, deadline: Deadline, *, receive: int, last: bool) -> Reported:
        """Report the refund to Stripe, if its report is due; the result is durable on return.

        ``receive`` says how often this message was received; on the ``last`` allowed receive a
        report that still gets no usable answer becomes ``failed``.

        Raises:
            ReportDeferredError: try again later.
            ReportFailedError: the report is ``failed`` now, durably; a person must decide.
            UnknownRefundError: the ledger has no such refund.
            LedgerUnavailableError: the ledger gave no answer; try again later.
        """
        mine = self._take(refund_id, first_receive=receive == 1)
        if mine is None:
            return Reported.NOTHING_DUE
        try:
            if self._is_told_at_once(mine.refund):
                return self._tell(mine, deadline, last=last)
            return self._weigh(mine, deadline, last=last)
        except ReportsChangedError as error:
            # Settling or a person has changed the report: decide anew at the next receive.
            raise ReportDeferredError(str(error)) from error

    # --- take -------------------------------------------------------------------------------------

    def _take(self, refund_id: str, *, first_receive: bool) -> _Taken | None:
        """Take the report and all others of its payment; ``None`` if it is not due."""
        for _ in range(TAKE_ATTEMPTS):
            refund = self.ledger.refund(refund_id)
            if refund is None:
                raise UnknownRefundError(refund_id)
            if refund.report.state is ReportState.FAILED:
                refund = self._replayed(refund, first_receive=first_receive)
            if refund is None or refund.report.state is not ReportState.DUE:
                state = ReportState.NOT_DUE if refund is None else refund.report.state
                self.telemetry.note("nothing_due", refund_id=refund_id, report=state)
                return None
            try:
                return self._leased(refund)
            except ReportsChangedError:
                continue
        raise ReportDeferredError("the report keeps changing")

    def _leased(self, refund: Refund) -> _Taken:
        now_ms, until_ms = self.clock.now_ms(), self.clock.now_ms() + self.lease_ms
        payment = self._payment(refund)
        before_ms = payment.report_lease_until_ms
        for lease_ms in (before_ms, refund.report.lease_until_ms):
            if lease_ms is not None and lease_ms > now_ms:
                raise ReportDeferredError("another worker has the payment's reports", leased=True)
        at_once = self._is_told_at_once(refund)

        def step(stored: Refund) -> Refund:
            mine = taken(stored, until_ms)
            return about_to_be_sent(mine) if at_once else mine

        written = self._writer(payment, [(refund, step)], lease=(before_ms, until_ms))
        return _Taken(written.refunds[0], written.payment, until_ms)

    def _payment(self, refund: Refund) -> Payment:
        payment = self.ledger.payment(payment_key_of(refund))
        if payment is None:
            raise LedgerUnavailableError(f"the ledger does not show {refund.id} whole")
        return payment

    def _replayed(self, refund: Refund, *, first_receive: bool) -> Refund | None:
        """Make a failed report due again, because its message came anew.

        The message was redriven, or it is a second one for the same refund; asking Stripe once more
        is right for both. ``None`` if there is nothing left to tell.
        """
        if not first_receive or refund.payment_record is None:
            # Without a Payment Record there is nothing to ask.
            raise ReportFailedError(refund.report.last_error or "failed before")
        if refund.late_failure_at_ms is not None and not refund.report.was_sent:
            return None
        now_ms = self.clock.now_ms()
        why = self._why("redriven")

        def step(stored: Refund) -> Refund:
            due = owed(stored, why)
            ring_ms = now_ms + RING_CHECK_MS
            report = replace(due.report, last_ring_ms=now_ms)
            return replace(due, report=report, next_check_ms=ring_ms)

        try:
            return self._writer(self._payment(refund), [(refund, step)]).refunds[0]
        except ReportsChangedError:
            return self.ledger.refund(refund.id)

    def _is_told_at_once(self, refund: Refund) -> bool:
        return told_at_once(
            line_of(refund, now_ms=self.clock.now_ms(), grace_ms=self.read_sums.grace_ms)
        )

    # --- weigh ------------------------------------------------------------------------------------

    def _weigh(self, mine: _Taken, deadline: Deadline, *, last: bool) -> Reported:
        try:
            sums = self._sums(mine, deadline)
        except (RefundBridgeError, LedgerConflictError) as error:
            # Nothing was sent, so the report is not given up: settling rings again.
            return self._put_off(mine, f"not weighed: {_named(error)}")
        verdict = weigh(
            mine.refund.id,
            sums.lines,
            sums.unexplained,
            seen_before=sums.seen_before,
            slot_taken=sums.payment.slot is not None,
            all_listed=sums.all_listed,
            others_report=self.others_report,
        )
        self.telemetry.note(
            "report_weighed",
            refund_id=mine.refund.id,
            verdict=type(verdict).__name__,
            unexplained=sums.unexplained,
        )
        return self._act_on(verdict, mine, sums, deadline, last=last)

    def _act_on(
        self, verdict: Verdict, mine: _Taken, sums: Sums, deadline: Deadline, *, last: bool
    ) -> Reported:
        refund, mine = mine.refund, replace(mine, payment=sums.payment)
        match verdict:
            case Tell() if deadline.remaining_ms() < TELL_MS_MIN:
                return self._put_off(mine, "reading took too long to tell")
            case Tell():
                sent = self._writer(sums.payment, [(refund, about_to_be_sent)])
                counted = _Taken(sent.refunds[0], sent.payment, mine.until_ms)
                return self._tell(counted, deadline, last=last)
            case Wait(waiting, owe):
                return self._put_off(mine, waiting, sums=sums, owe=owe)
            case Known(known):
                return self._known(mine, sums, known)
            case CannotTell():
                reason = "nobody can tell whether Stripe was told of it"
                self._give_up(mine, ReportCause.CANNOT_TELL, reason)
                raise ReportFailedError(reason)
            case NothingToTell():
                soon_ms = self._soon_ms()
                why = self._why("taken_back")
                self._write(mine, [(refund, lambda one: canceled(one, why, None, soon_ms))])
                return Reported.NOTHING_DUE

    def _known(self, mine: _Taken, sums: Sums, known: tuple[str, ...]) -> Reported:
        """Confirm the reports that Stripe's sum shows; put this one off if it is not among them."""
        why, soon_ms = self._why(ReportCause.BY_SUMS), self._soon_ms()
        steps: list[tuple[Refund, Step]] = [
            (sums.refunds[one], lambda stored: confirmed(stored, why, ReportCause.BY_SUMS, soon_ms))
            for one in known[:STEPS_MAX]
        ]
        if mine.refund.id not in known[:STEPS_MAX]:
            pause = self._put_off_step(mine.refund, Waiting.READ_AGAIN)
            steps.append((mine.refund, pause))
        self._write(mine, steps)
        for one in known:
            self.telemetry.note("report_known_by_sums", refund_id=one)
        return Reported.REPORTED if mine.refund.id in known else Reported.WAITS

    # --- tell -------------------------------------------------------------------------------------

    def _tell(self, mine: _Taken, deadline: Deadline, *, last: bool) -> Reported:
        """Tell Stripe and write the result; the attempt was counted before."""
        refund = mine.refund
        parameters = refund.report.parameters
        if parameters is None:
            self._give_up(mine, ReportCause.NOT_LINKED, "no Payment Record books it")
            raise ReportFailedError(f"{refund.id} owes a report that has no parameters")
        outcome = self.stripe_reports.report_refund(
            parameters, idempotency_key_of(refund), deadline
        )
        mine = replace(mine, answer=self._answer(refund, outcome))
        match outcome:
            case ReportAccepted(record):
                return self._accepted(mine, record, deadline)
            case ReportRefused(reason, code):
                return self._refused(mine, f"refused: {code or reason}", deadline, last=last)
            case ReportUnclear(reason, credential_refused=True):
                # Our credential is wrong, not the refund: the report is not given up.
                return self._put_off(mine, reason)
            case ReportUnclear(reason, new_epoch, retry_after_s):
                if not outcome.was_asked:
                    reason = with_last_answer(reason, refund.report.answers)
                if last:
                    self._give_up(mine, ReportCause.UNCLEAR, f"unclear: {reason}")
                    raise ReportFailedError(reason)
                self._release(mine, reason, new_epoch=new_epoch)
                raise ReportDeferredError(reason, retry_after_s=retry_after_s)

    def _answer(self, refund: Refund, outcome: ReportOutcome) -> ProviderAnswer | None:
        """What Stripe said, if it was asked and did not accept the report."""
        match outcome:
            case ReportUnclear(reason, was_asked=True) | ReportRefused(reason):
                attempt, at_ms = refund.report.attempts, self.clock.now_ms()
                return ProviderAnswer(attempt=attempt, at_ms=at_ms, said=reason)
            case _:
                return None

    def _accepted(self, mine: _Taken, record: PaymentRecord | None, deadline: Deadline) -> Reported:
        refund, why = mine.refund, self._why(STRIPE_ACCEPTED)
        check_ms = why.at_ms + self._after_ms(mine, record)

        def step(stored: Refund) -> Refund:
            told = confirmed(stored, why, ReportCause.BY_US, check_ms)
            return told if self.credit_notes is None else owing_credit_note(told, why)

        told = self._write(mine, [(refund, step)]).refunds[0]
        lag_ms = why.at_ms - (refund.succeeded_at_ms or why.at_ms)
        attempts = refund.report.attempts
        self.telemetry.note(
            "refund_reported", refund_id=refund.id, lag_ms=lag_ms, attempts=attempts
        )
        if self.credit_notes is not None:
            self.credit_notes.at_once(told, deadline)
        return Reported.REPORTED

    def _after_ms(self, mine: _Taken, record: PaymentRecord | None) -> int:
        """How long until the sums are checked next: an hour, or one step if they differ already."""
        payment = mine.payment
        explained = payment.booked + mine.refund.amount + payment.accepted_excess
        agree = record is not None and record.amount_refunded == explained
        return (HOUR_STEPS if agree else 1) * self.step_ms

    def _refused(self, mine: _Taken, reason: str, deadline: Deadline, *, last: bool) -> Reported:
        """Handle Stripe's refusal: it knows the reference already, or something is wrong."""
        refund = mine.refund
        try:
            sums = self._sums(mine, deadline)
        except (RefundBridgeError, LedgerConflictError) as error:
            if not last:
                self._release(mine, "refused, and the sums could not be read", new_epoch=False)
                raise ReportDeferredError("refused, and the sums could not be read") from error
            self._give_up(mine, ReportCause.REFUSED, reason)
            raise ReportFailedError(reason) from error
        verdict = judge_refusal(
            refund.id,
            sums.lines,
            amount_refunded=sums.record.amount_refunded,
            captured=sums.record.captured,
            accepted_excess=sums.payment.accepted_excess,
        )
        self.telemetry.note(
            "refusal_judged", refund_id=refund.id, verdict=type(verdict).__name__, reason=reason
        )
        match verdict:
            case ByReference(owe):
                return self._known_by_reference(mine, deadline, sums, owe)
            case Wait(waiting):
                return self._put_off(mine, waiting)
            case Refused(no_room):
                cause = ReportCause.NO_ROOM if no_room else ReportCause.REFUSED
                self._give_up(mine, cause, reason)
                raise ReportFailedError(reason)

    def _known_by_reference(
        self,
        mine: _Taken,
        deadline: Deadline,
        sums: Sums,
        owe: tuple[str, ...],
    ) -> Reported:
        why, soon_ms = self._why(ReportCause.BY_REFERENCE), self._soon_ms()

        def step(stored: Refund) -> Refund:
            known = confirmed(stored, why, ReportCause.BY_REFERENCE, soon_ms)
            return known if self.credit_notes is None else owing_credit_note(known, why)

        written = self._write(mine, [(mine.refund, step), *self._owing(sums, owe)])
        self.telemetry.note("report_known_by_reference", refund_id=mine.refund.id)
        if self.credit_notes is not None:
            self.credit_notes.at_once(written.refunds[0], deadline)
        return Reported.REPORTED

    # --- writing ----------------------------------------------------------------------------------

    @property
    def _writer(self) -> WriteReports:
        return WriteReports(ledger=self.ledger)

    def _write(self, mine: _Taken, steps: list[tuple[Refund, Step]]) -> Written:
        """Write the steps, and end this worker's lease on the payment's reports."""
        answer = mine.answer
        if answer is not None:
            steps = [
                (one, _heard(step, answer) if one.id == mine.refund.id else step)
                for one, step in steps
            ]
        return self._writer(mine.payment, steps, lease=(mine.until_ms, None))

    def _put_off(
        self,
        mine: _Taken,
        reason: str,
        *,
        sums: Sums | None = None,
        owe: tuple[str, ...] = (),
    ) -> Reported:
        """Put the report off: this message is finished, and settling rings again later."""
        steps = [(mine.refund, self._put_off_step(mine.refund, reason))]
        self._write(mine, [*steps, *self._owing(sums, owe)])
        self._tell_age(mine.refund, reason)
        return Reported.WAITS

    def _put_off_step(self, refund: Refund, reason: str) -> Step:
        pause_ms = backoff_steps(refund.report.waits) * self.step_ms
        if reason in (Waiting.GRACE, Waiting.OTHER_GRACE):
            pause_ms = self.read_sums.grace_ms
        next_ms = self.clock.now_ms() + pause_ms
        return lambda stored: put_off(stored, reason, next_ms)

    def _tell_age(self, refund: Refund, reason: str) -> None:
        age_ms = self.clock.now_ms() - (refund.report_due_at_ms or self.clock.now_ms())
        self.telemetry.note("report_delayed", refund_id=refund.id, age_ms=age_ms, reason=reason)
        if age_ms >= DAY_STEPS * self.step_ms:
            self.telemetry.note("report_waits", refund_id=refund.id, age_ms=age_ms, reason=reason)

    def _owing(self, sums: Sums | None, owe: tuple[str, ...]) -> list[tuple[Refund, Step]]:
        """Steps for reports that only the sums showed as made, and that the sums show no more.

        They become due again.
        """
        if sums is None:
            return []
        why = self._why("sums_do_not_hold_it")
        return [(sums.refunds[one], lambda stored: owed(stored, why)) for one in owe[:STEPS_MAX]]

    def _give_up(self, mine: _Taken, cause: ReportCause, reason: str) -> None:
        why = self._why(cause)
        # The alarm comes first: if the process dies between the two, somebody was told.
        self.telemetry.note("report_failed", refund_id=mine.refund.id, reason=reason)
        self._write(mine, [(mine.refund, lambda stored: given_up(stored, why, cause, reason))])

    def _release(self, mine: _Taken, reason: str, *, new_epoch: bool) -> None:
        """Give the lease back and store the error, so that the next receive may try at once."""
        step: Step = lambda stored: released(stored, reason, new_epoch=new_epoch)  # noqa: E731
        self._write(mine, [(mine.refund, step)])
        self._tell_age(mine.refund, reason)

    def _sums(self, mine: _Taken, deadline: Deadline) -> Sums:
        record = mine.refund.payment_record
        if record is None:
            raise LedgerConflictError(f"no Payment Record books {mine.refund.id}")
        return self.read_sums(mine.payment, record, deadline)

    def _soon_ms(self) -> int:
        return self.clock.now_ms() + self.step_ms

    def _why(self, cause: str) -> Why:
        return Why(at_ms=self.clock.now_ms(), cause=cause, actor=ACTOR)


def _heard(step: Step, answer: ProviderAnswer) -> Step:
    """The step that also keeps what Stripe answered."""

    def heard(stored: Refund) -> Refund:
        after = step(stored)
        report = replace(after.report, answers=with_answer(after.report.answers, answer))
        return replace(after, report=report)

    return heard


def _named(error: Exception) -> str:
    return error.code if isinstance(error, RefundBridgeError) else type(error).__name__


def idempotency_key_of(refund: Refund) -> str:
    """Stripe's idempotency key of this refund's report: stable within an epoch."""
    return f"{refund.id}:{refund.report.epoch}"
