"""Bars stand where their numbers say, within the frame, and say the same as the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refund_bridge.domain.report import Report
from refund_bridge.domain.state_machine import ReportState, State
from refundctl.console import charts
from refundctl.console.activity import WINDOWS, Activity, Spread
from refundctl.console.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Bar, Chart
from refundctl.console.words import duration
from tests.unit.refundctl.console.shelf import HOUR, NOW, Shelf

DAYLONG = WINDOWS["24h"]


def a_day(*refunds: tuple[int, State]) -> Activity:
    shelf = Shelf()
    made = [
        shelf.put(NOW - ago * HOUR, state=state, report=Report(state=ReportState.NOT_DUE))
        for ago, state in refunds
    ]
    return Activity(DAYLONG, NOW, made, None)


def bars_of(chart: Chart) -> list[Bar]:
    return [bar for group in chart.groups for bar in group.bars]


def require_within_the_frame(chart: Chart) -> None:
    for bar in bars_of(chart):
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDTH - RIGHT + 0.1
        assert TOP - 2 <= bar.y <= bar.y + bar.height <= HEIGHT - BOTTOM + 2
        assert bar.height > 0


def test_the_volume_stacks_what_became_of_the_refunds_of_each_hour() -> None:
    # Given six refunds of one hour and two of another
    several = [(0, State.SUCCEEDED)] * 4 + [(0, State.REJECTED), (0, State.UNKNOWN)]
    chart = charts.volume(a_day(*several, (5, State.REVIEW), (5, State.ABORTED)))
    # Then the bars of an hour stand on one another, and heights are as the counts
    last = chart.groups[-1].bars
    assert [bar.kind for bar in last] == ["succeeded", "pending", "failed"]
    assert last[0].y + last[0].height == chart.floor
    assert last[1].y + last[1].height == pytest.approx(last[0].y)
    assert last[0].height == pytest.approx(4 * last[2].height, abs=0.5)
    require_within_the_frame(chart)
    # And the words and the table say the same
    assert chart.groups[-1].title == "2026-03-14 03:00 UTC: 4 succeeded, 1 pending, 1 failed"
    assert chart.says == "8 refunds in 24 hours. Most, 6, from 2026-03-14 03:00 UTC on."
    assert chart.rows == [
        ("2026-03-13 22:00", "0", "0", "1", "1", "0"),
        ("2026-03-14 03:00", "4", "1", "0", "1", "0"),
    ]
    assert [label.text for label in chart.up] == ["0", "5", "10"]
    assert chart.along[-1].text == "03:00"


@pytest.mark.parametrize("name", WINDOWS)
def test_charts_of_nothing_are_drawn_too(name: str) -> None:
    nothing = Activity(WINDOWS[name], NOW, [], None)
    for chart in (charts.volume(nothing), charts.latency(nothing, "t", nothing.until_succeeded)):
        assert (bars_of(chart), chart.rows) == ([], [])
        assert 4 <= len(chart.along) <= 7
    assert charts.outcomes(nothing) == charts.reports(nothing) == []


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), max_size=24))
def test_durations_of_any_length_are_drawn_within_the_frame(pairs: list[tuple[int, int]]) -> None:
    activity = a_day()
    spreads = [
        Spread(start, 3, min(pair), max(pair))
        for start, pair in zip(DAYLONG.starts(NOW), pairs, strict=False)
    ]
    chart = charts.latency(activity, "t", spreads)
    require_within_the_frame(chart)
    assert len(chart.groups) == len(chart.rows) == len(spreads)


def test_a_longer_duration_stands_higher() -> None:
    start = DAYLONG.starts(NOW)[0]
    chart = charts.latency(a_day(), "t", [Spread(start, 20, 1000, 60_000)])
    spread, median = bars_of(chart)
    marks = {label.text: label.at for label in chart.up}
    assert spread.y == marks["1m"]
    assert median.y + 1.5 == pytest.approx(marks["1 s"], abs=0.1)
    assert chart.says == (
        "Slowest from 2026-03-13 04:00 UTC on: half within 1 s, 95 of 100 within 1m."
    )


def test_outcomes_are_drawn_in_proportion() -> None:
    activity = a_day(*[(1, State.SUCCEEDED)] * 4, (1, State.REVIEW))
    rows = charts.outcomes(activity)
    assert [(row.label, row.count, row.width) for row in rows] == [
        ("succeeded", 4, 1000),
        ("review", 1, 250),
    ]
    (reports,) = charts.reports(activity)
    assert (reports.label, reports.kind) == ("not due", "report-not_due")


@pytest.mark.parametrize(
    ("taken_ms", "told"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (2149, "2.1 s"),
        (59_999, "59.9 s"),
        (60_000, "1m"),
        (7_500_000, "2h5m"),
    ],
)
def test_durations_in_words(taken_ms: int, told: str) -> None:
    assert duration(taken_ms) == told
