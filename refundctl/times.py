"""Times on the command line and on the screen: UTC, and never a local clock's idea of it."""

import argparse
import re
from dataclasses import dataclass
from datetime import UTC, datetime

UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_FORM = "a day (2024-02-29), a time with its zone (2024-02-29T23:59:59Z), or so long ago (36h, 7d)"


@dataclass(frozen=True)
class When:
    """A moment as it was written: absolute, or so many milliseconds ago."""

    at_ms: int | None = None
    ago_ms: int | None = None

    def unix_ms(self, now_ms: int) -> int:
        """The moment, in Unix milliseconds."""
        return self.at_ms if self.at_ms is not None else max(0, now_ms - (self.ago_ms or 0))


def when(text: str) -> When:
    """Read a moment; for argparse."""
    if ago := _AGO.fullmatch(text):
        return When(ago_ms=int(ago[1]) * UNITS_MS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {_FORM}") from None
    if moment.tzinfo is None:
        if len(text) > len("2024-02-29"):
            raise argparse.ArgumentTypeError(f"{text!r} says no zone; write {_FORM}")
        moment = moment.replace(tzinfo=UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    past = moment - epoch
    return When(at_ms=max(0, past.days * 86_400_000 + past.seconds * 1000))


def duration_ms(text: str) -> int:
    """Read a duration such as 15m, in milliseconds; for argparse."""
    if found := _AGO.fullmatch(text):
        return int(found[1]) * UNITS_MS[found[2]]
    raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 15m, 36h or 7d")


def utc(unix_ms: int | None) -> str:
    """A moment for people; empty for none."""
    return "" if unix_ms is None else f"{_moment(unix_ms):%Y-%m-%d %H:%M:%S}"


def rfc3339(unix_ms: int | None) -> str | None:
    """A moment for machines."""
    if unix_ms is None:
        return None
    moment = _moment(unix_ms).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(milliseconds: int) -> str:
    """How long ago, in its two largest units at most: 3d4h, 15m, 40s."""
    seconds = max(0, milliseconds) // 1000
    for size, unit, small, small_unit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size}{unit}" + (f"{rest}{small_unit}" if rest else "")
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms // 1000, UTC)
