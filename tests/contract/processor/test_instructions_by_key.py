"""A processor that keeps our refund's id as the key: asking twice is safe, and tells."""

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from tests.contract.processor.instructions import (
    OTHER_REFUND_ID,
    PAID,
    REFUND_ID,
    ended,
    instruction,
    refund_one,
)
from tests.contract.processor.selection import where
from tests.contract.processor.worlds import ProcessorWorld
from tests.fakes.abilities import keeps_keys

pytestmark = where(keeps_keys)


def test_an_instruction_of_unknown_outcome_is_found_by_its_key(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)
    processor_refund = world.processor.find_by_key(REFUND_ID, "pay-1", world.deadline())
    assert processor_refund is not None
    assert (processor_refund.instruction_id, processor_refund.money) == (
        REFUND_ID,
        Money(2500, "sgd"),
    )
    assert processor_refund.status is ProcessorRefundStatus.SUCCEEDED


def test_an_instruction_that_never_arrived_is_not_there(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_request()
    world.processor.refund(instruction(), world.deadline())
    world.refund_in_dashboard("pay-1", Money(2500, "sgd"))
    assert world.processor.find_by_key(REFUND_ID, "pay-1", world.deadline()) is None


def test_a_late_instruction_is_not_there_until_it_arrives(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.execute_late()
    world.processor.refund(instruction(), world.deadline())
    world.wait_for_late()
    assert world.processor.find_by_key(REFUND_ID, "pay-1", world.deadline()) is not None


def test_a_key_on_another_payment_is_no_answer(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_one(world)
    with pytest.raises(UnreadableAnswerError):
        world.processor.find_by_key(REFUND_ID, "pay-2", world.deadline())


def test_a_processor_that_is_down_says_nothing_about_a_key(world: ProcessorWorld) -> None:
    world.fail_look_ups()
    with pytest.raises(ProviderUnavailableError):
        world.processor.find_by_key(REFUND_ID, "pay-1", world.deadline())


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_an_instruction_may_be_repeated_and_moves_money_once(
    world: ProcessorWorld, lost: str
) -> None:
    # Given an instruction of which nobody knows whether it arrived
    world.add_charge("pay-1", PAID)
    world.lose_request() if lost == "request" else world.lose_reply()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)

    # When it is asked for again, then it is known, and the money has moved once
    outcome = world.processor.refund(instruction(repeated=True), world.deadline())
    assert ended(world, outcome).status is ProcessorRefundStatus.SUCCEEDED
    assert world.moved("pay-1") == [2500]


def test_a_repeat_for_the_whole_payment_is_recognised_too(world: ProcessorWorld) -> None:
    # Given that nothing is left to refund, because the instruction that was lost has refunded it
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    world.processor.refund(instruction(9999), world.deadline())

    # When it is asked for again, then a refusal for the amount is not taken for the answer
    outcome = world.processor.refund(instruction(9999, repeated=True), world.deadline())
    assert isinstance(outcome, Accepted)
    assert world.moved("pay-1") == [9999]


@pytest.mark.parametrize("status", [401, 404, 422, 429, 500])
def test_what_refuses_a_repeat_says_nothing_of_the_first(
    world: ProcessorWorld, status: int
) -> None:
    world.add_charge("pay-1", PAID)
    world.execute_late()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)
    world.answer(status, "Not now.")
    outcome = world.processor.refund(instruction(repeated=True), world.deadline())
    assert isinstance(outcome, Unknown | Accepted)
    world.wait_for_late()
    assert world.moved("pay-1") == [2500]


def test_a_repeat_that_does_not_get_through_is_as_unknown_as_before(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    world.processor.refund(instruction(), world.deadline())
    outcome = world.unreachable().refund(instruction(repeated=True), world.deadline())
    assert isinstance(outcome, Unknown)


def test_a_key_with_another_amount_is_no_answer(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_one(world, 2500)
    outcome = world.processor.refund(instruction(1000), world.deadline())
    assert isinstance(outcome, Unknown)
    assert world.moved("pay-1") == [2500]


def test_another_key_is_another_refund(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_one(world)
    refund_one(world, refund_id=OTHER_REFUND_ID)
    assert world.moved("pay-1") == [2500, 2500]


def test_keys_that_cannot_be_read_are_never_taken_for_absent(world: ProcessorWorld) -> None:
    # Given an instruction that arrived, at a processor that cannot be asked for a key
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    world.processor.refund(instruction(9999), world.deadline())
    world.forget_how_to_read_keys()

    # When it is asked all the same, and when the instruction is repeated
    with pytest.raises(ProviderUnavailableError):
        world.processor.find_by_key(REFUND_ID, "pay-1", world.deadline())
    outcome = world.processor.refund(instruction(9999, repeated=True), world.deadline())

    # Then nothing is concluded; the memory's processor shows repeats what they repeat
    assert not isinstance(outcome, Rejected)
    assert world.moved("pay-1") == [9999]
