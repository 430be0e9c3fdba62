"""Run a program so that it cannot outlive the process that started it.

`python -P local/supervised.py MODULE_OR_FILE.py [ARGUMENT ...]`: standard input is a pipe; the
parent has its other end and never writes to it. When the parent ends, in whatever way, the pipe
ends too, and this kills the whole process group. It needs nothing specific to Linux, and works in
any environment: only the standard library is used here.

FUNCTIONS_PYTHON, if set, is given to the program as `sys.executable`: the emulator starts the
functions with it, so that they cannot import the emulator's packages.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Watch the parent, then become the program."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if python := os.environ.pop("FUNCTIONS_PYTHON", ""):
        sys.executable = python
    sys.argv = sys.argv[1:]
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        sys.path.insert(0, os.getcwd())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _die_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
