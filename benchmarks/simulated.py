"""How many worlds per second the simulation runs."""

from pathlib import Path

from benchmarks.results import Part, Row
from benchmarks.scale import Scale
from tests.simulation.runs import live_all

FIRST_SEED = 1_000_000


def measure(scale: Scale, _: Path) -> Part:
    """Run some worlds; a violated invariant is only noted here, and fails a test elsewhere."""
    tally = live_all(FIRST_SEED, scale.worlds)
    note = f"{len(tally.failures)} invariants violated" if tally.failures else ""
    rate = tally.worlds / tally.seconds
    return Part(
        [Row(what="simulation", value=rate, unit="worlds/s", note=note)],
        {"worlds": tally.worlds, "seconds": tally.seconds, "violations": len(tally.failures)},
    )
