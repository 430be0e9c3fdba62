"""Stripe in memory: idempotency keys, unique references, and the faults of a report.

Pure: no threads, no randomness, no time but the clock's. ``tests/contract/stripe`` runs the same
tests on it and on the real adapter with the HTTP simulator.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.ports.stripe import (
    ReportAccepted,
    ReportOutcome,
    ReportUnclear,
    StripeObjectNotFoundError,
)
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
from tests.fakes.stripe_records import FakeRecord, StripeRecords


@dataclass(frozen=True, slots=True)
class _Kept:
    parameters: ReportParameters
    outcome: ReportOutcome


class FakeStripeReports:
    """``ports.stripe.StripeReports`` in memory.

    Attributes:
        books: the truth: records, and the reports booked on them.
        fates: what happens to the next reports, in this order; after that, ``decide`` says it.
        decide: what happens to a report when ``fates`` is empty.
        livemode: the mode of the key; objects of the other mode are not found.
        is_down: whether reads fail.
        references: PaymentIntents and Invoices by id.
        asked: the idempotency key of every report that was sent, whatever happened to it.
    """

    def __init__(self, clock: Clock, *, livemode: bool = False) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._late: list[tuple[int, ReportParameters, str]] = []
        self.books = StripeRecords(clock)
        self.fates: deque[Fate] = deque()
        self.decide: Callable[[ReportParameters], Fate] = lambda _: Arrives()
        self.livemode = livemode
        self.is_down = False
        self.references: dict[str, StripeReference] = {}
        self.asked: list[str] = []

    # --- the port ------------------------------------------------------------------------------

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        self._look_up()
        record = self._shown(payment_record)
        if record is None:
            raise StripeObjectNotFoundError(f"No such payment_record: {payment_record!r}")
        return record

    def _shown(self, payment_record: str) -> PaymentRecord | None:
        record = self.books.found(payment_record, livemode=self.livemode)
        if record is None:
            return None
        refunded = self.books.refunded(record.id)
        return PaymentRecord(
            id=record.id,
            livemode=record.livemode,
            currency=record.currency,
            amount_requested=record.requested,
            amount_guaranteed=record.guaranteed - refunded,
            amount_refunded=refunded,
            amount_canceled=record.canceled,
            metadata=dict(record.metadata),
            payment_reference=record.payment_reference,
            reported_by=record.reported_by,
        )

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        return self._reference(payment_intent)

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        return self._reference(invoice)

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        self.catch_up()
        self.asked.append(idempotency_key)
        fate = self.fates.popleft() if self.fates else self.decide(parameters)
        match fate:
            case ReportLost():
                return ReportUnclear("Stripe: no whole answer: TimeoutError")
            case BookedLate(after_ms):
                due_ms = self._clock.monotonic_ms() + after_ms
                self._late.append((due_ms, parameters, idempotency_key))
                return ReportUnclear("Stripe: no whole answer: TimeoutError")
            case TurnedAway() | NotAllowed():
                return _turned_away(fate)
            case Fails(booked):
                return self._fail(parameters, idempotency_key, booked=booked)
            case AnswerLost():
                self._arrive(parameters, idempotency_key)
                return ReportUnclear("Stripe: no whole answer: ConnectionResetError")
            case Arrives():
                return self._arrive(parameters, idempotency_key)

    # --- what happens behind the caller's back -------------------------------------------------

    def add_record(self, record: FakeRecord) -> None:
        """Add a payment that was reported to Stripe."""
        self.books.records[record.id] = record

    def add_reference(self, name: str, metadata: Mapping[str, str]) -> None:
        """Add a PaymentIntent or an Invoice, in the key's mode."""
        self.references[name] = StripeReference(
            id=name, livemode=self.livemode, metadata=dict(metadata)
        )

    def report_elsewhere(self, parameters: ReportParameters) -> ReportOutcome:
        """Somebody else reports a refund, for example in the dashboard."""
        self.catch_up()
        return self.books.book(parameters, None, livemode=self.livemode)

    def forget_keys(self) -> None:
        """Forget the answers stored under idempotency keys, as Stripe may after a day."""
        self._kept.clear()

    def catch_up(self) -> None:
        """Let late reports arrive that are due by the clock."""
        now_ms = self._clock.monotonic_ms()
        due = [entry for entry in self._late if entry[0] <= now_ms]
        self._late = [entry for entry in self._late if entry[0] > now_ms]
        for _, parameters, key in due:
            self._arrive(parameters, key)

    @property
    def late_reports(self) -> int:
        """How many reports have still to arrive."""
        return len(self._late)

    # --- inside --------------------------------------------------------------------------------

    def _look_up(self) -> None:
        self.catch_up()
        if self.is_down:
            raise ProviderUnavailableError("Stripe: no whole answer")

    def _reference(self, name: str) -> StripeReference:
        self._look_up()
        found = self.references.get(name)
        if found is None or found.livemode is not self.livemode:
            raise StripeObjectNotFoundError(f"No such object: {name!r}")
        return found

    def _arrive(self, parameters: ReportParameters, key: str) -> ReportOutcome:
        outcome = self._replay(parameters, key)
        if outcome is None:
            outcome = self.books.book(parameters, key, livemode=self.livemode)
            if isinstance(outcome, ReportAccepted):
                outcome = ReportAccepted(self._shown(parameters.payment_record))
            self._kept[key] = _Kept(parameters, outcome)
        return outcome

    def _fail(self, parameters: ReportParameters, key: str, *, booked: bool) -> ReportOutcome:
        outcome = self._replay(parameters, key)
        if outcome is None:
            if booked:
                self.books.book(parameters, key, livemode=self.livemode)
            outcome = ReportUnclear("Stripe answered 500", new_epoch=True)
            self._kept[key] = _Kept(parameters, outcome)
        return outcome

    def _replay(self, parameters: ReportParameters, key: str) -> ReportOutcome | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.parameters != parameters:
            return ReportUnclear("Keys are for one set of parameters", new_epoch=True)
        return kept.outcome


def _turned_away(fate: TurnedAway | NotAllowed) -> ReportUnclear:
    if isinstance(fate, NotAllowed):
        return ReportUnclear("Stripe does not accept the key", credential_refused=True)
    return ReportUnclear("Stripe limits the rate", retry_after_s=fate.retry_after_s)
