"""A clock that moves only when a test advances it."""

from refund_bridge.ports.runtime import Deadline


class VirtualClock:
    """``ports.runtime.Clock``; wall time may be put ahead of or behind monotonic time."""

    def __init__(self, wall_ms: int = 1_700_000_000_000) -> None:
        self.wall_ms = wall_ms
        self.passed_ms = 0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        return self.passed_ms

    def advance(self, milliseconds: int) -> None:
        """Let time pass, wall time and monotonic time."""
        self.wall_ms += milliseconds
        self.passed_ms += milliseconds

    def deadline(self, milliseconds: int = 10_000) -> Deadline:
        """A deadline that many milliseconds from now."""
        return Deadline.after(self, milliseconds)
