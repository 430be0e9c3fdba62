"""An instruction by key is sent again only for what the processor itself shows as left."""

from collections.abc import Callable

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.settling.settling import Settled
from tests.fakes.processor_fates import Conduct, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.paid_world import HOUR, LISTS, moved_and_lost, paid_world


class TestSentAgain:
    """An instruction was lost, and others refund meanwhile."""

    def test_an_instruction_is_not_handed_over_again_for_more_than_is_left(self) -> None:
        # Given an instruction by key that was lost, and a colleague who refunds most of the payment
        world = paid_world("hyperswitch")
        world.processor.books.checks_amounts = False
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.in_dashboard(8000)
        # When settling would hand it over again
        world.live_for(3 * HOUR)
        # Then it does not, as the payment shows that less is left
        assert world.noted("guard_tripped") != []
        assert world.at_processor == 8000
        world.live_for(26 * HOUR, every_ms=5 * STEP_MS)
        assert world.stored("ours").state is State.REVIEW

    def test_an_instruction_is_not_handed_over_again_beside_what_is_on_its_way(self) -> None:
        # Given an instruction by key that was lost, and a colleague's refund that is pending
        world = paid_world("hyperswitch")
        world.processor.books.checks_amounts = False
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        moved = world.in_dashboard(8000)
        world.processor.books.conduct = Conduct()
        # When settling would hand it over again, then it does not
        world.live_for(3 * HOUR)
        assert world.noted("guard_tripped") != []
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.SUCCEEDED)
        assert world.at_processor == 8000

    def test_an_instruction_is_not_handed_over_again_for_what_may_move_once_more(self) -> None:
        # Given an instruction by key that was lost, and a refund that Stripe was told of
        world = paid_world("hyperswitch")
        world.processor.books.checks_amounts = False
        told = world.refund("told", amount=6000).refund
        world.report(told.id)
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        # When the processor takes that one back, and a colleague refunds a little
        world.processor.books.set_status(
            told.processor_refund_id or "", ProcessorRefundStatus.FAILED
        )
        world.in_dashboard(1000)
        world.live_for(3 * HOUR)
        # Then what came back is not spent: Stripe shows it as refunded still
        assert world.noted("guard_tripped") != []
        assert world.at_processor == 1000

    @LISTS
    def test_nor_for_what_is_known_to_have_come_back(self, lists: Callable[[World], None]) -> None:
        # Given a refund that Stripe was told of and that came back, and one that was lost
        world = paid_world("hyperswitch")
        world.processor.books.checks_amounts = False
        told = world.refund("told", amount=6000).refund
        world.report(told.id)
        world.processor.books.set_status(
            told.processor_refund_id or "", ProcessorRefundStatus.FAILED
        )
        world.observe(PaymentKey("hyperswitch", "charge-1"), world.deadline())
        assert world.payment().taken_back == 6000
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        # When a colleague refunds a little
        lists(world)
        world.in_dashboard(1000)
        world.live_for(3 * HOUR)
        # Then what came back is not spent
        assert world.noted("guard_tripped") != []
        assert world.at_processor == 1000

    @pytest.mark.parametrize(
        ("reserved", "theirs"), [(5000, 2000), (1, 6000)], ids=["much", "the smallest amount"]
    )
    def test_an_instruction_is_not_handed_over_again_for_what_another_may_move_yet(
        self, reserved: int, theirs: int
    ) -> None:
        # Given a refund that is pending and listed no more, and an instruction by key that was lost
        world = paid_world("hyperswitch")
        world.processor.books.checks_amounts = False
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        pending = world.refund("pending", amount=reserved).refund.processor_refund_id or ""
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        # When a colleague refunds a part of what the two reserve, or leaves just the lost one's
        world.in_dashboard(theirs)
        world.processor.books.refunds.pop(pending)
        world.live_for(3 * HOUR)
        # Then it is not repeated, for the pending one may move
        assert world.noted("guard_tripped") != []
        assert world.at_processor == theirs

    @LISTS
    def test_nor_for_what_a_scheduled_one_waits_to_move(
        self, lists: Callable[[World], None]
    ) -> None:
        # Given an instruction by key that was lost, between one that moved and one that waits
        world = paid_world("hyperswitch")
        moved_and_lost(world, 3000)
        world.refund("waits", amount=3000, refund_type=RefundType.SCHEDULED)
        lists(world)
        # When a colleague refunds a part of what they reserve
        world.in_dashboard(2000)
        world.live_for(3 * HOUR)
        # Then it is not repeated, for the scheduled one may move
        assert world.noted("guard_tripped") != []
        assert world.at_processor == 5000

    @LISTS
    def test_what_the_payment_shows_of_ours_counts_once(
        self, lists: Callable[[World], None]
    ) -> None:
        world = paid_world("hyperswitch")
        moved_and_lost(world, 6000)
        lists(world)
        world.live_for(3 * HOUR)
        assert world.noted("guard_tripped") == []
        assert world.at_processor == 10000

    def test_an_instruction_is_handed_over_again_for_what_is_left(self) -> None:
        world = paid_world("hyperswitch")
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.in_dashboard(6000)
        world.live_for(3 * HOUR)
        assert world.at_processor == world.at_stripe == 10000

    def test_what_others_refunded_and_is_imported_counts_once(self) -> None:
        # Given a colleague's refund that the ledger knows, and a lost one of all that is left
        world = paid_world("hyperswitch")
        world.in_dashboard(6000)
        world.observe(PaymentKey("hyperswitch", "charge-1"), world.deadline())
        world.refund("first", amount=1)
        assert [one.amount for one in world.imported()] == [6000]
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=3999)
        # When settling looks, then it is handed over again
        world.live_for(3 * HOUR)
        assert world.noted("guard_tripped") == []
        assert world.at_processor == 10000

    def test_before_it_is_sent_again_news_of_another_refund_is_written(self) -> None:
        # Given a pending refund that has succeeded, and one whose instruction was lost
        world = paid_world("hyperswitch")
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        pending = world.refund("beside", amount=1000).refund.processor_refund_id or ""
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(RequestLost())
        refund = world.refund("ours", amount=4000).refund
        world.settle(refund.id, world.deadline())
        world.processor.books.set_status(pending, ProcessorRefundStatus.SUCCEEDED)
        # When settling would send it again, then it writes that first
        world.clock.advance(STEP_MS)
        assert world.settle(refund.id, world.deadline()) is Settled.HELD
        assert world.stored("beside").state is State.SUCCEEDED
        assert len(world.processor.instructions) == 2
        # And sends it the next time
        world.live_for(HOUR)
        assert world.stored("ours").state is State.SUCCEEDED
        assert len(world.processor.instructions) == 3
