"""What was refunded in the processor's dashboard counts once, and Stripe hears of it once."""

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
        assert len(world.ledger.processor_refunds) == 96

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

    def test_one_that_is_listed_late_is_told(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 3000)
        world.processor.lists_refunds = False
        world.clock.advance(STEP_MS)
        world.refund("first", amount=300)
        world.processor.lists_refunds = True
        world.observe(world.payment().key, world.deadline())
        world.live_for(20 * STEP_MS)
        assert world.at_stripe == 3300
        assert world.payment().refundable == 9999 - 3300
