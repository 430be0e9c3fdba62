"""Times on the command line and on the screen: in UTC, or in the zone that `--tz` names.

A command has one zone (`in_zone`). Times for machines (JSON, CSV) are always RFC 3339 in UTC, and a
month in the ledger is always a month of UTC.
"""

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_FORM = "a day (2024-02-29), a time with its zone (2024-02-29T23:59:59Z), or so long ago (36h, 7d)"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Zone:
    """A time zone in which times are shown.

    Attributes:
        name: its name beside a time.
        option: the value of `--tz` that names it.
        rule: its offsets; `None`: those of this machine.
    """

    name: str
    option: str
    rule: tzinfo | None


IN_UTC: Final = Zone("UTC", "UTC", UTC)
ON_THIS_MACHINE: Final = Zone("local time", "local", None)
_ZONE: Final[ContextVar[Zone]] = ContextVar("zone", default=IN_UTC)


def zone(text: str) -> Zone:
    """Read a zone; for argparse."""
    if text == "UTC":
        return IN_UTC
    if text == "local":
        return ON_THIS_MACHINE
    known = available_timezones()
    if text in known:
        return Zone(text, text, ZoneInfo(text))
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(text.lower(), by_lower, n=1)
    meant = f". Did you mean {by_lower[near[0]]}?" if near else ""
    raise argparse.ArgumentTypeError(
        f"{text!r} is no zone such as Asia/Singapore, UTC or local{meant}"
    )


@contextmanager
def in_zone(shown_in: Zone) -> Iterator[None]:
    """Show times, and read days, in a zone while the body works."""
    before = _ZONE.set(shown_in)
    try:
        yield
    finally:
        _ZONE.reset(before)


def zone_name() -> str:
    """The zone's name beside a time: UTC, Asia/Singapore or local time."""
    return _ZONE.get().name


@dataclass(frozen=True)
class When:
    """A moment as it was written: absolute, a day of the command's zone, or a time before now."""

    at_ms: int | None = None
    ago_ms: int | None = None
    day: datetime | None = None

    def unix_ms(self, now_ms: int) -> int:
        """The moment in Unix milliseconds; for a day, its beginning in the command's zone."""
        if self.day is not None:
            return _begins_ms(self.day)
        return self.at_ms if self.at_ms is not None else max(0, now_ms - (self.ago_ms or 0))


def when(text: str) -> When:
    """Read a moment; for argparse."""
    if ago := _AGO.fullmatch(text):
        return When(ago_ms=int(ago[1]) * UNITS_MS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {_FORM}") from None
    if moment.tzinfo is not None:
        return When(at_ms=_unix_ms(moment))
    if len(text) > len("2024-02-29"):
        raise argparse.ArgumentTypeError(f"{text!r} says no zone; write {_FORM}")
    if moment.year == MAXYEAR:  # its beginning in the zone may be too late for a datetime in UTC
        raise argparse.ArgumentTypeError(f"{text!r} is too far ahead")
    return When(day=moment)


def duration_ms(text: str) -> int:
    """Read a duration such as 15m, in milliseconds; for argparse."""
    if found := _AGO.fullmatch(text):
        return int(found[1]) * UNITS_MS[found[2]]
    raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 15m, 36h or 7d")


def shown(unix_ms: int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A moment for people, in the command's zone; empty for none."""
    return "" if unix_ms is None else _moment(unix_ms).astimezone(_ZONE.get().rule).strftime(form)


def shown_with_zone(unix_ms: int) -> str:
    """A moment for people, and the zone in which it is shown."""
    return f"{shown(unix_ms)} {zone_name()}"


def rfc3339(unix_ms: int | None) -> str | None:
    """A moment for machines."""
    if unix_ms is None:
        return None
    moment = _moment(unix_ms).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(milliseconds: int) -> str:
    """A length of time in at most two units: 3d4h, 15m, 40s."""
    seconds = max(0, milliseconds) // 1000
    for size, unit, small, small_unit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size}{unit}" + (f"{rest}{small_unit}" if rest else "")
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"


def _begins_ms(day: datetime) -> int:
    """When a day begins in the command's zone; a day before 1970 begins at the epoch."""
    if day.year < _EPOCH.year:
        return 0
    rule = _ZONE.get().rule
    return _unix_ms(day.astimezone() if rule is None else day.replace(tzinfo=rule))


def _unix_ms(moment: datetime) -> int:
    past = moment - _EPOCH
    return max(0, past.days * 86_400_000 + past.seconds * 1000)


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms // 1000, UTC)
