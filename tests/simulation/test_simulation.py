"""Worlds by the hundred: whatever fails, in whatever order, the invariants hold."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.simulation.__main__ import verdict
from tests.simulation.closing import COMMANDS
from tests.simulation.drawing import draw
from tests.simulation.others import Theme
from tests.simulation.profiles import NAMES
from tests.simulation.runs import STEPS, WORLDS_FOR_SHARES, Tally, live, live_all
from tests.simulation.world import World

# `make simulate` runs many more worlds, and requires that they leave nothing out. Its bounds for
# reviews are narrower, since in few worlds the number of reviews depends on chance.
WORLDS = 500
MISSING_MAX = 60


@pytest.fixture(scope="module")
def tally() -> Tally:
    return live_all(0, WORLDS)


@pytest.mark.heavy
def test_five_hundred_worlds_violate_nothing(tally: Tally) -> None:
    assert tally.failures == []
    # Not vacuous: worlds enough of each processor
    assert min(tally.at[name] for name in NAMES) > WORLDS // 6
    assert min(tally.repeated, tally.unlinked) > 50


@pytest.mark.heavy
def test_they_leave_little_out(tally: Tally) -> None:
    """Nearly every fault at every port of every processor, and every legal transition, occurred."""
    assert len(tally.missing) < MISSING_MAX
    assert len(tally.pairs) > 5 * MISSING_MAX


@pytest.mark.heavy
@pytest.mark.parametrize("trouble", ["violated", "never met", "reviews", "plain reviews"])
def test_make_simulate_fails_where_something_is_violated_or_left_out_or_too_much_is_reviewed(
    tally: Tally, trouble: str
) -> None:
    # Given worlds in which everything occurred, with as many reviews as there may be
    whole = replace(tally, worlds=WORLDS_FOR_SHARES, faults=Counter(tally.pairs), failures=[])
    whole.steps, whole.about = Counter(STEPS), Counter(Theme)
    whole.commands = Counter(COMMANDS)
    whole.refunds, whole.reviews = 100, 8
    whole.plain_refunds, whole.plain_reviews = 100, 4
    assert verdict(whole, None)
    # When one of them violates something, one fault is never met, or more end in review
    match trouble:
        case "violated":
            whole.failures.append((1, "an invariant"))
        case "never met":
            del whole.faults[next(iter(whole.pairs))]
        case "reviews":
            whole.reviews += 1
        case _:
            whole.plain_reviews += 1
    # Then the run fails
    assert not verdict(whole, None)


@pytest.mark.heavy
def test_few_of_their_refunds_end_in_review(tally: Tally) -> None:
    # Each review was found to have a reason; in worlds that hide nothing, there are few.
    assert tally.plain_refunds > tally.refunds / 2
    assert tally.plain_reviews / tally.plain_refunds < 0.05
    assert tally.reviews / tally.refunds < 0.1


def test_a_hundred_worlds_violate_nothing() -> None:
    """The short run of `make check`, after every edit."""
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
