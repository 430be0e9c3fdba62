"""The records of Stripe in memory: payments, booked refunds, and what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.runtime import Clock
from refund_bridge.ports.stripe import ReportAccepted, ReportOutcome, ReportRefused

# Large enough to allow a skewed clock, small enough to refuse milliseconds instead of seconds.
GRACE_S = 86_400


@dataclass(slots=True)
class FakeRecord:
    """A Payment Record; ``guaranteed`` is before refunds."""

    id: str
    currency: str
    requested: int
    guaranteed: int
    canceled: int = 0
    livemode: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    payment_reference: str | None = None
    reported_by: str | None = None


@dataclass(frozen=True, slots=True)
class BookedReport:
    """A refund reported to Stripe; ``idempotency_key`` is ``None`` if not through this port."""

    parameters: ReportParameters
    idempotency_key: str | None


class StripeRecords:
    """The truth at Stripe. ``reports`` are in the order of booking."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.records: dict[str, FakeRecord] = {}
        self.reports: list[BookedReport] = []

    def found(self, payment_record: str, *, livemode: bool) -> FakeRecord | None:
        """The record of that id and mode."""
        record = self.records.get(payment_record)
        return record if record is not None and record.livemode is livemode else None

    def refunded(self, payment_record: str) -> int:
        """What is booked as refunded, minor units."""
        return sum(item.parameters.amount for item in self.reports_of(payment_record))

    def reports_of(self, payment_record: str) -> list[BookedReport]:
        """The reports of one record."""
        return [item for item in self.reports if item.parameters.payment_record == payment_record]

    def book(
        self, parameters: ReportParameters, key: str | None, *, livemode: bool
    ) -> ReportOutcome:
        """Book a report, or refuse it on its merits."""
        record = self.found(parameters.payment_record, livemode=livemode)
        if record is None:
            return ReportRefused("No such payment_record", "resource_missing")
        refusal = self._refusal(record, parameters)
        if refusal is not None:
            return refusal
        self.reports.append(BookedReport(parameters, key))
        return ReportAccepted()

    def _refusal(self, record: FakeRecord, parameters: ReportParameters) -> ReportRefused | None:
        at_s = parameters.refunded_at_s
        if not 0 <= parameters.initiated_at_s <= at_s <= self._clock.now_ms() // 1000 + GRACE_S:
            return ReportRefused("Invalid timestamp", "parameter_invalid_integer")
        if parameters.currency != record.currency:
            return ReportRefused("The currency is not the payment's")
        left = record.guaranteed - self.refunded(record.id)
        if left <= 0:
            return ReportRefused("Already fully refunded", "charge_already_refunded")
        if not 1 <= parameters.amount <= left:
            return ReportRefused("The amount is greater than the remaining amount")
        if parameters.refund_reference in {i.parameters.refund_reference for i in self.reports}:
            return ReportRefused("The reference has already been reported")
        return None
