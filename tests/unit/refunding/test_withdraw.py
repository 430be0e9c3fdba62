"""A person takes back a refund that waits: it is never sent, and its amount is free again."""

from dataclasses import replace

import pytest

from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.refunding.withdraw import WithdrawalRefusedError, WithdrawRefund
from tests.fakes.processor_fates import NotSent, RequestLost
from tests.fakes.world import STEP_MS, World


@pytest.fixture
def world() -> World:
    world = World()
    world.pay()
    return world


@pytest.fixture
def waits(world: World) -> Refund:
    """SGD 25.00 that waits for its turn."""
    return world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED).refund


@pytest.fixture
def withdraw(world: World) -> WithdrawRefund:
    return WithdrawRefund(
        recorder=world.settle.recorder,
        clock=world.clock,
        actor="operator:kim",
    )


def test_what_waits_is_never_sent_and_its_amount_is_free_again(
    world: World, withdraw: WithdrawRefund, waits: Refund
) -> None:
    world.clock.advance(STEP_MS)
    done = withdraw.carry_out(waits.id, "made by hand while the ledger was away")
    # Then it has failed, by whom and why
    stored = world.stored("k")
    assert stored == done.refund
    assert (stored.state, stored.next_check_ms) == (State.FAILED, None)
    assert stored.failure is not None
    assert stored.failure.code == "withdrawn"
    entry = stored.history[-1]
    assert (entry.cause, entry.actor, entry.at_ms) == (
        "withdrawn",
        "operator:kim",
        world.clock.now_ms(),
    )
    assert entry.evidence == {"reason": "made by hand while the ledger was away"}
    # And its place and its amount are free
    payment = world.payment()
    assert (payment.held, payment.refundable, payment.waiting) == (0, 9999, ())
    # And it is not sent, however long settling goes on
    world.settle_for(60 * STEP_MS)
    assert world.processor.instructions == []
    # And the same key is answered with it
    asked = world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED)
    assert asked.refund.state is State.FAILED


def test_what_was_certainly_not_executed_and_waits_again_is_withdrawn_too(
    world: World, withdraw: WithdrawRefund, waits: Refund
) -> None:
    world.processor.fates.append(NotSent())
    world.settle_due()
    assert (world.stored("k").state, world.stored("k").attempt) == (State.REQUESTED, 1)
    assert withdraw.carry_out(waits.id, "x").refund.state is State.FAILED


def test_looking_writes_nothing(world: World, withdraw: WithdrawRefund, waits: Refund) -> None:
    found = withdraw.weigh(waits.id)
    assert found == Stored(world.stored("k"), world.payment())
    assert world.stored("k") == waits


def test_withdrawing_again_writes_nothing(
    world: World, withdraw: WithdrawRefund, waits: Refund
) -> None:
    withdraw.carry_out(waits.id, "x")
    before = world.stored("k")
    assert withdraw.carry_out(waits.id, "y").refund == before
    assert world.stored("k") == before


def test_what_was_sent_is_not_withdrawn(world: World, withdraw: WithdrawRefund) -> None:
    world.processor.fates.append(RequestLost())
    unknown = world.refund("lost", amount=100).refund
    world.pay("2")
    done = world.refund("done", record="pr_2", amount=100).refund
    for refund in (unknown, done):
        with pytest.raises(WithdrawalRefusedError, match=f"{refund.id} is {refund.state}"):
            withdraw.carry_out(refund.id, "x")
        assert world.ledger.refund(refund.id) == refund


def test_a_refund_that_does_not_exist(withdraw: WithdrawRefund) -> None:
    with pytest.raises(RefundNotFoundError, match="rfd_nobody"):
        withdraw.weigh("rfd_nobody")


def test_what_settling_begins_to_send_at_that_moment_is_not_withdrawn(
    world: World, withdraw: WithdrawRefund, waits: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given settling that takes the refund between the look and the write
    weigh = withdraw.weigh
    found = weigh(waits.id)
    world.settle_due()
    looks = iter([lambda _id: found])
    monkeypatch.setattr(
        WithdrawRefund, "weigh", lambda _self, refund_id: next(looks, weigh)(refund_id)
    )
    with pytest.raises(WithdrawalRefusedError, match="succeeded"):
        withdraw.carry_out(waits.id, "x")
    assert world.stored("k").state is State.SUCCEEDED


def test_a_ledger_that_never_takes_it_withdraws_nothing(
    world: World, withdraw: WithdrawRefund, waits: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Refund] = []

    def refused(_recorder: object, _stored: Stored, after: Refund) -> Stored:
        tries.append(after)
        raise LedgerConflictError(after.id)

    monkeypatch.setattr(type(withdraw.recorder), "write", refused)
    with pytest.raises(WithdrawalRefusedError, match="keeps changing"):
        withdraw.carry_out(waits.id, "x")
    assert len(tries) == 5
    assert world.stored("k") == waits


def test_what_failed_for_another_reason_was_not_withdrawn(
    world: World, withdraw: WithdrawRefund, waits: Refund
) -> None:
    other = Failure(code="payment_not_refundable", message="Nothing is left.")
    world.ledger.refunds[waits.id] = replace(waits, state=State.FAILED, failure=other)
    with pytest.raises(WithdrawalRefusedError, match="failed"):
        withdraw.weigh(waits.id)
