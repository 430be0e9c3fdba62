"""What happened: parts of time, outcomes and durations, of a bounded number of refunds."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refund_bridge.domain.refund import Failure
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.report import Report
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.reading.listing import SPAN_DAYS
from refundctl.console.activity import (
    READ_MAX,
    WINDOWS,
    Activity,
    Spread,
    Window,
    activity,
    spread_of,
)
from refundctl.console.open_now import Sum
from tests.unit.refundctl.console.shelf import DAY, HOUR, NOW, Shelf

DAYLONG = WINDOWS["24h"]


def day(shelf: Shelf) -> Activity:
    return activity(shelf.sources, DAYLONG)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_a_window_ends_with_the_part_that_is_not_over(window: Window) -> None:
    starts = window.starts(NOW)
    assert len(starts) == window.parts
    assert starts[-1] <= NOW < starts[-1] + window.step_ms
    assert {later - earlier for earlier, later in itertools.pairwise(starts)} == {window.step_ms}
    assert NOW - starts[0] <= SPAN_DAYS * DAY


def test_weeks_begin_on_mondays_and_days_at_midnight() -> None:
    def begin(name: str) -> str:
        moment = datetime.fromtimestamp(WINDOWS[name].starts(NOW)[-1] // 1000, UTC)
        return f"{moment:%a %H:%M}"

    assert [begin(name) for name in WINDOWS] == ["Sat 03:00", "Sat 00:00", "Sat 00:00", "Mon 00:00"]


def test_refunds_are_counted_where_they_were_made() -> None:
    # Given refunds of two hours, one dated ahead by the processor's clock, and one that is too old
    shelf = Shelf()
    shelf.put(NOW, state=State.SUCCEEDED)
    shelf.put(NOW + HOUR, state=State.SUCCEEDED)
    shelf.put(NOW - HOUR, state=State.REJECTED)
    shelf.put(NOW - HOUR, state=State.UNKNOWN)
    shelf.put(NOW - 2 * DAY, state=State.SUCCEEDED)
    # When the last 24 hours are read
    parts = day(shelf).parts
    # Then they stand in their parts, by public status
    assert len(parts) == 24
    assert [part.counts for part in parts[-2:]] == [{"failed": 1, "pending": 1}, {"succeeded": 2}]
    assert sum(part.total for part in parts) == 4


def test_what_moved_is_summed_by_currency_and_why_it_did_not_is_counted() -> None:
    shelf = Shelf()
    shelf.put(state=State.SUCCEEDED, amount=2500, report=Report(state=ReportState.REPORTED))
    shelf.put(state=State.SUCCEEDED, amount=11, report=Report(state=ReportState.FAILED))
    shelf.put(state=State.SUCCEEDED, amount=300, currency="jpy")
    for code in ("not_allowed", "expired", "not_allowed"):
        shelf.put(state=State.REJECTED, failure=Failure(code=code, message="No."))
    read = day(shelf)
    assert read.moved == {"jpy": Sum(1, 300), "sgd": Sum(2, 2511)}
    assert read.failures == [("not_allowed", 2), ("expired", 1)]
    assert (read.by_standing[State.SUCCEEDED], read.by_standing[State.REJECTED]) == (3, 3)
    assert read.by_report[ReportState.FAILED] == 1


class TestDurations:
    """From the request to the success, and from there to Stripe's book."""

    def test_both_are_taken_from_the_history(self) -> None:
        shelf = Shelf()
        shelf.put(
            NOW - 9000,
            state=State.SUCCEEDED,
            history=[(0, None, "submitting"), (1700, "submitting", "succeeded")],
            report=Report(state=ReportState.REPORTED, reported_at_ms=NOW - 9000 + 2900),
        )
        read = day(shelf)
        start = DAYLONG.starts(NOW)[-1]
        assert read.until_succeeded == [Spread(start, 1, 1700, 1700)]
        assert read.until_reported == [Spread(start, 1, 1200, 1200)]

    def test_one_that_was_aborted_counts_from_its_new_beginning(self) -> None:
        shelf = Shelf()
        shelf.put(
            NOW - 2 * HOUR,
            state=State.SUCCEEDED,
            history=[
                (0, None, "submitting"),
                (500, "submitting", "aborted"),
                (HOUR, "aborted", "submitting"),
                (HOUR + 800, "submitting", "succeeded"),
            ],
        )
        (spread,) = day(shelf).until_succeeded
        assert spread.median_ms == 800

    def test_what_others_made_was_never_requested_here(self) -> None:
        shelf = Shelf()
        shelf.put(
            state=State.SUCCEEDED,
            source=Source.PROCESSOR,
            history=[(5000, None, "succeeded")],
            report=Report(state=ReportState.REPORTED, reported_at_ms=NOW + 6000),
        )
        read = day(shelf)
        assert read.until_succeeded == []
        assert [spread.median_ms for spread in read.until_reported] == [1001]

    def test_what_is_not_over_has_none(self) -> None:
        shelf = Shelf()
        shelf.put(state=State.UNKNOWN)
        assert (day(shelf).until_succeeded, day(shelf).until_reported) == ([], [])

    @given(st.lists(st.integers(0, 10**9), min_size=1))
    def test_ranks_are_values_that_occurred(self, taken: Sequence[int]) -> None:
        spread = spread_of(0, taken)
        assert spread.count == len(taken)
        for value, percent in ((spread.median_ms, 50), (spread.most_ms, 95)):
            assert value in taken
            within = sum(one <= value for one in taken)
            below = sum(one < value for one in taken)
            assert within * 100 >= percent * len(taken) > below * 100


class TestBounds:
    """However much there is, the ledger is asked for the same."""

    def test_of_more_refunds_than_are_read_the_newest_are_shown_and_that_is_said(self) -> None:
        # Given more refunds than are read, one a second
        shelf = Shelf()
        for number in range(READ_MAX + 100):
            shelf.put(NOW - number * 1000, state=State.SUCCEEDED)
        # When a day is read
        read = day(shelf)
        # Then the newest are there, and it is known how far back they reach
        assert len(read.refunds) == READ_MAX
        assert read.reads_back_to_ms == NOW - (READ_MAX - 1) * 1000
        # And it took a query for each month and a batch for each hundred
        assert shelf.listing.round_trips <= 2 + READ_MAX // 100

    def test_exactly_as_many_are_all(self) -> None:
        shelf = Shelf()
        for number in range(READ_MAX):
            shelf.put(NOW - number * 1000, state=State.SUCCEEDED)
        assert day(shelf).reads_back_to_ms is None

    def test_a_year_without_refunds_is_a_query_a_month(self) -> None:
        shelf = Shelf()
        read = activity(shelf.sources, WINDOWS["52w"])
        assert (read.refunds, read.reads_back_to_ms) == ([], None)
        assert shelf.listing.round_trips <= 13

    def test_an_id_that_only_the_index_knows_is_left_out(self) -> None:
        shelf = Shelf()
        gone = shelf.put(state=State.SUCCEEDED)
        shelf.listing.lag()
        del shelf.ledger.refunds[gone.id]
        assert day(shelf).refunds == []
