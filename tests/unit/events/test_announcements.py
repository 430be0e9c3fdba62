"""Which line of a refund's history is told by which event, over every legal step there is."""

import json
from dataclasses import replace

import pytest

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import taken_back
from refund_bridge.domain.refund import TAKEN_BACK, Entry
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.report import BEFORE_ADOPTION
from refund_bridge.domain.state_machine import (
    CREDIT_NOTE_TRANSITIONS,
    REPORT_TRANSITIONS,
    TRANSITIONS,
    ReportState,
    State,
)
from refund_bridge.events.announcements import announcements_of, has_news, name_of, refusal_of
from tests.fakes.processor_fates import Answered, NotSent, RequestLost
from tests.fakes.world import World

# Every event of every step that the table of transitions has; any other step is told by none.
TOLD = {
    (None, State.REQUESTED): "Refund Pending",
    (None, State.PENDING): "Refund Pending",
    (None, State.SUCCEEDED): "Refund Succeeded",
    (State.SUBMITTING, State.SUCCEEDED): "Refund Succeeded",
    (State.SUBMITTING, State.PENDING): "Refund Pending",
    (State.SUBMITTING, State.UNKNOWN): "Refund Pending",
    (State.SUBMITTING, State.REJECTED): "Refund Failed",
    (State.SUBMITTING, State.ABORTED): "Refund Failed",
    (State.REQUESTED, State.FAILED): "Refund Failed",
    (State.UNKNOWN, State.SUCCEEDED): "Refund Succeeded",
    (State.UNKNOWN, State.FAILED): "Refund Failed",
    (State.UNKNOWN, State.REVIEW): "Refund Needs Review",
    (State.PENDING, State.SUCCEEDED): "Refund Succeeded",
    (State.PENDING, State.FAILED): "Refund Failed",
    (State.PENDING, State.REVIEW): "Refund Needs Review",
    (State.REVIEW, State.SUCCEEDED): "Refund Succeeded",
    (State.REVIEW, State.FAILED): "Refund Failed",
    (State.FAILED, State.SUCCEEDED): "Refund Succeeded",
    (State.REJECTED, State.SUCCEEDED): "Refund Succeeded",
    (State.ABORTED, State.SUCCEEDED): "Refund Succeeded",
}


def line(before: str | None, after: str, cause: str = "because") -> Entry:
    return Entry(seq=1, at_ms=1, before=before, after=after, cause=cause, actor="somebody")


STEPS = sorted({(before, after) for (before, _), after in TRANSITIONS.items()}, key=str)


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_every_step_of_a_refund_is_told_as_the_table_says(
    before: State | None, after: State
) -> None:
    assert name_of(line(before, after)) == TOLD.get((before, after))


def test_the_table_names_no_step_that_cannot_be() -> None:
    assert set(TOLD) <= set(STEPS)


def test_a_success_that_came_back_and_went_again_is_told_again() -> None:
    assert name_of(line("succeeded", "succeeded", cause="restored")) == "Refund Succeeded"
    assert name_of(line("report:not_due", "report:due", cause="restored")) is None


def test_what_others_told_stripe_is_no_news() -> None:
    assert name_of(line("report:due", "report:reported", cause="by_sums")) is None


def test_a_report_is_told_when_it_ends() -> None:
    told = {
        after: name_of(line(f"report:{before}", f"report:{after}", cause="stripe_accepted"))
        for (before, _), after in REPORT_TRANSITIONS.items()
        if before is not after
    }
    assert told == {
        ReportState.NOT_DUE: None,
        ReportState.DUE: None,
        ReportState.REPORTED: "Refund Reported",
        ReportState.FAILED: "Refund Report Failed",
    }


def test_credit_notes_are_told_by_none_whatever_their_cause() -> None:
    for (before, _), after in CREDIT_NOTE_TRANSITIONS.items():
        for cause in ("issued", TAKEN_BACK):
            assert name_of(line(f"credit_note:{before}", f"credit_note:{after}", cause)) is None


@pytest.mark.parametrize("state", State)
def test_evidence_that_came_too_late_is_told_by_none(state: State) -> None:
    assert name_of(line(state, state, "late_answer")) is None


def test_a_refund_that_is_older_than_our_first_sight_is_no_news_but_how_it_ends_is() -> None:
    assert name_of(line(None, State.SUCCEEDED, BEFORE_ADOPTION)) is None
    assert name_of(line(None, State.PENDING, BEFORE_ADOPTION)) == "Refund Pending"
    assert name_of(line(State.PENDING, State.SUCCEEDED, "looked_up")) == "Refund Succeeded"


@pytest.mark.parametrize(
    ("before", "after"),
    [(State.SUCCEEDED, State.SUCCEEDED), ("report:due", "report:not_due")],
)
def test_a_success_that_is_taken_back_is_told_before_and_after_its_report(
    before: str, after: str
) -> None:
    assert name_of(line(before, after, TAKEN_BACK)) == "Refund Reversed"


