"""A refund that we are bound to is found by whatever look-up its processor offers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import LISTED_OTHERWISE, Ambiguous, Found
from refund_bridge.domain.instruction import Accepted, Instruction
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, unlinked_payment_key
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.ports.processor import (
    Dedupe,
    LookUp,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hitpay.adapter import HitPay
from refund_bridge.refunding.look_up import KnownRefunds, charge_of, look_for, processor_refund_of
from tests.contract.ledger.examples import a_refund, a_request
from tests.fakes.processor import FakeProcessor
from tests.fakes.processor_books import LISTED
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import World as Refunds


class World:
    """A payment with one refund, at a processor that can be asked in these ways."""

    def __init__(self, *looks_up: LookUp) -> None:
        self.clock = VirtualClock()
        capabilities = replace(HitPay.capabilities, looks_up=frozenset(looks_up))
        self.processor = FakeProcessor(self.clock, capabilities=capabilities)
        self.processor.add_charge("pay-1", Money(9999, "sgd"))
        instruction = Instruction(refund_id="rfd_1", payment_id="pay-1", money=Money(2500, "sgd"))
        outcome = self.processor.refund(instruction, self.clock.deadline())
        assert isinstance(outcome, Accepted)
        self.id = outcome.processor_refund.id

    def status(self) -> ProcessorRefundStatus | None:
        found = processor_refund_of(self.processor, self.id, "pay-1", self.clock.deadline())
        return None if found is None else found.status


@pytest.mark.parametrize("look_up", LookUp)
def test_it_is_followed_by_its_own_id_or_in_its_payment(look_up: LookUp) -> None:
    world = World(look_up)
    assert world.status() is ProcessorRefundStatus.SUCCEEDED
    world.processor.books.set_status(world.id, ProcessorRefundStatus.FAILED)
    assert world.status() is ProcessorRefundStatus.FAILED


@pytest.mark.parametrize("look_up", LookUp)
def test_one_that_is_not_shown_is_none(look_up: LookUp) -> None:
    world = World(look_up)
    world.id = "another"
    assert world.status() is None


def test_one_that_only_its_payment_lists_is_found_there() -> None:
    # Given a processor whose payments list refunds under ids that cannot be asked for
    world = World(*LookUp)
    world.processor.books.lists_other_ids = True
    world.id = f"{LISTED}{world.id}"
    assert world.status() is ProcessorRefundStatus.SUCCEEDED
    # And where they list nothing, it is not there
    world.processor.lists_refunds = False
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


class Untouchable(FakeProcessor):
    """A processor that can do this, and that nobody may ask."""

    def __init__(self, **can: Any) -> None:
        capabilities = replace(HitPay.capabilities, **can)
        super().__init__(VirtualClock(), capabilities=capabilities)

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        raise AssertionError("it cannot be asked for a payment")

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        raise AssertionError("it cannot be asked for a refund")


class TestNobodyIsAsked:
    """Where nothing can be shown, or there is no payment to show it in."""

    @pytest.mark.parametrize(
        ("looks_up", "payment_id"), [((), "pay-1"), ((LookUp.BY_PAYMENT,), None)]
    )
    def test_for_a_bound_processor_refund(
        self, looks_up: tuple[LookUp, ...], payment_id: str | None
    ) -> None:
        processor = Untouchable(looks_up=frozenset(looks_up))
        with pytest.raises(UnreadableAnswerError, match="shows no refunds"):
            processor_refund_of(processor, "m1", payment_id, VirtualClock().deadline())

    @pytest.mark.parametrize(
        ("can", "unlinked"),
        [
            ({"dedupes": Dedupe.NOT_AT_ALL}, False),
            ({"looks_up": frozenset({LookUp.BY_REFUND})}, False),
            ({}, True),
        ],
    )
    def test_for_an_instruction_without_an_outcome(
        self, can: dict[str, Any], unlinked: bool
    ) -> None:
        kind = ReferenceType.PAYMENT_METHOD if unlinked else ReferenceType.PAYMENT_RECORD
        refund = a_refund(request=a_request(reference_type=kind))
        verdict = look_for(
            Untouchable(**can),
            refund,
            KnownRefunds(claimed=lambda *_: {}, of_payment=tuple),
            VirtualClock().deadline(),
            learn=lambda _: None,
        )
        assert isinstance(verdict, Ambiguous)
        assert verdict.processor_refund_ids == ()


@pytest.mark.parametrize("owner", ["rfd_other", None])
def test_what_our_key_shows_is_not_ours_if_another_refund_has_it(owner: str | None) -> None:
    # Given an instruction that was executed, and a processor refund that may be claimed
    world = Refunds(doors=("hyperswitch",))
    world.pay()
    world.processor.fates.append(ReplyLost())
    refund = world.refund("k", amount=2500).refund
    (made,) = world.processor.moved_by(refund.id)
    claims = {} if owner is None else {made.id: owner}

    def claimed(_: str, ids: Sequence[str]) -> Mapping[str, str]:
        return {one: claims[one] for one in ids if one in claims}

    # When it is looked for
    known = KnownRefunds(claimed=claimed, of_payment=tuple)
    verdict = look_for(world.processor, refund, known, world.deadline(), learn=lambda _: None)
    # Then it is ours only if nobody else has it
    if owner is None:
        assert isinstance(verdict, Found)
    else:
        assert isinstance(verdict, Ambiguous)
        assert verdict.processor_refund_ids == (made.id,)


@pytest.mark.parametrize("names_instructions", [True, False])
def test_what_may_be_another_of_ours_by_another_id_is_a_persons_unless_it_shows_its_instruction(
    names_instructions: bool,
) -> None:
    # Given a refund that moved, and one of the same amount whose answer was lost
    world = Refunds()
    world.pay()
    world.refund("moved", amount=2500)
    moved = world.stored("moved")
    world.processor.books.names_instructions = names_instructions
    world.processor.fates.append(ReplyLost())
    refund = world.refund("lost", amount=2500).refund
    (made,) = world.processor.moved_by(refund.id)
    # When the first is not listed by its own id
    del world.processor.books.refunds[moved.processor_refund_id or ""]
    known = KnownRefunds(claimed=lambda *_: {}, of_payment=lambda: [moved])
    learnt: list[Charge] = []
    verdict = look_for(world.processor, refund, known, world.deadline(), learn=learnt.append)
    # Then what is listed is the second's only if it shows that
    expected = Found(made) if names_instructions else Ambiguous(LISTED_OTHERWISE, (made.id,))
    assert verdict == expected
    # And whoever wants to know of the payment has it
    assert learnt == [world.processor.charge("charge-1", world.deadline())]


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
        assert [one.money.amount for one in charge.processor_refunds or ()] == [2500, 1000]

    def test_what_is_not_done_yet_has_not_gone_back(self, world: Refunds) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("k", amount=2500)
        charge = self.shown(world)
        assert (charge.refunded, len(charge.processor_refunds or ())) == (0, 1)

    def test_what_stands_for_no_payment_is_not_asked_for(self) -> None:
        # Given a payment that only unlinked refunds have, at a processor that shows payments
        key = unlinked_payment_key("hitpay", "pr_1")
        payment = Payment(key=key, payment_record="pr_1", currency="sgd", captured=9999)
        # Then the processor is not asked for it
        shown = charge_of(Untouchable(), payment, (), VirtualClock().deadline())
        assert (shown.id, shown.processor_refunds) == (key.charge_id, ())

    def test_what_did_not_arrive_is_not_in_it(self, world: Refunds) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        assert self.shown(world).processor_refunds == ()

    def test_nor_is_what_cannot_be_asked_for(self, world: Refunds) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        world.processor.reads_keys = False
        assert self.shown(world).processor_refunds == ()

    def test_a_processor_that_is_away_is_no_empty_payment(self, world: Refunds) -> None:
        world.refund("k", amount=2500)
        world.processor.is_down = True
        with pytest.raises(ProviderUnavailableError):
            self.shown(world)
