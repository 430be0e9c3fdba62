"""The steps of a report, and how they are written in one transaction with the payment.

Each step is a pure function. It is applied to the refund as it is at the time of writing, which may
have changed meanwhile in other ways.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.payment import Payment, follow, revision_after
from refund_bridge.domain.refund import Entry, Refund
from refund_bridge.domain.report import ReportCause, ReportParameters
from refund_bridge.domain.state_machine import ReportEvent, ReportState, State
from refund_bridge.domain.transitions import Why, noted, report_transition
from refund_bridge.ports.ledger import (
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    RefundWrite,
)

# Each time that another worker writes the refunds or their payment first, one attempt is lost.
WRITE_ATTEMPTS: Final = 25
# How many reports may change in one write: each is an item of the transaction, whose limit is 100.
STEPS_MAX: Final = 40

Step = Callable[[Refund], Refund]


class ReportsChangedError(Exception):
    """One of the reports has changed since the step was decided; nothing was written."""


@dataclass(frozen=True, slots=True)
class Written:
    """The refunds and the payment as they were written."""

    refunds: tuple[Refund, ...]
    payment: Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReports:
    """Writes steps of one payment's reports, all or none."""

    ledger: Ledger

    def __call__(
        self,
        payment: Payment,
        steps: Sequence[tuple[Refund, Step]],
        *,
        lease: tuple[int | None, int | None] | None = None,
    ) -> Written:
        """Write the steps and the payment that follows from them; durable on return.

        ``payment`` and the refunds are as they were last read. ``lease`` changes the lease on the
        payment's reports: the first value is what it must be now, the second what it becomes (Unix
        milliseconds). Without ``lease`` it stays as it is.

        Raises:
            ReportsChangedError: another worker has changed one of the reports, or has the lease.
            LedgerUnavailableError: the ledger gave no answer.
        """
        befores: Sequence[Refund | None] = [refund for refund, _ in steps]
        now: Payment | None = payment
        for _ in range(WRITE_ATTEMPTS):
            if now is None:
                break
            writes: list[RefundWrite] = []
            after = now
            for (decided_on, step), before in zip(steps, befores, strict=True):
                if before is None or not _is_same(before, decided_on):
                    raise ReportsChangedError(f"the report of {decided_on.id} has changed")
                stepped = step(before)
                writes.append(RefundWrite(before, stepped))
                after = follow(after, before, stepped)
            if lease is not None:
                after = _leased(after, *lease)
            changed = (PaymentWrite(now, after),) if after != now else ()
            try:
                self.ledger.commit(Commit(refunds=writes, payments=changed))
            except LedgerConflictError:
                befores = [self.ledger.refund(refund.id) for refund, _ in steps]
                now = self.ledger.payment(payment.key)
                continue
            refunds = tuple(
                replace(write.after, revision=revision_after(write.before)) for write in writes
            )
            revision = revision_after(now) if changed else now.revision
            return Written(refunds, replace(after, revision=revision))
        raise ReportsChangedError(f"payment {payment.key.charge_id} is too busy to write a report")


@contextmanager
def all_reports_of(
    payment: Payment, write: WriteReports, *, now_ms: int, lease_ms: int
) -> Iterator[Payment]:
    """Lease all reports of the payment, so that no other worker makes one meanwhile.

    Raises:
        ReportsChangedError: another worker is reporting one, or has changed the payment.
        LedgerUnavailableError: the ledger gave no answer.
    """
    leased_ms, until_ms = payment.report_lease_until_ms, now_ms + lease_ms
    if leased_ms is not None and leased_ms > now_ms:
        raise ReportsChangedError("a refund of the payment is being reported")
    taken = write(payment, [], lease=(leased_ms, until_ms)).payment
    try:
        yield taken
    finally:
        write(taken, [], lease=(until_ms, None))


def _is_same(now: Refund, then: Refund) -> bool:
    return _decided(now) == _decided(then)


def _decided(refund: Refund) -> tuple[object, ...]:
    """The fields on which a step of a report is decided."""
    report = refund.report
    return (
        report.state,
        report.cause,
        report.epoch,
        report.attempts,
        report.forced,
        refund.late_failure_at_ms is None,
    )


def _leased(payment: Payment, expected_ms: int | None, until_ms: int | None) -> Payment:
    if payment.report_lease_until_ms != expected_ms:
        if until_ms is None:
            return payment  # our lease has ended, and another worker may have it now
        raise ReportsChangedError("another worker has the payment's reports")
    return replace(payment, report_lease_until_ms=until_ms)


