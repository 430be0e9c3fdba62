"""What runs side by side counts once; a busy second is found wherever it begins."""

import pytest

from benchmarks.reporting import most_in_a_second
from benchmarks.round_trips import longest_chain


@pytest.mark.parametrize(
    ("calls", "length"),
    [
        ([], 0),
        ([(0, 150), (150, 250), (250, 850)], 3),
        ([(0, 150), (1, 101), (152, 752)], 2),
        ([(1, 101), (0, 150), (120, 140)], 2),
    ],
)
def test_calls_that_overlap_are_one_step(calls: list[tuple[int, int]], length: int) -> None:
    assert longest_chain(calls) == length


@pytest.mark.parametrize(
    ("moments", "most"),
    [([], 0), ([0], 1), ([0, 999], 2), ([0, 1000], 1), ([0, 600, 1100, 1500, 1599], 4)],
)
def test_the_busiest_second_begins_anywhere(moments: list[int], most: int) -> None:
    assert most_in_a_second(moments) == most
