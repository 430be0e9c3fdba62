"""Finds the processes in which the emulator runs the functions, and kills one of them.

Killing a worker has the effect of AWS stopping a function for its own reasons: nothing more is
written, no `finally` runs, and the caller gets an error instead of an answer.
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
    """Find a function's workers in the output of `ps`."""
    rows = [row.split(None, 2) for row in listing.splitlines()]
    return [
        int(row[0])
        for row in rows
        if len(row) == 3 and row[1] == str(group) and DIRECTORY.format(function) in row[2]
    ]


def kill_worker(pid: int) -> bool:
    """Kill a worker at once, whatever it does; False if it had ended already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
