"""Waiting ends with what was waited for, and asks less often the longer it takes."""

import pytest

from deployed import polling
from deployed.polling import PAUSE_MAX, NotInTimeError, wait_for


class Time:
    """A clock that only pauses move on."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    kept = Time()
    monkeypatch.setattr(polling, "time", kept)
    return kept


def test_what_is_there_is_returned_without_a_pause(time: Time) -> None:
    assert wait_for(lambda: "seen", "it", at_most=1) == "seen"
    assert time.pauses == []


def test_the_pauses_grow_with_the_wait_up_to_a_limit(time: Time) -> None:
    # When something comes after a minute
    wait_for(lambda: time.now >= 60, "it", at_most=90, every=0.1)
    # Then it was asked for often at first, rarely in the end, and each time was near enough
    assert time.pauses[:3] == [0.1, 0.1, 0.1]
    assert time.pauses == sorted(time.pauses)
    assert time.pauses[-1] == PAUSE_MAX
    assert time.now < 60 + PAUSE_MAX


def test_what_does_not_come_is_named(time: Time) -> None:
    with pytest.raises(NotInTimeError, match="the report: not within 5 s"):
        wait_for(lambda: None, "the report", at_most=5)
    assert 5 <= time.now < 6
