"""Whatever happens to the refunds of a payment, its sums are those of its refunds."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from refund_bridge.domain.payment import Payment, PaymentKey, follow
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import (
    CREDIT_NOTE_TRANSITIONS,
    REPORT_TRANSITIONS,
    TRANSITIONS,
    CreditNoteEvent,
    Event,
    ReportEvent,
    ReportState,
    State,
)
from refund_bridge.domain.transitions import credit_note_transition, report_transition, transition
from tests.contract.ledger.examples import a_payment, a_refund, why

CAPTURED = 1000
WHY = why("test")
BIRTHS = sorted(event for state, event in TRANSITIONS if state is None)


@dataclass
class World:
    """A payment, all its refunds, and how often each gave its amount back in which attempt."""

    payment: Payment
    refunds: dict[str, Refund] = field(default_factory=dict)
    freed: dict[tuple[str, int], int] = field(default_factory=dict)
    processor_refunds: int = 0

    def put(self, after: Refund) -> None:
        before = self.refunds.get(after.id)
        held = self.payment.held
        self.payment = follow(self.payment, before, after)
        self.refunds[after.id] = after
        if self.payment.held < held:
            assert before is not None
            assert self.payment.held == held - after.amount
            attempt = (after.id, after.attempt)
            self.freed[attempt] = self.freed.get(attempt, 0) + 1

    def slot_is_free_for(self, refund_id: str) -> bool:
        return self.payment.slot in (None, refund_id)

    def new_processor_refund(self) -> str:
        self.processor_refunds += 1
        return f"hp_{self.processor_refunds}"


def recomputed(world: World) -> dict[str, Any]:
    """The sums from nothing but the refunds as they are, written without the code under test."""
    refunds = world.refunds.values()
    certain = ("rejected", "aborted", "failed")
    unbound = [
        r.id
        for r in refunds
        if r.state in ("submitting", "unknown", "review") and r.processor_refund_id is None
    ]
    assert len(unbound) <= 1
    bound = [
        r.amount for r in refunds if r.processor_refund_id is not None and r.state not in certain
    ]
    due = [r.amount for r in refunds if r.report.state == "due"]
    reported = [r.amount for r in refunds if r.report.state == "reported"]
    old = [
        r.amount
        for r in refunds
        if r.history[0].cause == "before_adoption"
        if (r.state, r.report.state) == ("succeeded", "not_due")
        if not any(entry.after == "report:due" for entry in r.history)
    ]
    undelivered = [r.amount for r in refunds if r.report.state == "failed"]
    doubtful = {
        r.id
        for r in refunds
        if r.state == "failed"
        and r.history[-1].before in ("unknown", "review")
        and r.processor_refund_id is None
    }
    return {
        "held": sum(r.amount for r in refunds if r.state not in certain),
        "moved": sum(r.amount for r in refunds if r.state == "succeeded"),
        "bound_amount": sum(bound),
        "booked": sum(reported),
        "before_adoption": sum(old),
        "report_due_count": len(due),
        "report_due_amount": sum(due),
        "report_failed_amount": sum(undelivered),
        "slot": unbound[0] if unbound else None,
        "doubtful": doubtful,
    }


def step(world: World, data: st.DataObject) -> None:
    """One legal step: a birth, or an event of a refund, of its report or of its credit note."""
    choices: list[tuple[str | None, Event | ReportEvent | CreditNoteEvent]] = [
        (None, event)
        for event in BIRTHS
        if event is not Event.ACCEPT_INSTANT or world.payment.slot is None
    ]
    for refund in world.refunds.values():
        choices += [
            (refund.id, event)
            for (state, event), after in TRANSITIONS.items()
            if state is refund.state and may_enter(world, refund, after)
        ]
        choices += [
            (refund.id, event)
            for state, event in REPORT_TRANSITIONS
            if state is refund.report.state and refund.state is State.SUCCEEDED
        ]
        choices += [
            (refund.id, event)
            for state, event in CREDIT_NOTE_TRANSITIONS
            if state is refund.credit_note.state and refund.report.state is ReportState.REPORTED
        ]
    refund_id, event = data.draw(st.sampled_from(choices))
    if refund_id is None:
        be_born(world, Event(event), data)
    elif isinstance(event, CreditNoteEvent):
        world.put(credit_note_transition(world.refunds[refund_id], event, WHY))
    elif isinstance(event, ReportEvent):
        after = report_transition(world.refunds[refund_id], event, WHY)
        if event is ReportEvent.CANCEL:  # the processor took the money back
            after = replace(after, late_failure_at_ms=1)
        world.put(after)
    else:
        happen(world, world.refunds[refund_id], event, data)


def may_enter(world: World, refund: Refund, after: State) -> bool:
    if after is not State.SUBMITTING:
        return True
    holds = refund.state is State.REQUESTED or refund.amount <= world.payment.refundable
    return holds and world.slot_is_free_for(refund.id)


def be_born(world: World, event: Event, data: st.DataObject) -> None:
    if world.payment.refundable == 0:
        return
    amount = data.draw(st.integers(min_value=1, max_value=world.payment.refundable))
    imported = event in (Event.IMPORT_SUCCEEDED, Event.IMPORT_PENDING)
    bound = world.new_processor_refund() if imported else None
    refund = a_refund(event, amount=amount, attempt=1, processor_refund_id=bound)
    if imported and data.draw(st.booleans()):
        old = replace(refund.history[0], cause="before_adoption")
        refund = replace(refund, history=(old,))
    elif event is Event.IMPORT_SUCCEEDED:
        refund = report_transition(refund, ReportEvent.OWE, WHY)
    world.put(refund)


def happen(world: World, refund: Refund, event: Event, data: st.DataObject) -> None:
    facts: dict[str, Any] = {}
    binds = event in (Event.SUCCEED, Event.PEND)
    binds = binds or (event is Event.ESCALATE and data.draw(st.booleans()))
    if binds and refund.processor_refund_id is None:
        facts["processor_refund_id"] = world.new_processor_refund()
    if event is Event.START:
        facts["attempt"] = refund.attempt + 1
    after = transition(refund, event, WHY, **facts)
    if event is Event.SUCCEED and refund.report.state is ReportState.NOT_DUE:
        after = report_transition(after, ReportEvent.OWE, WHY)
    world.put(after)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(min_value=1, max_value=40))
def test_the_sums_are_always_those_of_the_refunds(data: st.DataObject, steps: int) -> None:
    world = World(a_payment(captured=CAPTURED))
    start = world.payment
    for _ in range(steps):
        step(world, data)
        payment = world.payment
        kept = {name: getattr(payment, name) for name in recomputed(world)}
        assert kept | {"doubtful": set(payment.doubtful)} == recomputed(world)
        waiting = [r.id for r in world.refunds.values() if r.state == "requested"]
        assert sorted(payment.waiting) == sorted(waiting)
        # What had failed may have moved money after all, when its amount was spent again.
        assert 0 <= payment.moved <= payment.held
        assert payment.refundable == max(0, CAPTURED - payment.held)
        assert payment.booked + payment.report_due_amount <= payment.held
        assert min(payment.bound_amount, payment.report_due_count) >= 0
    assert all(times == 1 for times in world.freed.values())
    unchanged = ("key", "payment_record", "currency", "captured", "revision", "foreign")
    assert all(getattr(world.payment, name) == getattr(start, name) for name in unchanged)


@given(st.lists(st.sampled_from(sorted(State)), min_size=1, max_size=8))
def test_the_way_does_not_matter_only_where_it_ends(states: list[State]) -> None:
    payment = Payment(
        key=PaymentKey("hitpay", "charge"), payment_record=None, currency="sgd", captured=CAPTURED
    )
    refund = a_refund(amount=7)
    ways = [replace(refund, state=state) for state in states]
    walked = follow(payment, None, ways[0])
    for before, after in pairwise(ways):
        walked = follow(walked, before, after)
    # Which failures are in doubt, and who waits first, is told by the way and not by its end.
    told_by_the_way: dict[str, Any] = {"doubtful": (), "waiting": ()}
    straight = follow(payment, None, ways[-1])
    assert replace(walked, **told_by_the_way) == replace(straight, **told_by_the_way)
    assert ways[-1].report.state is ReportState.NOT_DUE
