"""A directory for one run: it is removed at the end; its logs stay until the next run ends."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployed import paths

JUST_MADE_SECONDS = 60


@contextmanager
def run_directory() -> Iterator[Path]:
    """Make a directory for this run, and remove the directories of runs that were killed."""
    paths.RUNS.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=paths.RUNS))
    with (directory / "alive").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        _sweep()
        try:
            yield directory
        finally:
            _keep_logs(directory)
            shutil.rmtree(directory, ignore_errors=True)


def _keep_logs(directory: Path) -> None:
    paths.LAST_LOGS.mkdir(exist_ok=True)
    for log in directory.glob("*.log"):
        log.replace(paths.LAST_LOGS / log.name)


def _sweep() -> None:
    """Remove directories that nobody locks: the kernel drops a lock when its process ends."""
    for marker in paths.RUNS.glob("run-*/alive"):
        try:
            if time.time() - marker.stat().st_mtime < JUST_MADE_SECONDS:
                continue  # its owner may have made it and not locked it yet
            with marker.open("r+") as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(marker.parent, ignore_errors=True)
        except OSError:
            continue  # in use by another run, or just removed by it