# --- the steps ------------------------------------------------------------------------------------


def confirmed(refund: Refund, why: Why, cause: ReportCause, next_check_ms: int) -> Refund:
    """Mark the report as made: Stripe shows the refund. The time is kept only if we told Stripe."""
    by_us = cause is ReportCause.BY_US
    after = report_transition(
        refund,
        ReportEvent.CONFIRM,
        why,
        cause=cause,
        lease_until_ms=None,
        forced=False,
        last_error=None,
        reported_at_ms=why.at_ms if by_us else None,
    )
    return replace(after, looks=0, next_check_ms=next_check_ms)


def owed(refund: Refund, why: Why, *, forced: bool = False) -> Refund:
    """Make the report due (again): settling rings. Stripe's earlier answers are not used."""
    if refund.report.state is ReportState.DUE:
        # The report waits for something that a person has decided.
        after = noted(refund, why)
    else:
        failed = refund.report.state is ReportState.FAILED
        event = ReportEvent.REPLAY if failed else ReportEvent.OWE
        after = report_transition(refund, event, why)
    report = replace(
        after.report,
        cause=None,
        forced=forced,
        parameters=after.report.parameters or parameters_again(refund),
        epoch=after.report.epoch + int(after.report.was_sent),
        lease_until_ms=None,
        last_error=None,
        last_ring_ms=None,
        reported_at_ms=None,
        waits=0,
    )
    return replace(after, report=report, looks=0, next_check_ms=why.at_ms)


def given_up(refund: Refund, why: Why, cause: ReportCause, reason: str) -> Refund:
    """Mark the report as failed: nothing more is done until a person decides."""
    after = report_transition(
        refund,
        ReportEvent.GIVE_UP,
        why,
        cause=cause,
        last_error=reason,
        lease_until_ms=None,
        forced=False,
    )
    return replace(after, next_check_ms=None)


def canceled(refund: Refund, why: Why, cause: ReportCause | None, next_check_ms: int) -> Refund:
    """Mark the report as canceled: there is nothing to tell."""
    after = report_transition(
        refund, ReportEvent.CANCEL, why, cause=cause, lease_until_ms=None, forced=False
    )
    return replace(after, looks=0, next_check_ms=next_check_ms)


def put_off(refund: Refund, reason: str, next_check_ms: int) -> Refund:
    """Keep the report due, with no message under way; settling rings at ``next_check_ms``."""
    report = replace(
        refund.report,
        lease_until_ms=None,
        last_error=reason,
        last_ring_ms=None,
        waits=refund.report.waits + 1,
    )
    return replace(refund, report=report, next_check_ms=next_check_ms)


def released(refund: Refund, reason: str, *, new_epoch: bool) -> Refund:
    """Keep the report due and end its lease; its message comes back."""
    report = refund.report
    epoch = report.epoch + int(new_epoch)
    return replace(
        refund, report=replace(report, lease_until_ms=None, last_error=reason, epoch=epoch)
    )


def taken(refund: Refund, lease_until_ms: int) -> Refund:
    """Lease the report to one worker until ``lease_until_ms``."""
    return replace(refund, report=replace(refund.report, lease_until_ms=lease_until_ms))


def about_to_be_sent(refund: Refund) -> Refund:
    """Count an attempt: from now on Stripe may know of the refund."""
    report = refund.report
    return replace(refund, report=replace(report, attempts=report.attempts + 1))


def parameters_again(refund: Refund) -> ReportParameters | None:
    """The report's parameters for a refund for which a former release did not freeze them.

    The times are the processor refund's, taken from the history entry of its success.
    """
    if refund.payment_record is None or refund.processor_refund_id is None:
        return None
    line = next((entry for entry in refund.history if entry.after == State.SUCCEEDED), None)
    moved_at_s = _moved_at_ms(line, refund) // 1000
    initiated_at_s = (refund.started_at_ms or moved_at_s * 1000) // 1000
    return ReportParameters(
        payment_record=refund.payment_record,
        amount=refund.amount,
        currency=refund.currency,
        refund_reference=refund.processor_refund_id,
        initiated_at_s=initiated_at_s,
        refunded_at_s=max(initiated_at_s, moved_at_s),
    )


def _moved_at_ms(line: Entry | None, refund: Refund) -> int:
    evidence = {} if line is None else line.evidence
    moved_at_ms = evidence.get("refunded_at_ms") or evidence.get("created_at_ms")
    return moved_at_ms or (refund.created_at_ms if line is None else line.at_ms)
