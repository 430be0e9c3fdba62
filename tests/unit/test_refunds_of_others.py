"""What was refunded in the processor's dashboard counts once, and Stripe hears of it once."""

from refunds.ports import (
    MovementStatus,
)
from refunds.state_machine import ReportState, State
from tests.fakes.processor_fates import (
    Conduct,
)
from tests.fakes.world import STEP_MS, World


class TestRefundsOfOthers:
    """What was refunded in the processor's dashboard counts, once."""

    def test_before_the_payment_was_first_seen(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 2500)
        answer = world.refund("rest")
        assert answer.refund.amount == 7499
        assert world.payment().moved == 9999
        assert world.payment().refundable == 0

    def test_between_two_of_ours(self, world: World) -> None:
        world.refund("one", amount=1000)
        world.processor.refund_in_dashboard("charge-1", 2500)
        answer = world.refund("rest")
        assert answer.refund.amount == 9999 - 1000 - 2500
        assert answer.refund.snapshot == ()

    def test_shown_only_as_a_sum(self, world: World) -> None:
        world.processor.lists_refunds = False
        world.refund("one", amount=1000)
        world.processor.refund_in_dashboard("charge-1", 2500)
        answer = world.refund("rest")
        assert answer.refund.amount == 9999 - 1000 - 2500
        assert world.payment().foreign == 2500

    def test_too_many_for_one_transaction(self, world: World) -> None:
        for _ in range(95):
            world.processor.refund_in_dashboard("charge-1", 100)
        assert world.refund("rest").refund.amount == 9999 - 9500
        assert len(world.ledger.movements) == 96

    def test_one_that_was_first_seen_as_a_sum_is_not_counted_again_when_it_is_listed(
        self, world: World
    ) -> None:
        # Given a refund in the dashboard that at first shows in the sum only
        world.refund("first", amount=300)
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.lists_refunds = False
        world.refund("second", amount=300)
        assert world.payment().refundable == 9999 - 600 - 3000
        # When it is listed
        world.processor.lists_refunds = True
        world.observe(world.payment().key, world.deadline())
        # Then it is held once
        assert world.payment().refundable == 9999 - 600 - 3000

    def test_one_from_before_us_is_not_reported_when_it_is_listed_late(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.lists_refunds = False
        world.clock.advance(STEP_MS)
        world.refund("first", amount=300)
        world.processor.lists_refunds = True
        world.observe(world.payment().key, world.deadline())
        (imported,) = [r for r in world.ledger.refunds.values() if r.source == "processor"]
        assert imported.report.state is ReportState.NOT_DUE
        assert world.payment().refundable == 9999 - 3300

    def test_one_that_was_pending_when_we_came_is_not_reported_when_it_ends(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.books.conduct = Conduct()
        world.refund("first", amount=300)
        (imported,) = [r for r in world.ledger.refunds.values() if r.source == "processor"]
        assert imported.processor_refund_id is not None
        world.processor.books.set_status(imported.processor_refund_id, MovementStatus.SUCCEEDED)
        world.settle_for(5 * STEP_MS)
        settled = world.ledger.refunds[imported.id]
        assert (settled.state, settled.report.state) == (State.SUCCEEDED, ReportState.NOT_DUE)
