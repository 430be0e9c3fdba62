"""When a webhook that was not taken is sent again, and when it is given up.

All times are multiples of one minute, ``step_ms``; a local stage has a shorter one. ``chance`` is a
random number from 0 to 1.
"""

from typing import Final

# 1, 5 and 30 minutes, 2 and 6 hours, then every 12, until three days after the line.
RETRY_STEPS: Final = (1, 5, 30, 120, 360, 720)
GIVE_UP_STEPS: Final = 3 * 24 * 60
# An address that does not answer is closed for 5, 10, 20 and then 30 minutes.
CLOSED_STEPS: Final = (5, 10, 20, 30)
CLOSED_AFTER: Final = 5
# Messages of a closed address come back spread over ten minutes, not all together.
SPREAD_STEPS: Final = 10
# SQS hides a message for at most 12 hours after it was received.
HIDDEN_MS_MAX: Final = 11 * 3_600_000 + 50 * 60_000
# A message that is waiting is not lost. Settling rings again after 2, 4, 8 and then 13 hours.
CHECK_STEPS: Final = (120, 240, 480, 780)
# How often what a closed or disabled address is owed is checked: until it is open, no message is
# needed.
UNUSED_STEPS: Final = 60
BUSY_MS_MAX: Final = 900_000


def retry_ms(attempts: int, *, step_ms: int, chance: float) -> int:
    """The pause after that many attempts (1 or more): from 4/5 of the step to the whole step."""
    whole = RETRY_STEPS[min(attempts, len(RETRY_STEPS)) - 1] * step_ms
    return min(whole - round(whole * chance / 5), HIDDEN_MS_MAX)


def gives_up_at_ms(line_at_ms: int, since_ms: int, *, step_ms: int) -> int:
    """When a line is given up: three days after it, or after somebody asked for it again."""
    return max(line_at_ms, since_ms) + GIVE_UP_STEPS * step_ms


def closed_ms(closures: int, *, step_ms: int) -> int:
    """For how long an address is closed if it was closed ``closures`` times in a row before."""
    return CLOSED_STEPS[min(closures, len(CLOSED_STEPS) - 1)] * step_ms


def put_off_ms(left_ms: int, *, step_ms: int, chance: float) -> int:
    """The pause of a message whose address stays closed for another ``left_ms``."""
    return min(left_ms + round(SPREAD_STEPS * step_ms * chance), HIDDEN_MS_MAX)


def busy_ms(receive: int, *, chance: float) -> int:
    """The pause of a message that found no free place; it grows with every receive."""
    whole = min(2_000 << min(receive - 1, 16), BUSY_MS_MAX)
    return max(1_000, round(whole * chance))


def check_ms(rings: int, *, step_ms: int) -> int:
    """After how long a message counts as lost, if it was sent ``rings`` times before."""
    return CHECK_STEPS[min(rings, len(CHECK_STEPS) - 1)] * step_ms
