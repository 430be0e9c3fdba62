"""Worlds by the thousand: whatever fails, in whatever order, the invariants hold."""

import pytest

from tests.simulation.drawing import draw
from tests.simulation.profiles import NAMES
from tests.simulation.runs import STEPS, WORLDS_FOR_ALL, Tally, live, live_all
from tests.simulation.world import World


@pytest.fixture(scope="module")
def tally() -> Tally:
    return live_all(0, WORLDS_FOR_ALL)


@pytest.mark.heavy
def test_thousands_of_worlds_violate_nothing(tally: Tally) -> None:
    assert tally.failures == []
    # Not vacuous: worlds enough of each processor
    assert min(tally.at[name] for name in NAMES) > WORLDS_FOR_ALL // 5
    assert min(tally.repeated, tally.unlinked) > 100


@pytest.mark.heavy
def test_they_leave_nothing_out(tally: Tally) -> None:
    """Every fault at every port of every processor, and every legal transition, have occurred."""
    assert tally.missing == []
    assert len(STEPS) == len([step for step in tally.steps if tally.steps[step]])


@pytest.mark.heavy
def test_few_of_their_refunds_end_in_review(tally: Tally) -> None:
    # Each of them was found to have a reason; where nothing hides what became of a refund, few are.
    assert tally.plain_refunds > tally.refunds / 2
    assert tally.plain_reviews / tally.plain_refunds < 0.04
    assert tally.reviews / tally.refunds < 0.08


def test_a_hundred_worlds_violate_nothing() -> None:
    """What is asked after every edit."""
    assert live(range(100)).failures == []


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [3, 57, 118])
def test_a_seed_replays_exactly(seed: int) -> None:
    traces = []
    for _ in range(2):
        world = World(draw(seed))
        world.run()
        traces.append(str(world.stage.trace))
    assert traces[0] == traces[1]
    assert traces[0].count("\n") > 5
