"""The processor and Stripe behind circuit breakers, with every call measured.

During an outage calls fail at once and do not wait. Each port call that a breaker lets through is
measured: how long it took and how it ended. It may be two requests, if a read is tried again.

A usable answer closes a circuit. No answer in fair time, a 5xx or an unclear outcome counts as a
failure. These count as neither: "no such object" (some ids are refused without asking the
provider), an answer that cannot be read (it came in time, and may concern only one object), an
answer that says when to come back, and a refused credential.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from refund_bridge.adapters.providers.breaker import Breaker, CircuitOpenError, Sign
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.domain.charge import Charge, ProcessorRefund
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    CredentialRefused,
    Instruction,
    Outcome,
    Rejected,
    Unknown,
    UnlinkedInstruction,
)
from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.processor import (
    Capabilities,
    ChargePage,
    CredentialRefusedError,
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import (
    CreditNoteInstruction,
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNotes,
    CreditNoteUnclear,
    ReportAccepted,
    ReportOutcome,
    ReportRefused,
    ReportUnclear,
    StripeReports,
)

# Time to connect, and a second to answer. If a provider had less, its silence does not count as a
# failure: other calls had used up the time.
FAIR_MS: Final = 3_000

_T = TypeVar("_T")


class GuardedProcessor:
    """``ports.processor.Processor`` behind ``breaker``.

    No refund is sent while the circuit is open. A refund can be the probe only if no read came
    before it (``VerifyCharge`` other than ``always``); otherwise the read was the probe.
    """

    def __init__(self, processor: Processor, breaker: Breaker, calls: ProviderCalls) -> None:
        self._processor = processor
        self._breaker = breaker
        self._watch = calls.watch
        self._read = _Reads(breaker, calls)

    @property
    def name(self) -> str:
        """The processor's name; see ``ports.processor.Processor``."""
        return self._processor.name

    @property
    def capabilities(self) -> Capabilities:
        """The processor's capabilities; see ``ports.processor.Processor``."""
        return self._processor.capabilities

    @property
    def in_doubt(self) -> bool:
        """Whether the processor failed too often and has not answered since."""
        return self._breaker.in_doubt

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; see ``ports.processor.Processor``."""
        return self._read("charge", deadline, lambda: self._processor.charge(charge_id, deadline))

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        """The id of a payment request's one captured payment; see ``ports.processor.Processor``."""
        return self._read(
            "charge_id_of",
            deadline,
            lambda: self._processor.charge_id_of(payment_reference, deadline),
        )

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        """What the merchant's own system calls the payment; see ``ports.processor.Processor``."""
        return self._read(
            "reference_of", deadline, lambda: self._processor.reference_of(charge, deadline)
        )

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """One page of all payments; see ``ports.processor.Processor``."""
        return self._read("charges", deadline, lambda: self._processor.charges(cursor, deadline))

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id; see ``ports.processor.Processor``."""
        return self._read(
            "movement",
            deadline,
            lambda: self._processor.processor_refund(processor_refund_id, deadline),
        )

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        """What became of the instruction with that key; see ``ports.processor.Processor``."""
        return self._read(
            "ordered",
            deadline,
            lambda: self._processor.find_by_key(refund_id, payment_id, deadline),
        )

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask once to move the money; ``Aborted`` without asking while the circuit is open.

        For a repeated instruction that is ``Unknown`` instead; see ``ports.processor.Processor``.
        """
        return self._move(
            "refund", instruction, lambda: self._processor.refund(instruction, deadline)
        )

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:
        """As ``refund``, without a payment; see ``ports.processor.Processor``."""
        return self._move(
            "refund_unlinked",
            instruction,
            lambda: self._processor.refund_unlinked(instruction, deadline),
        )

    def _move(
        self,
        operation: str,
        instruction: Instruction | UnlinkedInstruction,
        ask: Callable[[], Outcome],
    ) -> Outcome:
        try:
            turn = self._breaker.admit()
        except CircuitOpenError as turned_away:
            if instruction.repeated:
                return Unknown(turned_away.reason)
            return Aborted(turned_away.reason, turned_away.retry_after_s)
        # From here on the outcome may only be ``Aborted`` if the adapter says so.
        with turn:
            outcome = self._watch(operation, ask, call="refund")
            match outcome:
                case Accepted() | Rejected(was_asked=True):
                    turn.sign = Sign.UP
                case CredentialRefused():
                    pass
                case Unknown() | Aborted(_, None):
                    turn.sign = Sign.DOWN
            return outcome


