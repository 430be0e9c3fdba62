"""Somebody at a terminal, in front of one payment of SGD 99.99."""

import pytest

from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator


@pytest.fixture
def operator(world: World, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(world, capsys)
