"""Every command of the Makefile finds what it imports, as the Makefile starts it."""

import os
import re
import subprocess
import sys

import pytest

from deployed import paths

RECIPE = re.compile(
    r"^\t@?(?:PYTHONPATH=(\S+) )?\$\(VENV\)/python -m ((?:local|deploying|tests|benchmarks)\S*)"
)
# What has environments of its own is not installed where these tests run.
ELSEWHERE = ("benchmarks", "benchmarks.load")


def started() -> list[tuple[str, str]]:
    """The modules that the Makefile starts, each with the folder that it is given."""
    lines = (paths.ROOT / "Makefile").read_text().splitlines()
    found = [(match[2], match[1] or "") for line in lines if (match := RECIPE.match(line))]
    return [one for one in found if one[0] not in ELSEWHERE]


def test_the_commands_are_found() -> None:
    assert {"local.run", "local.tour", "deploying.release"} <= {name for name, _ in started()}


@pytest.mark.parametrize(("module", "folder"), started())
def test_a_command_can_be_started(module: str, folder: str) -> None:
    script = f"import importlib; importlib.import_module({module!r})"
    done = subprocess.run(  # noqa: S603 - the interpreter that runs this test
        [sys.executable, "-c", script],
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
