"""One refund, one credit note: in every short world of lost answers, crashes and two workers.

Each world has one refunded invoice, a fate for each of the first two instructions at Stripe, and
one mishap at one place; all worlds are run. In the end, when Stripe answers again, there is exactly
one note, and the refund names it. Planted defects prove that a second note would be detected.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import product
from typing import Any

import pytest

from refund_bridge.adapters.stripe import credit_notes as stripe_credit_notes
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import CreditNoteState, ReportState
from refund_bridge.ports.ledger import Commit, LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.stripe import CreditNoteUnclear
from refund_bridge.reporting import credit_note
from refund_bridge.reporting.credit_note import IssueCreditNote
from tests.fakes.ledger import MemoryLedger
from tests.fakes.stripe_fates import (
    AnswerLost,
    Arrives,
    BookedLate,
    Fails,
    Fate,
    ReportLost,
    TurnedAway,
)
from tests.fakes.world import REPORT_LEASE_MS, STEP_MS, World

pytestmark = pytest.mark.heavy

HOUR_MS = 60 * STEP_MS
TAKE_MS = 90_000
# Late by moments, while others try, and after everything has ended.
FATES: tuple[Fate, ...] = (
    Arrives(),
    ReportLost(),
    AnswerLost(),
    BookedLate(STEP_MS // 2),
    BookedLate(2 * STEP_MS),
    BookedLate(5 * HOUR_MS),
    Fails(booked=False),
    Fails(booked=True),
    TurnedAway(),
)
# The reporter's attempt and settling's first have four calls each: write, look up, issue, write.
PLACES = 8


class Mishap(StrEnum):
    """What happens to the worker at one place."""

    NONE = "none"
    KILLED_BEFORE = "killed_before"
    KILLED_AFTER = "killed_after"
    REPLY_LOST = "reply_lost"
    OVERTAKEN = "overtaken"


class KilledError(BaseException):
    """The process ends here."""


@dataclass(frozen=True)
class Life:
    """One world: the fates of the first instructions, and where the mishap happens."""

    fates: tuple[Fate, Fate]
    mishap: Mishap
    place: int


def lives() -> Iterator[Life]:
    for fates in product(FATES, FATES):
        yield Life(fates, Mishap.NONE, 0)
        for mishap, place in product(list(Mishap)[1:], range(PLACES)):
            yield Life(fates, mishap, place)


class Unlucky:
    """The calls for a credit note, one of them with a mishap."""

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life
        self._place = 0
        for port, name, no_reply in (
            (world.notes, "credit_note_of", raised(ProviderUnavailableError("no reply"))),
            (world.notes, "issue_credit_note", lambda: CreditNoteUnclear("no reply")),
            (world.ledger, "commit", raised(LedgerUnavailableError("no reply"))),
        ):
            setattr(port, name, self._befallen(getattr(port, name), no_reply))

    def _befallen(
        self, call: Callable[..., Any], no_reply: Callable[[], Any]
    ) -> Callable[..., Any]:
        def befallen(*given: Any) -> Any:
            if isinstance(given[0], Commit) and not is_of_a_note(given[0]):
                return call(*given)
            place, self._place = self._place, self._place + 1
            mishap = self._life.mishap if place == self._life.place else Mishap.NONE
            if mishap is Mishap.KILLED_BEFORE:
                raise KilledError
            if mishap is Mishap.OVERTAKEN:
                overtake(self._world)
            answer = call(*given)
            if mishap is Mishap.KILLED_AFTER:
                raise KilledError
            return no_reply() if mishap is Mishap.REPLY_LOST else answer

        return befallen


def raised(error: Exception) -> Callable[[], Any]:
    def unanswered() -> Any:
        raise error

    return unanswered


def is_of_a_note(written: Commit) -> bool:
    """Whether the commit begins or ends an attempt, or makes the note due."""
    return any(
        write.after.credit_note != (write.before and write.before.credit_note)
        and write.after.credit_note.attempts > 0
        for write in written.refunds
    )


def overtake(world: World) -> None:
    """Pause the worker for two hours; meanwhile settling does what is due."""
    settle_for(world, 2 * HOUR_MS)


def settle_for(world: World, milliseconds: int) -> None:
    """Let time pass, with a run of settling whenever the note is due."""
    ends_ms = world.clock.now_ms() + milliseconds
    while (due_ms := world.stored("k").next_check_ms) is not None and due_ms <= ends_ms:
        world.clock.advance(max(0, due_ms - world.clock.now_ms()))
        world.settle(world.stored("k").id, world.deadline())
    world.clock.advance(max(0, ends_ms - world.clock.now_ms()))


def live(life: Life) -> World:
    """The world, after the reporter's call, settling for a day, and the end of all mishaps."""
    world = World(credit_notes=True, ledger=MemoryLedger(as_stored=False))
    world.pay_invoice()
    by_invoice = {"reference_type": ReferenceType.INVOICE, "reference_id": "in_1"}
    made = world.refund("k", amount=2500, **by_invoice).refund
    world.notes.fates.extend(life.fates)
    Unlucky(world, life)
    reporting: Callable[[], object] = partial(world.report, made.id)
    settling: Callable[[], object] = partial(settle_for, world, 4 * STEP_MS)
    for work in (reporting, settling, settling):
        try:
            work()
        except (KilledError, LedgerUnavailableError):
            world.clock.advance(TAKE_MS)
    if world.stored("k").report.state is not ReportState.REPORTED:
        # The mishap hit the report itself, and its message comes again.
        world.clock.advance(REPORT_LEASE_MS)
        world.report(made.id, receive=2)
    settle_for(world, 6 * HOUR_MS)
    world.notes.catch_up()
    return world


