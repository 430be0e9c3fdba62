"""Nothing is sent for more than the processor itself shows as left."""

from dataclasses import replace
from itertools import count

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.errors import ProcessorUnavailableError, RefundAmountExceededError
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import ChargeNotFoundError, ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding import learn_from_charge as learn
from refund_bridge.refunding.execute import asks_for_more
from tests.fakes.world import World
from tests.unit.refunding.paid_world import paid_world


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


class TestTheGuard:
    """Never more than the processor itself showed as left."""

    def test_a_ledger_that_holds_too_little_sends_nothing(self, world: World) -> None:
        world.processor.lists_refunds = False
        world.in_dashboard(8000)
        with pytest.raises(RefundAmountExceededError):
            world.refund("ours", amount=4000)
        assert world.at_processor == 8000

    def test_a_sum_that_falls_frees_what_it_held(self, world: World) -> None:
        world.processor.lists_refunds = False
        moved = world.in_dashboard(8000)
        world.refund("one", amount=1000)
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.FAILED)
        assert world.refund("two", amount=9000).refund.state is State.SUCCEEDED

    def test_what_the_ledger_has_not_learnt_is_held_by_it_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a ledger that learns nothing of what others made
        monkeypatch.setattr(learn, "with_sums", lambda payment, *_, **__: payment)
        world.processor.lists_refunds = False
        world.in_dashboard(8000)
        # When more is asked for than the charge shows as left
        refund = world.refund("ours", amount=4000).refund
        # Then nothing was sent, and the key is not spent
        assert refund.state is State.ABORTED
        assert world.noted("guard_tripped") == [
            {"refund_id": refund.id, "amount": 4000, "left": 2000}
        ]
        assert world.at_processor == 8000

    @pytest.mark.parametrize(
        ("unshown", "left", "is_more"),
        [({}, 4000, False), ({"unshown": 0}, 4000, False), ({"unshown": 1}, 3999, True)],
    )
    def test_what_others_of_ours_hold_and_the_charge_does_not_show_is_not_left(
        self, world: World, unshown: dict[str, int], left: int, is_more: bool
    ) -> None:
        # Given a charge of 100.00 that shows 60.00 as refunded, and a refund of 40.00
        refund = world.refund("ours", amount=4000).refund
        charge = replace(world.processor.charge("charge-1", world.deadline()), refunded=6000)
        # Then that is more than is left if others hold anything of it
        assert asks_for_more(refund, charge, world.telemetry, **unshown) is is_more
        told = {"refund_id": refund.id, "amount": 4000, "left": left}
        assert world.noted("guard_tripped") == ([told] if is_more else [])


class TestAListFromBefore:
    """A payment that was read before another refund moved."""

    @pytest.mark.parametrize("lists_refunds", [True, False])
    @pytest.mark.parametrize(("others", "ours"), [(3037, 2500), (4000, 4000)])
    def test_a_list_from_before_our_refund_frees_nothing_of_what_others_made(
        self, world: World, others: int, ours: int, lists_refunds: bool
    ) -> None:
        # Given what others refunded a moment ago, and a call that does not see it yet
        world.processor.lists_refunds = lists_refunds
        charge = world.processor.charge
        stale = charge("charge-1", world.deadline())
        world.in_dashboard(others)
        fresh = charge("charge-1", world.deadline())

        def read(*_: object) -> Charge:
            world.processor.charge = lambda *_: stale  # type: ignore[method-assign]
            world.refund("ours", amount=ours)
            world.processor.charge = charge  # type: ignore[method-assign]
            return fresh

        # When it refunds while another one, which has read the payment, wants the rest
        world.processor.charge = read  # type: ignore[method-assign, assignment]
        # Then what others refunded counts
        with pytest.raises(RefundAmountExceededError):
            world.refund("more", amount=6000)
        assert world.at_processor == others + ours

    def test_nor_does_one_from_before_a_refund_that_moved_while_it_was_read_again(
        self, world: World
    ) -> None:
        # Given a refund of ours beside what others refunded, of a payment that lists nothing
        world.processor.lists_refunds = False
        world.refund("before", amount=1000)
        world.in_dashboard(4000)
        charge, reads = world.processor.charge, count(1)

        def read(charge_id: str, deadline: Deadline) -> Charge:
            shown = charge(charge_id, deadline)
            if next(reads) == 2:
                world.processor.charge = charge  # type: ignore[method-assign]
                world.refund("ours", amount=4000)
            return shown

        # When another of ours moves just after the payment was read for the second time
        world.processor.charge = read  # type: ignore[method-assign]
        # Then what others refunded counts
        with pytest.raises(RefundAmountExceededError):
            world.refund("more", amount=2000)
        assert world.at_processor == 9000

    @pytest.mark.parametrize("answer", [ProviderUnavailableError("503"), ChargeNotFoundError("?")])
    def test_where_it_cannot_be_read_again_nothing_is_sent(
        self, world: World, answer: Exception
    ) -> None:
        # Given a refund of ours, of a payment that lists nothing
        world.processor.lists_refunds = False
        world.refund("before", amount=1000)
        charge, reads = world.processor.charge, count(1)

        def read(charge_id: str, deadline: Deadline) -> Charge:
            if next(reads) == 2:
                raise answer
            return charge(charge_id, deadline)

        # When the payment cannot be read for the second time
        world.processor.charge = read  # type: ignore[method-assign]
        with pytest.raises(ProcessorUnavailableError) as told:
            world.refund("more", amount=2000)
        assert told.value.retry_after_s
        # Then nothing was sent, and the same key may try again
        assert world.at_processor == 1000
        assert world.refund("more", amount=2000).refund.state is State.SUCCEEDED
