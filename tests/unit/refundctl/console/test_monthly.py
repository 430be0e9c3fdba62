"""A year, month by month: each currency by itself, and of what the ledger knows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refundctl.console import monthly as months_of
from refundctl.console.charts import (
    OTHERS,
    Chart,
    moved_by_month,
    reasons,
    reasons_by_month,
    share_by_month,
)
from refundctl.console.monthly import FORGOTTEN, NO_REASON, REASONS_SHOWN, Month, Year, monthly
from refundctl.console.words import share
from tests.unit.refundctl.console.shelf import DAY, NOW, Shelf

# 2026-02-10 and 2025-04-01, the first moment of the oldest month that is shown
FEBRUARY = NOW - 32 * DAY
FIRST = int(datetime(2025, 4, 1, tzinfo=UTC).timestamp()) * 1000


def year_of(shelf: Shelf, currency: str = "sgd") -> Year:
    (found,) = [one for one in monthly(shelf.sources).years if one.currency == currency]
    return found


def by_name(year: Year) -> dict[str, Month]:
    return {month.name: month for month in year.months}


def forgotten(refund: Refund) -> Refund:
    """The refund whose reason is not kept any more."""
    return replace(refund, request=refund.request.without(("reason",), "salt"))


def heights(chart: Chart) -> list[float]:
    return [sum(bar.height for bar in group.bars) for group in chart.groups]


class TestReading:
    """What moved, by the month in which it was asked for."""

    def test_twelve_months_are_shown_the_last_is_not_over(self) -> None:
        shelf = Shelf()
        shelf.refunded()
        names = [month.name for month in year_of(shelf).months]
        assert (names[0], names[-1], len(names)) == ("2025-04", "2026-03", 12)

    def test_refunds_are_summed_where_they_were_made(self) -> None:
        # Given refunds of two months, the oldest moment that is shown, and one before it
        shelf = Shelf()
        for at_ms, amount in ((NOW - 1, 100), (FEBRUARY, 20), (FEBRUARY, 3), (FIRST, 7)):
            shelf.refunded(at_ms, amount=amount)
        shelf.refunded(FIRST - 1, amount=1_000_000)
        # And one that the processor's clock dates into the month to come
        shelf.clock.advance(17 * DAY + 20 * 3_600_000)
        shelf.refunded(shelf.clock.now_ms() + 3_600_000, amount=5)
        # When the year is read, then each stands in its month
        shown = {
            name: (month.count, month.moved)
            for name, month in by_name(year_of(shelf)).items()
            if month.count
        }
        assert shown == {"2026-03": (2, 105), "2026-02": (2, 23), "2025-04": (1, 7)}

    def test_what_did_not_move_or_came_back_is_left_out(self) -> None:
        shelf = Shelf()
        shelf.refunded(amount=100)
        shelf.put(state=State.REJECTED)
        shelf.put(state=State.PENDING)
        shelf.put(state=State.SUCCEEDED, late_failure_at_ms=NOW)
        assert by_name(year_of(shelf))["2026-03"].moved == 100

    def test_no_two_currencies_are_added(self) -> None:
        shelf = Shelf()
        shelf.refunded(amount=100, paid=400)
        shelf.refunded(amount=7, currency="jpy", paid=7)
        found = {
            one.currency: (one.months[-1].moved, one.months[-1].paid)
            for one in monthly(shelf.sources).years
        }
        assert found == {"sgd": (100, 400), "jpy": (7, 7)}

    def test_more_than_is_read_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(months_of, "READ_MAX", 2)
        shelf = Shelf()
        made = [shelf.refunded(NOW - number, amount=number).created_at_ms for number in (1, 2, 3)]
        read = monthly(shelf.sources)
        assert (read.refunds_read, read.reads_back_to_ms) == (2, made[1])
        assert read.years[0].months[-1].moved == 3

    def test_a_year_without_refunds_is_a_query_a_month(self) -> None:
        shelf = Shelf()
        assert monthly(shelf.sources).years == []
        assert shelf.listing.round_trips <= 13


class TestShare:
    """What the refunds gave back of their payments."""

    def test_each_payment_counts_once(self) -> None:
        shelf = Shelf()
        first = shelf.refunded(amount=2500, paid=10_000)
        shelf.refunded(amount=2500, of=first)
        shelf.refunded(amount=100, paid=30_000)
        month = year_of(shelf).months[-1]
        assert (month.moved, month.paid, month.share_permille) == (5100, 40_000, 128)

    def test_refunds_of_unknown_payments_are_in_the_sum_and_not_in_the_share(self) -> None:
        shelf = Shelf()
        shelf.refunded(amount=2500, paid=10_000)
        shelf.refunded(amount=9_000_000)
        month = year_of(shelf).months[-1]
        assert (month.moved, month.share_permille) == (9_002_500, 250)

    def test_where_no_payment_is_known_there_is_none(self) -> None:
        shelf = Shelf()
        shelf.refunded()
        year = year_of(shelf)
        assert year.months[-1].share_permille is None
        chart = share_by_month(year)
        assert chart.says == "The amounts of the payments are not known."
        assert set(heights(chart)) == {0}

    @pytest.mark.parametrize(
        ("permille", "told"), [(None, ""), (0, "0.0 %"), (128, "12.8 %"), (1000, "100.0 %")]
    )
    def test_in_words(self, permille: int | None, told: str) -> None:
        assert share(permille) == told


class TestReasons:
    """Why refunds were asked for."""

    def test_they_are_counted_as_callers_wrote_them(self) -> None:
        shelf = Shelf()
        for reason in ("duplicate", "duplicate", "too late", None):
            shelf.refunded(reason=reason)
        one = shelf.refunded(reason="about a customer")
        shelf.ledger.refunds[one.id] = forgotten(one)
        counted = dict(year_of(shelf).reasons)
        assert counted == {"duplicate": 2, "too late": 1, NO_REASON: 1, FORGOTTEN: 1}

    def test_the_rare_ones_are_shown_together(self) -> None:
        shelf = Shelf()
        for number in range(REASONS_SHOWN + 2):
            for _ in range(10 - number):
                shelf.refunded(reason=f"r{number}")
        year = year_of(shelf)
        rows = reasons(year)
        assert [(row.label, row.count) for row in rows[:2]] == [("r0", 10), ("r1", 9)]
        assert (rows[-1].label, rows[-1].count) == (OTHERS, 5 + 4)
        chart = reasons_by_month(year)
        assert chart.rows == [("2026-03", "10", "9", "8", "7", "6", "9")]
        assert sum(map(int, chart.rows[0][1:])) == year.months[-1].count


class TestPictures:
    """Bars in proportion, and the same in words."""

    def test_what_moved(self) -> None:
        shelf = Shelf()
        shelf.refunded(amount=4_000_00, paid=8_000_00, reason="duplicate")
        shelf.refunded(FEBRUARY, amount=1_000_00, paid=1_000_00)
        chart = moved_by_month(year_of(shelf))
        drawn = heights(chart)
        assert drawn[-1] == pytest.approx(4 * drawn[-2], abs=0.5)
        assert set(drawn[:-2]) == {0}
        assert chart.groups[-1].title == "2026-03: SGD 4000.00, 1 refund, 50.0 %"
        assert chart.says == ("SGD 5000.00 in 12 months, 2 refunds. Most, SGD 4000.00, in 2026-03.")
        assert [label.text for label in chart.up] == ["0", "2k", "4k"]
        assert chart.along[-1].text == "2026-03"

    def test_the_share(self) -> None:
        shelf = Shelf()
        shelf.refunded(amount=50, paid=100)
        shelf.refunded(FEBRUARY, amount=100, paid=100)
        chart = share_by_month(year_of(shelf))
        drawn = heights(chart)
        assert drawn[-2] == pytest.approx(2 * drawn[-1], abs=0.5)
        assert chart.says == "Most, 100.0 %, in 2026-02."

    @pytest.mark.parametrize(
        ("amount", "currency", "labels"),
        [
            (1, "sgd", ["0", "0.01", "0.02"]),
            (150, "sgd", ["0", "1", "2"]),
            (1_500_000, "jpy", ["0", "1M", "2M"]),
            (999_999_999_999, "sgd", ["0", "5G", "10G"]),
        ],
    )
    def test_the_axis_is_exact_and_short(
        self, amount: int, currency: str, labels: list[str]
    ) -> None:
        shelf = Shelf()
        shelf.refunded(amount=amount, currency=currency)
        chart = moved_by_month(year_of(shelf, currency))
        assert [label.text for label in chart.up] == labels
