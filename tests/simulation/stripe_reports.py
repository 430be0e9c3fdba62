"""The fake Stripe behind the gate, with everything that can happen to a report."""

from collections.abc import Callable
from typing import Final

from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import ReportOutcome, ReportUnclear
from tests.fakes.stripe_fates import (
    AnswerLost,
    Arrives,
    BookedLate,
    Fails,
    Fate,
    NotAllowed,
    ReportLost,
    TurnedAway,
)
from tests.fakes.stripe_reports import FakeStripeReports
from tests.simulation.faults import Fault
from tests.simulation.gate import Gate
from tests.simulation.options import Options
from tests.simulation.others import HOUR_MS, MINUTE_MS
from tests.simulation.report_watch import ReportWatch

_FATES: Final[dict[Fault, Fate]] = {
    Fault.REQUEST_LOST: ReportLost(),
    Fault.REPLY_LOST: AnswerLost(),
    Fault.LIMITED: TurnedAway(1),
    Fault.ERROR_STORED: Fails(),
    Fault.ERROR_STORED_BOOKED: Fails(booked=True),
}


class SimulatedStripeReports:
    """``ports.stripe.StripeReports``.

    Attributes:
        on_telling: called with each report before it is sent.
        booked_ms: when Stripe booked the reports that were sent here, by their references.
    """

    def __init__(
        self, gate: Gate, inner: FakeStripeReports, watch: ReportWatch, options: Options
    ) -> None:
        self.inner = inner
        self.booked_ms: dict[str, int] = {}
        self.on_telling: Callable[[ReportParameters], None] = lambda _: None
        self._gate = gate
        self._watch = watch
        self._down = [one[1:] for one in options.outages if one[0] == "reports"]
        self._restricted = options.others.restricted

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        fault = self._look_up("reports.payment_record", payment_record, deadline)
        record = self.inner.payment_record(payment_record, deadline)
        self._gate.leave(fault)
        return record

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        fault = self._look_up("reports.payment_intent", payment_intent, deadline)
        reference = self.inner.payment_intent(payment_intent, deadline)
        self._gate.leave(fault)
        return reference

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        return self.inner.invoice(invoice, deadline)

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        self._watch.telling(parameters, idempotency_key)
        self.on_telling(parameters)
        try:
            return self._tell(parameters, idempotency_key, deadline)
        finally:
            self._watch.told(idempotency_key)

    def _tell(self, parameters: ReportParameters, key: str, deadline: Deadline) -> ReportOutcome:
        try:
            fault = self._gate.enter("reports.report_refund", key[4:8], deadline)
        except ProviderUnavailableError as error:
            return ReportUnclear(str(error))
        if self._is_down():
            return ReportUnclear("Stripe: no whole answer")
        fate = self._fate(fault)
        self.inner.fates.append(fate)
        outcome = self.inner.report_refund(parameters, key, deadline)
        if isinstance(outcome, ReportUnclear) and outcome.new_epoch and not self._gate.dice.is_on:
            self._watch.told_in_vain(key)
        if isinstance(fate, BookedLate):
            self._gate.scheduler.after(fate.after_ms, self.catch_up)
        self._look()
        self._gate.leave(fault)
        return outcome

    def catch_up(self) -> None:
        """Let late reports arrive."""
        self.inner.catch_up()
        self._look()

    def _look(self) -> None:
        self._watch.look()
        for item in self.inner.books.reports:
            if item.idempotency_key is not None:
                at_ms = self._gate.scheduler.now_ms
                self.booked_ms.setdefault(item.parameters.refund_reference, at_ms)

    def _fate(self, fault: Fault | None) -> Fate:
        begin_ms, end_ms = self._restricted or (0, 0)
        if begin_ms <= self._gate.scheduler.now_ms < end_ms:
            return NotAllowed()
        if fault is Fault.LATE:
            return BookedLate(self._gate.scheduler.random.choice((30_000, MINUTE_MS, HOUR_MS)))
        return Arrives() if fault is None else _FATES.get(fault, Arrives())

    def _look_up(self, port: str, about: str, deadline: Deadline) -> Fault | None:
        fault = self._gate.enter(port, about, deadline)
        if fault is Fault.UNAVAILABLE or self._is_down():
            raise ProviderUnavailableError("no whole answer")
        return fault

    def _is_down(self) -> bool:
        now_ms = self._gate.scheduler.now_ms
        return any(start_ms <= now_ms < end_ms for start_ms, end_ms in self._down)
