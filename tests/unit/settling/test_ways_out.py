"""No state is without a way out: each refund comes to an end, or to a person."""

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.state_machine import State
from refundctl.deciding.resolve import ItFailed, ResolveRefund
from tests.fakes.processor_fates import Conduct, ExecutedLate, ReplyLost, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.paid_world import DAY, HOUR, paid_world, resolve_of, unreadable


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


@pytest.fixture
def resolve(world: World) -> ResolveRefund:
    return resolve_of(world)


class TestAPaymentThatCannotBeRead:
    """A charge that contradicts itself for good, or for a while."""

    def test_an_unknown_refund_goes_to_a_person_who_can_close_it(
        self, world: World, resolve: ResolveRefund
    ) -> None:
        # Given our instruction, whose answer is lost, and a charge that contradicts itself from
        # then on
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        # When the hold is over
        world.live_for(27 * HOUR, every_ms=5 * STEP_MS)
        # Then a person decides
        refund = world.stored("ours")
        assert refund.state is State.REVIEW
        failed = ItFailed("seen in its dashboard", despite_evidence=True)
        agreed = resolve.weigh(refund.id, failed, world.deadline())
        resolve.carry_out(refund.id, failed, agreed, world.deadline())
        assert world.stored("ours").state is State.FAILED
        assert world.payment().refundable == 10000

    def test_one_odd_answer_is_no_reason_for_a_person(self, world: World) -> None:
        world.processor.fates.append(ExecutedLate(2 * HOUR))
        world.refund("ours", amount=4000)
        charge = world.processor.charge
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        world.live_for(HOUR)
        world.processor.charge = charge  # type: ignore[method-assign]
        world.live_for(3 * HOUR)
        assert world.stored("ours").state is State.SUCCEEDED


class TestAnotherAccount:
    """An instruction is not looked for where it was not sent."""

    def test_an_unknown_refund_is_neither_found_nor_repeated_there(self) -> None:
        world = paid_world("hyperswitch")
        world.processor.fates.append(ExecutedLate(HOUR))
        world.refund("ours", amount=4000)
        # When another account is set up meanwhile
        world.accounts["hyperswitch"] = "account-2"
        world.live_for(27 * HOUR, every_ms=5 * STEP_MS)
        # Then a person decides, although this account shows a refund under our key
        assert world.stored("ours").state is State.REVIEW
        assert len(world.processor.instructions) == 1
        told = {"refund_id": world.stored("ours").id, "processor": "hyperswitch"}
        assert world.noted("sent_to_another_account")[0] == told


class TestPendingForEver:
    """It is pending at the processor, or gone there."""

    def test_one_whose_processor_refund_is_gone_goes_to_a_person(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        del world.processor.books.refunds["hitpay-refund-1"]
        world.live_for(26 * HOUR)
        assert world.stored("ours").state is State.REVIEW

    def test_one_that_stays_pending_goes_to_a_person(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        world.live_for(31 * DAY, every_ms=HOUR)
        assert world.stored("ours").state is State.REVIEW


def test_a_lost_reply_and_its_refund_are_one(world: World) -> None:
    world.processor.fates.append(ReplyLost())
    world.refund("ours", amount=2500)
    world.live_for(HOUR)
    assert world.at_stripe == world.at_processor == 2500
