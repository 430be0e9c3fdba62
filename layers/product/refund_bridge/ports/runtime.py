"""The ports of the runtime: time, threads and telemetry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeVar

_A = TypeVar("_A")


_B = TypeVar("_B")


class Clock(Protocol):
    """Tells the time: wall time to store, monotonic time to wait by."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def monotonic_ms(self) -> int:
        """Milliseconds from an arbitrary start; never goes back."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which work must have ended, on the monotonic clock."""

    clock: Clock
    ends_ms: int

    @classmethod
    def after(cls, clock: Clock, milliseconds: int) -> "Deadline":
        """The deadline that many milliseconds from now."""
        return cls(clock, clock.monotonic_ms() + milliseconds)

    def remaining_ms(self) -> int:
        """How much time is left; 0 when it is over."""
        return max(0, self.ends_ms - self.clock.monotonic_ms())

    def at_most(self, milliseconds: int) -> "Deadline":
        """The earlier of this deadline and that many milliseconds from now."""
        return Deadline(self.clock, min(self.ends_ms, self.clock.monotonic_ms() + milliseconds))


class Together(Protocol):
    """Runs calls side by side; all have ended on return."""

    def both(self, first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
        """Both results; if both fail, the error of ``first`` is raised."""

    def each(self, function: Callable[[str], object], things: Sequence[str]) -> None:
        """Call ``function`` for each of ``things``, a bounded number at once."""


class Telemetry(Protocol):
    """Records what happened, for logs and metrics."""

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        """Record one event. Never raises, never given a secret or a customer's data."""
