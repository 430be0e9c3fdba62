"""Somebody at a terminal, in front of one payment of SGD 99.99."""

import os

import pytest

from local import paths
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell finds this checkout's `refundctl` under its name."""
    programs = paths.executable(paths.DEV_ENVIRONMENT, "refundctl").parent
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def operator(world: World, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(world, capsys)
