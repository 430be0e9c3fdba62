"""Waits until something can be observed, for at most a given time.

This is the only place in tools and tests that sleeps. A fixed sleep would be a race; this one
checks again and again.
"""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")
PAUSE_MAX = 1.0


class NotInTimeError(AssertionError):
    """What was waited for did not come."""


def wait_for(
    look: Callable[[], Seen | None],
    what: str,
    *,
    at_most: float,
    every: float = 0.05,
) -> Seen:
    """Call `look` until it returns something true, and return that.

    The pauses begin with `every` seconds and grow with the wait, so that a long one does not keep
    what it waits for from its work.

    Raises:
        NotInTimeError: nothing true came in `at_most` seconds.
    """
    began = time.monotonic()
    while True:
        if seen := look():
            return seen
        waited = time.monotonic() - began
        if waited >= at_most:
            raise NotInTimeError(f"{what}: not within {at_most:g} s")
        time.sleep(max(every, min(waited / 20, PAUSE_MAX)))
