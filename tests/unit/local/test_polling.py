import pytest

from local.polling import NotInTimeError, wait_for


def test_it_returns_what_was_seen() -> None:
    answers = iter([None, 0, "there"])
    assert wait_for(lambda: next(answers), "it", at_most=5, every=0) == "there"


def test_it_looks_once_more_at_the_end_and_says_what_did_not_come() -> None:
    looks = []
    with pytest.raises(NotInTimeError, match="the report: not within 0 s"):
        wait_for(lambda: looks.append(1), "the report", at_most=0)
    assert looks == [1]
