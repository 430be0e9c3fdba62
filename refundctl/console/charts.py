"""The charts' geometry: where bars, marks and their labels stand in an SVG's own units.

We draw them here and not with a library in the page: so they work without JavaScript, take their
colours from the page's style sheet, light or dark, and tests can compare them as text. Beside each
chart stands a table of the same numbers, for people who cannot see it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10
from typing import Final

from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import ReportState, State
from refundctl.console.activity import Activity, Part, Spread, Window
from refundctl.console.monthly import Month, Year
from refundctl.console.words import count_of, duration, moment, share
from refundctl.facts import TAKEN_BACK, money
from refundctl.times import shown, zone_name

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
# The name of the row of all reasons that have no row of their own.
OTHERS: Final = "all others"
# The marks of a logarithmic axis of durations; it ends at the first mark that nothing exceeds.
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
    """The shapes of one part of time, and the text shown when the mouse points at them."""

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
    key: str  # among the list's rows


def volume(activity: Activity) -> Chart:
    """How many refunds were made in each part of time, stacked by their status now."""
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
    """How many refunds are in each state; states without refunds are left out."""
    return _rows([(one, activity.by_standing.get(one, 0)) for one in (*State, TAKEN_BACK)])


def reports(activity: Activity) -> Sequence[Row]:
    """How many refunds are in each state of the report to Stripe."""
    return _rows([(f"report-{one.value}", activity.by_report.get(one, 0)) for one in ReportState])


def moved_by_month(year: Year) -> Chart:
    """The money that moved in each month, in one currency."""
    top = _round_up(max(month.moved for month in year.months))
    total, number = sum(month.moved for month in year.months), sum(m.count for m in year.months)
    busiest = max(year.months, key=lambda month: month.moved)
    return _by_month(
        year,
        f"{year.currency.upper()} moved",
        f"{money(total, year.currency)} in {len(year.months)} months, {count_of(number, 'refund')}."
        f" Most, {money(busiest.moved, year.currency)}, in {busiest.name}.",
        [_y(month.moved, top) for month in year.months],
        [Label(_y(value, top), _short_money(value, year.currency)) for value in (0, top // 2, top)],
    )


def share_by_month(year: Year) -> Chart:
    """Which share of the refunded payments' money was given back, month by month."""
    known = [month for month in year.months if month.share_permille is not None]
    says = "The amounts of the payments are not known."
    if known:
        most = max(known, key=lambda month: month.share_permille or 0)
        says = f"Most, {share(most.share_permille)}, in {most.name}."
    return _by_month(
        year,
        f"{year.currency.upper()}: share of the refunded payments",
        says,
        [_y(min(month.share_permille or 0, 1000), 1000) for month in year.months],
        [Label(_y(value, 1000), f"{value // 10} %") for value in (0, 500, 1000)],
    )


