"""The refunds made in a stretch of time: how they ended, and how long they took.

At most the newest `READ_MAX` refunds of the stretch are read, so that a console that somebody
leaves open never costs the ledger more. If these do not reach back to the beginning of the stretch,
the page says so.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Final, TypeVar

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.listing import OfMonth, Position
from refund_bridge.settling.open_refunds import open_since_ms
from refundctl.console.open_now import Sum, sums
from refundctl.console.sources import Sources
from refundctl.facts import standing
from refundctl.walk import AHEAD_MS, months

_T = TypeVar("_T")
_Key = TypeVar("_Key")

READ_MAX: Final = 2000
_BATCH: Final = 100  # the ledger's own
_SIDE_BY_SIDE: Final = 8
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_MONDAY_MS: Final = 4 * _DAY_MS  # 1970 began on a Thursday


@dataclass(frozen=True)
class Window:
    """A stretch of time that ends now, in equal parts.

    Attributes:
        name: its name in the page's address.
        words: its name for people.
        step_ms: the length of a part; parts begin at whole multiples of it, after `offset_ms`.
    """

    name: str
    words: str
    parts: int
    step_ms: int
    offset_ms: int = 0

    def starts(self, now_ms: int) -> Sequence[int]:
        """When its parts begin, oldest first; the last part is not over yet."""
        last = (now_ms - self.offset_ms) // self.step_ms * self.step_ms + self.offset_ms
        return [last - back * self.step_ms for back in reversed(range(self.parts))]


# The longest is within the 366 days that a list may span.
WINDOWS: Final[Mapping[str, Window]] = {
    window.name: window
    for window in (
        Window("24h", "24 hours", 24, _HOUR_MS),
        Window("7d", "7 days", 28, 6 * _HOUR_MS),
        Window("30d", "30 days", 30, _DAY_MS),
        Window("52w", "52 weeks", 52, 7 * _DAY_MS, _MONDAY_MS),
    )
}
DEFAULT_WINDOW: Final = WINDOWS["24h"]


@dataclass(frozen=True)
class Part:
    """One part of the stretch: how many refunds were made in it, by public status."""

    start_ms: int
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Spread:
    """How long something took in one part of the stretch: half of `count` refunds took at most
    `median_ms`, and 95 of 100 at most `most_ms`."""

    start_ms: int
    count: int
    median_ms: int
    most_ms: int


@dataclass(frozen=True)
class Activity:
    """What happened in a stretch of time.

    Attributes:
        refunds: those read, newest first.
        reads_back_to_ms: where reading stopped; `None` if all of the stretch was read.
    """

    window: Window
    at_ms: int
    refunds: Sequence[Refund]
    reads_back_to_ms: int | None

    @cached_property
    def parts(self) -> Sequence[Part]:
        """How many refunds were made in each part."""
        statuses = self._by_part(lambda one: one.public_status)
        return [Part(start, Counter(some)) for start, some in statuses.items()]

    @cached_property
    def by_standing(self) -> Mapping[str, int]:
        """How many there are of each state, and how many were taken back."""
        return Counter(map(standing, self.refunds))

    @cached_property
    def by_report(self) -> Mapping[ReportState, int]:
        """How many there are of each state of the report."""
        return Counter(refund.report.state for refund in self.refunds)

    @cached_property
    def moved(self) -> Mapping[str, Sum]:
        """The money that moved and was not taken back, by currency."""
        return sums([one for one in self.refunds if standing(one) == State.SUCCEEDED])

    @cached_property
    def untold(self) -> Mapping[str, Sum]:
        """The money of refunds whose report to Stripe failed, by currency: a person must decide."""
        return sums([one for one in self.refunds if one.report.state is ReportState.FAILED])

    @cached_property
    def failures(self) -> Sequence[tuple[str, int]]:
        """Why no money moved, the most frequent reasons first."""
        codes = (refund.failure.code for refund in self.refunds if refund.failure is not None)
        return Counter(codes).most_common(5)

    @cached_property
    def until_succeeded(self) -> Sequence[Spread]:
        """From the request to the success; without external refunds, which were not requested."""
        return self._spreads(until_succeeded_ms)

    @cached_property
    def until_reported(self) -> Sequence[Spread]:
        """From the success until Stripe had heard of it."""
        return self._spreads(until_reported_ms)

    @property
    def _starts(self) -> Sequence[int]:
        return self.window.starts(self.at_ms)

    def _spreads(self, measure: Callable[[Refund], int | None]) -> Sequence[Spread]:
        taken = self._by_part(measure)
        return [spread_of(start, some) for start, some in taken.items() if some]

    def _by_part(self, measure: Callable[[Refund], _T | None]) -> Mapping[int, list[_T]]:
        """The measure of each refund that has one, by the beginning of the refund's part."""
        starts = self._starts
        taken: dict[int, list[_T]] = {start: [] for start in starts}
        for refund in self.refunds:
            if (value := measure(refund)) is not None:
                # The processor's clock dates external refunds: one dated before the stretch counts
                # in its first part, one dated after now in its last.
                place = max(0, bisect_right(starts, refund.created_at_ms) - 1)
                taken[starts[place]].append(value)
        return taken


