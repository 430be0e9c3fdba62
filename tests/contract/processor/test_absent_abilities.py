"""What a processor cannot do: the adapter says so and asks nobody; nothing follows from it."""

import pytest

from refund_bridge.domain.instruction import Rejected
from refund_bridge.ports.processor import UnreadableAnswerError
from tests.contract.processor.instructions import PAID, REFUND_ID, refund_one, unlinked
from tests.contract.processor.selection import ADAPTERS, unless
from tests.contract.processor.worlds import ProcessorWorld
from tests.fakes.abilities import (
    keeps_keys,
    lists_payments,
    refunds_unlinked,
    shows_payments,
    shows_refunds,
)


@unless(shows_payments)
def test_payments_that_are_not_shown_cannot_be_read(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    with pytest.raises(UnreadableAnswerError):
        world.processor.charge("pay-1", world.deadline())


@unless(shows_refunds)
def test_refunds_that_are_shown_only_in_payments_cannot_be_read(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_id = refund_one(world).id
    with pytest.raises(UnreadableAnswerError):
        world.processor.processor_refund(refund_id, world.deadline())


@unless(keeps_keys)
def test_keys_that_are_not_kept_cannot_be_asked_for(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    refund_one(world)
    with pytest.raises(UnreadableAnswerError):
        world.processor.find_by_key(REFUND_ID, "pay-1", world.deadline())


@unless(lists_payments)
def test_payments_that_are_not_listed_cannot_be_walked_through(world: ProcessorWorld) -> None:
    world.add_charge("pay-1", PAID)
    with pytest.raises(UnreadableAnswerError):
        world.processor.charges(None, world.deadline())


@unless(refunds_unlinked)
def test_no_money_goes_where_there_is_no_payment(world: ProcessorWorld) -> None:
    outcome = world.processor.refund_unlinked(unlinked(), world.deadline())
    assert isinstance(outcome, Rejected)
    assert world.asked() == 0


def test_every_processor_refunds_parts_and_may_keep_one_waiting(world: ProcessorWorld) -> None:
    # What all of them can do needs no other branch; this fails when one comes that cannot.
    can = world.processor.capabilities
    assert (can.partial, can.repeated_partial, can.may_be_pending) == (True, True, True)


def test_a_world_has_the_capabilities_of_its_adapter(world: ProcessorWorld) -> None:
    processor = world.processor
    assert processor.capabilities == ADAPTERS[processor.name].capabilities
