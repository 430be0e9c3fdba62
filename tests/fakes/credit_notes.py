"""Stripe's credit notes in memory: idempotency keys, the notes of an invoice, lost answers.

Pure, as ``tests/fakes/stripe_reports.py``. ``tests/contract/stripe`` runs the same tests on it and
on the real adapter with the HTTP simulator. Like the simulator, it issues two notes for one refund
if it is asked to; the tests of the use case prove that the product never asks.
"""

from collections import deque
from dataclasses import dataclass

from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.ports.stripe import (
    CreditNoteInstruction,
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNoteUnclear,
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
from tests.fakes.stripe_records import StripeRecords

NO_ANSWER = "Stripe: no whole answer"


@dataclass(frozen=True, slots=True)
class FakeNote:
    """A credit note that was issued; ``key`` is ``None`` if not by this port."""

    id: str
    instruction: CreditNoteInstruction
    key: str | None


class FakeCreditNotes:
    """``ports.stripe.CreditNotes`` in memory.

    Attributes:
        paid: what was paid on each invoice, minor units.
        issued: the truth: every note, in the order of issuing.
        fates: what happens to the next instructions, in this order; later instructions arrive.
        is_down: whether look-ups fail.
        asked: the idempotency key of every instruction that was sent, whatever happened to it.
        look_ups: how often a note was looked for.
    """

    def __init__(self, clock: Clock, books: StripeRecords) -> None:
        self._clock = clock
        self._books = books
        self._kept: dict[str, tuple[CreditNoteInstruction, CreditNoteOutcome]] = {}
        self._late: list[tuple[int, CreditNoteInstruction, str]] = []
        self.paid: dict[str, int] = {}
        self.issued: list[FakeNote] = []
        self.fates: deque[Fate] = deque()
        self.is_down = False
        self.asked: list[str] = []
        self.look_ups = 0

    # --- the port ------------------------------------------------------------------------------

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        self.catch_up()
        self.look_ups += 1
        if self.is_down:
            raise ProviderUnavailableError(NO_ANSWER)
        return next(
            (note.id for note in self.notes_of(refund_id) if note.instruction.invoice == invoice),
            None,
        )

    def issue_credit_note(
        self, instruction: CreditNoteInstruction, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        self.catch_up()
        self.asked.append(idempotency_key)
        match fate := self.fates.popleft() if self.fates else Arrives():
            case ReportLost():
                return CreditNoteUnclear(NO_ANSWER)
            case BookedLate(after_ms):
                due_ms = self._clock.monotonic_ms() + after_ms
                self._late.append((due_ms, instruction, idempotency_key))
                return CreditNoteUnclear(NO_ANSWER)
            case TurnedAway() | NotAllowed():
                return _turned_away(fate)
            case Fails(booked):
                return self._fail(instruction, idempotency_key, issued=booked)
            case AnswerLost():
                self._arrive(instruction, idempotency_key)
                return CreditNoteUnclear(NO_ANSWER)
            case Arrives():
                return self._arrive(instruction, idempotency_key)

    # --- what happens behind the caller's back -------------------------------------------------

    def notes_of(self, refund_id: str) -> list[FakeNote]:
        """The notes whose metadata names the refund."""
        return [note for note in self.issued if note.instruction.refund_id == refund_id]

    def issue_elsewhere(self, instruction: CreditNoteInstruction) -> None:
        """Somebody else issues such a note, for example in the dashboard."""
        self._issue(instruction, None)

    def forget_keys(self) -> None:
        """Forget the answers stored under idempotency keys, as Stripe may after a day."""
        self._kept.clear()

    def catch_up(self) -> None:
        """Let late instructions arrive that are due by the clock."""
        now_ms = self._clock.monotonic_ms()
        due = [entry for entry in self._late if entry[0] <= now_ms]
        self._late = [entry for entry in self._late if entry[0] > now_ms]
        for _, instruction, key in due:
            self._arrive(instruction, key)

    # --- inside --------------------------------------------------------------------------------

    def _arrive(self, instruction: CreditNoteInstruction, key: str) -> CreditNoteOutcome:
        outcome = self._replay(instruction, key)
        if outcome is None:
            outcome = self._issue(instruction, key)
            self._kept[key] = (instruction, outcome)
        return outcome

    def _fail(
        self, instruction: CreditNoteInstruction, key: str, *, issued: bool
    ) -> CreditNoteOutcome:
        outcome = self._replay(instruction, key)
        if outcome is None:
            if issued:
                self._issue(instruction, key)
            outcome = CreditNoteUnclear("Stripe answered 500", new_epoch=True)
            self._kept[key] = (instruction, outcome)
        return outcome

    def _replay(self, instruction: CreditNoteInstruction, key: str) -> CreditNoteOutcome | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] != instruction:
            return CreditNoteUnclear("Keys are for one set of parameters", new_epoch=True)
        return kept[1]

    def _issue(self, instruction: CreditNoteInstruction, key: str | None) -> CreditNoteOutcome:
        """Issue a note, or refuse it on its merits."""
        if instruction.invoice not in self.paid:
            return CreditNoteUnclear("No such invoice", new_epoch=True)
        reports = self._books.reports_of(instruction.payment_record)
        if instruction.refund_reference not in {one.parameters.refund_reference for one in reports}:
            return CreditNoteUnclear("No such refund group", new_epoch=True)
        notes = [note for note in self.issued if note.instruction.invoice == instruction.invoice]
        left = self.paid[instruction.invoice] - sum(note.instruction.amount for note in notes)
        if not 1 <= instruction.amount <= left:
            return CreditNoteRefused("The amount is greater than the invoice's remaining amount.")
        self.issued.append(FakeNote(f"cn_{len(self.issued) + 1}", instruction, key))
        return CreditNoteIssued(self.issued[-1].id)


def _turned_away(fate: TurnedAway | NotAllowed) -> CreditNoteUnclear:
    if isinstance(fate, NotAllowed):
        return CreditNoteUnclear("Stripe does not accept the key", credential_refused=True)
    return CreditNoteUnclear("Stripe limits the rate", retry_after_s=fate.retry_after_s)
