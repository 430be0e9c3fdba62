"""DynamoDB's request units, by its published rules."""

from typing import Any

import pytest

from benchmarks.capacity import index_units, item_bytes, read_units, write_units

Item = dict[str, dict[str, Any]]


def of_bytes(size: int) -> Item:
    """An item of exactly that size; its name counts too."""
    return {"n": {"S": "x" * (size - 1)}}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "é"}, 2),
        ({"N": "12345"}, 4),
        ({"N": "-7"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": [{"S": "ab"}]}, 6),
        ({"M": {"k": {"S": "ab"}}}, 7),
    ],
)
def test_names_and_values_have_sizes(value: dict[str, Any], size: int) -> None:
    assert item_bytes({"nm": value}) == 2 + size


def test_what_is_not_there_has_none() -> None:
    assert item_bytes(None) == 0


@pytest.mark.parametrize(("size", "units"), [(1, 1), (1024, 1), (1025, 2), (2048, 2)])
def test_a_write_costs_by_the_begun_kilobyte(size: int, units: int) -> None:
    assert write_units(None, of_bytes(size), transaction=False) == units
    assert write_units(None, of_bytes(size), transaction=True) == 2 * units


def test_a_write_costs_by_the_larger_image() -> None:
    assert write_units(of_bytes(3000), of_bytes(10), transaction=False) == 3


def test_a_failed_condition_costs_a_write_all_the_same() -> None:
    assert write_units(None, None, transaction=False) == 1


def test_reads_cost_by_the_item_or_by_the_page() -> None:
    items = [of_bytes(100), of_bytes(5000), None]
    assert read_units(items, consistent=True, at_once=False) == 1 + 2 + 1
    assert read_units(items, consistent=False, at_once=True) == 1


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, {"a": {"S": "1"}, "b": {"N": "1"}}, 1),
        (None, {"a": {"S": "1"}}, 0),
        (
            {"a": {"S": "1"}, "b": {"N": "1"}},
            {"a": {"S": "1"}, "b": {"N": "1"}, "c": {"S": "x"}},
            0,
        ),
        ({"a": {"S": "1"}, "b": {"N": "1"}}, {"a": {"S": "1"}, "b": {"N": "2"}}, 2),
        ({"a": {"S": "1"}, "b": {"N": "1"}}, {"a": {"S": "1"}}, 1),
    ],
)
def test_an_index_costs_when_its_entry_changes(
    before: Item | None, after: Item | None, units: int
) -> None:
    assert index_units(before, after, ("a", "b")) == units
