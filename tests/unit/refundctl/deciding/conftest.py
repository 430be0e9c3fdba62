"""Two refunds in review."""

import pytest

from refund_bridge.domain.state_machine import State
from tests.fakes.processor_fates import ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, World
from tests.unit.refundctl.deciding.reviews import HOUR_MS


@pytest.fixture
def lost() -> World:
    """A refund of SGD 25.00 of 99.99 that HitPay never got, in review after the hold."""
    world = World()
    world.pay()
    world.processor.fates.append(RequestLost())
    world.refund("k", amount=2500)
    world.settle_for(HOLD_MS + 2 * HOUR_MS)
    assert world.stored("k").state is State.REVIEW
    return world


@pytest.fixture
def doubtful() -> World:
    """One that HitPay executed, beside a dashboard refund of the same amount, in review at once."""
    world = World()
    world.pay()
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    world.in_dashboard(2500)
    world.settle_due()
    assert world.stored("k").state is State.REVIEW
    return world
