"""The simulators' clock; a test may put the wall clock ahead or behind."""

import time
from datetime import UTC, datetime, timedelta, timezone

SINGAPORE = timezone(timedelta(hours=8))


class Clock:
    """Wall time for what callers see, monotonic time for ages."""

    def __init__(self) -> None:
        self.offset_seconds = 0

    def now(self) -> datetime:
        """Return the wall time in UTC, in whole seconds as the providers print it."""
        moment = datetime.now(UTC).replace(microsecond=0)
        return moment + timedelta(seconds=self.offset_seconds)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


def utc_text(moment: datetime) -> str:
    """Print a time the way HitPay prints refunded_at: UTC with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def singapore_text(moment: datetime) -> str:
    """Print a time the way HitPay prints created_at of a refund: Singapore's, without an offset."""
    return moment.astimezone(SINGAPORE).strftime("%Y-%m-%dT%H:%M:%S")
