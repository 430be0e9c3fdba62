"""Schemathesis calls the running stack with what it makes up from the OpenAPI document.

Its checks find no 5xx and no answer that the document does not have; what breaks the document is
refused, what keeps to it is not called invalid. A stack of its own, as the refunds that are made
here are nobody's.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import openapi, paths
from local.simulators.payments import fresh_payments, seed_of
from local.stack import RunningStack, running_stack
from tests.openapi.document import operations

OPENAPI = paths.ROOT / "tests" / "openapi"
AT_MOST_S = 600
# Each fitting refund has one of its own.
PAYMENTS = 1000
CARD = "pm_fuzz"
# Every parameter of an operation adds calls that break it.
ANSWERED_2XX_AT_LEAST = 0.1


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

    def __str__(self) -> str:
        lines = [
            f"{sum(counted.values()):5} {name}: "
            + ", ".join(f"{n} × {status}" for status, n in sorted(counted.items()))
            for name, counted in self.answers.items()
        ]
        total = sum(counted.total() for counted in self.answers.values())
        return "\n".join([*lines, f"{total:5} calls"])


@pytest.fixture(scope="module")
def fuzzed_stack() -> Iterator[RunningStack]:
    """A stack with payments enough for all."""
    with running_stack(parameters={"ThrottleRate": "500", "ThrottleBurst": "500"}) as running:
        running.control.seed(seed_of(*fresh_payments(PAYMENTS, prefix="fuzz")))
        running.control.seed_processor("ccg", {"payment_methods": [{"id": CARD}]})
        yield running


@pytest.fixture(scope="module")
def run(
    fuzzed_stack: RunningStack,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Run:
    """One run of schemathesis; how often it was answered what is printed, captured or not."""
    directory = tmp_path_factory.mktemp("fuzz")
    world, tally = directory / "world.json", directory / "tally"
    payments = fresh_payments(PAYMENTS, prefix="fuzz")
    told = {
        "payments": [payment.name for payment in payments],
        "charges": [payment.charge_id for payment in payments],
        "card": CARD,
        "salt": fuzzed_stack.providers.webhook_salt,
        "tally": str(tally),
    }
    world.write_text(json.dumps(told))
    finished = subprocess.run(  # noqa: S603 - the program that the lock file names
        [
            str(paths.executable(paths.DEV_ENVIRONMENT, "schemathesis")),
            *("--config-file", str(OPENAPI / "schemathesis.toml")),
            *("run", str(openapi.COPY)),
        ],
        cwd=directory,
        env=os.environ
        | {
            "API_URL": fuzzed_stack.api_url,
            "API_KEY": fuzzed_stack.payout_key,
            "FUZZ_WORLD": str(world),
            "SCHEMATHESIS_HOOKS": "tests.openapi.fuzz_hooks",
            "PYTHONPATH": str(paths.ROOT),
        },
        capture_output=True,
        text=True,
        timeout=AT_MOST_S,
        check=False,
    )
    run = Run(finished.returncode, finished.stdout + finished.stderr, _answers(tally))
    captured = pytestconfig.pluginmanager.getplugin("capturemanager")
    with captured.global_and_fixture_disabled() if captured else nullcontext():
        sys.stdout.write(f"\nschemathesis, answered by the local stack:\n{run}\n")
    return run


def _answers(tally: Path) -> dict[str, Counter[str]]:
    answers: dict[str, Counter[str]] = {}
    for line in tally.read_text().splitlines():
        operation, status = line.split("\t")
        answers.setdefault(operation, Counter())[status] += 1
    return answers


def test_no_answer_breaks_the_document(run: Run) -> None:
    assert run.exit_code == 0, run.output


def test_no_call_fails_here(run: Run) -> None:
    failed = {name: counted for name, counted in run.answers.items() if max(counted) >= "500"}
    assert failed == {}


@pytest.mark.parametrize("operation", [operation.name for operation in operations()])
def test_enough_of_the_calls_get_through(run: Run, operation: str) -> None:
    assert run.share_of_2xx(operation) >= ANSWERED_2XX_AT_LEAST, str(run)
