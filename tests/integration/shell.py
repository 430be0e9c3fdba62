"""`refundctl` as somebody at a shell has it."""

import json
import subprocess
from pathlib import Path
from typing import Any

from local import paths

REFUNDCTL = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")


class Refundctl:
    """The console command, against the stack that left word of itself in a file."""

    def __init__(self, stack_file: Path) -> None:
        self.stack_file = stack_file

    def run(self, *arguments: str, piped: str = "") -> subprocess.CompletedProcess[str]:
        """Run it from somewhere else than the checkout, with nobody at the keyboard."""
        return subprocess.run(  # noqa: S603 - our own program
            [REFUNDCTL, *arguments, "--stack-file", self.stack_file],
            cwd=self.stack_file.parent,
            input=piped,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """What a command that must succeed writes to stdout."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    def json(self, *arguments: str) -> Any:
        """What a command that must succeed gives to machines."""
        return json.loads(self.done(*arguments, "--json"))

    def ended(self, *arguments: str) -> tuple[int, Any]:
        """The exit code of a command, and what it gives to machines, if anything."""
        ended = self.run(*arguments, "--json")
        return ended.returncode, json.loads(ended.stdout) if ended.stdout else None
