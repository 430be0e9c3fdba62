"""Credit notes on Stripe's invoices, by the official SDK.

https://docs.stripe.com/api/credit_notes/create, https://docs.stripe.com/api/credit_notes/list; the
parameters are those of the pinned SDK's ``CreditNoteCreateParams`` and ``CreditNoteListParams``.
"""

from typing import TYPE_CHECKING, Any, Final

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.stripe.calls import StripeCalls, StripeRefusedError
from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import (
    CreditNoteInstruction,
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNoteUnclear,
)

if TYPE_CHECKING:
    from stripe.params import CreditNoteCreateParams, CreditNoteListParams

# The key in a note's metadata for our refund's id.
REFUND_ID: Final = "refund_bridge_id"
PAGE_SIZE: Final = 100
PAGES_MAX: Final = 10
# The reasons that have the same word at Stripe as in this service.
_REASONS: Final = frozenset({"duplicate", "fraudulent"})


class StripeCreditNotes:
    """``ports.stripe.CreditNotes``; see ``StripeCalls`` for the arguments."""

    def __init__(self, *, base_url: str, key: ApiKey, http: DeadlineHttp) -> None:
        self._calls = StripeCalls(base_url=base_url, key=key, http=http)

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        """The id of the refund's note on the invoice; see ``ports.stripe.CreditNotes``."""
        after: str | None = None
        for _ in range(PAGES_MAX):
            notes, has_more = self._page(invoice, after, deadline)
            for note, names in notes:
                if names == refund_id:
                    return note
            if not has_more or not notes:
                return None
            after = notes[-1][0]
        raise ProviderUnavailableError(f"{invoice} has more credit notes than are looked through")

    def issue_credit_note(
        self, instruction: CreditNoteInstruction, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        """Issue a note, in one attempt; see ``ports.stripe.CreditNotes``, ``StripeCalls``."""
        asked: CreditNoteCreateParams = {
            "invoice": instruction.invoice,
            "amount": instruction.amount,
            "refunds": [
                {
                    "type": "payment_record_refund",
                    "payment_record_refund": {
                        "payment_record": instruction.payment_record,
                        "refund_group": instruction.refund_reference,
                    },
                    "amount_refunded": instruction.amount,
                }
            ],
            "metadata": {REFUND_ID: instruction.refund_id},
        }
        if instruction.reason in _REASONS:
            asked["reason"] = instruction.reason
        try:
            issued = self._calls.write(
                lambda client: client.v1.credit_notes.create(
                    asked, {"idempotency_key": idempotency_key}
                ),
                deadline,
            )
        except StripeRefusedError as error:
            return _refused(error)
        note = issued.get("id")
        if not isinstance(note, str) or not note or not _is_of(issued, instruction):
            return CreditNoteUnclear("Stripe's answer is a success that names another object")
        return CreditNoteIssued(note)

    def _page(
        self, invoice: str, after: str | None, deadline: Deadline
    ) -> tuple[list[tuple[str, str | None]], bool]:
        """One page's notes, newest first, with the refund that each names; and if more follow."""
        asked: CreditNoteListParams = {"invoice": invoice, "limit": PAGE_SIZE}
        if after is not None:
            asked["starting_after"] = after
        page = self._calls.read(
            invoice,
            lambda client: client.v1.credit_notes.list(asked),
            deadline,
        )
        notes, has_more = page.get("data"), page.get("has_more")
        if not isinstance(notes, list) or not isinstance(has_more, bool):
            raise UnreadableAnswerError("Stripe's answer is no list of credit notes")
        return [_named(note) for note in notes], has_more


def _refused(error: StripeRefusedError) -> CreditNoteOutcome:
    refusal = error.refusal
    if refusal.is_missing:
        # The invoice was found a moment ago. The report is new, too: Stripe may not show it yet.
        return CreditNoteUnclear(refusal.message, new_epoch=True)
    if refusal.is_final:
        return CreditNoteRefused(refusal.message, refusal.code)
    # Only an answer in Stripe's own form proves that the call has ended. Without it the first call
    # may still issue a note, and a call with a new key a second one.
    stored = refusal.is_stored and refusal.in_form
    return CreditNoteUnclear(
        refusal.message, stored, refusal.retry_after_s, refusal.is_of_the_credential
    )


def _named(note: Any) -> tuple[str, str | None]:
    """A note's id, and the refund that its metadata names."""
    if isinstance(note, dict) and isinstance(note.get("id"), str):
        metadata = note.get("metadata") or {}
        if isinstance(metadata, dict):
            return note["id"], metadata.get(REFUND_ID)
    raise UnreadableAnswerError("a credit note in Stripe's list cannot be read")


def _is_of(issued: dict[str, Any], instruction: CreditNoteInstruction) -> bool:
    metadata = issued.get("metadata")
    return (
        isinstance(metadata, dict)
        and metadata.get(REFUND_ID) == instruction.refund_id
        and issued.get("invoice") == instruction.invoice
        and issued.get("amount") == instruction.amount
        and str(issued.get("currency")).lower() == instruction.currency
    )
