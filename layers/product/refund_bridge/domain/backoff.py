"""How long settling waits between two tries: each time a little longer, never forever.

The backoff of checks, in steps of the settle interval (a minute).
"""

from typing import Final

BACKOFF_STEPS: Final = (1, 2, 5, 15, 30, 60)


def backoff_steps(tries_before: int) -> int:
    """The steps to wait after one more try, when there were ``tries_before`` already."""
    return BACKOFF_STEPS[min(tries_before, len(BACKOFF_STEPS) - 1)]
