"""Issues the credit note for a refunded invoice: best effort, retried, never twice.

::

    owe      not_due → due            in the write that confirms the report
    begin    the attempt is counted   durable before Stripe is asked
    look     a note on the invoice whose metadata names the refund   → issued
    issue    else create one, tied to the reported refund            → issued | due, later | failed

The reporter tries once; after that settling tries. Only one worker works on a note at a time:
settling takes only what is due, and a note is not due while the reporter tries. If two workers meet
all the same, because one of them was paused for long, both use the same idempotency key, so Stripe
issues one note.

A failure here never fails or repeats the refund or its report.
"""

from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.backoff import backoff_steps
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ProviderAnswer, with_answer, with_last_answer
from refund_bridge.domain.state_machine import CreditNoteEvent, CreditNoteState
from refund_bridge.domain.transitions import Why, credit_note_transition
from refund_bridge.ports.ledger import Commit, Ledger, LedgerConflictError, RefundWrite
from refund_bridge.ports.processor import CredentialRefusedError, ProviderUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.ports.stripe import (
    CreditNoteInstruction,
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNotes,
    CreditNoteUnclear,
    StripeObjectNotFoundError,
)

ATTEMPTS_MAX: Final = 8
# Longer than the reporter may work on one message, so that settling does not try meanwhile.
REPORTERS_MS: Final = 60_000
WRITE_ATTEMPTS: Final = 5
# An hour, in steps of the settle interval: after it the reported refund is checked again.
LOOK_STEPS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCreditNote:
    """Tries to issue credit notes, and writes the results.

    Attributes:
        actor: which function does it, for the history.
        step_ms: the settle interval, of which the pauses between attempts are multiples.
    """

    ledger: Ledger
    notes: CreditNotes
    clock: Clock
    telemetry: Telemetry
    actor: str
    step_ms: int

    def __call__(self, refund: Refund, deadline: Deadline) -> bool:
        """Make one attempt, which ``begun`` or ``owing_credit_note`` has counted, durably.

        Returns whether the final result is durable: issued, failed, or nothing to credit.

        Raises:
            LedgerUnavailableError: the result may not be durable; a later attempt looks for the
                note.
        """
        outcome = self._ask(refund, deadline)
        for _ in range(WRITE_ATTEMPTS):
            after = self._after(refund, outcome)
            try:
                self.ledger.commit(Commit(refunds=(RefundWrite(refund, after),)))
            except LedgerConflictError:
                again = self.ledger.refund(refund.id)
                if again is None or not _is_same_attempt(again, refund):
                    # Another worker has taken over, and will find the note that this one made.
                    return False
                refund = again
            else:
                self._tell(after)
                return after.credit_note.state is not CreditNoteState.DUE
        return False

    def at_once(self, refund: Refund, deadline: Deadline) -> None:
        """Make the reporter's attempt, if the refund owes a note; never raises."""
        if refund.credit_note.state is not CreditNoteState.DUE:
            return
        try:
            self(refund, deadline)
        except Exception as error:  # noqa: BLE001 - the report is made, and its message done with
            name = type(error).__name__
            self.telemetry.note("credit_note_put_off", refund_id=refund.id, error=name)

    def _ask(self, refund: Refund, deadline: Deadline) -> CreditNoteOutcome | None:
        """Ask Stripe; ``None`` if there is nothing to credit any more."""
        instruction = _instruction_of(refund)
        try:
            found = self.notes.credit_note_of(instruction.invoice, instruction.refund_id, deadline)
        except ProviderUnavailableError as error:
            return CreditNoteUnclear(
                error.reason,
                retry_after_s=error.retry_after_s,
                credential_refused=isinstance(error, CredentialRefusedError),
                was_asked=error.was_asked,
            )
        except StripeObjectNotFoundError as error:
            return CreditNoteRefused(str(error))
        if found is not None:
            return CreditNoteIssued(found)
        if refund.late_failure_at_ms is not None:
            return None
        if refund.credit_note.attempts > ATTEMPTS_MAX:
            # The last attempt wrote no result, so only its note was looked for.
            return CreditNoteUnclear("the last attempt was cut off")
        return self.notes.issue_credit_note(instruction, idempotency_key_of(refund), deadline)

    def _after(self, refund: Refund, outcome: CreditNoteOutcome | None) -> Refund:
        """The refund after the attempt's outcome; ``None`` as in ``_ask``."""
        refund, outcome = self._heard(refund, outcome)
        match outcome:
            case None:
                return self._end(refund, CreditNoteEvent.CANCEL, "taken_back")
            case CreditNoteIssued(note):
                at_ms = self.clock.now_ms()
                why = Why(
                    at_ms=at_ms, cause="issued", actor=self.actor, evidence={"credit_note": note}
                )
                issued = credit_note_transition(
                    refund, CreditNoteEvent.ISSUE, why, id=note, issued_at_ms=at_ms
                )
                return replace(issued, next_check_ms=at_ms + LOOK_STEPS * self.step_ms)
            case CreditNoteRefused(reason, code):
                # Stripe keeps the refusal under the key; if a person replays it, the key is new.
                given_up = _with_next_epoch(refund)
                return self._end(given_up, CreditNoteEvent.GIVE_UP, f"refused: {code or reason}")
            case CreditNoteUnclear(credential_refused=True):
                # Our credential is wrong: the attempt is not counted and nothing is given up.
                attempts = max(0, refund.credit_note.attempts - 1)
                uncounted = replace(refund.credit_note, attempts=attempts)
                return self._later(replace(refund, credit_note=uncounted), outcome)
            case CreditNoteUnclear(reason) if refund.credit_note.attempts >= ATTEMPTS_MAX:
                given_up = _with_next_epoch(refund) if outcome.new_epoch else refund
                return self._end(given_up, CreditNoteEvent.GIVE_UP, f"unclear: {reason}")
            case CreditNoteUnclear():
                return self._later(refund, outcome)

    def _heard(
        self, refund: Refund, outcome: CreditNoteOutcome | None
    ) -> tuple[Refund, CreditNoteOutcome | None]:
        """Keep Stripe's answer in the refund, or put its last answer into the outcome.

        The first if Stripe was asked, the second if it was not.
        """
        note = refund.credit_note
        match outcome:
            case CreditNoteUnclear(reason, was_asked=False):
                return refund, replace(outcome, reason=with_last_answer(reason, note.answers))
            case CreditNoteUnclear(reason) | CreditNoteRefused(reason):
                answer = ProviderAnswer(
                    attempt=note.attempts, at_ms=self.clock.now_ms(), said=reason
                )
                kept = replace(note, answers=with_answer(note.answers, answer))
                return replace(refund, credit_note=kept), outcome
            case _:
                return refund, outcome

    def _end(self, refund: Refund, event: CreditNoteEvent, reason: str) -> Refund:
        why = Why(at_ms=self.clock.now_ms(), cause=reason, actor=self.actor)
        return replace(
            credit_note_transition(refund, event, why, last_error=reason),
            next_check_ms=why.at_ms + LOOK_STEPS * self.step_ms,
        )

    def _later(self, refund: Refund, unclear: CreditNoteUnclear) -> Refund:
        note, now_ms = refund.credit_note, self.clock.now_ms()
        pause_ms = backoff_steps(max(0, note.attempts - 1)) * self.step_ms
        wish_ms = (unclear.retry_after_s or 0) * 1000
        refund = _with_next_epoch(refund) if unclear.new_epoch else refund
        return replace(
            refund,
            credit_note=replace(refund.credit_note, last_error=unclear.reason),
            updated_at_ms=now_ms,
            next_check_ms=now_ms + max(pause_ms, wish_ms),
        )

    def _tell(self, refund: Refund) -> None:
        note = refund.credit_note
        if note.state is CreditNoteState.FAILED:
            self.telemetry.note("credit_note_failed", refund_id=refund.id, reason=note.last_error)
        elif note.state is CreditNoteState.ISSUED:
            self.telemetry.note("credit_note_issued", refund_id=refund.id, credit_note=note.id)


