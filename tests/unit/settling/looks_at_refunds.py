"""Refunds on which settling has something to do, and one look at them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import Commit
from refund_bridge.settling.settling import Settled
from tests.fakes.processor_fates import Conduct, NotSent, RequestLost
from tests.fakes.world import HOLD_MS, World


def settle(world: World, key: str = "k") -> Settled:
    """Settle the refund of that key, if it is due."""
    return world.settle(world.stored(key).id, world.deadline())


def settle_when_due(world: World, key: str = "k") -> Settled:
    """Let time pass until the refund is due, and settle it."""
    due_ms = world.stored(key).next_check_ms
    assert due_ms is not None
    world.clock.advance(max(0, due_ms - world.clock.now_ms()))
    return settle(world, key)


def waits(world: World, key: str = "k") -> int:
    """After how many milliseconds the refund is looked at again."""
    due_ms = world.stored(key).next_check_ms
    assert due_ms is not None
    return due_ms - world.clock.now_ms()


def unknown(world: World, key: str = "k") -> Refund:
    """A refund of SGD 25.00 that was never executed, and whose answer was lost."""
    world.processor.fates.append(RequestLost())
    return world.refund(key, amount=2500).refund


def pending(world: World) -> Refund:
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    return world.refund("k", amount=2500).refund


def killed_while_sending(world: World) -> Refund:
    """A refund whose call died while it was sending, with nothing executed."""

    class Killed(BaseException):
        pass

    def killed(_: object) -> NotSent:
        raise Killed

    world.processor.decide = killed
    with pytest.raises(Killed):
        world.refund("k", amount=2500)
    return world.stored("k")


def before_next_commit(world: World, happens: Callable[[Commit], object]) -> None:
    commit = world.ledger.commit

    def interrupted(written: Commit) -> None:
        world.ledger.commit = commit  # type: ignore[method-assign]
        happens(written)
        commit(written)

    world.ledger.commit = interrupted  # type: ignore[method-assign, assignment]


def at_the_end_of_its_hold(world: World, *, look_ups: int = 2, early_ms: int = 0) -> Refund:
    """An unknown refund whose hold ends when settling next looks, after that many look-ups."""
    refund = unknown(world)
    ends_ms = (refund.started_at_ms or 0) + HOLD_MS - early_ms
    world.ledger.refunds[refund.id] = replace(
        world.stored("k"), looks=5, look_ups=look_ups, next_check_ms=ends_ms
    )
    return refund
