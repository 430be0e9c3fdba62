"""A refund that we are bound to is found by whatever look-up its processor offers."""

from dataclasses import replace

import pytest

from refunds.look_up import charge_of, movement_of
from refunds.money import Money
from refunds.ports import (
    Accepted,
    Charge,
    LookUp,
    MovementStatus,
    ProviderUnavailableError,
    RefundOrder,
    UnreadableAnswerError,
)
from refunds.processors.hitpay import HitPay
from tests.fakes.processor import FakeProcessor
from tests.fakes.processor_fates import ReplyLost, RequestLost
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import World as Refunds


class World:
    """A payment with one refund, at a processor that can be asked in these ways."""

    def __init__(self, *looks_up: LookUp) -> None:
        self.clock = VirtualClock()
        capabilities = replace(HitPay.capabilities, looks_up=frozenset(looks_up))
        self.processor = FakeProcessor(self.clock, capabilities=capabilities)
        self.processor.add_charge("pay-1", Money(9999, "sgd"))
        order = RefundOrder(refund_id="rfd_1", payment_id="pay-1", money=Money(2500, "sgd"))
        outcome = self.processor.refund(order, self.clock.deadline())
        assert isinstance(outcome, Accepted)
        self.id = outcome.movement.id

    def status(self) -> MovementStatus | None:
        found = movement_of(self.processor, self.id, "pay-1", self.clock.deadline())
        return None if found is None else found.status


@pytest.mark.parametrize("look_up", LookUp)
def test_it_is_followed_by_its_own_id_or_in_its_payment(look_up: LookUp) -> None:
    world = World(look_up)
    assert world.status() is MovementStatus.SUCCEEDED
    world.processor.books.set_status(world.id, MovementStatus.FAILED)
    assert world.status() is MovementStatus.FAILED


@pytest.mark.parametrize("look_up", LookUp)
def test_one_that_is_not_shown_is_none(look_up: LookUp) -> None:
    world = World(look_up)
    world.id = "another"
    assert world.status() is None


def test_a_payment_that_is_not_shown_shows_none() -> None:
    world = World(LookUp.BY_PAYMENT)
    world.processor.books.charges.clear()
    assert world.status() is None


def test_a_payment_that_lists_nothing_says_nothing_of_it() -> None:
    world = World(LookUp.BY_PAYMENT)
    world.processor.lists_refunds = False
    with pytest.raises(UnreadableAnswerError):
        world.status()


@pytest.mark.parametrize("look_up", LookUp)
def test_a_processor_that_is_down_says_nothing_of_it(look_up: LookUp) -> None:
    world = World(look_up)
    world.processor.is_down = True
    with pytest.raises(ProviderUnavailableError):
        world.status()


class TestCharge:
    """A payment as its processor shows it, or as what it shows of our refunds makes it."""

    @pytest.fixture
    def world(self) -> Refunds:
        made = Refunds(doors=("ccg",))
        made.pay()
        return made

    def shown(self, world: Refunds) -> Charge:
        refunds = list(world.ledger.refunds.values())
        return charge_of(world.processor, world.payment(), refunds, world.deadline())

    def test_where_payments_are_shown_it_is_the_payment(self) -> None:
        world = Refunds()
        world.pay()
        world.refund("k", amount=2500)
        assert self.shown(world) == world.processor.charge("charge-1", world.deadline())

    def test_where_not_it_is_made_of_our_refunds(self, world: Refunds) -> None:
        # Given one refund that succeeded and one whose answer was lost
        world.refund("k1", amount=2500)
        world.processor.fates.append(ReplyLost())
        world.refund("k2", amount=1000)
        # Then both are found, the second by its key
        charge = self.shown(world)
        assert (charge.money, charge.refunded) == (Money(9999, "sgd"), 3500)
        assert [one.money.amount for one in charge.movements or ()] == [2500, 1000]

    def test_what_did_not_arrive_is_not_in_it(self, world: Refunds) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        assert self.shown(world).movements == ()

    def test_nor_is_what_cannot_be_asked_for(self, world: Refunds) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.reads_keys = False
        assert self.shown(world).movements == ()

    def test_a_processor_that_is_away_is_no_empty_payment(self, world: Refunds) -> None:
        world.refund("k", amount=2500)
        world.processor.is_down = True
        with pytest.raises(ProviderUnavailableError):
            self.shown(world)
