"""The processor and Stripe with every call watched: how long it took, how it ended.

Stands between the circuit breakers and the adapters, so that a call which a breaker turns away is
none. What is measured is a port's call: it may be two requests, where a read is tried again.
"""

from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.domain.charge import Charge, Movement
from refund_bridge.domain.instruction import Outcome, RefundOrder, UnlinkedOrder
from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.refund import ReportParameters
from refund_bridge.ports.processor import Capabilities, ChargePage, Processor
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import (
    Book,
    CreditNoteOrder,
    CreditNoteOutcome,
    CreditNotes,
    ReportOutcome,
)


class WatchedProcessor:
    """``ports.processor.Processor``, watched."""

    def __init__(self, processor: Processor, calls: ProviderCalls) -> None:
        self._processor = processor
        self._watch = calls.watch

    @property
    def name(self) -> str:
        """The processor's own; see ``ports.processor.Processor``."""
        return self._processor.name

    @property
    def capabilities(self) -> Capabilities:
        """The processor's own; see ``ports.processor.Processor``."""
        return self._processor.capabilities

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; see ``ports.processor.Processor``."""
        return self._watch("charge", lambda: self._processor.charge(charge_id, deadline))

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        """The id of the one captured payment of a payment request; see ``ports.Processor``."""
        return self._watch(
            "charge_id_of", lambda: self._processor.charge_id_of(payment_reference, deadline)
        )

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        """What the merchant's own system calls the payment; see ``ports.processor.Processor``."""
        return self._watch("reference_of", lambda: self._processor.reference_of(charge, deadline))

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """One page of all payments; see ``ports.processor.Processor``."""
        return self._watch("charges", lambda: self._processor.charges(cursor, deadline))

    def movement(self, processor_refund_id: str, deadline: Deadline) -> Movement | None:
        """The refund of that id; see ``ports.processor.Processor``."""
        return self._watch(
            "movement", lambda: self._processor.movement(processor_refund_id, deadline)
        )

    def ordered(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> Movement | None:
        """What became of the order with that key; see ``ports.processor.Processor``."""
        return self._watch(
            "ordered", lambda: self._processor.ordered(refund_id, payment_id, deadline)
        )

    def refund(self, order: RefundOrder, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.processor.Processor``."""
        return self._watch("refund", lambda: self._processor.refund(order, deadline), call="refund")

    def refund_unlinked(self, order: UnlinkedOrder, deadline: Deadline) -> Outcome:
        """As ``refund``, without a payment; see ``ports.processor.Processor``."""
        return self._watch(
            "refund_unlinked",
            lambda: self._processor.refund_unlinked(order, deadline),
            call="refund",
        )


class WatchedBook:
    """``ports.stripe.Book``, watched."""

    def __init__(self, book: Book, calls: ProviderCalls) -> None:
        self._book = book
        self._watch = calls.watch

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id; see ``ports.stripe.Book``."""
        return self._watch(
            "payment_record", lambda: self._book.payment_record(payment_record, deadline)
        )

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; see ``ports.stripe.Book``."""
        return self._watch(
            "payment_intent", lambda: self._book.payment_intent(payment_intent, deadline)
        )

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; see ``ports.stripe.Book``."""
        return self._watch("invoice", lambda: self._book.invoice(invoice, deadline))

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund; see ``ports.stripe.Book``."""
        return self._watch(
            "report_refund",
            lambda: self._book.report_refund(parameters, idempotency_key, deadline),
            call="report",
        )


class WatchedCreditNotes:
    """``ports.stripe.CreditNotes``, watched."""

    def __init__(self, notes: CreditNotes, calls: ProviderCalls) -> None:
        self._notes = notes
        self._watch = calls.watch

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        """The id of the refund's note on the invoice; see ``ports.stripe.CreditNotes``."""
        return self._watch(
            "credit_note_of", lambda: self._notes.credit_note_of(invoice, refund_id, deadline)
        )

    def issue_credit_note(
        self, order: CreditNoteOrder, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        """Issue a note; see ``ports.stripe.CreditNotes``."""
        return self._watch(
            "issue_credit_note",
            lambda: self._notes.issue_credit_note(order, idempotency_key, deadline),
            call="credit_note",
        )