def reasons(year: Year) -> Sequence[Row]:
    """Why refunds were asked for in all months, as callers wrote it."""
    named = [(one, f"reason-{place}", count) for place, (one, count) in enumerate(year.reasons)]
    if year.other_reasons:
        named.append((OTHERS, "reason-others", year.other_reasons))
    most = max(count for *_, count in named)
    return [
        Row(label, kind, count, count * 1000 // most, f"{kind} {label}")
        for label, kind, count in named
    ]


def reasons_by_month(year: Year) -> Chart:
    """How many refunds had each reason, month by month."""
    rows = reasons(year)
    counts = [_counted(month, rows) for month in year.months]
    top = _round_up(max(map(sum, counts)))
    groups = []
    for place, (month, some) in enumerate(zip(year.months, counts, strict=True)):
        told = ", ".join(
            f"{count} {row.label}" for row, count in zip(rows, some, strict=True) if count
        )
        bars = _stacked(place, len(year.months), top, [row.kind for row in rows], some)
        groups.append(Group(f"{month.name}: {told or 'none'}", bars))
    return Chart(
        title=f"{year.currency.upper()}: reasons",
        says=f"Most frequent: {rows[0].label}, {count_of(rows[0].count, 'refund')}.",
        groups=groups,
        along=_along_months(year),
        up=[Label(_y(value, top), str(value)) for value in (0, top // 2, top)],
        columns=("month", *(row.label for row in rows)),
        rows=[
            (month.name, *map(str, some))
            for month, some in zip(year.months, counts, strict=True)
            if month.count
        ],
    )


def _counted(month: Month, rows: Sequence[Row]) -> Sequence[int]:
    """How many refunds of the month have each row's reason; the last row may be "all others"."""
    counts = [0 if row.kind == "reason-others" else month.reasons.get(row.label, 0) for row in rows]
    if rows[-1].kind == "reason-others":
        counts[-1] = month.count - sum(counts)
    return counts


def _by_month(
    year: Year, title: str, says: str, tops: Sequence[float], up: Sequence[Label]
) -> Chart:
    """A chart with one bar for each month; `tops` says where each bar ends.

    The numbers stand in a table of their own.
    """
    groups = []
    for place, (month, y) in enumerate(zip(year.months, tops, strict=True)):
        x, width = _column(place, len(year.months))
        bar = Bar(x, y, width, round(HEIGHT - BOTTOM - y, 1), "moved")
        groups.append(Group(_said_of(month, year.currency), [bar] if bar.height else []))
    return Chart(title, says, groups, _along_months(year), up, columns=(), rows=())


def _along_months(year: Year) -> Sequence[Label]:
    """Labels for every other month, the last month included."""
    labels = []
    for place in range((len(year.months) - 1) % 2, len(year.months), 2):
        x, width = _column(place, len(year.months))
        labels.append(Label(round(x + width / 2, 1), year.months[place].name))
    return labels


def _said_of(month: Month, currency: str) -> str:
    told = f"{month.name}: {money(month.moved, currency)}, {count_of(month.count, 'refund')}"
    return told if month.share_permille is None else f"{told}, {share(month.share_permille)}"


def _short_money(amount: int, currency: str) -> str:
    """An amount on an axis, exactly: 0.50, 200, 20k, 4M."""
    whole, _, rest = Money(amount, currency).decimal_string().partition(".")
    if rest.strip("0"):
        return f"{whole}.{rest}"
    for sign, zeros in (("G", 9), ("M", 6), ("k", 3)):
        if whole.endswith("0" * zeros) and len(whole) > zeros:
            return whole[:-zeros] + sign
    return whole


def _rows(counts: Sequence[tuple[str, int]]) -> Sequence[Row]:
    most = max((count for _, count in counts), default=0) or 1
    return [
        Row(kind.removeprefix("report-").replace("_", " "), kind, count, count * 1000 // most, kind)
        for kind, count in counts
        if count
    ]


def _stack(place: int, part: Part, top: int, window: Window) -> Group:
    counts = [part.counts.get(status, 0) for status in STATUSES]
    told = ", ".join(
        f"{count} {status}" for status, count in zip(STATUSES, counts, strict=True) if count
    )
    bars = _stacked(place, window.parts, top, STATUSES, counts)
    return Group(f"{moment(part.start_ms)} {zone_name()}: {told or 'none'}", bars)


def _stacked(
    place: int, parts: int, top: int, kinds: Sequence[str], counts: Sequence[int]
) -> Sequence[Bar]:
    """A part's bars, each on top of the one before it."""
    x, width = _column(place, parts)
    bars: list[Bar] = []
    below = 0
    for kind, count in zip(kinds, counts, strict=True):
        if count:
            y, floor = _y(below + count, top), _y(below, top)
            bars.append(Bar(x, y, width, round(floor - y, 1), kind))
            below += count
    return bars


def _range(place: int, spread: Spread, scale: Callable[[int], float], window: Window) -> Group:
    x, width = _column(place, window.parts)
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
    """Labels for some moments along the bottom, the beginning of the last part included."""
    parts, window = activity.parts, activity.window
    every = -(-window.parts // _LABELS)
    labels = []
    for place in range(len(parts) - 1, -1, -every):
        x, width = _column(place, window.parts)
        labels.append(Label(round(x + width / 2, 1), _short(parts[place].start_ms, window)))
    return labels[::-1]


def _short(at_ms: int, window: Window) -> str:
    form = "%H:%M" if window.step_ms <= 3_600_000 else "%d %b"
    return shown(at_ms, form)


def _column(place: int, parts: int) -> tuple[float, float]:
    """Where a part's column begins, and how wide it is."""
    step = (WIDTH - LEFT - RIGHT) / parts
    return round(LEFT + place * step + _GAP / 2, 1), round(step - _GAP, 1)


def _y(value: int, top: int) -> float:
    height = HEIGHT - TOP - BOTTOM
    return round(HEIGHT - BOTTOM - height * value / top, 1)


def _round_up(value: int) -> int:
    """The next round even number: 2, 4, 10, 20, 40, 100, ..."""
    size = 1
    while True:
        for step in (2, 4, 10):
            if value <= step * size:
                return step * size
        size *= 10


def _logarithmic(top_ms: int) -> Callable[[int], float]:
    """Positions on an axis from the first mark to `top_ms`; shorter times stand at its bottom."""
    low, height = log10(_DURATIONS_MS[0]), HEIGHT - TOP - BOTTOM
    span = log10(top_ms) - low

    def scale(taken_ms: int) -> float:
        share = (log10(max(taken_ms, _DURATIONS_MS[0])) - low) / span
        return round(HEIGHT - BOTTOM - height * min(share, 1.0), 1)

    return scale


def _longest(spreads: Sequence[Spread]) -> int:
    """How far the axis must reach: at least to its second mark, at most to its last."""
    longest = max((spread.most_ms for spread in spreads), default=0)
    return min(max(longest, _DURATIONS_MS[1]), _DURATIONS_MS[-1])
