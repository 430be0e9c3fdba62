"""The steps of a report, and how they are written together with what they mean for the payment.

Each step is pure and is applied to the refund as it is when it is written, whatever else of it has
changed meanwhile.
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

# Whoever else writes the refunds or their payment meanwhile wins a round.
WRITE_ATTEMPTS: Final = 25
# How many reports may change in one write: each is an item of the transaction, whose limit is 100.
STEPS_MAX: Final = 40

Step = Callable[[Refund], Refund]


class ReportsChangedError(Exception):
    """One of the reports is not what the step was decided on any more; nothing was written."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, as stored."""

    refunds: tuple[Refund, ...]
    payment: Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReports:
    """Writes steps of reports of one payment, all or none."""

    ledger: Ledger

    def __call__(
        self,
        payment: Payment,
        steps: Sequence[tuple[Refund, Step]],
        *,
        lease: tuple[int | None, int | None] | None = None,
    ) -> Written:
        """Write the steps; on return they and what they mean for the payment are durable.

        ``payment`` and the refunds are as they were last read. ``lease`` replaces the lease on the
        payment's reports, from what it must be to what it is to be (Unix milliseconds); without it
        the lease is left as it is.

        Raises:
            ReportsChangedError: somebody else has moved one of the reports, or taken the lease.
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
    """The payment, whose reports nobody else makes meanwhile.

    Raises:
        ReportsChangedError: somebody makes one just now.
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
    """What a step of a report is decided on."""
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
            return payment  # it ended, and is another worker's now
        raise ReportsChangedError("another worker has the payment's reports")
    return replace(payment, report_lease_until_ms=until_ms)


# --- the steps ------------------------------------------------------------------------------------


def confirmed(refund: Refund, why: Why, cause: ReportCause, next_check_ms: int) -> Refund:
    """Stripe shows it; when is known only if it was us who told it."""
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
    """Stripe is owed it (again): settling rings. What Stripe answered before decides nothing."""
    if refund.report.state is ReportState.DUE:
        # It waits for something that a person knows better.
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
    """Nothing more is done by itself: a person must look."""
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
    """There is nothing to tell."""
    after = report_transition(
        refund, ReportEvent.CANCEL, why, cause=cause, lease_until_ms=None, forced=False
    )
    return replace(after, looks=0, next_check_ms=next_check_ms)


def put_off(refund: Refund, reason: str, next_check_ms: int) -> Refund:
    """It stays due, no message is under way, and settling rings then."""
    report = replace(
        refund.report,
        lease_until_ms=None,
        last_error=reason,
        last_ring_ms=None,
        waits=refund.report.waits + 1,
    )
    return replace(refund, report=report, next_check_ms=next_check_ms)


def released(refund: Refund, reason: str, *, new_epoch: bool) -> Refund:
    """It stays due, and its message comes back."""
    report = refund.report
    epoch = report.epoch + int(new_epoch)
    return replace(
        refund, report=replace(report, lease_until_ms=None, last_error=reason, epoch=epoch)
    )


def taken(refund: Refund, lease_until_ms: int) -> Refund:
    """One worker has it until then."""
    return replace(refund, report=replace(refund.report, lease_until_ms=lease_until_ms))


def about_to_be_sent(refund: Refund) -> Refund:
    """From now on Stripe may know of it."""
    report = refund.report
    return replace(refund, report=replace(report, attempts=report.attempts + 1))


def parameters_again(refund: Refund) -> ReportParameters | None:
    """What Stripe is told of a refund whose parameters a former release did not freeze.

    The times are the processor refund's, as the line of history that tells of its success keeps
    them.
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
