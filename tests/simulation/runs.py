"""Runs many worlds in several processes, and adds up their results."""

import os
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from refund_bridge.domain.state_machine import REPORT_TRANSITIONS, TRANSITIONS
from tests.simulation.closing import COMMANDS
from tests.simulation.drawing import draw
from tests.simulation.faults import Fault, Pair, pairs_of
from tests.simulation.others import HIDING, Theme
from tests.simulation.profiles import NAMES
from tests.simulation.world import Result, World

# A run of at least this many worlds must have every legal transition and every fault at every port.
WORLDS_FOR_ALL: Final = 3_000
# In a run of at least this many worlds the share of refunds that end in review is bounded: of all
# refunds, and of those in worlds that hide nothing.
WORLDS_FOR_SHARES: Final = 20_000
REVIEW_SHARES_MAX: Final = (0.08, 0.04)
CHUNK: Final = 250

Step = tuple[str | None, str]
STEPS: Final[frozenset[Step]] = frozenset(
    [(before, after) for (before, _), after in TRANSITIONS.items()]
    + [(f"report:{before}", f"report:{after}") for (before, _), after in REPORT_TRANSITIONS.items()]
)


@dataclass(slots=True)
class Tally:
    """The sum of the results of worlds.

    Attributes:
        failures: the seeds of worlds that violated an invariant, and which one.
        at: how many worlds had each processor.
        about: how many worlds had each theme.
        commands: what people did, and how often.
        unlinked: refunds without a payment.
        repeated: instructions that were sent again.
        reviews: refunds that ended in review.
        plain_refunds: refunds in worlds that hide nothing (``HIDING``) ...
        plain_reviews: ... and those of them that ended in review.
    """

    worlds: int = 0
    at: Counter[str] = field(default_factory=Counter)
    about: Counter[Theme] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    refunds: int = 0
    unlinked: int = 0
    repeated: int = 0
    reviews: int = 0
    plain_refunds: int = 0
    plain_reviews: int = 0
    seconds: float = 0.0
    faults: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    steps: Counter[Step] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one world."""
        self.worlds += 1
        self.at.update(result.processors)
        self.about.update(result.themes)
        self.commands.update(result.commands)
        self.calls += result.calls
        self.refunds += result.refunds
        self.unlinked += result.unlinked
        self.repeated += result.repeated
        self.reviews += result.reviews
        if not result.themes & HIDING:
            self.plain_refunds += result.refunds
            self.plain_reviews += result.reviews
        self.faults.update(result.faults)
        self.steps.update(result.steps)
        if result.failure is not None:
            self.failures.append((result.seed, result.failure))

    def join(self, other: "Tally") -> None:
        """Count the worlds of another tally."""
        self.worlds += other.worlds
        self.at.update(other.at)
        self.about.update(other.about)
        self.commands.update(other.commands)
        self.calls += other.calls
        self.refunds += other.refunds
        self.unlinked += other.unlinked
        self.repeated += other.repeated
        self.reviews += other.reviews
        self.plain_refunds += other.plain_refunds
        self.plain_reviews += other.plain_reviews
        self.faults.update(other.faults)
        self.steps.update(other.steps)
        self.failures.extend(other.failures)

    @property
    def review_shares(self) -> tuple[float, float]:
        """The share of refunds that ended in review: of all, and in worlds that hide nothing."""
        plain = self.plain_reviews / self.plain_refunds if self.plain_refunds else 0.0
        return self.reviews / self.refunds if self.refunds else 0.0, plain

    @property
    def pairs(self) -> frozenset[Pair]:
        """The pairs of port and fault that could occur at the processors of these worlds."""
        return pairs_of(self.at or NAMES)

    @property
    def missing(self) -> list[str]:
        """What never occurred, so that these worlds prove nothing about it."""
        faults = [f"{fault} at {port}" for port, fault in self.pairs - set(self.faults)]
        steps = [f"{before} → {after}" for before, after in STEPS - set(self.steps)]
        themes = [f"a world about {theme}" for theme in set(Theme) - set(self.about)]
        commands = [f"refundctl {one}" for one in set(COMMANDS) - set(self.commands)]
        return sorted(faults + steps + themes + commands)


def live(seeds: Iterable[int], processor: str | None = None) -> Tally:
    """Run the worlds of these seeds in this process; with ``processor``, at that one only."""
    tally = Tally()
    for seed in seeds:
        tally.add(World(draw(seed, processor)).run())
    return tally


def live_all(
    first: int, count: int, *, processor: str | None = None, processes: int | None = None
) -> Tally:
    """Run ``count`` worlds from seed ``first`` on, on all cores of the machine."""
    began = time.perf_counter()
    total = Tally()
    chunks = [
        range(start, min(start + CHUNK, first + count))
        for start in range(first, first + count, CHUNK)
    ]
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        for tally in pool.map(partial(live, processor=processor), chunks):
            total.join(tally)
    total.seconds = time.perf_counter() - began
    return total
