"""Defects planted in reporting to Stripe."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from refund_bridge.domain import outcome
from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.refunding.record_outcome import Recorder, Stored
from refund_bridge.reporting import report
from refund_bridge.reporting.report import Reported, ReportRefund, _Taken
from refund_bridge.reporting.report_steps import about_to_be_sent
from tests.simulation.planting import defect


@defect(caught_at=9)
def report_while_pending() -> Iterator[None]:
    """A refund that the processor has only accepted is reported."""
    after = outcome.after_processor_refund

    def hasty(refund: Refund, processor_refund: ProcessorRefund, **more: Any) -> Refund:
        if processor_refund.status is ProcessorRefundStatus.PENDING:
            processor_refund = replace(processor_refund, status=ProcessorRefundStatus.SUCCEEDED)
        return after(refund, processor_refund, **more)

    with patch.object(outcome, "after_processor_refund", hasty):
        yield


@defect(caught_at=1)
def report_without_lease() -> Iterator[None]:
    """A worker reads a report without taking its lease: two workers report it."""

    def read(self: ReportRefund, refund: Refund) -> _Taken:
        payment = self._payment(refund)
        counted = self._writer(payment, [(refund, about_to_be_sent)])
        return _Taken(counted.refunds[0], counted.payment, self.clock.now_ms())

    with patch.object(ReportRefund, "_leased", read):
        yield


@defect(caught_at=148)
def epoch_not_raised() -> Iterator[None]:
    """Retries use a key under which Stripe has stored a failure, which Stripe repeats for ever."""

    def key(refund: Refund) -> str:
        return f"{refund.id}:0"

    with patch.object(report, "idempotency_key_of", key):
        yield


@defect(caught_at=1)
def parameters_recomputed() -> Iterator[None]:
    """The report has the time of the attempt, not the time that was stored for it."""
    tell = ReportRefund._tell

    def anew(self: ReportRefund, mine: _Taken, *rest: Any, **more: Any) -> Reported:
        report = mine.refund.report
        assert report.parameters is not None
        fresh = replace(report.parameters, refunded_at_s=self.clock.now_ms() // 1000)
        refund = replace(mine.refund, report=replace(report, parameters=fresh))
        return tell(self, replace(mine, refund=refund), *rest, **more)

    with patch.object(ReportRefund, "_tell", anew):
        yield


@defect(caught_at=2)
def report_in_a_second_write() -> Iterator[None]:
    """The success is written first, and "a report is owed" in a second write."""
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
