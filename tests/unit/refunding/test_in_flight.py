"""A call whose key is in use is answered by what the other call comes to, if that comes in time."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refund_bridge.domain.errors import KeyInUseError
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import Answer
from refund_bridge.refunding.in_flight import PAUSE_MS, WAIT_MS, ExecuteOrAwait
from tests.fakes.api import execute_or_await
from tests.fakes.world import PROVIDER_BUDGET_MS, World


class Other:
    """Another call with the key, which ends after some time; then ours is let through."""

    def __init__(self, world: World, ends_after_ms: int) -> None:
        self.world = world
        self.ends_ms = world.clock.monotonic_ms() + ends_after_ms
        self.asked = 0

    def __call__(
        self, command: CreateRefund, deadline: Deadline, allow: Callable[[], object]
    ) -> Answer:
        self.asked += 1
        if self.world.clock.monotonic_ms() < self.ends_ms:
            raise KeyInUseError("In use.", retry_after_s=2)
        return self.world.execute(command, deadline, allow)


def allowed() -> None:
    """Nothing is forbidden."""


def waiting(world: World, ends_after_ms: int) -> tuple[ExecuteOrAwait, Other]:
    other = Other(world, ends_after_ms)
    return replace(execute_or_await(world), execute=other), other  # type: ignore[arg-type]


def asked(world: World) -> CreateRefund:
    return world.command("k", amount=2500)


def test_whose_key_is_free_waits_for_nobody() -> None:
    world = World()
    world.pay()
    before = world.clock.monotonic_ms()
    answer = execute_or_await(world)(
        asked(world), world.clock.deadline(PROVIDER_BUDGET_MS), allowed
    )
    assert answer.refund.state is State.SUCCEEDED
    assert world.clock.monotonic_ms() == before


@pytest.mark.parametrize("ends_after_ms", [1, PAUSE_MS, 5_000, WAIT_MS - PAUSE_MS])
def test_the_answer_that_still_comes_is_waited_for(ends_after_ms: int) -> None:
    world = World()
    world.pay()
    world.refund("k", amount=2500)
    execute, _ = waiting(world, ends_after_ms)
    answer = execute(asked(world), world.clock.deadline(PROVIDER_BUDGET_MS), allowed)
    assert answer.replayed
    assert answer.refund.state is State.SUCCEEDED
    assert len(world.processor.instructions) == 1


def test_one_that_takes_longer_is_told_as_in_use_before_the_gateway_gives_up() -> None:
    world = World()
    world.pay()
    execute, other = waiting(world, 10 * WAIT_MS)
    before = world.clock.monotonic_ms()
    with pytest.raises(KeyInUseError):
        execute(asked(world), world.clock.deadline(PROVIDER_BUDGET_MS), allowed)
    assert world.clock.monotonic_ms() - before == WAIT_MS
    # And the ledger was asked a few times, not all the time
    assert other.asked <= 15
