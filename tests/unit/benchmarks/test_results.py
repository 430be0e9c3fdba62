"""A row knows whether its aim is reached, and shows three digits."""

import pytest

from benchmarks.results import Row, figure


@pytest.mark.parametrize(
    ("value", "most", "least", "met"),
    [
        (1.0, None, None, None),
        (1.05, 1.05, None, True),
        (1.06, 1.05, None, False),
        (6.0, None, 6.0, True),
        (5.9, None, 6.0, False),
    ],
)
def test_an_aim_is_reached_up_to_its_bound(
    value: float, most: float | None, least: float | None, met: bool | None
) -> None:
    assert Row(what="a", value=value, at_most=most, at_least=least).met is met


def test_aim_and_result_show_unit_and_spread() -> None:
    row = Row(what="a", value=0.8123, low=0.8, high=0.825, at_most=0.9)
    assert row.aim == "≤ 0.900 ×"
    assert row.result == "0.812 × (0.800–0.825)"


@pytest.mark.parametrize(
    ("value", "shown"), [(3.0, "3"), (1234.5, "1,234"), (12.345, "12.35"), (0.1234, "0.123")]
)
def test_figures_are_short(value: float, shown: str) -> None:
    assert figure(value) == shown
