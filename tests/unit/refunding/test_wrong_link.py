"""A mistake in metadata can be mended, as long as no money moved under it."""

import pytest

from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import State
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.fakes.processor_fates import Answered
from tests.fakes.world import World
from tests.unit.refunding.paid_world import paid_world


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


class TestAWrongLink:
    """Money was asked for under it, and none moved."""

    def test_a_rejected_refund_binds_nothing(self, world: World) -> None:
        world.processor.add_charge("charge-wrong", Money(10000, "sgd"))
        record = world.stripe.books.records["pr_1"]
        right = dict(record.metadata)
        record.metadata = {"hitpay_payment_id": "charge-wrong"}
        world.processor.fates.append(Answered(403, "The charge is not yours."))
        world.refund("first", amount=5000)
        assert world.stored("first").state is State.REJECTED
        # When the metadata are mended
        record.metadata = right
        done = world.refund("second", amount=5000)
        assert done.refund.state is State.SUCCEEDED
        assert done.refund.processor_payment_id == "charge-1"
        # And the record is linked to that payment alone
        records = (world.payment("1").payment_record, world.payment("wrong").payment_record)
        assert records == ("pr_1", None)

    def test_the_right_payment_is_read_though_none_usually_is(self) -> None:
        # Given a stage that reads no charges, a wrong link, and a dashboard refund of the right one
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        world.processor.add_charge("charge-wrong", Money(9999, "sgd"))
        record = world.stripe.books.records["pr_1"]
        right = dict(record.metadata)
        record.metadata = {"hitpay_payment_id": "charge-wrong"}
        world.processor.fates.append(Answered(403, "The charge is not yours."))
        world.refund("first", amount=5000)
        world.in_dashboard(1000)
        # When the metadata are mended and the rest is refunded
        record.metadata = right
        done = world.refund("second")
        # Then what others refunded counts
        assert done.refund.amount == 8999
