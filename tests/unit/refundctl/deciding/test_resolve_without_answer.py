"""A processor that is down for good, or refuses the key: a review has a way out nevertheless."""

import pytest

from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import ProviderUnavailableError
from refundctl.deciding.resolve import (
    Decision,
    ItFailed,
    ItSucceeded,
    ResolutionRefusedError,
    ResolveRefund,
)
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.paid_world import DAY, HOUR, paid_world, resolve_of


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


@pytest.fixture
def resolve(world: World) -> ResolveRefund:
    return resolve_of(world)


class TestAProcessorThatGivesNoAnswer:
    """A person decides, once it has lasted for long."""

    @pytest.mark.parametrize(
        "decision",
        [
            ItFailed("its support says so", despite_evidence=True),
            ItSucceeded("hitpay-refund-9", "its support says so", despite_evidence=True),
        ],
    )
    def test_a_review_is_decided_once_it_has_waited_for_long(
        self, world: World, resolve: ResolveRefund, decision: Decision
    ) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.live_for(26 * HOUR, every_ms=5 * STEP_MS)
        refund = world.stored("ours")
        assert refund.state is State.REVIEW
        world.processor.is_down = True
        # Not while it may be an outage
        with pytest.raises(ProviderUnavailableError):
            resolve.weigh(refund.id, decision, world.deadline())
        world.clock.advance(DAY)
        agreed = resolve.weigh(refund.id, decision, world.deadline())
        resolve.carry_out(refund.id, decision, agreed, world.deadline())
        expected = State.FAILED if isinstance(decision, ItFailed) else State.SUCCEEDED
        assert world.stored("ours").state is expected

    @pytest.mark.parametrize(
        "decision",
        [
            ItFailed("its support says so", despite_evidence=True),
            ItSucceeded("hitpay-refund-9", "its support says so", despite_evidence=True),
        ],
    )
    def test_an_unknown_refund_is_decided_after_twice_the_hold(
        self, world: World, resolve: ResolveRefund, decision: Decision
    ) -> None:
        # Given our instruction, whose answer is lost, and a processor that is gone from then on
        world.processor.fates.append(RequestLost())
        refund = world.refund("ours", amount=4000).refund
        world.processor.is_down = True
        world.live_for(47 * HOUR, every_ms=HOUR)
        assert world.stored("ours").state is State.UNKNOWN
        with pytest.raises(ResolutionRefusedError):
            resolve.weigh(refund.id, decision, world.deadline())
        # When that has lasted for twice as long as an instruction may take, then a person decides
        world.live_for(2 * HOUR, every_ms=HOUR)
        agreed = resolve.weigh(refund.id, decision, world.deadline())
        resolve.carry_out(refund.id, decision, agreed, world.deadline())
        expected = State.FAILED if isinstance(decision, ItFailed) else State.SUCCEEDED
        assert world.stored("ours").state is expected
