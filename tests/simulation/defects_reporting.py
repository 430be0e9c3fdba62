"""Defects planted where Stripe is told."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from refunds import outcome, report
from refunds.ports import (
    Deadline,
    Movement,
    MovementStatus,
)
from refunds.record import Recorder, Stored
from refunds.refund import Refund
from refunds.report import ReportRefund
from refunds.state_machine import ReportState, State
from tests.simulation.planting import defect


@defect
def report_while_pending() -> Iterator[None]:
    """A refund that the processor has only accepted is reported."""
    after = outcome.after_movement

    def hasty(refund: Refund, movement: Movement, **more: Any) -> Refund:
        if movement.status is MovementStatus.PENDING:
            movement = replace(movement, status=MovementStatus.SUCCEEDED)
        return after(refund, movement, **more)

    with patch.object(outcome, "after_movement", hasty):
        yield


@defect
def report_without_lease() -> Iterator[None]:
    """A report is read instead of leased: two workers tell Stripe."""

    def take(self: ReportRefund, refund_id: str, *, first_receive: bool) -> Refund | None:
        refund = self.ledger.refund(refund_id)
        return refund if refund and refund.report.state is ReportState.DUE else None

    with patch.object(ReportRefund, "_take", take):
        yield


@defect
def epoch_not_raised() -> Iterator[None]:
    """An answer that Stripe keeps under the key is asked for again and again."""

    def key(refund: Refund) -> str:
        return f"{refund.id}:0"

    with patch.object(report, "idempotency_key_of", key):
        yield


@defect
def parameters_recomputed() -> Iterator[None]:
    """Stripe is told the time of the attempt to report rather than what was frozen."""
    tell = ReportRefund._tell

    def anew(self: ReportRefund, refund: Refund, deadline: Deadline) -> Any:
        parameters = refund.report.parameters
        assert parameters is not None
        fresh = replace(parameters, refunded_at_s=self.clock.now_ms() // 1000)
        return tell(
            self, replace(refund, report=replace(refund.report, parameters=fresh)), deadline
        )

    with patch.object(ReportRefund, "_tell", anew):
        yield


@defect
def report_in_a_second_write() -> Iterator[None]:
    """The success is written first, and that a report is owed afterwards."""
    write = Recorder.write

    def later(self: Recorder, current: Stored, after: Refund) -> Stored:
        entered = after.state is State.SUCCEEDED and current.refund.state is not State.SUCCEEDED
        if not entered:
            return write(self, current, after)
        bare = replace(
            after,
            report=current.refund.report,
            history=after.history[: len(current.refund.history) + 1],
        )
        return write(self, write(self, current, bare), replace(after, revision=0))

    with patch.object(Recorder, "write", later):
        yield
