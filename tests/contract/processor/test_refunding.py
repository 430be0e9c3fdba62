"""The promises of ``Processor.refund``: what was asked happened, did not, or cannot be said."""

import pytest

from refunds.money import Money
from refunds.ports import Aborted, Accepted, MovementStatus, RefundOrder, Rejected, Unknown
from tests.contract.processor.worlds import ProcessorWorld

PAID = Money(9999, "sgd")


def order(amount: int = 2500, charge: str = "pay-1", currency: str = "sgd") -> RefundOrder:
    return RefundOrder(refund_id="rfd_1", payment_id=charge, money=Money(amount, currency))


def test_an_accepted_refund_has_moved_exactly_what_was_asked(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    outcome = world.processor.refund(order(), world.deadline())
    assert isinstance(outcome, Accepted)
    assert outcome.movement.status is MovementStatus.SUCCEEDED
    assert (outcome.movement.payment_id, outcome.movement.money) == ("pay-1", Money(2500, "sgd"))
    assert outcome.movement.refunded_at_ms is not None
    assert outcome.movement.refunded_at_ms % 1000 == 0
    assert world.moved("pay-1") == [2500]
    assert world.asked() == 1


@pytest.mark.parametrize("currency", ["jpy", "kwd", "idr", "ugx", "usd"])
def test_amounts_survive_every_kind_of_currency(world: ProcessorWorld, currency: str) -> None:
    world.add_charge("pay-1", Money(5000, currency))
    outcome = world.processor.refund(order(1230, currency=currency), world.deadline())
    assert isinstance(outcome, Accepted)
    assert outcome.movement.money == Money(1230, currency)
    assert world.moved("pay-1") == [1230]


def test_the_same_order_twice_moves_money_twice(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    first = world.processor.refund(order(), world.deadline())
    second = world.processor.refund(order(), world.deadline())
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert first.movement.id != second.movement.id
    assert world.moved("pay-1") == [2500, 2500]


def test_more_than_remains_is_rejected(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.refund_in_dashboard("pay-1", Money(8000, "sgd"))
    outcome = world.processor.refund(order(2000), world.deadline())
    assert isinstance(outcome, Rejected)
    assert outcome.message
    assert world.moved("pay-1") == [8000]


@pytest.mark.parametrize("status", ["pending", "failed", "void"])
def test_a_charge_that_was_never_captured_is_rejected(world: ProcessorWorld, status: str) -> None:
    world.add_charge("pay-1", PAID, status=status)
    assert isinstance(world.processor.refund(order(), world.deadline()), Rejected)
    assert world.moved("pay-1") == []


def test_an_unknown_charge_is_rejected(world: ProcessorWorld) -> None:
    outcome = world.processor.refund(order(charge="pay-9"), world.deadline())
    assert isinstance(outcome, Rejected)
    assert outcome.status == 404


def test_a_second_refund_may_be_refused_altogether(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.allow_one_refund()
    assert isinstance(world.processor.refund(order(), world.deadline()), Accepted)
    assert isinstance(world.processor.refund(order(), world.deadline()), Rejected)
    assert world.moved("pay-1") == [2500]


def test_a_connection_that_fails_has_moved_nothing(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    assert isinstance(world.unreachable().refund(order(), world.deadline()), Aborted)
    assert world.moved("pay-1") == []


def test_a_lost_request_is_unknown_and_has_moved_nothing(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_request()
    assert isinstance(world.processor.refund(order(), world.deadline()), Unknown)
    assert world.moved("pay-1") == []
    assert world.asked() == 1


def test_a_lost_reply_is_unknown_although_money_moved(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    assert isinstance(world.processor.refund(order(), world.deadline()), Unknown)
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
    assert isinstance(world.processor.refund(order(), world.deadline()), Unknown)
    assert world.moved("pay-1") == [2500]


def test_a_late_order_is_unknown_and_moves_money_after_all(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.execute_late()
    assert isinstance(world.processor.refund(order(), world.deadline()), Unknown)
    assert world.moved("pay-1") == []
    world.wait_for_late()
    charge = world.processor.charge("pay-1", world.deadline())
    assert world.moved("pay-1") == [2500]
    assert charge.refunded == 2500


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_refusal_in_the_processors_words_is_rejected(world: ProcessorWorld, status: int) -> None:
    world.add_charge("pay-1", PAID)
    world.answer(status, "Insufficient balance.")
    outcome = world.processor.refund(order(), world.deadline())
    assert outcome == Rejected("Insufficient balance.", status)
    assert world.moved("pay-1") == []


@pytest.mark.parametrize(
    ("status", "message"), [(401, "Unauthenticated."), (403, None), (404, None), (429, "Slow.")]
)
def test_being_turned_away_is_aborted(
    world: ProcessorWorld, status: int, message: str | None
) -> None:
    world.add_charge("pay-1", PAID)
    world.answer(status, message)
    outcome = world.processor.refund(order(), world.deadline())
    assert isinstance(outcome, Aborted)
    assert outcome.retry_after_s == (1 if status == 429 else None)
    assert world.moved("pay-1") == []


@pytest.mark.parametrize("status", [302, 408, 409, 500, 503])
def test_any_other_answer_is_unknown(world: ProcessorWorld, status: int) -> None:
    world.add_charge("pay-1", PAID)
    world.answer(status, "Whatever it says.")
    assert isinstance(world.processor.refund(order(), world.deadline()), Unknown)


def test_after_any_fault_the_processor_is_as_before(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_request()
    world.processor.refund(order(), world.deadline())
    assert isinstance(world.processor.refund(order(), world.deadline()), Accepted)