class GuardedStripeReports:
    """``ports.stripe.StripeReports`` behind ``breaker``.

    A report may be the probe: it is safe to repeat.
    """

    def __init__(
        self, stripe_reports: StripeReports, breaker: Breaker, calls: ProviderCalls
    ) -> None:
        self._stripe_reports = stripe_reports
        self._breaker = breaker
        self._watch = calls.watch
        self._read = _Reads(breaker, calls)

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id; see ``ports.stripe.StripeReports``."""
        return self._read(
            "payment_record",
            deadline,
            lambda: self._stripe_reports.payment_record(payment_record, deadline),
        )

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; see ``ports.stripe.StripeReports``."""
        return self._read(
            "payment_intent",
            deadline,
            lambda: self._stripe_reports.payment_intent(payment_intent, deadline),
        )

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; see ``ports.stripe.StripeReports``."""
        return self._read(
            "invoice", deadline, lambda: self._stripe_reports.invoice(invoice, deadline)
        )

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund; ``ReportUnclear`` without asking while the circuit is open."""
        try:
            turn = self._breaker.admit()
        except CircuitOpenError as turned_away:
            return ReportUnclear(
                turned_away.reason, retry_after_s=turned_away.retry_after_s, was_asked=False
            )
        with turn:
            outcome = self._watch(
                "report_refund",
                lambda: self._stripe_reports.report_refund(parameters, idempotency_key, deadline),
                call="report",
            )
            match outcome:
                case ReportAccepted() | ReportRefused():
                    turn.sign = Sign.UP
                case ReportUnclear(retry_after_s=None, credential_refused=False):
                    turn.sign = Sign.DOWN
            return outcome


class GuardedCreditNotes:
    """``ports.stripe.CreditNotes`` behind ``breaker``.

    It has a breaker of its own: if Stripe issues no notes, reports must not be delayed.
    """

    def __init__(self, notes: CreditNotes, breaker: Breaker, calls: ProviderCalls) -> None:
        self._notes = notes
        self._breaker = breaker
        self._watch = calls.watch
        self._read = _Reads(breaker, calls)

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        """The id of the refund's note on the invoice; see ``ports.stripe.CreditNotes``."""
        return self._read(
            "credit_note_of",
            deadline,
            lambda: self._notes.credit_note_of(invoice, refund_id, deadline),
        )

    def issue_credit_note(
        self, instruction: CreditNoteInstruction, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        """Issue a note; ``CreditNoteUnclear`` without asking while the circuit is open."""
        try:
            turn = self._breaker.admit()
        except CircuitOpenError as turned_away:
            return CreditNoteUnclear(
                turned_away.reason, retry_after_s=turned_away.retry_after_s, was_asked=False
            )
        with turn:
            had_fair_time = deadline.remaining_ms() >= FAIR_MS
            outcome = self._watch(
                "issue_credit_note",
                lambda: self._notes.issue_credit_note(instruction, idempotency_key, deadline),
                call="credit_note",
            )
            match outcome:
                case CreditNoteIssued() | CreditNoteRefused():
                    turn.sign = Sign.UP
                case CreditNoteUnclear(retry_after_s=None, credential_refused=False) if (
                    had_fair_time
                ):
                    turn.sign = Sign.DOWN
            return outcome


class _Reads:
    """Reads at one provider."""

    def __init__(self, breaker: Breaker, calls: ProviderCalls) -> None:
        self._breaker = breaker
        self._watch = calls.watch

    def __call__(self, operation: str, deadline: Deadline, ask: Callable[[], _T]) -> _T:
        """Call ``ask`` if the circuit allows it; ``operation`` is the port's word for the call.

        Raises:
            CircuitOpenError: the circuit is open; the provider was not asked.
        """
        with self._breaker.admit() as turn:
            had_fair_time = deadline.remaining_ms() >= FAIR_MS
            try:
                answer = self._watch(operation, ask)
            except (UnreadableAnswerError, CredentialRefusedError):
                raise
            except ProviderUnavailableError as error:
                if had_fair_time and error.retry_after_s is None:
                    turn.sign = Sign.DOWN
                raise
            turn.sign = Sign.UP
            return answer
