"""The promises of ``Processor``'s look-ups: what they show, and what they admit not to know."""

import pytest

from refund_bridge.domain.charge import ChargeStatus, ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import ChargeNotFoundError, ProviderUnavailableError
from refund_bridge.refunding.look_up import processor_refund_of
from tests.contract.processor.instructions import (
    OTHER_REFUND_ID,
    PAID,
    ended,
    instruction,
    refund_one,
)
from tests.contract.processor.selection import where
from tests.contract.processor.worlds import ProcessorWorld
from tests.fakes.abilities import shows_payments, shows_refunds


@where(shows_payments)
def test_an_untouched_charge_lists_no_refunds(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    charge = world.processor.charge("pay-1", world.deadline())
    assert (charge.id, charge.money, charge.refunded) == ("pay-1", PAID, 0)
    assert charge.status is ChargeStatus.REFUNDABLE
    assert charge.processor_refunds == ()
    # It is a card's, of which most processors say how long a refund travels.
    assert (charge.arrival is not None) == world.traits.says_method


@where(shows_payments)
def test_a_charge_shows_its_refunds_whoever_made_them(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    ours = refund_one(world).id
    theirs = world.refund_in_dashboard("pay-1", Money(1000, "sgd"))
    charge = world.processor.charge("pay-1", world.deadline())
    assert charge.status is ChargeStatus.REFUNDABLE
    assert charge.refunded == 3500
    assert charge.processor_refunds is not None
    shown = {item.id: item.money.amount for item in charge.processor_refunds}
    assert shown == {ours: 2500, theirs: 1000}


@where(shows_payments)
def test_a_charge_that_was_refunded_in_full_is_refunded(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_one(world, 9999)
    charge = world.processor.charge("pay-1", world.deadline())
    assert (charge.status, charge.refunded) == (ChargeStatus.REFUNDED, 9999)


@where(shows_payments)
@pytest.mark.parametrize("status", ["pending", "failed", "void"])
def test_a_charge_that_was_never_captured_is_not_refundable(
    world: ProcessorWorld, status: str
) -> None:
    world.add_charge("pay-1", PAID, status=status)
    charge = world.processor.charge("pay-1", world.deadline())
    assert charge.status is ChargeStatus.NOT_REFUNDABLE
    assert charge.processor_status == world.status_word(status)


@where(shows_payments)
def test_a_refund_of_unknown_outcome_is_found_on_the_charge(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.lose_reply()
    world.processor.refund(instruction(), world.deadline())
    charge = world.processor.charge("pay-1", world.deadline())
    assert charge.processor_refunds is not None
    (processor_refund,) = charge.processor_refunds
    assert (processor_refund.money, processor_refund.payment_id) == (Money(2500, "sgd"), "pay-1")
    assert processor_refund.created_at_ms is not None


@where(shows_payments)
def test_a_late_refund_is_found_on_the_charge(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.execute_late()
    world.processor.refund(instruction(), world.deadline())
    world.wait_for_late()
    assert world.processor.charge("pay-1", world.deadline()).refunded == 2500


@where(shows_payments)
def test_a_charge_may_lag_behind_what_was_executed(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.hide_refunds()
    refund_one(world)
    charge = world.processor.charge("pay-1", world.deadline())
    assert (charge.refunded, charge.processor_refunds) == (0, ())
    assert world.moved("pay-1") == [2500]
    world.show_refunds()
    assert world.processor.charge("pay-1", world.deadline()).refunded == 2500


@where(shows_refunds)
def test_a_refund_may_not_yet_be_shown(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.hide_refunds()
    refund_id = refund_one(world).id
    assert world.processor.processor_refund(refund_id, world.deadline()) is None
    world.show_refunds()
    assert world.processor.processor_refund(refund_id, world.deadline()) is not None


@pytest.mark.parametrize(
    "world", ["hitpay in memory", "hitpay simulated", "hedge simulated"], indirect=True
)
def test_a_charge_that_lists_nothing_does_not_pretend_to(world: ProcessorWorld) -> None:
    # Given one of the processors whose documents leave open whether a payment lists its refunds
    world.add_charge("pay-1", PAID)
    refund_one(world)
    world.list_no_refunds()

    # When it does not, then that is said, and how much was refunded in all is known
    charge = world.processor.charge("pay-1", world.deadline())
    assert (charge.refunded, charge.processor_refunds) == (2500, None)


@pytest.mark.parametrize("end", [ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.FAILED])
def test_a_pending_refund_comes_to_an_end(
    world: ProcessorWorld, end: ProcessorRefundStatus
) -> None:
    world.add_charge("pay-1", PAID, comes_back="pending")
    outcome = world.processor.refund(instruction(), world.deadline())
    processor_refund = ended(world, outcome)
    assert processor_refund.status is ProcessorRefundStatus.PENDING
    assert processor_refund.refunded_at_ms is None
    world.set_status(processor_refund.id, end)
    processor_refund = ended(world, outcome)
    assert processor_refund.status is end
    is_told = end is ProcessorRefundStatus.SUCCEEDED and world.traits.says_when_moved
    assert (processor_refund.refunded_at_ms is not None) == is_told


def test_a_pending_refund_takes_from_what_remains(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID, comes_back="pending")
    refund_one(world, 9000)
    more = instruction(1000, refund_id=OTHER_REFUND_ID)
    assert not isinstance(world.processor.refund(more, world.deadline()), Accepted)


def test_a_refund_that_comes_back_is_failed_from_then_on(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_id = refund_one(world).id
    world.set_status(refund_id, ProcessorRefundStatus.FAILED)
    processor_refund = processor_refund_of(world.processor, refund_id, "pay-1", world.deadline())
    assert processor_refund is not None
    assert processor_refund.status is ProcessorRefundStatus.FAILED


@where(shows_payments)
def test_a_refund_that_comes_back_is_refunded_no_more(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.set_status(refund_one(world).id, ProcessorRefundStatus.FAILED)
    charge = world.processor.charge("pay-1", world.deadline())
    assert charge.refunded == 0
    assert charge.processor_refunds is not None
    assert [item.status for item in charge.processor_refunds] == [ProcessorRefundStatus.FAILED]


@where(shows_payments)
def test_a_charge_that_does_not_exist_is_said_not_to(world: ProcessorWorld) -> None:
    with pytest.raises(ChargeNotFoundError):
        world.processor.charge("pay-9", world.deadline())


def test_nothing_else_that_does_not_exist_is_found(world: ProcessorWorld) -> None:
    with pytest.raises(ChargeNotFoundError):
        world.processor.charge_id_of("req-9", world.deadline())
    assert processor_refund_of(world.processor, "ref-9", "pay-9", world.deadline()) is None


@pytest.mark.parametrize("world", ["hitpay in memory", "hitpay simulated"], indirect=True)
def test_a_payment_request_leads_to_its_one_succeeded_payment(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID, status="failed")
    world.add_charge("pay-2", PAID)
    world.add_charge("pay-3", PAID)
    world.add_payment_request("one", ["pay-1", "pay-2"])
    world.add_payment_request("none", ["pay-1"])
    world.add_payment_request("two", ["pay-2", "pay-3"])
    assert world.processor.charge_id_of("one", world.deadline()) == "pay-2"
    for name in ("none", "two"):
        with pytest.raises(ChargeNotFoundError):
            world.processor.charge_id_of(name, world.deadline())


def test_a_processor_that_is_down_says_nothing_about_its_refunds(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_id = refund_one(world).id
    world.fail_look_ups()
    with pytest.raises(ProviderUnavailableError):
        processor_refund_of(world.processor, refund_id, "pay-1", world.deadline())


@where(shows_payments)
def test_a_processor_that_is_down_says_nothing_about_its_charges(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    world.fail_look_ups()
    with pytest.raises(ProviderUnavailableError):
        world.processor.charge("pay-1", world.deadline())