def story(world: World, key: str) -> list[tuple[str, str]]:
    """What is told of a refund, with the ids that it is told under."""
    told = announcements_of(world.stored(key), None, after_seq=0)
    return [(one.name, one.id.removeprefix(world.stored(key).id)) for one in told]


def test_the_story_of_a_refund_that_is_reported() -> None:
    world = World()
    world.pay()
    refund = world.refund("k", amount=2500).refund
    world.report(refund.id)
    assert story(world, "k") == [("Refund Succeeded", ":2"), ("Refund Reported", ":4")]


def test_the_story_of_a_scheduled_refund_that_is_put_off_once() -> None:
    world = World()
    world.pay()
    world.refund("k", refund_type=RefundType.SCHEDULED)
    world.processor.fates.append(NotSent())
    world.settle_for(3 * 60_000)
    assert story(world, "k")[0] == ("Refund Pending", ":1")
    assert [name for name, _ in story(world, "k")] == ["Refund Pending", "Refund Succeeded"]


def test_the_story_of_a_refund_whose_answer_was_lost() -> None:
    world = World()
    world.pay()
    world.processor.fates.append(RequestLost())
    world.refund("k")
    names = [name for name, _ in story(world, "k")]
    assert names == ["Refund Pending"]


def test_an_aborted_refund_that_is_tried_again_is_told_each_time() -> None:
    world = World()
    world.pay()
    world.processor.fates.append(NotSent())
    world.refund("k")
    world.refund("k")
    assert [name for name, _ in story(world, "k")] == ["Refund Failed", "Refund Succeeded"]


def test_the_story_of_a_refusal_and_of_a_reversal() -> None:
    world = World()
    world.pay()
    world.processor.fates.append(Answered(422, "insufficient balance"))
    world.refund("no")
    assert story(world, "no") == [("Refund Failed", ":2")]
    done = world.refund("yes").refund
    processor_refund = ProcessorRefund(
        id=done.processor_refund_id or "",
        payment_id=done.processor_payment_id,
        money=Money(done.amount, done.currency),
        status=ProcessorRefundStatus.FAILED,
    )
    back = taken_back(done, processor_refund, at_ms=world.clock.now_ms(), actor="test")
    assert announcements_of(back, None, after_seq=len(done.history))[0].name == "Refund Reversed"


def test_an_event_shows_the_refund_its_line_and_nothing_of_who_did_it() -> None:
    # Given a refund of a payment
    world = World()
    world.pay()
    refund = world.refund("k", amount=2500, metadata={"order": "1007"}).refund
    # When its success is told
    (told,) = announcements_of(refund, world.payment(), after_seq=1)
    # Then the event is the refund object with the line's number, at the line's time
    shown = refund_object(refund, world.payment())
    assert told.detail == {"event_id": f"{refund.id}:2", "sequence": 2} | shown
    assert (told.id, told.at_ms) == (f"{refund.id}:2", refund.history[1].at_ms)
    # And the actor, the evidence and the lease stay in the ledger
    assert "api_key:test" not in json.dumps(told.detail)


def test_an_event_has_the_same_id_whenever_it_is_made() -> None:
    world = World()
    world.pay()
    refund = world.refund("k").refund
    first = announcements_of(refund, world.payment(), after_seq=0)
    world.report(refund.id)
    again = announcements_of(world.stored("k"), None, after_seq=0)
    assert [one.id for one in again][: len(first)] == [one.id for one in first]
    assert len({one.id for one in again}) == len(again)


def test_only_lines_after_the_last_one_seen_are_told() -> None:
    world = World()
    world.pay()
    refund = world.refund("k").refund
    last = len(refund.history)
    assert announcements_of(refund, None, after_seq=last) == ()
    assert not has_news(refund, after_seq=last)
    assert has_news(refund, after_seq=0)
    assert not has_news(replace(refund, history=refund.history[:1]), after_seq=0)


def test_a_refusal_is_told_under_the_id_of_the_event_that_asked() -> None:
    error = InvalidRequestError("No.", details={"fields": [{"path": "amount", "reason": "no"}]})
    told = refusal_of(error, request_id="e-1", source="demo.orders", refund_id=None, at_ms=7)
    assert (told.id, told.name, told.at_ms) == ("e-1:refused", "Refund Request Refused", 7)
    assert told.detail == {
        "event_id": "e-1:refused",
        "object": "refund_request",
        "request_event_id": "e-1",
        "source": "demo.orders",
        "refund_id": None,
        "error": {
            "code": "invalid_request",
            "message": "No.",
            "details": {"fields": [{"path": "amount", "reason": "no"}]},
        },
    }
