"""The ports of Stripe: reads its objects, tells it of refunds, issues credit notes."""

from dataclasses import dataclass
from typing import Protocol

from refund_bridge.domain.payment_record import PaymentRecord, StripeReference
from refund_bridge.domain.report import ReportParameters
from refund_bridge.ports.runtime import Deadline


class StripeObjectNotFoundError(Exception):
    """Stripe knows no such object for this API key; the message may say why (the other mode)."""


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    """Stripe has booked the refund.

    Attributes:
        record: the Payment Record after the refund; ``None`` if the answer shows it in no form that
            can be read.
    """

    record: PaymentRecord | None = None


@dataclass(frozen=True, slots=True)
class ReportUnclear:
    """No usable answer: Stripe may or may not have booked it. Ask again.

    Attributes:
        new_epoch: whether the answer is stored at Stripe under this idempotency key (a received
            5xx, an idempotency error), so that asking again needs another key.
        retry_after_s: how long Stripe asked us to wait, if it did.
        credential_refused: whether Stripe does not accept the API key, or the key may not report.
            That is a wrong configuration, so no report is given up for it.
        was_asked: as in ``ProviderUnavailableError``.
    """

    reason: str
    new_epoch: bool = False
    retry_after_s: int | None = None
    credential_refused: bool = False
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """Stripe answered that it will not book this refund. ``code`` is Stripe's, if it gave one."""

    reason: str
    code: str | None = None


ReportOutcome = ReportAccepted | ReportUnclear | ReportRefused


class StripeReports(Protocol):
    """Reads payments at Stripe, and tells Stripe of refunds."""

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id.

        Raises:
            StripeObjectNotFoundError: Stripe knows no such record for this API key.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; raises as ``payment_record`` does."""

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; raises as ``payment_record`` does."""

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund, in one attempt. Never raises for network errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNoteInstruction:
    """What a credit note on a paid invoice says.

    Attributes:
        refund_id: our refund's id; kept in the note's metadata, so that the note can be found.
        payment_record: the record on which the refund was reported.
        refund_reference: the reference under which the refund was reported there.
        amount: minor units of ``currency``.
        reason: as the caller gave it; it is passed on only if Stripe has the same word.
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
    """Issues credit notes on Stripe's invoices."""

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        """The id of the note on ``invoice`` whose metadata names the refund; ``None``: none does.

        A note that was voided later still counts. At most ten requests.

        Raises:
            StripeObjectNotFoundError: Stripe knows no such invoice for this API key.
            ProviderUnavailableError: no usable answer, or more notes than ten requests show.
        """

    def issue_credit_note(
        self, instruction: CreditNoteInstruction, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        """Issue a note, in one attempt. Never raises for network errors."""
