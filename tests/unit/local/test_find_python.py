import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployed import paths

PROGRAM = paths.ROOT / "local" / "find_python.sh"


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    """A folder on PATH that has the name, and nothing behind it."""
    folder = tmp_path / "shims"
    folder.mkdir()
    shim = folder / "python9.9"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    return folder


def found(shims: Path, pyenv: Path) -> subprocess.CompletedProcess[str]:
    own = {"PATH": f"{shims}:{os.environ['PATH']}", "PYENV_ROOT": str(pyenv)}
    return subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", PROGRAM, "python9.9"],
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_shim_that_leads_nowhere_is_passed_over(shims: Path, tmp_path: Path) -> None:
    real = tmp_path / "pyenv" / "versions" / "9.9.1" / "bin" / "python9.9"
    real.parent.mkdir(parents=True)
    real.symlink_to(sys.executable)
    assert found(shims, tmp_path / "pyenv").stdout == f"{real}\n"


def test_where_none_runs_it_says_so(shims: Path, tmp_path: Path) -> None:
    ended = found(shims, tmp_path / "pyenv")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "No python9.9 was found" in ended.stderr
