"""How often things are measured: a whole run, or a quick one that only shows that it works."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Numbers of repetitions.

    Attributes:
        latency_rounds: refunds of each kind; the 99th percentile needs a hundred.
        cpu_rounds: batches of each contender, of ``cpu_batch`` refunds.
        cold_starts: starts of each function of each build.
        reports: reports made in each way.
        backlogs: backlogs that are settled, of ``backlog`` rows each.
        stored: numbers of refunds besides the open one; the largest is only in memory.
        worlds: simulated worlds.
        due: refunds that a run of settling finds, to measure its memory.
        differing: charges that a sweep finds refunded, to measure its memory.
        sold: charges in the list that a sweep reads.
    """

    latency_rounds: int
    cpu_rounds: int
    cpu_batch: int
    cold_starts: int
    reports: int
    backlogs: int
    backlog: int
    stored: tuple[int, ...]
    stored_in_table: int
    worlds: int
    due: int
    differing: int
    sold: int


WHOLE = Scale(
    latency_rounds=100,
    cpu_rounds=15,
    cpu_batch=20,
    cold_starts=9,
    reports=200,
    backlogs=3,
    backlog=10_000,
    stored=(1, 10_000, 1_000_000),
    stored_in_table=10_000,
    worlds=1_000,
    due=240,
    differing=200,
    sold=100_000,
)
QUICK = Scale(
    latency_rounds=2,
    cpu_rounds=2,
    cpu_batch=5,
    cold_starts=2,
    reports=20,
    backlogs=1,
    backlog=1_000,
    stored=(1, 1_000, 10_000),
    stored_in_table=200,
    worlds=50,
    due=10,
    differing=10,
    sold=1_000,
)
