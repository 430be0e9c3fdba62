"""Moments are read and written in UTC, and nothing else is guessed."""

import argparse

import pytest

from refundctl.times import age, duration_ms, rfc3339, shown, when
from refundctl.walk import months

NOW_MS = 1_709_211_600_000  # 2024-02-29T13:00:00Z
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000Z"),
        ("2024-02-29T23:59:59+08:00", "2024-02-29T15:59:59.000Z"),
        ("90s", "2024-02-29T12:58:30.000Z"),
        ("15m", "2024-02-29T12:45:00.000Z"),
        ("36h", "2024-02-28T01:00:00.000Z"),
        ("7d", "2024-02-22T13:00:00.000Z"),
        ("99999d", "1970-01-01T00:00:00.000Z"),
        ("1969-01-01", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_moment_is_read(text: str, expected: str) -> None:
    assert rfc3339(when(text).unix_ms(NOW_MS)) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "7w", "-7d", "2024-02-30", "2024-02-29T10:00:00", "٧d"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        when(text)


def test_a_duration_is_read() -> None:
    assert [duration_ms(text) for text in ("0s", "90s", "15m")] == [0, 90_000, 900_000]
    for text in ("15", "m", "1.5h", "2024-02-29"):
        with pytest.raises(argparse.ArgumentTypeError):
            duration_ms(text)


def test_moments_are_written_for_people_and_for_machines() -> None:
    assert shown(NOW_MS + 999) == "2024-02-29 13:00:00"
    assert rfc3339(NOW_MS + 7) == "2024-02-29T13:00:00.007Z"
    assert (shown(None), rfc3339(None)) == ("", None)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (HOUR_MS - 1, "59m"),
        (HOUR_MS, "1h"),
        (HOUR_MS + 60_000, "1h1m"),
        (25 * HOUR_MS, "1d1h"),
        (48 * HOUR_MS, "2d"),
    ],
)
def test_an_age_has_two_units_at_most(milliseconds: int, text: str) -> None:
    assert age(milliseconds) == text


def test_months_are_walked_from_the_newest() -> None:
    day_ms = 24 * HOUR_MS
    assert list(months(NOW_MS - 61 * day_ms, NOW_MS)) == ["2024-02", "2024-01", "2023-12"]
    assert list(months(NOW_MS, NOW_MS)) == []
    assert list(months(NOW_MS, NOW_MS + 1)) == ["2024-02"]
