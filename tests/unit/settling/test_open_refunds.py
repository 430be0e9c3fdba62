"""How many refunds are open and since when: right, bounded, and never in the way of settling."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.refund import Refund, refund_id_of
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.listing import OfMonth
from refund_bridge.settling.open_refunds import MONTHS, OPEN_MAX, MeasureOpenRefunds, open_since_ms
from tests.fakes.processor_fates import NotSent, RequestLost
from tests.fakes.world import STAGE, World

BUDGET_MS = 5_000
DAY_MS = 24 * 60 * 60 * 1000
NOTHING = {"oldest_s": 0, "pending": 0, "unknown": 0, "review": 0}


def measure(world: World, *, budget_ms: int = BUDGET_MS) -> list[dict[str, Any]]:
    """What is noted when the open refunds are measured."""
    measuring = MeasureOpenRefunds(
        listing=world.listing, clock=world.clock, telemetry=world.telemetry
    )
    world.telemetry.notes.clear()
    measuring(world.deadline_of(budget_ms))
    return [facts | {"event": event} for event, facts in world.telemetry.notes]


def measured(world: World) -> dict[str, Any]:
    """The one thing that is noted."""
    (facts,) = measure(world)
    assert facts.pop("event") == "open_refunds"
    return facts


def unknown(world: World, name: str) -> Refund:
    """A refund whose outcome is not known, of a payment of its own."""
    world.processor.fates.append(RequestLost())
    return world.refund(name, record=world.pay(name), amount=100).refund


def change(world: World, refund: Refund, **facts: Any) -> None:
    """The refund as it would be if it had become so."""
    world.ledger.refunds[refund.id] = replace(world.ledger.refunds[refund.id], **facts)


def test_where_nothing_is_open_all_is_nought(world: World) -> None:
    world.refund("done", amount=100)
    assert measured(world) == NOTHING


def test_the_oldest_of_several_tells_the_age(world: World) -> None:
    # Given one refund of unknown outcome, and two minutes later another
    unknown(world, "a")
    world.clock.advance(120_000)
    unknown(world, "b")
    # When they are measured a minute and a half later
    world.clock.advance(90_999)
    # Then the first one's age is told, in whole seconds
    assert measured(world) == NOTHING | {"oldest_s": 210, "pending": 2, "unknown": 2}


def test_what_waits_for_its_turn_is_open_but_not_unknown(world: World) -> None:
    change(world, unknown(world, "a"), state=State.REQUESTED)
    assert measured(world) == NOTHING | {"pending": 1}


def test_a_review_is_counted_but_its_age_is_a_persons(world: World) -> None:
    change(world, unknown(world, "a"), state=State.REVIEW)
    world.clock.advance(DAY_MS)
    assert measured(world) == NOTHING | {"review": 1}


def test_a_second_beginning_is_no_older_than_itself(world: World) -> None:
    # Given a refund that was aborted, and tried again by its caller a week later
    world.processor.fates.append(NotSent())
    world.refund("late", amount=100)
    world.clock.advance(7 * DAY_MS)
    world.processor.fates.append(RequestLost())
    again = world.refund("late", amount=100).refund
    assert again.state is State.UNKNOWN
    # Then it is as old as its second beginning
    world.clock.advance(4_000)
    assert measured(world)["oldest_s"] == 4
    assert open_since_ms(again) == again.started_at_ms


def test_a_refund_without_history_is_as_old_as_itself(world: World) -> None:
    refund = replace(unknown(world, "a"), history=())
    assert open_since_ms(refund) == refund.created_at_ms


def test_what_the_index_shows_too_long_is_not_counted(world: World) -> None:
    # Given an index that still shows as pending what has succeeded since
    refund = unknown(world, "a")
    world.listing.lag()
    change(world, refund, state=State.SUCCEEDED)
    assert measured(world) == NOTHING


def test_thirteen_months_are_looked_at_and_none_before(world: World) -> None:
    # Given a refund of each of the last fourteen months of thirty days and a half
    for number in range(14):
        refund = unknown(world, f"m{number}")
        created = world.clock.now_ms() - number * 30 * DAY_MS - number * DAY_MS // 2
        change(world, refund, created_at_ms=created, state=State.REVIEW)
    # Then the last one is too old to be looked for
    assert measured(world)["review"] == MONTHS


@pytest.mark.parametrize(
    ("now_ms", "first", "last"),
    [
        (1_704_067_199_999, "2022-12", "2023-12"),
        (1_704_067_200_000, "2023-01", "2024-01"),
    ],
)
def test_the_months_are_those_of_the_calendar(
    world: World, now_ms: int, first: str, last: str
) -> None:
    world.clock.advance(now_ms - world.clock.now_ms())
    asked: list[str] = []

    def count(selection: OfMonth) -> int:
        asked.append(selection.month)
        return 0

    world.listing.count = count  # type: ignore[method-assign, assignment]
    measure(world)
    assert asked == sorted(set(asked))
    assert (asked[0], asked[-1], len(asked)) == (first, last, MONTHS)


def test_what_is_read_is_bounded_and_the_oldest_are_read(world: World) -> None:
    # Given more open refunds than are read
    refund = unknown(world, "a")
    old = world.clock.now_ms() - DAY_MS
    for number in range(OPEN_MAX + 5):
        name = refund_id_of(f"many-{number}", STAGE)
        copied = replace(refund, id=name, created_at_ms=old + number, history=())
        world.ledger.refunds[name] = copied
    # When they are measured
    world.listing.round_trips = 0
    facts = measured(world)
    # Then the oldest are counted, within so many round trips
    assert (facts["pending"], facts["oldest_s"]) == (OPEN_MAX, DAY_MS // 1000)
    assert world.listing.round_trips <= 2 * MONTHS + OPEN_MAX // 100


def test_a_ledger_that_gives_no_answer_stops_nothing(world: World) -> None:
    def away(*_: object) -> int:
        raise LedgerUnavailableError("no answer")

    world.listing.count = away  # type: ignore[method-assign, assignment]
    assert measure(world) == [
        {"event": "open_refunds_not_measured", "error": "LedgerUnavailableError"}
    ]


def test_nor_does_a_slow_one(world: World) -> None:
    oldest = world.listing.oldest

    def slow(selection: OfMonth, *, limit: int) -> object:
        world.clock.advance(700)
        return oldest(selection, limit=limit)

    world.listing.oldest = slow  # type: ignore[method-assign, assignment]
    assert [facts["event"] for facts in measure(world)] == ["open_refunds_not_measured"]
    # Seven reads of 700 ms fit into 5 s, if the last one began with half a second left
    assert world.listing.round_trips == 7


def test_nor_does_a_defect(world: World) -> None:
    world.listing.refunds = None  # type: ignore[method-assign, assignment]
    assert [facts["error"] for facts in measure(world)] == ["TypeError"]
