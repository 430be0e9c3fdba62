"""What the former release left behind, and its own code, where the checkout's history has it."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deployed import paths
from local.child_process import clean_environment
from tests.contract.ledger.conftest import Table, make_table
from tests.contract.releases import story
from tests.contract.releases.story import Sample

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The release before this one: what it wrote lies in the ledgers of today.
FORMER = "a231717"
SAMPLES = Path(__file__).with_name("samples")


@pytest.fixture(scope="session")
def former() -> Sample:
    """What the former release wrote: the story, told by its own code."""
    return sample(FORMER)


def sample(name: str) -> Sample:
    read: Sample = json.loads((SAMPLES / f"{name}.json").read_text())
    return read


@pytest.fixture
def fresh_table(new_client: Callable[[], "DynamoDBClient"]) -> Table:
    """A ledger of the test's own: the story's refunds have the same ids each time."""
    return make_table(new_client())


class FormerRelease:
    """The former release's code, which goes on with what today's wrote."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, verb: str, given: Sample) -> Sample:
        """Run the story's program on it."""
        ended = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-P", story.__file__, verb],
            input=json.dumps(given),
            env=clean_environment(self._directory)
            | {"PYTHONPATH": f"{self._directory / 'layers' / 'refunds'}:{self._directory}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        told: Any = json.loads(ended.stdout)
        return dict(told)


@pytest.fixture(scope="session")
def former_release(tmp_path_factory: pytest.TempPathFactory) -> FormerRelease:
    """Its code, out of the history; a checkout without history has only its samples."""
    wanted = ("layers/refunds/refunds", "tests/fakes")
    command = ["git", "-C", str(paths.ROOT), "archive", "--format=zip", FORMER, *wanted]
    archive = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - git
    if archive.returncode != 0:
        pytest.skip(f"the history does not reach back to {FORMER}")
    directory = tmp_path_factory.mktemp("former")
    with zipfile.ZipFile(BytesIO(archive.stdout)) as files:
        files.extractall(directory)
    return FormerRelease(directory)
