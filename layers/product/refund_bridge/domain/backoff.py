"""How long settling waits between two checks: longer each time, up to an hour.

Counted in steps of the settle interval (a minute).
"""

from typing import Final

BACKOFF_STEPS: Final = (1, 2, 5, 15, 30, 60)


def backoff_steps(tries_before: int) -> int:
    """The steps to wait after one more try, when there were ``tries_before`` already."""
    return BACKOFF_STEPS[min(tries_before, len(BACKOFF_STEPS) - 1)]
