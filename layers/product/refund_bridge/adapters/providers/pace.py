"""Keeps one worker under its share of a provider's rate."""

import threading
import time
from collections.abc import Callable


class Pace:
    """Limits the calls per second of all of the worker's threads together, evenly spaced.

    Attributes:
        interval_ns: the least time between two passes.
    """

    def __init__(
        self,
        per_second: int,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        sleep_ns: Callable[[int], None] = lambda nanoseconds: time.sleep(nanoseconds / 1e9),
    ) -> None:
        """``per_second`` passes at most; the clock and the sleeper can be given by a test."""
        self.interval_ns = 1_000_000_000 // per_second
        self._monotonic_ns = monotonic_ns
        self._sleep_ns = sleep_ns
        self._lock = threading.Lock()
        self._next_ns = 0

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now_ns = self._monotonic_ns()
            turn_ns = max(now_ns, self._next_ns)
            self._next_ns = turn_ns + self.interval_ns
        if turn_ns > now_ns:
            self._sleep_ns(turn_ns - now_ns)
