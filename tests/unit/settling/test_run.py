"""One run over all that is due: how much, how long, and what it says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import DUE_SHARDS
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.learn_from_charge import SINCE_MARGIN_MS
from refund_bridge.settling.settling import Settled
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import World
from tests.unit.settling.looks_at_refunds import unknown

CHARGE = PaymentKey("hitpay", "charge-1")


class Settling:
    """A stand-in for settling one refund, at processors that nobody asks."""

    def __init__(self, settle: Callable[[str, Deadline], Settled]) -> None:
        self.processors: dict[str, object] = {}
        self._settle = settle

    def __call__(self, refund_id: str, deadline: Deadline) -> Settled:
        return self._settle(refund_id, deadline)


def look_up(world: World, name: str) -> Refund:
    """A refund of a payment of its own, whose outcome is not known."""
    world.pay(name)
    world.processor.fates.append(RequestLost())
    return world.refund(name, record=f"pr_{name}").refund


def order_of(world: World) -> list[str]:
    """The refunds of one round, in the order in which a run settles them."""
    order: list[str] = []

    def settled(refund_id: str, _: Deadline) -> Settled:
        order.append(refund_id)
        return Settled.NOTHING_DUE

    run = replace(world.settle_run, settle=Settling(settled))  # type: ignore[arg-type]
    run(world.deadline_of(75_000))
    return order


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
    # Then it asked every shard for its oldest; there are no newer ones to ask for
    assert looks == [(n, False, 240) for n in range(DUE_SHARDS)]


def test_only_where_more_than_the_oldest_are_due_it_asks_for_the_newest(world: World) -> None:
    # Given a shard with just as many rows as are asked for, and one with one less
    asked: list[tuple[int, int]] = []

    def due(shard: int, *, before_ms: int, limit: int, newest_first: bool = False) -> object:
        if newest_first:
            asked.append((shard, limit))
            return []
        return [f"rf_{shard}_{n}" for n in range({2: limit, 3: limit - 1}.get(shard, 0))]

    world.ledger.due = due  # type: ignore[method-assign, assignment]
    assert world.settle_run(world.deadline_of(75_000)) == 0
    assert asked == [(2, 16)]


def test_the_newest_of_such_a_shard_are_settled_with_the_oldest(world: World) -> None:
    # Given a shard with as many rows as are asked for, and a new one beyond them
    newest = unknown(world)

    def due(shard: int, *, limit: int, newest_first: bool = False, **_: object) -> list[str]:
        if shard:
            return []
        return [newest.id] if newest_first else [f"rf_{n}" for n in range(limit)]

    world.ledger.due = due  # type: ignore[method-assign]
    assert order_of(world) == [newest.id]


def test_what_is_due_longest_comes_first(world: World) -> None:
    # Given refunds of one state that became due one after the other, in whatever shards they are
    made = [look_up(world, f"{n}").id for n in range(9)]
    now_ms = world.clock.now_ms()
    for ago_ms, refund_id in enumerate(made):
        refund = world.ledger.refunds[refund_id]
        world.ledger.refunds[refund_id] = replace(refund, next_check_ms=now_ms - ago_ms)
    assert order_of(world) == made[::-1]


def test_processors_and_states_take_turns() -> None:
    # Given three look-ups at one processor, and later due: a pending refund there, and a look-up
    # at another processor
    world = World(doors=("hitpay", "hedge"))
    first, second, third = (look_up(world, f"{n}").id for n in range(3))
    world.clock.advance(1)
    world.pay("pending")
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    pending = world.refund("pending", record="pr_pending").refund.id
    world.processor = world.doors["hedge"]
    elsewhere = look_up(world, "elsewhere").id
    world.clock.advance(1)
    # Then each of them has its turn after one look-up of the first
    order = order_of(world)
    assert set(order[:3]) - {first, second, third} == {pending, elsewhere}
    assert len(order) == 5


def test_rows_of_which_nothing_is_due_any_more_stop_nothing(world: World) -> None:
    # Given an index that still shows two that are not due any more
    made = [look_up(world, f"{n}").id for n in range(3)]
    for refund_id in made[:2]:
        refund = world.ledger.refunds[refund_id]
        world.ledger.refunds[refund_id] = replace(refund, next_check_ms=None)
    world.ledger.due = lambda shard, **_: [] if shard else made  # type: ignore[method-assign]
    assert world.settle_run(world.deadline_of(75_000)) == 1


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
    assert len(rounds) == DUE_SHARDS


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
    run = replace(world.settle_run, settle=Settling(slow))  # type: ignore[arg-type]
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
    run = replace(world.settle_run, settle=Settling(fails))  # type: ignore[arg-type]
    run(world.deadline_of(75_000))
    assert [len(facts["error"]) for facts in world.noted("settle_failed")] == [300]


def test_a_backlog_drains_and_what_is_new_is_not_starved(world: World) -> None:
    # Given far more due refunds than one round takes, and then one more
    for number in range(300):
        world.pay(f"old-{number}")
        world.processor.fates.append(ReplyLost())
        world.refund(f"old-{number}", record=f"pr_old-{number}")
    world.clock.advance(1)
    world.processor.fates.append(ReplyLost())
    newest = world.refund("newest").refund
    order: list[str] = []
    settle = world.settle_run.settle

    def watched(refund_id: str, deadline: Deadline) -> Settled:
        order.append(refund_id)
        return settle(refund_id, deadline)

    run = replace(world.settle_run, settle=Settling(watched))  # type: ignore[arg-type]
    # When a run settles
    assert run(world.deadline_of(75_000)) == 301
    # Then all moved on, the newest in the first round
    assert {r.state for r in world.ledger.refunds.values()} == {State.SUCCEEDED}
    assert order.index(newest.id) < 8 * (48 + 16)


@pytest.mark.parametrize("earlier", [0, 300, 450, 600])
def test_slow_look_ups_of_one_processor_delay_nothing_of_another(earlier: int) -> None:
    # Given six hundred due look-ups of a processor that answers slowly
    world = World(doors=("hitpay", "hedge"))

    def slow(numbers: range) -> None:
        for number in numbers:
            world.pay(f"slow-{number}")
            world.processor.fates.append(RequestLost())
            world.refund(f"slow-{number}", record=f"pr_slow-{number}")
        world.clock.advance(1)

    slow(range(earlier))
    # And one scheduled refund of another, due before or after them or in between
    world.doors["hedge"].add_charge("charge-h", Money(9999, "sgd"))
    world.stripe.add_record(
        FakeRecord(
            id="pr_h",
            currency="sgd",
            requested=9999,
            guaranteed=9999,
            metadata={"hedge_payment_id": "charge-h"},
        )
    )
    waiting = world.refund("h", record="pr_h", amount=1, refund_type=RefundType.SCHEDULED).refund
    world.clock.advance(1)
    slow(range(earlier, 600))
    order: list[str] = []

    def slowly(refund_id: str, deadline: Deadline) -> Settled:
        order.append(refund_id)
        world.clock.advance(10_000)
        return Settled.MOVED_ON

    # When a run has time for a few of them
    run = replace(world.settle_run, settle=Settling(slowly))  # type: ignore[arg-type]
    run(world.deadline_of(75_000))
    # Then the other processor's is among the first
    assert waiting.id in order[:2]


def test_since_when_the_stage_looks_is_kept_with_its_first_run(world: World) -> None:
    began_ms = world.clock.now_ms()
    for _ in range(2):
        world.settle_run(world.deadline_of(75_000))
        world.clock.advance(3_600_000)
    assert world.sweeps.sweeps["hitpay"].since_ms == began_ms - SINCE_MARGIN_MS


def test_a_row_that_cannot_be_settled_stops_nothing(world: World) -> None:
    world.pay("poison")
    world.processor.fates.extend([ReplyLost(), ReplyLost()])
    poison = world.refund("poison", record="pr_poison").refund
    world.refund("k")
    world.ledger.payments.pop(PaymentKey("hitpay", "charge-poison"))
    world.settle_run(world.deadline_of(75_000))
    assert world.stored("k").state is State.SUCCEEDED
    assert ("settle_failed", poison.id) in [
        (event, facts.get("refund_id")) for event, facts in world.telemetry.notes
    ]
