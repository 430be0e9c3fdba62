"""A directory for one run: its files go when it ends, its logs stay until the next run ends."""

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
    """Give this run a directory of its own, and clear away those of runs that were killed."""
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
    """Remove directories whose lock nobody holds: the kernel drops it with the process."""
    for marker in paths.RUNS.glob("run-*/alive"):
        try:
            if time.time() - marker.stat().st_mtime < JUST_MADE_SECONDS:
                continue  # its owner may be between making and locking it
            with marker.open("r+") as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(marker.parent, ignore_errors=True)
        except OSError:
            continue  # in use by another run, or just removed by it
