"""One run of schemathesis against an address, and what each operation was answered."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployed import paths
from local import openapi

OPENAPI = paths.ROOT / "tests" / "openapi"
AT_MOST_S = 600
# Every parameter of an operation adds calls that break it.
ANSWERED_2XX_AT_LEAST = 0.1


@dataclass(frozen=True)
class Fuzzed:
    """What is called, and what is there to be found; see ``fuzz_hooks``.

    Attributes:
        payments: the names of payments that nobody has refunded yet.
        card: the one payment method that payouts can go to.
    """

    api_url: str
    api_key: str
    payments: Sequence[str]
    charges: Sequence[str]
    card: str
    salt: str


@dataclass(frozen=True)
class Run:
    """What schemathesis said, and how often each operation was answered what."""

    exit_code: int
    output: str
    answers: dict[str, Counter[str]]

    def share_of_2xx(self, operation: str) -> float:
        """The part of the operation's calls that were answered 2xx."""
        counted = self.answers[operation]
        return sum(n for status, n in counted.items() if status.startswith("2")) / counted.total()

    @property
    def failed_here(self) -> dict[str, Counter[str]]:
        """What was answered 5xx."""
        return {name: counted for name, counted in self.answers.items() if max(counted) >= "500"}

    def __str__(self) -> str:
        lines = [
            f"{sum(counted.values()):5} {name}: "
            + ", ".join(f"{n} × {status}" for status, n in sorted(counted.items()))
            for name, counted in self.answers.items()
        ]
        total = sum(counted.total() for counted in self.answers.values())
        return "\n".join([*lines, f"{total:5} calls"])


def fuzz(fuzzed: Fuzzed, directory: Path, *options: str) -> Run:
    """Let schemathesis call it, with what the ``options`` of its command line change."""
    world, tally = directory / "world.json", directory / "tally"
    told = {
        "payments": list(fuzzed.payments),
        "charges": list(fuzzed.charges),
        "card": fuzzed.card,
        "salt": fuzzed.salt,
        "tally": str(tally),
    }
    world.write_text(json.dumps(told))
    finished = subprocess.run(  # noqa: S603 - the program that the lock file names
        [
            str(paths.executable(paths.DEV_ENVIRONMENT, "schemathesis")),
            *("--config-file", str(OPENAPI / "schemathesis.toml")),
            *("run", str(openapi.COPY), *options),
        ],
        cwd=directory,
        env=os.environ
        | {
            "API_URL": fuzzed.api_url,
            "API_KEY": fuzzed.api_key,
            "FUZZ_WORLD": str(world),
            "SCHEMATHESIS_HOOKS": "tests.openapi.fuzz_hooks",
            "PYTHONPATH": str(paths.ROOT),
        },
        capture_output=True,
        text=True,
        timeout=AT_MOST_S,
        check=False,
    )
    return Run(finished.returncode, finished.stdout + finished.stderr, _answers(tally))


def _answers(tally: Path) -> dict[str, Counter[str]]:
    answers: dict[str, Counter[str]] = {}
    for line in tally.read_text().splitlines():
        operation, status = line.split("\t")
        answers.setdefault(operation, Counter())[status] += 1
    return answers
