"""Starts a measured process, and gives it jobs."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployed import paths
from local.child_process import clean_environment


class ContenderError(RuntimeError):
    """The process could not do a job; the message has its output."""


@dataclass(frozen=True)
class Done:
    """One job: the process's wall time and processor time, how much it logged, and its answer."""

    seconds: float
    cpu_seconds: float
    printed_bytes: int
    facts: dict[str, Any]


class Contender:
    """A process that does jobs one at a time, with exactly the given environment."""

    def __init__(self, subject: str, environment: Mapping[str, str], directory: Path) -> None:
        self._subject = subject
        self._log = directory / f"{subject}.log"
        layers = str(paths.ROOT / "layers" / "product")
        self._environment = {
            **clean_environment(directory),
            "PYTHONPATH": f"{paths.ROOT}:{layers}",
            **environment,
        }
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", f"benchmarks.subjects.{self._subject}"],
                cwd=paths.ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        if self._read() != "ready\n":
            self.__exit__(None, None, None)
            raise ContenderError(f"{self._subject} did not start:\n{self._log.read_text()[-4000:]}")
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
        process.kill()
        process.communicate()

    def do(self, **job: Any) -> Done:
        """Have one job done.

        Raises:
            ContenderError: it failed, or the process ended.
        """
        if self._process is None or self._process.stdin is None:
            raise ContenderError(f"{self._subject} was not started")
        self._process.stdin.write(json.dumps(job) + "\n")
        line = self._read()
        answer = json.loads(line) if line else {"error": self._log.read_text()[-4000:]}
        if "error" in answer:
            raise ContenderError(f"{self._subject}: {job}\n{answer['error']}")
        return Done(**answer)

    def _read(self) -> str:
        if self._process is None or self._process.stdout is None:
            return ""
        return self._process.stdout.readline()
