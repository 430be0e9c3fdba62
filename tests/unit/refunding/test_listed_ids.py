"""A payment lists its refunds by other ids, or ours is not in the list yet: which are ours?"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.errors import RefundAmountExceededError
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.paid_world import HOUR, observe, paid_world, unreadable


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


class TestListedIds:
    """Ours are not taken for somebody else's, nor somebody else's for ours."""

    def test_ids_that_differ_between_list_and_answer_import_nothing(self, world: World) -> None:
        world.refund("ours", amount=4000)
        refund = world.processor.books.refunds.pop("hitpay-refund-1")
        refund.processor_refund = replace(refund.processor_refund, id="rf-list-1")
        world.processor.books.refunds["rf-list-1"] = refund
        observe(world)
        world.live_for(3 * HOUR)
        assert world.imported() == []
        assert world.at_stripe == 4000
        assert world.noted("ids_do_not_fit") != []

    def test_what_is_pending_under_ids_that_do_not_fit_counts_as_others(self, world: World) -> None:
        # Given our pending refund, which is gone, and one of its amount that is pending beside it
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        world.in_dashboard(4000)
        del world.processor.books.refunds["hitpay-refund-1"]
        # When more is asked for than both leave, then nothing is sent
        with pytest.raises(RefundAmountExceededError):
            world.refund("more", amount=4000)

    def test_nothing_is_imported_while_the_index_of_refunds_is_behind(self, world: World) -> None:
        # Given our refund, listed under another id, which the index does not show yet
        world.refund("ours", amount=4000)
        world.processor.books.lists_other_ids = True
        every_refund = world.learn.every_refund
        object.__setattr__(world.learn, "every_refund", lambda _: [])
        observe(world)
        # Then nothing is taken for somebody else's, and nobody is alarmed
        assert world.imported() == []
        assert world.noted("ids_do_not_fit") == []
        object.__setattr__(world.learn, "every_refund", every_refund)
        observe(world)
        assert world.noted("ids_do_not_fit") != []

    def test_the_index_of_refunds_is_asked_once_for_a_payment_that_does_not_list_ours_yet(
        self, world: World
    ) -> None:
        # Given our refund, which the payment does not list yet
        stale = world.processor.charge("charge-1", world.deadline())
        world.refund("ours", amount=4000)
        every_refund, asked = world.learn.every_refund, list[str]()

        def read(*_: object) -> Charge:
            asked.append("processor")
            return stale

        def listed(key: PaymentKey) -> Sequence[Refund]:
            asked.append("index")
            return every_refund(key)

        world.processor.charge = read  # type: ignore[method-assign, assignment]
        object.__setattr__(world.learn, "every_refund", listed)
        # When the next one reads the payment
        world.refund("more", amount=1000)
        # Then both were asked once
        assert asked == ["processor", "index"]

    def test_a_failed_refund_that_cannot_be_asked_for_keeps_nothing_from_being_told(
        self, world: World
    ) -> None:
        # Given a refund that failed, and a colleague's of its amount, listed by ids of another kind
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.refund("failed", amount=2500)
        world.live_for(HOUR // 2)
        world.processor.books.conduct = Conduct()
        world.processor.books.lists_other_ids = True
        world.in_dashboard(2500)
        # When no answer about the failed one can be read
        world.processor.processor_refund = unreadable  # type: ignore[method-assign, assignment]
        observe(world)
        # Then the colleague's is imported all the same
        assert [one.amount for one in world.imported()] == [2500]

    def test_what_another_of_ours_moved_is_not_found_to_be_the_next_ones(
        self, world: World
    ) -> None:
        # Given a refund that moved, and one of the same amount whose instruction was lost
        world.refund("moved", amount=2500)
        world.processor.fates.append(RequestLost())
        lost = world.refund("lost", amount=2500).refund
        # When the payment lists the first one by another id
        world.processor.books.lists_other_ids = True
        world.live_for(HOUR)
        # Then nobody takes it for the second one's: a person decides, and Stripe shows one
        assert world.stored("lost").state is State.REVIEW
        assert world.noted("refund_needs_review")[0]["refund_id"] == lost.id
        assert world.at_stripe == world.at_processor == 2500

    def test_one_of_the_same_amount_that_the_payment_lists_as_it_was_answered_confuses_nobody(
        self, world: World
    ) -> None:
        # Given a refund that moved, and one of the same amount whose answer was lost
        world.refund("moved", amount=2500)
        world.processor.fates.append(ReplyLost())
        world.refund("lost", amount=2500)
        # When the index of refunds does not show the first one yet
        every_refund, asked = world.learn.every_refund, count(1)

        def late(key: PaymentKey) -> Sequence[Refund]:
            return [] if next(asked) == 1 else every_refund(key)

        object.__setattr__(world.learn, "every_refund", late)
        world.live_for(STEP_MS)
        assert world.stored("lost").state is State.UNKNOWN
        world.live_for(HOUR)
        # Then the second one is found as soon as it does
        assert world.stored("lost").state is State.SUCCEEDED
        assert world.at_stripe == world.at_processor == 5000
