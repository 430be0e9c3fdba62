"""A process of its own for each contender: python -m benchmarks.worker MODULE.

It reads one job from each line, does it, and answers with one line: how long it took, how much
processor time this process spent on it (all threads together), how much it printed, and the
subject's answer. Its output goes to an unnamed file: on Lambda, too, another process handles logs.
"""

import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from typing import Any, Protocol

Job = dict[str, Any]


class Subject(Protocol):
    """The code that is measured."""

    def do(self, job: Job) -> dict[str, object]:
        """Do the job; the result goes back to the measuring process."""


def main(module: str) -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
    subject: Subject = importlib.import_module(module).make()
    answers.write("ready\n")
    for line in sys.stdin:
        answers.write(json.dumps(_done(subject, json.loads(line))) + "\n")


def _done(subject: Subject, job: Job) -> dict[str, object]:
    known = _printed()
    cpu, began = time.process_time(), time.perf_counter()
    try:
        facts = subject.do(job)
    except Exception:  # noqa: BLE001 - told to whoever asked, who ends the measurement
        return {"error": traceback.format_exc()}
    ended, spent = time.perf_counter(), time.process_time()
    return {
        "seconds": ended - began,
        "cpu_seconds": spent - cpu,
        "printed_bytes": _printed() - known,
        "facts": facts,
    }


def _printed() -> int:
    """How many bytes this process has printed in all."""
    sys.stdout.flush()
    return os.lseek(1, 0, os.SEEK_CUR)


if __name__ == "__main__":
    main(sys.argv[1])
