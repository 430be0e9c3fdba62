import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from deployed import paths
from deployed.polling import wait_for
from local.child_process import ChildProcess, clean_environment

PYTHON = Path(sys.executable)
# A program that starts another one, as the emulator starts its workers, and tells both ids.
PROGRAM = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
draft = pathlib.Path(sys.argv[1] + ".draft")
draft.write_text(f"{os.getpid()} {child.pid}")
draft.rename(sys.argv[1])
time.sleep(600)
"""
# A parent that starts that program and is then killed without a chance to clean up.
PARENT = """
import sys, time
from pathlib import Path
from local.child_process import ChildProcess, clean_environment
directory = Path(sys.argv[1])
program = [str(directory / "program.py"), str(directory / "ids")]
environment = clean_environment(directory)
with ChildProcess(Path(sys.executable), program, environment, directory / "log"):
    time.sleep(600)
"""


def ids_in(file: Path) -> list[int]:
    wait_for(file.is_file, "the program's start", at_most=20)
    return [int(number) for number in file.read_text().split()]


def is_alive(number: int) -> bool:
    """Whether a process is there and not merely unburied: in a container nobody may bury it."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{number}/stat")
    return not (status.is_file() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_leaving_it_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    program = [str(tmp_path / "program.py"), str(tmp_path / "ids")]
    environment = clean_environment(tmp_path)
    with ChildProcess(PYTHON, program, environment, tmp_path / "log") as child:
        ids = ids_in(tmp_path / "ids")
        assert child.exit_code is None
    wait_for(lambda: not any(map(is_alive, ids)), "the end of all", at_most=60)


def test_a_killed_parent_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)],
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
    )
    ids = ids_in(tmp_path / "ids")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not any(map(is_alive, ids)), "the end of all", at_most=60)


def test_a_program_that_fails_leaves_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print('no luck'); sys.exit(3)")
    program = [str(tmp_path / "program.py")]
    environment = clean_environment(tmp_path)
    with ChildProcess(PYTHON, program, environment, tmp_path / "log") as child:
        wait_for(lambda: child.exit_code is not None, "its end", at_most=20)
        assert child.exit_code == 3
    assert "no luck" in child.last_words()


def test_nothing_of_the_callers_environment_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOG_LEVEL", "AWS_PROFILE", "HTTPS_PROXY", "PYTHONPATH"):
        monkeypatch.setenv(name, "leaked")
    environment = clean_environment(tmp_path)
    assert set(environment) == {"PATH", "HOME", "TMPDIR", "LANG", "TZ"}
    assert "leaked" not in environment.values()