def owing_credit_note(refund: Refund, why: Why) -> Refund:
    """The reported refund with its credit note due, and the reporter's attempt counted.

    Unchanged if no note is owed: the refund was not asked for by an invoice, the processor took the
    money back, or a note has been owed before.
    """
    if refund.invoice is None or refund.late_failure_at_ms is not None:
        return refund
    if refund.credit_note.state is not CreditNoteState.NOT_DUE:
        return refund
    owing = credit_note_transition(refund, CreditNoteEvent.OWE, why, attempts=1)
    return replace(owing, next_check_ms=why.at_ms + REPORTERS_MS)


def begun(refund: Refund) -> Refund:
    """The refund with one more attempt counted at its credit note; write it before the attempt."""
    note = refund.credit_note
    return replace(refund, credit_note=replace(note, attempts=note.attempts + 1))


def _with_next_epoch(refund: Refund) -> Refund:
    """The refund with a new epoch: its note is asked for under a new key from now on."""
    note = refund.credit_note
    return replace(refund, credit_note=replace(note, epoch=note.epoch + 1))


def idempotency_key_of(refund: Refund) -> str:
    """Stripe's idempotency key of this refund's credit note: stable within an epoch."""
    epoch = refund.credit_note.epoch
    return f"{refund.id}:credit_note" + (f":{epoch}" if epoch else "")


def _instruction_of(refund: Refund) -> CreditNoteInstruction:
    """The instruction for Stripe: the refund's invoice, and what Stripe was told of the refund."""
    told = refund.report.parameters
    if told is None or refund.invoice is None:
        raise ValueError(f"{refund.id} owes a credit note without an invoice or a report")
    return CreditNoteInstruction(
        refund_id=refund.id,
        invoice=refund.invoice,
        payment_record=told.payment_record,
        refund_reference=told.refund_reference,
        amount=told.amount,
        currency=told.currency,
        reason=refund.request.reason,
    )


def _is_same_attempt(stored: Refund, mine: Refund) -> bool:
    still_due = stored.credit_note.state is CreditNoteState.DUE
    return still_due and stored.credit_note.attempts == mine.credit_note.attempts
