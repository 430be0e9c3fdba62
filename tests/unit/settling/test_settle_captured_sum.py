"""What Stripe shows as captured disagrees with the processor for a while."""

from itertools import count

import pytest

from refund_bridge.domain.money import Money
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.paid_world import DAY, HOUR, paid_world


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


class TestACapturedSumThatIsOff:
    """A scheduled refund meets it."""

    def test_one_that_is_off_for_good_cancels_it_though_stripe_fails_now_and_then(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a scheduled refund, another captured sum, and one read in twelve without an answer
        world.refund("ours", amount=4000, refund_type=RefundType.SCHEDULED)
        record = world.stripe.books.records["pr_1"]
        record.guaranteed = record.requested = 9000
        reads, read = count(1), world.stripe.payment_record

        def flaky(record_id: str, deadline: Deadline) -> PaymentRecord:
            if next(reads) % 12 == 0:
                raise ProviderUnavailableError("503")
            return read(record_id, deadline)

        monkeypatch.setattr(world.stripe, "payment_record", flaky)
        # When a day and more has passed, then it is canceled
        world.live_for(2 * DAY, every_ms=10 * STEP_MS)
        assert world.stored("ours").state is State.FAILED

    def test_only_the_same_disagreement_of_a_whole_day_cancels(self, world: World) -> None:
        # Given a scheduled refund that meets one refusal for twenty hours
        world.refund("ours", amount=4000, refund_type=RefundType.SCHEDULED)
        record = world.stripe.books.records["pr_1"]
        record.guaranteed = record.requested = 9000
        world.live_for(20 * HOUR, every_ms=10 * STEP_MS)
        # When it meets another one for twenty hours more
        record.guaranteed = record.requested = 10000
        world.processor.books.charges["charge-1"].money = Money(10000, "usd")
        world.live_for(20 * HOUR, every_ms=10 * STEP_MS)
        # Then it waits still
        assert world.stored("ours").state is State.REQUESTED

    def test_a_scheduled_refund_waits_and_is_executed(self, world: World) -> None:
        # Given a scheduled refund
        world.refund("ours", amount=4000, refund_type=RefundType.SCHEDULED)
        record = world.stripe.books.records["pr_1"]
        # When Stripe shows another captured sum for three minutes, while its turn comes
        record.guaranteed = record.requested = 9000
        world.live_for(3 * STEP_MS)
        assert world.stored("ours").state is State.REQUESTED
        record.guaranteed = record.requested = 10000
        world.live_for(HOUR)
        # Then it is executed
        assert world.stored("ours").state is State.SUCCEEDED
        assert world.at_stripe == world.at_processor == 4000
