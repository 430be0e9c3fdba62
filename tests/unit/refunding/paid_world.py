"""A stage that has looked for a month, with one payment, and what others do to it.

Also what carries out the decisions of a person.
"""

from itertools import count

import pytest

from refund_bridge.domain.charge import Charge
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.ports.processor import UnreadableAnswerError
from refundctl.deciding.report_by_hand import ReportByHand, ReportDecision
from refundctl.deciding.resolve import ResolveRefund
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import HOLD_MS, REPORT_LEASE_MS, STEP_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")
HOUR = 60 * STEP_MS
DAY = 24 * HOUR

UNREADABLE_ANSWERS = count()


def paid_world(door: str) -> World:
    """A stage that has looked for a month at that processor, with a payment of SGD 100.00 there."""
    made = World(doors=(door,))
    made.settle_run(made.deadline())
    made.clock.advance(30 * DAY)
    made.pay(amount=10000)
    return made


def observe(world: World) -> None:
    world.observe(CHARGE, world.deadline())


def unreadable(*_: object) -> Charge:
    raise UnreadableAnswerError(f"answer {next(UNREADABLE_ANSWERS)} contradicts itself")


def lists_each(_: World) -> None:
    """The payment lists its refunds by the ids that instructions are answered with."""


def lists_other_ids(world: World) -> None:
    world.processor.books.lists_other_ids = True


def lists_nothing(world: World) -> None:
    world.processor.lists_refunds = False


LISTS = pytest.mark.parametrize("lists", [lists_each, lists_other_ids, lists_nothing])


def moved_and_lost(world: World, amount: int) -> None:
    """A refund that moved so much, and one of 40.00 whose instruction was lost."""
    world.refund("moved", amount=amount)
    world.processor.fates.append(RequestLost())
    world.refund("ours", amount=4000)


def resolve_of(world: World) -> ResolveRefund:
    """What carries out a person's decision about a refund."""
    return ResolveRefund(
        ledger=world.ledger,
        processors=world.doors,
        accounts=world.accounts,
        recorder=world.execute.recorder,
        doorbell=world.doorbell,
        clock=world.clock,
        telemetry=world.telemetry,
        hold_ms=HOLD_MS,
        actor="operator:kim",
    )


def by_hand_of(world: World) -> ReportByHand:
    """What carries out a person's decision about a report."""
    return ReportByHand(
        ledger=world.ledger,
        read_sums=world.read_sums,
        doorbell=world.doorbell,
        clock=world.clock,
        telemetry=world.telemetry,
        lease_ms=REPORT_LEASE_MS,
        step_ms=STEP_MS,
        actor="operator:kim",
    )


def decide(world: World, by_hand: ReportByHand, key: str, decision: ReportDecision) -> None:
    decide_about(world, by_hand, world.stored(key).id, decision)


def decide_about(
    world: World, by_hand: ReportByHand, refund_id: str, decision: ReportDecision
) -> None:
    agreed = by_hand.weigh(refund_id, decision, world.deadline())
    by_hand.carry_out(refund_id, decision, agreed, world.deadline())
