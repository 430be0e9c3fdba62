"""`refundctl` as at a shell."""

import io
import json
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from deployed import paths
from refundctl.command import main

REFUNDCTL = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
Ended = subprocess.CompletedProcess[str]


class Refundctl:
    """The command, against the stack that a file describes."""

    def __init__(self, stack_file: Path) -> None:
        self.stack_file = stack_file

    def run(self, *arguments: str, piped: str = "") -> Ended:
        """Run it from outside the checkout, without a terminal.

        It runs in this process: starting a new one takes longer than most commands.
        """
        line = [*arguments, "--stack-file", str(self.stack_file)]
        out, complaints = io.StringIO(), io.StringIO()
        with (
            chdir(self.stack_file.parent),
            patch.object(sys, "stdin", io.StringIO(piped)),
            redirect_stdout(out),
            redirect_stderr(complaints),
        ):
            try:
                exit_code: Any = main(line)
            except SystemExit as exited:  # argparse exits so for a line that it does not understand
                exit_code = exited.code
        return Ended(line, int(exit_code), out.getvalue(), complaints.getvalue())

    def run_as_a_program(self, *arguments: str) -> Ended:
        """Run the installed program instead."""
        return subprocess.run(  # noqa: S603 - our own program
            [REFUNDCTL, *arguments, "--stack-file", self.stack_file],
            cwd=self.stack_file.parent,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """The stdout of a command that must succeed."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    def json(self, *arguments: str) -> Any:
        """The JSON of a command that must succeed."""
        return json.loads(self.done(*arguments, "--json"))

    def ended(self, *arguments: str) -> tuple[int, Any]:
        """The exit code of a command, and its JSON, if it has any."""
        ended = self.run(*arguments, "--json")
        return ended.returncode, json.loads(ended.stdout) if ended.stdout else None
