"""How many worlds a second the simulation lives."""

from pathlib import Path

from benchmarks.results import Part, Row
from benchmarks.scale import Scale
from tests.simulation.runs import live_all

FIRST_SEED = 1_000_000


def measure(scale: Scale, _: Path) -> Part:
    """Live some; a violated invariant is noted, but it is the tests that fail on one."""
    tally = live_all(FIRST_SEED, scale.worlds)
    note = f"{len(tally.failures)} invariants violated" if tally.failures else ""
    rate = tally.worlds / tally.seconds
    return Part(
        [Row(what="simulation", value=rate, unit="worlds/s", note=note)],
        {"worlds": tally.worlds, "seconds": tally.seconds, "violations": len(tally.failures)},
    )