def activity(sources: Sources, window: Window) -> Activity:
    """Read what happened in a stretch of time: one query a month and 20 batches of 100 refunds.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    now_ms = sources.clock.now_ms()
    refunds, reads_back_to_ms = newest_since(sources, window.starts(now_ms)[0], now_ms, READ_MAX)
    return Activity(window, now_ms, refunds, reads_back_to_ms)


def newest_since(
    sources: Sources, since_ms: int, now_ms: int, at_most: int
) -> tuple[Sequence[Refund], int | None]:
    """The newest refunds made since then, newest first, and where reading stopped.

    The second is `None` if all were read.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    places = list(islice(_places(sources, since_ms, now_ms + AHEAD_MS, at_most), at_most + 1))
    read, is_all = places[:at_most], len(places) <= at_most
    ids = [place.refund_id for place in read]
    stored = in_batches(sources.listing.refunds, ids)
    refunds = [stored[refund_id] for refund_id in ids if refund_id in stored]
    return refunds, None if is_all else read[-1].created_at_ms


def _places(sources: Sources, since_ms: int, until_ms: int, at_most: int) -> Iterator[Position]:
    """The positions in the index of the refunds of the stretch, newest first."""
    after, before = Position(since_ms), Position(until_ms)
    for month in months(since_ms, until_ms):
        # The index holds keys only: one page of it has some thousands.
        yield from sources.listing.newest(
            OfMonth(month), after=after, before=before, limit=at_most + 1
        )


def in_batches(
    read: Callable[[Sequence[_Key]], Mapping[_Key, _T]], keys: Sequence[_Key]
) -> Mapping[_Key, _T]:
    """What `read` finds under the keys: a hundred keys a batch, some batches at the same time."""
    batches = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "console-batch") as pool:
        found = pool.map(read, batches)
        return dict(chain.from_iterable(some.items() for some in found))


def until_succeeded_ms(refund: Refund) -> int | None:
    """How long it took from the request, or from its last restart, to the success."""
    if refund.source is Source.PROCESSOR or refund.succeeded_at_ms is None:
        return None
    return max(0, refund.succeeded_at_ms - open_since_ms(refund))


def until_reported_ms(refund: Refund) -> int | None:
    """How long it took from the success to Stripe's confirmation."""
    if refund.report.reported_at_ms is None or refund.succeeded_at_ms is None:
        return None
    return max(0, refund.report.reported_at_ms - refund.succeeded_at_ms)


def spread_of(start_ms: int, taken_ms: Iterable[int]) -> Spread:
    """The median and the 95th percentile by nearest rank: both are measured values."""
    taken = sorted(taken_ms)
    return Spread(
        start_ms=start_ms,
        count=len(taken),
        median_ms=taken[-(-len(taken) * 50 // 100) - 1],
        most_ms=taken[-(-len(taken) * 95 // 100) - 1],
    )
