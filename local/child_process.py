"""Starts a program of the local cloud, and stops it with all of its children."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from deployed import paths


class ChildProcess:
    """One program with its own process group and its output in a file; it never outlives us.

    `program`, a module or a file, is run by `python` under `local/supervised.py`, with exactly the
    given environment. It may take `patience_seconds` to end by itself before it is killed.
    """

    def __init__(
        self,
        python: Path,
        program: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        *,
        patience_seconds: float = 3.0,
    ) -> None:
        self.log_file = log_file
        self._command = (str(python), "-P", str(paths.ROOT / "local" / "supervised.py"), *program)
        self._environment = dict(environment)
        self._patience_seconds = patience_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ChildProcess":
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=paths.ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._patience_seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill_group(process.pid)
            process.wait()
            if process.stdin:
                process.stdin.close()

    @property
    def pid(self) -> int | None:
        """The id of the process, and of its group; None if it was not started."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The code that it ended with, or None while it runs."""
        return self._process.poll() if self._process else None

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its output, for a person to read when the program failed."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    @staticmethod
    def _kill_group(group: int) -> None:
        """Kill the group, and with it processes that the program left: the emulator's workers."""
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return  # nothing is left of it
        except PermissionError:
            return  # on macOS: only zombies are left in the group


def clean_environment(temporary: Path) -> dict[str, str]:
    """Build an environment with none of the developer's variables that could change programs.

    The emulator copies its own environment into every function: the developer's LOG_LEVEL, proxy or
    AWS profile would become a setting of the refund service.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }
