"""The charts' geometry: where bars, marks and their labels stand in an SVG's own units.

Drawn here and not by a library in the page: they work without JavaScript, take their colours from
the page's style sheet, light or dark, and can be asserted as text. What a chart shows stands beside
it as a table for those who cannot see it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10
from typing import Final

from refundctl.console.activity import Activity, Part, Spread, Window
from refundctl.console.words import count_of, duration, moment
from refundctl.facts import TAKEN_BACK
from refundctl.times import shown, zone_name
from refunds.state_machine import ReportState, State

WIDTH: Final = 720
HEIGHT: Final = 220
LEFT: Final = 66
RIGHT: Final = 8
TOP: Final = 12
BOTTOM: Final = 28
_GAP: Final = 2
_LABELS: Final = 6
# From the bottom of a bar to its top.
STATUSES: Final = ("succeeded", "pending", "review", "failed", "canceled")
# What a logarithmic axis of durations is marked with; it ends at the first that nothing exceeds.
_DURATIONS_MS: Final = (
    *(100, 1_000, 10_000, 60_000, 600_000, 3_600_000),  # 100 ms to an hour
    *(21_600_000, 86_400_000, 604_800_000, 31_622_400_000),  # 6 hours, a day, 7 and 366 days
)


@dataclass(frozen=True)
class Bar:
    """A rectangle; `kind` is its class in the style sheet."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Group:
    """What belongs to one part of time, and what is said when it is pointed at."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Label:
    """A text at a place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart, with the same numbers as rows of a table."""

    title: str
    says: str
    groups: Sequence[Group]
    along: Sequence[Label]
    up: Sequence[Label]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Row:
    """One bar of a list of bars, with its share of all in thousandths of the full width."""

    label: str
    kind: str
    count: int
    width: int


def volume(activity: Activity) -> Chart:
    """How many refunds were made, part by part, stacked by what became of them."""
    parts, window = activity.parts, activity.window
    top = _round_up(max((part.total for part in parts), default=0))
    total = sum(part.total for part in parts)
    busiest = max(parts, key=lambda part: part.total)
    says = f"{count_of(total, 'refund')} in {window.words}."
    if total:
        says += f" Most, {busiest.total}, from {moment(busiest.start_ms)} {zone_name()} on."
    return Chart(
        title="Volume",
        says=says,
        groups=[_stack(place, part, top, window) for place, part in enumerate(parts)],
        along=_along(activity),
        up=[Label(_y(value, top), str(value)) for value in (0, top // 2, top)],
        columns=(f"from ({zone_name()})", *STATUSES),
        rows=[
            (moment(part.start_ms), *(str(part.counts.get(status, 0)) for status in STATUSES))
            for part in parts
            if part.total
        ],
    )


def latency(activity: Activity, title: str, spreads: Sequence[Spread]) -> Chart:
    """How long something took, part by part: a bar from the median to the 95th percentile."""
    top = next(mark for mark in _DURATIONS_MS if mark >= _longest(spreads))
    scale = _logarithmic(top)
    starts = {part.start_ms: place for place, part in enumerate(activity.parts)}
    slowest = max(spreads, key=lambda spread: spread.most_ms, default=None)
    says = "Nothing was measured."
    if slowest is not None:
        says = (
            f"Slowest from {moment(slowest.start_ms)} {zone_name()} on: half within "
            f"{duration(slowest.median_ms)}, 95 of 100 within {duration(slowest.most_ms)}."
        )
    return Chart(
        title=title,
        says=says,
        groups=[
            _range(starts[spread.start_ms], spread, scale, activity.window) for spread in spreads
        ],
        along=_along(activity),
        up=[Label(scale(mark), duration(mark)) for mark in _DURATIONS_MS if mark <= top],
        columns=(f"from ({zone_name()})", "refunds", "half within", "95 of 100 within"),
        rows=[
            (
                moment(spread.start_ms),
                str(spread.count),
                duration(spread.median_ms),
                duration(spread.most_ms),
            )
            for spread in spreads
        ],
    )


def outcomes(activity: Activity) -> Sequence[Row]:
    """What became of the refunds, by state; states that none has are left out."""
    return _rows([(one, activity.by_standing.get(one, 0)) for one in (*State, TAKEN_BACK)])


def reports(activity: Activity) -> Sequence[Row]:
    """What Stripe was told of them."""
    return _rows([(f"report-{one.value}", activity.by_report.get(one, 0)) for one in ReportState])


def _rows(counts: Sequence[tuple[str, int]]) -> Sequence[Row]:
    most = max((count for _, count in counts), default=0) or 1
    return [
        Row(kind.removeprefix("report-").replace("_", " "), kind, count, count * 1000 // most)
        for kind, count in counts
        if count
    ]


def _stack(place: int, part: Part, top: int, window: Window) -> Group:
    x, width = _column(place, window)
    bars: list[Bar] = []
    below = 0
    for status in STATUSES:
        if count := part.counts.get(status, 0):
            y, floor = _y(below + count, top), _y(below, top)
            bars.append(Bar(x, y, width, round(floor - y, 1), status))
            below += count
    told = ", ".join(f"{part.counts[one]} {one}" for one in STATUSES if part.counts.get(one))
    return Group(f"{moment(part.start_ms)} {zone_name()}: {told or 'none'}", bars)


def _range(place: int, spread: Spread, scale: Callable[[int], float], window: Window) -> Group:
    x, width = _column(place, window)
    upper, lower = scale(spread.most_ms), scale(spread.median_ms)
    title = (
        f"{moment(spread.start_ms)} {zone_name()}, {count_of(spread.count, 'refund')}: half within "
        f"{duration(spread.median_ms)}, 95 of 100 within {duration(spread.most_ms)}"
    )
    return Group(
        title,
        [
            Bar(x, upper, width, round(max(1.0, lower - upper), 1), "spread"),
            Bar(x, round(lower - 1.5, 1), width, 3, "median"),
        ],
    )


def _along(activity: Activity) -> Sequence[Label]:
    """Some moments along the bottom, the last part's beginning among them."""
    parts, window = activity.parts, activity.window
    every = -(-window.parts // _LABELS)
    labels = []
    for place in range(len(parts) - 1, -1, -every):
        x, width = _column(place, window)
        labels.append(Label(round(x + width / 2, 1), _short(parts[place].start_ms, window)))
    return labels[::-1]


def _short(at_ms: int, window: Window) -> str:
    form = "%H:%M" if window.step_ms <= 3_600_000 else "%d %b"
    return shown(at_ms, form)


def _column(place: int, window: Window) -> tuple[float, float]:
    """Where a part's column begins, and how wide it is."""
    step = (WIDTH - LEFT - RIGHT) / window.parts
    return round(LEFT + place * step + _GAP / 2, 1), round(step - _GAP, 1)


def _y(value: int, top: int) -> float:
    height = HEIGHT - TOP - BOTTOM
    return round(HEIGHT - BOTTOM - height * value / top, 1)


def _round_up(value: int) -> int:
    """The next even number that reads well: 2, 4, 10, 20, 40, 100, ..."""
    size = 1
    while True:
        for step in (2, 4, 10):
            if value <= step * size:
                return step * size
        size *= 10


def _logarithmic(top_ms: int) -> Callable[[int], float]:
    """Places on an axis from the first mark to `top_ms`; what is shorter stands at its bottom."""
    low, height = log10(_DURATIONS_MS[0]), HEIGHT - TOP - BOTTOM
    span = log10(top_ms) - low

    def scale(taken_ms: int) -> float:
        share = (log10(max(taken_ms, _DURATIONS_MS[0])) - low) / span
        return round(HEIGHT - BOTTOM - height * min(share, 1.0), 1)

    return scale


def _longest(spreads: Sequence[Spread]) -> int:
    """What the axis must reach; never less than its second mark, nor more than its last."""
    longest = max((spread.most_ms for spread in spreads), default=0)
    return min(max(longest, _DURATIONS_MS[1]), _DURATIONS_MS[-1])
