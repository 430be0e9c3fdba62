"""A person decides a review: what the tests of it share."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refundctl.deciding.resolve import (
    Decision,
    ItFailed,
    Resolution,
    ResolutionRefusedError,
    ResolveRefund,
)
from tests.fakes.world import HOLD_MS, STEP_MS, World

ACTOR = "operator:kim"
HOUR_MS = 60 * STEP_MS
CHARGE = PaymentKey("hitpay", "charge-1")
NO_MONEY = ItFailed("HitPay's support found no such refund, ticket 4711")


def resolver(world: World) -> ResolveRefund:
    return ResolveRefund(
        ledger=world.ledger,
        processors=world.settle.processors,
        accounts=world.accounts,
        recorder=world.settle.recorder,
        doorbell=world.doorbell,
        clock=world.clock,
        telemetry=world.telemetry,
        hold_ms=HOLD_MS,
        actor=ACTOR,
    )


def decide(world: World, decision: Decision, key: str = "k") -> Resolution:
    """Weigh it, agree, and have it written."""
    resolve, refund_id = resolver(world), world.stored(key).id
    agreed = resolve.weigh(refund_id, decision, world.deadline())
    return resolve.carry_out(refund_id, decision, agreed, world.deadline())


def refused(world: World, decision: Decision) -> ResolutionRefusedError:
    """Why it may not be decided so; nothing has been written."""
    before = (
        dict(world.ledger.refunds),
        dict(world.ledger.payments),
        dict(world.ledger.processor_refunds),
    )
    with pytest.raises(ResolutionRefusedError) as refusal:
        resolver(world).weigh(world.stored("k").id, decision, world.deadline())
    assert before == (world.ledger.refunds, world.ledger.payments, world.ledger.processor_refunds)
    return refusal.value


def tamper(world: World, **facts: object) -> Refund:
    """The refund of key k, as if it had always been so."""
    refund = replace(world.stored("k"), **facts)  # type: ignore[arg-type]
    world.ledger.refunds[refund.id] = refund
    return refund


def ours(world: World) -> ProcessorRefund:
    (processor_refund,) = world.processor.moved_by(world.stored("k").id)
    return processor_refund
