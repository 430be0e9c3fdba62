import os
import time
from pathlib import Path

import pytest

from deployed import paths
from local.run_directory import JUST_MADE_SECONDS, run_directory


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "LAST_LOGS", tmp_path / "logs")


def make_old(directory: Path) -> None:
    long_ago = time.time() - 10 * JUST_MADE_SECONDS
    os.utime(directory / "alive", (long_ago, long_ago))


def test_runs_side_by_side_have_directories_of_their_own() -> None:
    with run_directory() as one:
        make_old(one)
        with run_directory() as other:
            assert one != other
            assert one.is_dir()
    assert list(paths.RUNS.iterdir()) == []


def test_what_a_killed_run_left_is_cleared_away() -> None:
    left = paths.RUNS / "run-left"
    left.mkdir(parents=True)
    (left / "alive").touch()
    make_old(left)
    with run_directory():
        assert not left.exists()


def test_a_directory_just_made_is_left_alone() -> None:
    fresh = paths.RUNS / "run-fresh"
    fresh.mkdir(parents=True)
    (fresh / "alive").touch()
    with run_directory():
        assert fresh.is_dir()
