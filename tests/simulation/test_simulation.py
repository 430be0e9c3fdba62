"""Worlds by the thousand: whatever fails, in whatever order, the invariants hold."""

import pytest

from tests.simulation.drawing import draw
from tests.simulation.profiles import NAMES
from tests.simulation.runs import STEPS, live, live_all
from tests.simulation.world import World

WORLDS = 1_500


@pytest.mark.heavy
def test_hundreds_of_worlds_of_every_processor_violate_nothing() -> None:
    """Whether anything was left out is asked of the many worlds of `make simulate`."""
    tally = live_all(0, WORLDS)
    assert tally.failures == []
    # Not vacuous: worlds enough of each processor, and nearly all that may happen, have occurred
    assert min(tally.at[name] for name in NAMES) > WORLDS // 5
    assert min(tally.repeated, tally.unlinked) > 50
    assert len(STEPS & set(tally.steps)) > len(STEPS) * 3 // 4
    # Reviews are few: each has a reason that docs/safety.md gives
    assert tally.reviews / tally.refunds < 0.04


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
