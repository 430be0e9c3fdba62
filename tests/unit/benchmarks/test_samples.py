"""Percentiles are values that were measured; ratios are taken round by round."""

import pytest

from benchmarks.samples import Spread, percentile, ratios, spread


def test_a_percentile_is_one_of_the_values() -> None:
    values = [40.0, 10.0, 30.0, 20.0]
    assert percentile(values, 50) == 20.0
    assert percentile(values, 51) == 30.0
    assert percentile(values, 99) == 40.0
    assert percentile(values, 0) == 10.0


def test_the_99th_of_a_hundred_leaves_one_above_it() -> None:
    assert percentile([float(number) for number in range(1, 101)], 99) == 99.0


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_spread_holds_eight_of_ten() -> None:
    assert spread([float(number) for number in range(1, 11)]) == Spread(1.0, 5.0, 9.0)


def test_ratios_compare_what_ran_in_the_same_round() -> None:
    # Given a second round in which the machine was twice as slow for both
    assert ratios([1.0, 2.0], [2.0, 4.0]) == [0.5, 0.5]


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [2.0])
