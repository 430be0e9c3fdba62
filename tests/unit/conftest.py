"""What the tests of the use cases start from."""

import pytest

from refund_bridge.domain.refund import Refund
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


@pytest.fixture
def refund(world: World) -> Refund:
    """A refund of SGD 25.00 that succeeded a moment ago, and owes its report."""
    refund = world.refund("k", amount=2500).refund
    world.clock.advance(1_000)
    return refund
