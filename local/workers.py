"""The processes in which the emulator runs the functions, and the end of one of them.

A killed worker is what AWS does to a function that it stops for its own reasons: nothing is written
down, no `finally` runs, and whoever waited for the answer gets an error.
"""

import os
import signal
import subprocess

from local.emulator import Emulator

# MiniStack unpacks each worker into a directory of its own, named after its function.
DIRECTORY = "ministack-lambda-{}-"


def worker_pids(emulator: Emulator, function: str) -> list[int]:
    """List the processes that run a function, busy or idle, of this emulator only."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,pgid=,command="], capture_output=True, text=True, check=True
    )
    return pids_in(listed.stdout, emulator.process.pid, function)


def pids_in(listing: str, group: int | None, function: str) -> list[int]:
    """Find a function's workers in what `ps` has listed."""
    rows = [row.split(None, 2) for row in listing.splitlines()]
    return [
        int(row[0])
        for row in rows
        if len(row) == 3 and row[1] == str(group) and DIRECTORY.format(function) in row[2]
    ]


def kill_worker(pid: int) -> bool:
    """End a worker at whatever instruction it is; False if it had ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
