"""Actors that take turns, and the virtual time that passes between their steps.

An actor is a greenlet. It runs until it waits; then the actor that is due next goes on. Two runs
with the same seed have the same order of steps, since only the virtual time and one pseudo-random
stream decide it.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund

# How far the clocks of two actors may disagree.
SKEW_MAX_MS: Final = 10_000


class Crash(BaseException):
    """The function's process dies here."""


class Greenlet(greenlet):  # type: ignore[misc]
    """The greenlet of one actor, which has a reference to the actor."""

    actor: "Actor"


@dataclass(slots=True, eq=False)
class Actor:
    """A process or a person that acts in the world.

    Attributes:
        name: its name in the trace.
        kind: ``call``, ``settle``, ``observe`` or ``report``.
        skew_ms: how far its wall clock is ahead.
        began_ms: when it started.
        subject: the refund that it works on now, if there is one.
        taken: refunds that it took for settling.
        leases: payments whose reports it leased, each with the end of the lease.
        calls: how many port calls it has made.
        looked: the number of the call in which it last read a refund, and the result.
    """

    name: str
    kind: str
    skew_ms: int = 0
    began_ms: int = 0
    subject: str | None = None
    taken: set[str] = field(default_factory=set)
    leases: dict[PaymentKey, int] = field(default_factory=dict)
    calls: int = 0
    looked: tuple[int, Refund | None] = (0, None)


BYSTANDER = Actor("world", "world")


class Scheduler:
    """The turns of one world."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now_ms = 0
        self.alive = 0
        self.current = BYSTANDER
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, when_ms: int, step: Callable[[], object]) -> None:
        """Run ``step`` at that time."""
        self._count += 1
        heapq.heappush(self._due, (max(when_ms, self.now_ms), self._count, step))

    def after(self, wait_ms: int, step: Callable[[], object]) -> None:
        """Run ``step`` in that many milliseconds."""
        self.at(self.now_ms + wait_ms, step)

    def spawn(self, actor: Actor, work: Callable[[], None], *, wait_ms: int = 0) -> None:
        """Let ``actor`` begin ``work`` in that many milliseconds."""
        thread = Greenlet(lambda: self._live(work))
        thread.actor = actor
        self.alive += 1
        self.after(wait_ms, lambda: self._resume(thread))

    def wait(self, wait_ms: int) -> None:
        """Pause the actor that runs now for that many milliseconds; others run meanwhile."""
        thread = getcurrent()
        if not isinstance(thread, Greenlet):
            return
        self.after(wait_ms, lambda: self._resume(thread))
        thread.parent.switch()

    def run(self, until_ms: int) -> None:
        """Run all steps that are due until then."""
        while self._due and self._due[0][0] <= until_ms:
            self.now_ms, _, step = heapq.heappop(self._due)
            step()
        self.now_ms = max(self.now_ms, until_ms)

    @property
    def next_ms(self) -> int | None:
        """The time of the next step."""
        return self._due[0][0] if self._due else None

    def _resume(self, thread: Greenlet) -> None:
        self.current = thread.actor
        thread.switch()
        self.current = BYSTANDER

    def _live(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Crash:
            pass
        finally:
            self.alive -= 1


class SkewedClock:
    """``ports.runtime.Clock`` with the wall time of the actor that runs now."""

    EPOCH_MS = 1_700_000_000_000

    def __init__(self, scheduler: Scheduler, skew_ms: int | None = None) -> None:
        self._scheduler = scheduler
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        skew_ms = self._scheduler.current.skew_ms if self._skew_ms is None else self._skew_ms
        return self.EPOCH_MS + self._scheduler.now_ms + skew_ms

    def monotonic_ms(self) -> int:
        return self._scheduler.now_ms
