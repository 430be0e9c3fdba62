"""Stripe's books: payment records, reports, payment intents, invoices, credit notes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from local.simulators import fields
from local.simulators.calls import View
from local.simulators.clock import Clock
from local.simulators.gateway_book import Payment
from local.simulators.json_text import JsonObject
from local.simulators.stripe_errors import no_such


@dataclass(frozen=True)
class Report:
    """One accepted report of a refund; `seeded` ones were there before anyone called."""

    payment_record: str
    refund_reference: str
    amount: int
    currency: str
    refunded_at: int
    initiated_at: int | None
    metadata: Mapping[str, str]
    idempotency_key: str | None
    livemode: bool
    accepted_at: int
    recorded: float
    seeded: bool = False


@dataclass
class PaymentRecord:
    """A payment as reported to Stripe; `guaranteed` is gross here, net of refunds when shown."""

    id: str
    currency: str
    requested: int
    authorized: int
    guaranteed: int
    canceled: int
    failed: int
    livemode: bool
    created: int
    payment_reference: str | None
    metadata: dict[str, str]
    reported_by: str
    reports: list[Report] = field(default_factory=list)

    def refunded(self, view: View) -> int:
        """Return how much is reported as refunded, as far as this view sees."""
        return sum(report.amount for report in self.reports if view.shows(report.recorded))


@dataclass(frozen=True)
class PaymentIntent:
    """The payment as the merchant asked for it; it or its metadata may name the record.

    latest_charge: the charge by which Stripe itself took money, in its main members.
    """

    id: str
    amount: int
    currency: str
    status: str
    livemode: bool
    created: int
    metadata: Mapping[str, str]
    payment_record: str | None
    latest_charge: JsonObject | None


@dataclass(frozen=True)
class InvoicePayment:
    """A payment of an invoice; `named` is the id of what `type` says."""

    type: str
    named: str
    status: str
    amount_paid: int | None


@dataclass(frozen=True)
class Invoice:
    """An invoice; its payments or its metadata may lead to the record."""

    id: str
    amount_paid: int
    currency: str
    livemode: bool
    created: int
    metadata: Mapping[str, str]
    payments: tuple[InvoicePayment, ...]


@dataclass(frozen=True)
class NotedRefund:
    """A refund that a credit note is tied to."""

    payment_record: str
    refund_group: str
    amount: int


@dataclass(frozen=True)
class CreditNote:
    """A credit note on an invoice."""

    id: str
    number: str
    invoice: str
    amount: int
    currency: str
    livemode: bool
    created: int
    reason: str | None
    memo: str | None
    out_of_band_amount: int
    metadata: Mapping[str, str]
    refunds: tuple[NotedRefund, ...]


class _Filed(Protocol):
    @property
    def livemode(self) -> bool: ...


Filed = TypeVar("Filed", bound=_Filed)


class StripeBook:
    """Everything Stripe knows, of both modes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.records: dict[str, PaymentRecord] = {}
        self.intents: dict[str, PaymentIntent] = {}
        self.invoices: dict[str, Invoice] = {}
        self.notes: dict[str, CreditNote] = {}
        self.references: dict[tuple[bool, str], Report] = {}

    def seed(self, source: JsonObject) -> None:
        """Add objects; all of them or, with a ValueError, none."""
        records = [self._record(item) for item in fields.objects(source, "payment_records")]
        intents = [self._intent(item) for item in fields.objects(source, "payment_intents")]
        invoices = [self._invoice(item) for item in fields.objects(source, "invoices")]
        for record in records:
            self.records[record.id] = record
            for report in record.reports:
                self.references[report.livemode, report.refund_reference] = report
        self.intents.update({intent.id: intent for intent in intents})
        self.invoices.update({invoice.id: invoice for invoice in invoices})

    def took(self, payment: Payment) -> None:
        """Add the PaymentIntent and the Payment Record of a payment that Stripe itself took.

        With Stripe's Orchestration every PaymentIntent has a Payment Record, which says that Stripe
        reported it. A charge without a PaymentIntent has neither.
        """
        intent = payment.more.get("payment_intent")
        if not isinstance(intent, str):
            return
        record = f"pr_own_{intent.removeprefix('pi_')}"
        common = {"amount": payment.amount, "currency": payment.currency, "livemode": False}
        captured = payment.amount if payment.status == "succeeded" else 0
        own: JsonObject = {"id": record, "reported_by": "stripe", "guaranteed": captured, **common}
        self.records[record] = self._record(own)
        taken: JsonObject = {"id": intent, "payment_record": record, **common}
        self.intents[intent] = replace(
            self._intent({**taken, "latest_charge": {"id": payment.id}}),
            metadata=fields.texts(payment.more, "metadata"),
        )

    def record(self, key: str, livemode: bool) -> PaymentRecord:
        """Return a payment record of this mode or refuse with a 404."""
        return _found(self.records, "payment_record", key, livemode)

    def intent(self, key: str, livemode: bool) -> PaymentIntent:
        """Return a payment intent of this mode or refuse with a 404."""
        return _found(self.intents, "payment_intent", key, livemode)

    def invoice(self, key: str, livemode: bool) -> Invoice:
        """Return an invoice of this mode or refuse with a 404."""
        return _found(self.invoices, "invoice", key, livemode)

    def accept(self, record: PaymentRecord, report: Report) -> None:
        """Enter a report that has passed every check."""
        record.reports.append(report)
        self.references[report.livemode, report.refund_reference] = report

    def now(self) -> int:
        """Return the time in seconds, as Stripe counts it."""
        return int(self._clock.now().timestamp())

    def monotonic(self) -> float:
        """Return the time by which the age of refunds is measured for a lagging read."""
        return self._clock.monotonic()

    def _record(self, source: JsonObject) -> PaymentRecord:
        requested = fields.whole(source, "amount")
        record = PaymentRecord(
            id=fields.text(source, "id"),
            currency=fields.text(source, "currency").lower(),
            requested=requested,
            authorized=fields.whole(source, "authorized", requested),
            guaranteed=fields.whole(source, "guaranteed", requested),
            canceled=fields.whole(source, "canceled", 0),
            failed=fields.whole(source, "failed", 0),
            livemode=fields.flag(source, "livemode"),
            created=self.now(),
            payment_reference=fields.optional_text(source, "payment_reference"),
            metadata=dict(fields.texts(source, "metadata")),
            reported_by=fields.text(source, "reported_by", "self"),
        )
        for item in fields.objects(source, "refunds"):
            report = Report(
                payment_record=record.id,
                refund_reference=fields.text(item, "refund_reference"),
                amount=fields.whole(item, "amount"),
                currency=record.currency,
                refunded_at=record.created,
                initiated_at=None,
                metadata={},
                idempotency_key=None,
                livemode=record.livemode,
                accepted_at=record.created,
                recorded=float("-inf"),
                seeded=True,
            )
            record.reports.append(report)
        return record

    def _intent(self, source: JsonObject) -> PaymentIntent:
        charge = source.get("latest_charge")
        return PaymentIntent(
            id=fields.text(source, "id"),
            amount=fields.whole(source, "amount"),
            currency=fields.text(source, "currency").lower(),
            status=fields.text(source, "status", "succeeded"),
            livemode=fields.flag(source, "livemode"),
            created=self.now(),
            metadata=fields.texts(source, "metadata"),
            payment_record=fields.optional_text(source, "payment_record"),
            latest_charge=charge if isinstance(charge, dict) else None,
        )

    def _invoice(self, source: JsonObject) -> Invoice:
        return Invoice(
            id=fields.text(source, "id"),
            amount_paid=fields.whole(source, "amount"),
            currency=fields.text(source, "currency").lower(),
            livemode=fields.flag(source, "livemode"),
            created=self.now(),
            metadata=fields.texts(source, "metadata"),
            payments=tuple(_payment(item) for item in fields.objects(source, "payments")),
        )


def _payment(source: JsonObject) -> InvoicePayment:
    status = fields.text(source, "status", "paid")
    return InvoicePayment(
        type=fields.text(source, "type"),
        named=fields.text(source, "id"),
        status=status,
        amount_paid=fields.whole(source, "amount_paid") if status == "paid" else None,
    )


def _found(shelf: Mapping[str, Filed], model: str, key: str, livemode: bool) -> Filed:
    item = shelf.get(key)
    if item is None or item.livemode != livemode:
        raise no_such(model, key, livemode=livemode, exists_in_other=item is not None)
    return item
