"""Money to a customer without a payment, where a processor can do that."""

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.processor import UnreadableAnswerError
from tests.contract.processor.instructions import PAID, REFUND_ID, ended, refund_one, unlinked
from tests.contract.processor.selection import where
from tests.contract.processor.worlds import ProcessorWorld
from tests.fakes.abilities import refunds_unlinked

pytestmark = where(refunds_unlinked)


def test_exactly_what_was_asked_goes_to_the_card(world: ProcessorWorld) -> None:
    world.add_payment_method("method-1", PaymentMethodKind.CARD)
    outcome = world.processor.refund_unlinked(unlinked(), world.deadline())
    processor_refund = ended(world, outcome)
    assert processor_refund.status is ProcessorRefundStatus.SUCCEEDED
    assert (processor_refund.payment_id, processor_refund.payment_method) == ("", "method-1")
    assert (processor_refund.money, processor_refund.instruction_id) == (
        Money(2500, "sgd"),
        REFUND_ID,
    )
    assert world.moved(None) == [2500]


def test_a_bank_account_is_refused(world: ProcessorWorld) -> None:
    world.add_payment_method("method-1", PaymentMethodKind.BANK_ACCOUNT)
    outcome = world.processor.refund_unlinked(unlinked(), world.deadline())
    assert isinstance(outcome, Rejected)
    assert world.moved(None) == []


def test_what_money_cannot_go_to_is_refused(world: ProcessorWorld) -> None:
    outcome = world.processor.refund_unlinked(unlinked(method="method-9"), world.deadline())
    assert isinstance(outcome, Rejected)
    assert world.moved(None) == []


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_an_instruction_may_be_repeated_and_moves_money_once(
    world: ProcessorWorld, lost: str
) -> None:
    world.add_payment_method("method-1", PaymentMethodKind.CARD)
    world.lose_request() if lost == "request" else world.lose_reply()
    first = world.processor.refund_unlinked(unlinked(), world.deadline())
    assert isinstance(first, Unknown)
    found = world.processor.find_by_key(REFUND_ID, None, world.deadline())
    assert (found is None) == (lost == "request")
    again = world.processor.refund_unlinked(unlinked(repeated=True), world.deadline())
    assert isinstance(again, Accepted)
    assert world.moved(None) == [2500]


@pytest.mark.parametrize("variant", ["empty", "other_amount", "other_payment", "no_id"])
def test_a_reply_that_cannot_be_believed_is_unknown(world: ProcessorWorld, variant: str) -> None:
    world.add_payment_method("method-1", PaymentMethodKind.CARD)
    world.spoil_reply(variant)
    outcome = world.processor.refund_unlinked(unlinked(), world.deadline())
    assert isinstance(outcome, Unknown)
    assert world.moved(None) == [2500]


def test_a_connection_that_fails_has_moved_nothing(world: ProcessorWorld) -> None:
    world.add_payment_method("method-1", PaymentMethodKind.CARD)
    outcome = world.unreachable().refund_unlinked(unlinked(), world.deadline())
    assert isinstance(outcome, Aborted)
    assert world.moved(None) == []


def test_the_key_of_a_payments_refund_is_no_unlinked_refund(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_one(world)
    with pytest.raises(UnreadableAnswerError):
        world.processor.find_by_key(REFUND_ID, None, world.deadline())
