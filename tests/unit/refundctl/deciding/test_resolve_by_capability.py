"""A person decides a review: what counts as evidence depends on what the processor can show."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import State
from refundctl.deciding.resolve import ItFailed, ItSucceeded, ResolutionRefusedError
from tests.fakes.processor_fates import Conduct, ExecutedLate, ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.refundctl.deciding.reviews import NO_MONEY, decide, refused, resolver, tamper


def in_review(door: str) -> World:
    """A refund of 25.00 under ``k`` that never arrived, and that waits for a person."""
    world = World(doors=(door,))
    world.pay()
    world.processor.decide = lambda _: RequestLost()
    world.refund("k", amount=2500)
    world.settle_for(3 * HOLD_MS)
    assert world.stored("k").state is State.REVIEW
    return world


@pytest.mark.parametrize("door", ["hyperswitch", "ccg", "hedge"])
def test_it_failed_if_the_processor_does_not_know_of_it(door: str) -> None:
    world = in_review(door)
    assert decide(world, NO_MONEY).after.state is State.FAILED
    assert world.payment().refundable == 9999


@pytest.mark.parametrize("door", ["hyperswitch", "ccg"])
def test_it_has_not_failed_if_the_processor_knows_its_key(door: str) -> None:
    # Given an instruction that arrived after all, long after
    world = in_review(door)
    (instruction, *_) = world.processor.instructions
    processor_refund = world.processor.books.arrive(instruction)  # type: ignore[arg-type]
    # Then the key speaks against a failure, and for a success
    assert refused(world, NO_MONEY).processor_refunds == (processor_refund.id,)  # type: ignore[union-attr]
    done = decide(world, ItSucceeded(processor_refund.id))  # type: ignore[union-attr]
    assert done.after.state is State.SUCCEEDED


def test_without_evidence_it_failed_only_if_somebody_says_so() -> None:
    # Given a processor that shows neither payments nor keys
    world = in_review("ccg")
    world.processor.reads_keys = False
    refused(world, NO_MONEY)
    despite = ItFailed("their support says so", despite_evidence=True)
    assert decide(world, despite).after.state is State.FAILED


@pytest.mark.parametrize("door", ["hyperswitch", "ccg"])
def test_while_a_repeated_instruction_may_arrive_it_has_not_failed(door: str) -> None:
    # Given a refund whose instruction was repeated, and that somebody put into review at once
    world = World(doors=(door,))
    world.pay()
    world.processor.fates += [RequestLost(), ExecutedLate(HOLD_MS)]
    world.refund("k", amount=2500)
    world.settle_for(3 * STEP_MS)
    refund = tamper(world, state=State.REVIEW)
    assert refund.repeats == 1
    # When the hold after the first instruction is over, but not that after the second
    started_ms = refund.started_at_ms or 0
    world.clock.advance(started_ms + HOLD_MS - world.clock.now_ms() + 1)
    # Then it is too early to say
    assert "may still arrive" in str(refused(world, NO_MONEY))


def test_what_another_instruction_made_is_not_ours() -> None:
    # Given a processor refund that shows whose instruction made it
    world = in_review("hyperswitch")
    other = World(doors=("hyperswitch",))
    other.pay()
    theirs = other.refund("another", amount=2500).refund
    world.processor.books.refunds |= other.processor.books.refunds
    # Then it cannot be claimed for this one
    refusal = refused(world, ItSucceeded(theirs.processor_refund_id or ""))
    assert theirs.id in str(refusal)


def test_of_a_processor_that_is_not_set_up_there_is_no_evidence() -> None:
    world = in_review("hyperswitch")
    key = PaymentKey("hyperswitch", "charge-1")
    world.doors.clear()
    with pytest.raises(ResolutionRefusedError, match="no evidence"):
        resolver(world).weigh(world.stored("k").id, NO_MONEY, world.deadline())
    assert world.ledger.payment(key) is not None


def test_an_unlinked_refund_is_resolved_by_its_key() -> None:
    # Given an unlinked refund that never arrived
    world = World(doors=("ccg",))
    world.processor.decide = lambda _: RequestLost()
    world.refund(
        "k",
        record="method-1",
        reference_type=ReferenceType.PAYMENT_METHOD,
        customer={"hsid": "1"},
        amount=2500,
        currency="usd",
        processor="ccg",
    )
    world.settle_for(3 * HOLD_MS)
    assert world.stored("k").state is State.REVIEW
    assert decide(world, NO_MONEY).after.state is State.FAILED


@pytest.mark.parametrize("door", ["hedge", "hyperswitch"])
def test_another_amount_under_its_instruction_stands_against_a_failure(door: str) -> None:
    # Given a refund in review of which the processor shows that its instruction moved another
    # amount
    world = World(doors=(door,))
    world.pay()
    world.processor.books.names_instructions = True
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=2500)
    (moved,) = world.processor.books.refunds.values()
    moved.processor_refund = replace(moved.processor_refund, money=Money(2400, "sgd"))
    world.settle_for(2 * HOLD_MS)
    assert world.stored("k").state is State.REVIEW
    # When somebody says that it failed, then what moved is shown
    assert refused(world, NO_MONEY).processor_refunds == (moved.processor_refund.id,)


def test_a_refund_of_stripes_dashboard_is_resolved_by_what_it_is_bound_to() -> None:
    # Given a refund of Stripe's dashboard, imported while it was pending, that waits for a person
    world = World(doors=("stripe",))
    world.pay_at_stripe()
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    moved = world.processor.refund_in_dashboard("ch_1", 2500)
    assert isinstance(moved, ProcessorRefund)
    world.refund("k", record="ch_1", reference_type=ReferenceType.CHARGE, amount=100)
    (imported,) = world.imported()
    waiting = replace(imported, state=State.REVIEW)
    world.ledger.refunds[imported.id] = waiting
    # When it has succeeded, and a person says so
    world.processor.books.set_status(moved.id, ProcessorRefundStatus.SUCCEEDED)
    decision = ItSucceeded(moved.id)
    agreed = resolver(world).weigh(imported.id, decision, world.deadline())
    done = resolver(world).carry_out(imported.id, decision, agreed, world.deadline())
    # Then it is closed
    assert done.after.state is State.SUCCEEDED
