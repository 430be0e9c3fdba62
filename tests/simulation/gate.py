"""The gate in front of every port: there time passes, other actors run, and functions may die."""

from dataclasses import dataclass, field
from typing import Any, Final

from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from tests.simulation.faults import Dice, Fault
from tests.simulation.schedule import Crash, Scheduler

# Longer than the lease (60 s), shorter than the queue's visibility timeout (360 s).
PAUSES_MS: Final = (30_000, 61_000, 90_000, 200_000)

TraceLine = tuple[int, str, str, str, object]


@dataclass(slots=True)
class Trace:
    """What happened, in order; stored cheaply, and formatted only when a world fails."""

    lines: list[TraceLine] = field(default_factory=list)

    def add(self, now_ms: int, who: str, what: str, how: str, about: object = "") -> None:
        """One more line."""
        self.lines.append((now_ms, who, what, how, about))

    def __str__(self) -> str:
        return "\n".join(
            f"{now_ms / 1000:>12.3f} s  {who:<14} {what:<24} {how:<20} {about}"
            for now_ms, who, what, how, about in self.lines
        )


class Gate:
    """Lets actors through to the effects of their port calls."""

    def __init__(self, scheduler: Scheduler, dice: Dice, trace: Trace) -> None:
        self.scheduler = scheduler
        self.dice = dice
        self.trace = trace

    def enter(
        self, port: str, about: object = "", deadline: Deadline | None = None
    ) -> Fault | None:
        """Wait until a call takes effect; returns the fault that happens there, if any.

        Raises:
            Crash: the function dies before its call has an effect.
            ProviderUnavailableError: the deadline passed before the call had an effect.
        """
        scheduler = self.scheduler
        actor = scheduler.current
        actor.calls += 1
        fault = self.dice.throw(port)
        self.trace.add(scheduler.now_ms, actor.name, port, fault or "", about)
        wait_ms = 1 + int(scheduler.random.expovariate(0.05))
        if fault is Fault.SLOW:
            wait_ms += scheduler.random.choice((900, 3_000, 9_000))
        elif fault is Fault.PAUSE_BEFORE:
            wait_ms += scheduler.random.choice(PAUSES_MS)
        if fault is Fault.PAUSE_BEFORE:
            deadline = None  # a paused process cannot keep its deadline
        if deadline is not None and wait_ms >= deadline.remaining_ms():
            scheduler.wait(deadline.remaining_ms())
            raise ProviderUnavailableError("the time was over")
        scheduler.wait(wait_ms)
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        return fault

    def leave(self, fault: Fault | None, wait_ms: int | None = None) -> None:
        """Wait for the reply to a call that has had its effect.

        Raises:
            Crash: the function dies before it gets the reply.
        """
        scheduler = self.scheduler
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.PAUSE_AFTER:
            wait_ms = scheduler.random.choice(PAUSES_MS)
        elif wait_ms is None:
            wait_ms = int(scheduler.random.expovariate(0.1))
        scheduler.wait(wait_ms)

    def note(self, what: str, how: str, about: Any = "") -> None:
        """Add something to the trace that is not a port call."""
        scheduler = self.scheduler
        self.trace.add(scheduler.now_ms, scheduler.current.name, what, how, about)
