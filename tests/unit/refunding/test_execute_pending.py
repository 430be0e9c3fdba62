"""A refund that the processor has accepted, and that is not done."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import Commit, LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from tests.fakes.processor_fates import Conduct, RequestLost
from tests.fakes.world import World


def test_a_pending_refund_is_bound_but_not_reported(world: World) -> None:
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    answer = world.refund("k", amount=2500)
    assert answer.refund.state is State.PENDING
    assert answer.refund.processor_refund_id is not None
    assert answer.refund.report.state is ReportState.NOT_DUE
    assert (world.payment().held, world.payment().slot) == (2500, None)
    assert world.doorbell.rung == []


class TestLookOnce:
    """A pending refund is looked at once more, at once; whatever comes of it, it is pending."""

    @pytest.fixture(autouse=True)
    def pending(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)

    def looks(self, world: World, look: Callable[[str], ProcessorRefund | None]) -> None:
        def processor_refund(name: str, _: Deadline) -> ProcessorRefund | None:
            return look(name)

        world.processor.processor_refund = processor_refund  # type: ignore[method-assign, assignment]

    def ended(self, world: World, name: str) -> ProcessorRefund:
        world.processor.books.set_status(name, ProcessorRefundStatus.SUCCEEDED)
        return world.processor.books.refunds[name].processor_refund

    def test_one_that_is_still_pending_stays_so(self, world: World) -> None:
        assert world.refund("k").refund.state is State.PENDING
        assert world.noted("pending_not_read") == []

    def test_one_that_is_still_pending_is_not_written_again(self, world: World) -> None:
        def slowly(name: str) -> ProcessorRefund:
            world.clock.advance(1_000)
            return world.processor.books.refunds[name].processor_refund

        self.looks(world, slowly)
        refund = world.refund("k").refund
        assert refund == world.stored("k")
        assert refund.next_check_ms == world.clock.now_ms() - 1_000

    @pytest.mark.parametrize("lists_refunds", [True, False])
    def test_one_that_is_not_shown_yet_stays_so(self, world: World, lists_refunds: bool) -> None:
        world.processor.lists_refunds = lists_refunds
        self.looks(world, lambda _: None)
        assert world.refund("k").refund.state is State.PENDING
        assert world.noted("pending_not_read") == []

    def test_one_that_cannot_be_read_stays_so(self, world: World) -> None:
        def unavailable(_: str) -> ProcessorRefund | None:
            raise ProviderUnavailableError("no answer")

        self.looks(world, unavailable)
        answer = world.refund("k")
        assert answer.refund == world.stored("k")
        assert answer.refund.state is State.PENDING
        facts = {"refund_id": answer.refund.id, "reason": "ProviderUnavailableError"}
        assert world.noted("pending_not_read") == [facts]

    @pytest.mark.parametrize("mishap", [LedgerConflictError("race"), LedgerUnavailableError("no")])
    def test_one_whose_end_cannot_be_written_stays_so(
        self, world: World, mishap: Exception
    ) -> None:
        def fails(_: Commit) -> None:
            raise mishap

        def look(name: str) -> ProcessorRefund:
            world.ledger.commit = fails  # type: ignore[method-assign, assignment]
            return self.ended(world, name)

        self.looks(world, look)
        answer = world.refund("k")
        assert (answer.refund.state, world.stored("k").state) == (State.PENDING, State.PENDING)
        assert world.doorbell.rung == []
        assert [facts["reason"] for facts in world.noted("pending_not_read")] == [
            type(mishap).__name__
        ]

    def test_one_that_shows_another_refund_is_left_to_settling(self, world: World) -> None:
        self.looks(world, lambda name: replace(self.ended(world, name), money=Money(1, "sgd")))
        refund = world.refund("k").refund
        assert refund.state is State.PENDING
        assert world.noted("movement_disagrees") == [{"refund_id": refund.id}]

    def test_one_that_has_ended_is_written_with_who_looked(self, world: World) -> None:
        self.looks(world, lambda name: self.ended(world, name))
        refund = world.refund("k").refund
        assert refund.state is State.SUCCEEDED
        assert world.doorbell.rung == [refund.id]
        look = refund.history[-2]
        assert (look.cause, look.actor) == ("looked_up", "api_key:test")
        assert look.at_ms == world.clock.now_ms()

    def test_what_is_not_pending_is_not_looked_at(self, world: World) -> None:
        def never(_: str) -> ProcessorRefund | None:
            raise AssertionError

        self.looks(world, never)
        world.processor.fates.append(RequestLost())
        assert world.refund("k").refund.state is State.UNKNOWN
