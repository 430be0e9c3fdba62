"""One run over all that is due: how much, how long, and what it says."""

from dataclasses import replace

import pytest

from refunds.payment import PaymentKey
from refunds.ports import DUE_SHARDS, Deadline
from refunds.refund import Refund
from refunds.settle import Settled
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import World

CHARGE = PaymentKey("hitpay", "charge-1")


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


def unknown(world: World) -> Refund:
    """A refund of SGD 25.00 that was never executed, and whose answer was lost."""
    world.processor.fates.append(RequestLost())
    return world.refund("k", amount=2500).refund


def test_it_says_how_many_it_settled(world: World) -> None:
    unknown(world)
    assert world.settle_run(world.deadline_of(75_000)) == 1
    assert world.noted("settle_run") == [{"settled": 1}]


def test_with_nothing_due_it_looks_once(world: World) -> None:
    looks: list[tuple[int, bool, int]] = []
    due = world.ledger.due

    def watched(shard: int, *, before_ms: int, limit: int, newest_first: bool = False) -> object:
        assert before_ms == world.clock.now_ms() + 1
        looks.append((shard, newest_first, limit))
        return due(shard, before_ms=before_ms, limit=limit, newest_first=newest_first)

    world.ledger.due = watched  # type: ignore[method-assign, assignment]
    assert world.settle_run(world.deadline_of(75_000)) == 0
    # Then it asked every shard for twelve of the oldest and four of the newest
    shards = range(DUE_SHARDS)
    oldest, newest = [(n, False, 12) for n in shards], [(n, True, 4) for n in shards]
    assert looks == oldest + newest


def test_a_row_that_another_run_has_is_not_counted_and_ends_the_run(world: World) -> None:
    # Given an index that goes on showing a row which is not due any more
    refund = world.refund("k").refund
    rounds: list[int] = []

    def behind(shard: int, **_: object) -> list[str]:
        rounds.append(shard)
        return [refund.id] if shard == 0 else []

    world.ledger.due = behind  # type: ignore[method-assign]
    # Then the run ends after one round
    assert world.settle_run(world.deadline_of(75_000)) == 0
    assert len(rounds) == 2 * DUE_SHARDS


def test_no_row_is_begun_that_might_not_end_in_time(world: World) -> None:
    # Given two due rows, and time for one
    left: list[int] = []

    def slow(refund_id: str, deadline: Deadline) -> Settled:
        left.append(deadline.remaining_ms())
        world.clock.advance(10_000)
        return Settled.MOVED_ON

    for name in ("a", "b"):
        world.pay(name)
        world.processor.fates.append(RequestLost())
        world.refund(name, record=f"pr_{name}")
    run = replace(world.settle_run, settle=slow)  # type: ignore[arg-type]
    assert run(world.deadline_of(24_000 + 10_000)) == 1
    # And that one has a row's time
    assert left == [24_000]


def test_a_poison_row_is_told_to_the_log_with_its_error(world: World) -> None:
    refund = unknown(world)
    world.ledger.payments.pop(CHARGE)
    assert world.settle_run(world.deadline_of(75_000)) == 0
    error = f"LedgerUnavailableError: the ledger does not show {refund.id} whole"
    assert world.noted("settle_failed") == [{"refund_id": refund.id, "error": error}]


def test_of_a_long_error_three_hundred_characters_are_told(world: World) -> None:
    def fails(*_: object) -> Settled:
        raise ValueError("x" * 1000)

    unknown(world)
    run = replace(world.settle_run, settle=fails)  # type: ignore[arg-type]
    run(world.deadline_of(75_000))
    assert [len(facts["error"]) for facts in world.noted("settle_failed")] == [300]
