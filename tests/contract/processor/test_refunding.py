"""The promises of ``Processor.refund``: what was asked happened, did not, or cannot be said."""

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Rejected, Unknown
from refund_bridge.domain.money import Money
from tests.contract.processor.instructions import (
    OTHER_REFUND_ID,
    PAID,
    REFUND_ID,
    ended,
    instruction,
)
from tests.contract.processor.selection import where
from tests.contract.processor.worlds import ProcessorWorld
from tests.fakes.abilities import keeps_keys, keeps_none


def test_an_accepted_refund_has_moved_exactly_what_was_asked(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    outcome = world.processor.refund(instruction(), world.deadline())
    processor_refund = ended(world, outcome)
    assert processor_refund.status is ProcessorRefundStatus.SUCCEEDED
    assert (processor_refund.payment_id, processor_refund.money) == ("pay-1", Money(2500, "sgd"))
    assert (processor_refund.refunded_at_ms is not None) == world.traits.says_when_moved
    assert (processor_refund.refunded_at_ms or 0) % 1000 == 0
    assert (processor_refund.created_at_ms is not None) == world.traits.says_when_made
    assert world.moved("pay-1") == [2500]
    assert world.asked() == 1


@pytest.mark.parametrize("currency", ["jpy", "kwd", "idr", "ugx", "usd"])
def test_amounts_survive_every_kind_of_currency(world: ProcessorWorld, currency: str) -> None:
    # Given a payment in a currency, of which every amount is a whole number of hundreds
    world.count_in(currency)
    world.add_charge("pay-1", Money(500_000, currency))

    # When a part of it is refunded
    outcome = world.processor.refund(instruction(123_400, currency=currency), world.deadline())

    # Then just that is moved; or the adapter has said that it cannot be told, and asked nothing
    if currency in world.traits.refused_currencies:
        assert isinstance(outcome, Rejected)
        assert (world.moved("pay-1"), world.asked()) == ([], 0)
    else:
        assert isinstance(outcome, Accepted)
        assert outcome.processor_refund.money == Money(123_400, currency)
        assert world.moved("pay-1") == [123_400]


@where(keeps_none)
def test_the_same_instruction_twice_moves_money_twice(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    first = world.processor.refund(instruction(), world.deadline())
    assert isinstance(first, Accepted)
    listed = frozenset({first.processor_refund.id})
    second = world.processor.refund(instruction(listed_before=listed), world.deadline())
    assert isinstance(second, Accepted)
    if world.traits.replays_for_a_day:
        assert first == second
        assert world.moved("pay-1") == [2500]
        return
    assert first.processor_refund.id != second.processor_refund.id
    assert world.moved("pay-1") == [2500, 2500]


@where(keeps_keys)
def test_the_same_instruction_twice_moves_money_once(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    first = world.processor.refund(instruction(), world.deadline())
    second = world.processor.refund(instruction(), world.deadline())
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.processor_refund.id, first.processor_refund.instruction_id) == (
        second.processor_refund.id,
        REFUND_ID,
    )
    assert world.moved("pay-1") == [2500]
    assert world.asked() == 2


def test_a_part_may_be_refunded_again_and_again(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    for number, amount in enumerate((2500, 3000, 4499)):
        outcome = world.processor.refund(
            instruction(amount, refund_id=f"{REFUND_ID[:-1]}{number}"), world.deadline()
        )
        assert isinstance(outcome, Accepted)
    assert world.moved("pay-1") == [2500, 3000, 4499]


def test_more_than_remains_is_rejected(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.refund_in_dashboard("pay-1", Money(8000, "sgd"))
    outcome = world.processor.refund(instruction(2000), world.deadline())
    assert isinstance(outcome, Rejected)
    assert outcome.message
    assert world.moved("pay-1") == [8000]


@pytest.mark.parametrize("status", ["pending", "failed", "void"])
def test_a_charge_that_was_never_captured_is_rejected(world: ProcessorWorld, status: str) -> None:
    world.add_charge("pay-1", PAID, status=status)
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Rejected)
    assert world.moved("pay-1") == []


def test_an_unknown_charge_is_rejected(world: ProcessorWorld) -> None:
    outcome = world.processor.refund(instruction(charge="pay-9"), world.deadline())
    assert isinstance(outcome, Rejected)
    assert outcome.status == world.traits.unknown_payment_status


def test_a_second_refund_may_be_refused_altogether(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.allow_one_refund()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Accepted)
    again = instruction(refund_id=OTHER_REFUND_ID)
    assert isinstance(world.processor.refund(again, world.deadline()), Rejected)
    assert world.moved("pay-1") == [2500]


def test_a_connection_that_fails_has_moved_nothing(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    assert isinstance(world.unreachable().refund(instruction(), world.deadline()), Aborted)
    assert world.moved("pay-1") == []


def test_a_lost_request_is_unknown_and_has_moved_nothing(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_request()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)
    assert world.moved("pay-1") == []
    assert world.asked() == 1


def test_a_lost_reply_is_unknown_although_money_moved(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)
    assert world.moved("pay-1") == [2500]
    assert world.asked() == 1


@pytest.mark.parametrize(
    "variant",
    [
        "empty",
        "html",
        "truncated",
        "null",
        "other_amount",
        "other_currency",
        "other_payment",
        "no_id",
    ],
)
def test_a_reply_that_cannot_be_believed_is_unknown(world: ProcessorWorld, variant: str) -> None:
    world.add_charge("pay-1", PAID)
    world.spoil_reply(variant)
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)
    assert world.moved("pay-1") == [2500]


def test_a_late_instruction_is_unknown_and_moves_money_after_all(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.execute_late()
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Unknown)
    assert world.moved("pay-1") == []
    world.wait_for_late()
    assert world.moved("pay-1") == [2500]


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_refusal_in_the_processors_words_is_rejected(world: ProcessorWorld, status: int) -> None:
    world.add_charge("pay-1", PAID)
    world.answer(status, "Insufficient balance.")
    outcome = world.processor.refund(instruction(), world.deadline())
    assert world.moved("pay-1") == []
    if status in world.traits.no_refusals:
        assert type(outcome) is world.traits.no_refusals[status]
        return
    assert isinstance(outcome, Rejected)
    assert (outcome.message, outcome.status) == ("Insufficient balance.", status)


@pytest.mark.parametrize(
    ("status", "message"), [(401, "Unauthenticated."), (403, None), (404, None), (429, "Slow.")]
)
def test_being_turned_away_is_aborted(
    world: ProcessorWorld, status: int, message: str | None
) -> None:
    world.add_charge("pay-1", PAID)
    world.answer(status, message)
    outcome = world.processor.refund(instruction(), world.deadline())
    assert isinstance(outcome, Aborted)
    assert outcome.retry_after_s == (1 if status == 429 else None)
    assert world.moved("pay-1") == []


@pytest.mark.parametrize("status", [302, 408, 409, 412, 500, 503])
def test_any_other_answer_is_unknown(world: ProcessorWorld, status: int) -> None:
    world.add_charge("pay-1", PAID)
    world.answer(status, "Whatever it says.")
    kind = Rejected if status in world.traits.more_refusals else Unknown
    assert isinstance(world.processor.refund(instruction(), world.deadline()), kind)


def test_after_any_fault_the_processor_is_as_before(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_request()
    world.processor.refund(instruction(), world.deadline())
    assert isinstance(world.processor.refund(instruction(), world.deadline()), Accepted)