def violation(life: Life) -> str | None:
    """What is wrong in the end, if anything."""
    world = live(life)
    refund = world.stored("k")
    notes = world.notes.notes_of(refund.id)
    if len(notes) != 1:
        return f"{len(notes)} notes"
    if refund.credit_note.state is not CreditNoteState.ISSUED:
        return f"the note is {refund.credit_note.state}"
    if refund.credit_note.id != notes[0].id:
        return "the refund names another note"
    if len(world.stripe.books.reports_of("pr_1")) != 1:
        return "the report was touched"
    return None


def test_there_is_one_note_in_every_world() -> None:
    assert {life: told for life in lives() if (told := violation(life))} == {}


def test_every_mishap_happens_somewhere_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # A place that no call reaches would test nothing.
    lost_twice = (ReportLost(), ReportLost())
    reached = set()
    for place in range(PLACES):
        with monkeypatch.context() as patched:
            patched.setattr(__name__ + ".overtake", lambda _, at=place: reached.add(at))
            live(Life(lost_twice, Mishap.OVERTAKEN, place))
    assert reached == set(range(PLACES))


def look_nowhere(patched: pytest.MonkeyPatch) -> None:
    """The note is issued without looking for it first."""
    patched.setattr("tests.fakes.credit_notes.FakeCreditNotes.notes_of", lambda *_: [])


def a_key_for_each_attempt(patched: pytest.MonkeyPatch) -> None:
    """Each attempt has an idempotency key of its own."""

    def key_of(refund: Refund) -> str:
        return f"{refund.id}:{refund.credit_note.attempts}"

    patched.setattr(credit_note, "idempotency_key_of", key_of)


def a_new_key_without_an_answer(patched: pytest.MonkeyPatch) -> None:
    """An instruction without an answer is sent again with another key."""
    later = IssueCreditNote._later

    def forgetful(self: IssueCreditNote, refund: Refund, unclear: CreditNoteUnclear) -> Refund:
        return later(self, refund, replace(unclear, new_epoch=True))

    patched.setattr(IssueCreditNote, "_later", forgetful)


def nobody_is_named(patched: pytest.MonkeyPatch) -> None:
    """The note is issued with another refund id than the one by which it is looked for."""
    instruction_of = credit_note._instruction_of

    def misspelt(refund: Refund) -> Any:
        instruction = instruction_of(refund)
        return replace(
            instruction, refund_id=f"{instruction.refund_id}_{refund.credit_note.attempts}"
        )

    patched.setattr(credit_note, "_instruction_of", misspelt)


@pytest.mark.parametrize(
    "plant", [look_nowhere, a_key_for_each_attempt, a_new_key_without_an_answer, nobody_is_named]
)
def test_a_planted_defect_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert any(violation(life) for life in lives())


def test_the_adapter_looks_for_what_it_writes() -> None:
    assert stripe_credit_notes.REFUND_ID == "refund_bridge_id"
