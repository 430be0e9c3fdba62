"""Somebody at a terminal, in front of one payment of SGD 99.99."""

import os
from pathlib import Path

import pytest

from deployed import paths
from tests.fakes.service import InProcess
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.bulk import four_rows
from tests.unit.refundctl.operator import Operator


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell finds this checkout's `refundctl` under its name."""
    programs = paths.executable(paths.DEV_ENVIRONMENT, "refundctl").parent
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def operator(world: World, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(world, capsys)


@pytest.fixture
def service(world: World, operator: Operator) -> InProcess:
    """The interface that the operator's refunds go through; time passes while one waits."""
    service = InProcess(world)
    operator.service = service
    operator.sleep = lambda _: world.clock.advance(STEP_MS)
    return service


@pytest.fixture
def file(world: World, tmp_path: Path) -> Path:
    """A file of four refunds."""
    return four_rows(world, tmp_path)
