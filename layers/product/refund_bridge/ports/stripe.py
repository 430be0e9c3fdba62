"""What the use cases ask of Stripe: to show a payment, and to be told of a refund."""

from dataclasses import dataclass
from typing import Protocol

from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.runtime import Deadline


class StripeObjectNotFoundError(Exception):
    """Stripe knows no such object with this key; its message says more (the other mode, say)."""


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    """Stripe has booked the refund.

    Attributes:
        record: the Payment Record after it; ``None`` if the answer shows it in no form that can be
            read.
    """

    record: PaymentRecord | None = None


@dataclass(frozen=True, slots=True)
class ReportUnclear:
    """No usable answer: Stripe may or may not have booked it. Ask again.

    Attributes:
        new_epoch: whether the answer is stored at Stripe under this idempotency key (a received
            5xx, an idempotency error), so that asking again needs another key.
        retry_after_s: Stripe's wish, if it gave one.
        credential_refused: whether Stripe does not accept the key, or grants it no right to report:
            a fault of the set-up, for which no report is given up.
        was_asked: as in ``ProviderUnavailableError``.
    """

    reason: str
    new_epoch: bool = False
    retry_after_s: int | None = None
    credential_refused: bool = False
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """Stripe answered that it will not book this. ``code`` is Stripe's, where it gave one."""

    reason: str
    code: str | None = None


ReportOutcome = ReportAccepted | ReportUnclear | ReportRefused


class StripeReports(Protocol):
    """Stripe, as it shows payments and is told of refunds."""

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id.

        Raises:
            StripeObjectNotFoundError: Stripe knows none with this key.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; raises as ``payment_record`` does."""

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; raises as ``payment_record`` does."""

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund, in one attempt. Never raises for what the network does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNoteInstruction:
    """What a credit note on a paid invoice says.

    Attributes:
        refund_id: ours; kept in the note's metadata, to find it by.
        payment_record: where the refund was reported ...
        refund_reference: ... and under which reference.
        amount: minor units of ``currency``.
        reason: as it was asked for; Stripe is told only where it has the same word.
    """

    refund_id: str
    invoice: str
    payment_record: str
    refund_reference: str
    amount: int
    currency: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CreditNoteIssued:
    """Stripe has issued the credit note of that id."""

    id: str


@dataclass(frozen=True, slots=True)
class CreditNoteUnclear:
    """No usable answer: the note may or may not have been issued. Look for it, then ask again.

    Attributes:
        new_epoch, retry_after_s, credential_refused, was_asked: as in ``ReportUnclear``.
    """

    reason: str
    new_epoch: bool = False
    retry_after_s: int | None = None
    credential_refused: bool = False
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class CreditNoteRefused:
    """Stripe answered that it will not issue this note, and asking again cannot help."""

    reason: str
    code: str | None = None


CreditNoteOutcome = CreditNoteIssued | CreditNoteUnclear | CreditNoteRefused


class CreditNotes(Protocol):
    """Stripe, which issues credit notes on its invoices."""

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        """The id of the note on ``invoice`` whose metadata names the refund; ``None``: none does.

        A note that was voided since is still that note. At most ten requests.

        Raises:
            StripeObjectNotFoundError: Stripe knows no such invoice with this key.
            ProviderUnavailableError: no usable answer, or more notes than can be looked through.
        """

    def issue_credit_note(
        self, instruction: CreditNoteInstruction, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        """Issue a note, in one attempt. Never raises for what the network does."""
