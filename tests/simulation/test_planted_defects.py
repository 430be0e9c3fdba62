"""Tests the simulation itself: invariants that know nothing of the planted defects catch each."""

from collections.abc import Iterable

import pytest

from tests.simulation import (
    defects_others,
    defects_processors,
    defects_reporting,
    defects_sending,
    defects_settling,
    defects_stripe,
)
from tests.simulation.drawing import draw
from tests.simulation.planting import DEFECTS, Change, as_drawn
from tests.simulation.runs import live
from tests.simulation.world import World

pytestmark = pytest.mark.heavy

# Each defect is caught by one of this many seeds, most by the first few. If the stored seed does
# not catch it any more, the seeds are searched from the first on.
SEEDS_MAX = 100_000
SEARCHED = 800
DEFECTS_MIN = 52
PLANTED_IN = (
    defects_sending,
    defects_settling,
    defects_reporting,
    defects_processors,
    defects_others,
    defects_stripe,
)


def seed_that_catches(seeds: Iterable[int], worlds: Change = as_drawn) -> int | None:
    """The first seed whose world violates an invariant, or meets a guard of the product."""
    for seed in seeds:
        result = World(worlds(draw(seed))).run()
        # With such an error the planted defect no longer fits the product, and proves nothing.
        assert result.kind not in ("TypeError", "AttributeError"), result.failure
        if result.failure is not None:
            return seed
    return None


@pytest.mark.parametrize("name", list(DEFECTS))
def test_a_planted_defect_is_caught(name: str) -> None:
    defect = DEFECTS[name]
    assert defect.caught_at < SEEDS_MAX
    with defect.planted():
        caught = seed_that_catches([defect.caught_at, *range(SEARCHED)], defect.worlds)
    assert caught is not None
    # Then it was the defect: without it nothing is violated in that world.
    assert seed_that_catches([caught], defect.worlds) is None


def test_there_are_enough_of_them() -> None:
    planted = [name for module in PLANTED_IN for name in vars(module) if name in DEFECTS]
    assert len(planted) == len(DEFECTS) >= DEFECTS_MIN


def test_a_run_that_left_something_out_says_so() -> None:
    assert "unknown → review" in live(range(1)).missing
