"""A ledger that has forgotten a refund, where the processor shows who moved the money."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Instruction
from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import State
from refund_bridge.reporting.report import Reported
from tests.fakes.world import STEP_MS, World


class TestALedgerThatWasRestored:
    """It has forgotten a refund, and the processor shows whose instruction moved the money."""

    @pytest.fixture(params=["hedge", "hyperswitch"])
    def world(self, request: pytest.FixtureRequest) -> World:
        """A refund that was executed, and a ledger that was restored to before it."""
        made = World(doors=(request.param,))
        made.pay()
        made.processor.books.names_instructions = True
        made.refund("k", amount=2500)
        made.ledger.refunds.clear()
        made.ledger.payments.clear()
        made.ledger.records.clear()
        made.ledger.processor_refunds.clear()
        return made

    def test_it_is_not_executed_a_second_time(self, world: World) -> None:
        # When its caller repeats it
        refund = world.refund("k", amount=2500).refund
        # Then it is bound to what its first instruction moved, and Stripe hears of that once
        (moved,) = world.processor.books.refunds.values()
        assert (refund.state, refund.processor_refund_id) == (
            State.SUCCEEDED,
            moved.processor_refund.id,
        )
        assert world.noted("refund_made_before") == [{"refund_id": refund.id}]
        assert world.imported() == []
        assert world.payment().refundable == 9999 - 2500
        assert world.report(refund.id) is Reported.REPORTED
        # And the log says why nothing was sent
        assert world.noted("refund_made_before") == [{"refund_id": refund.id}]

    def test_two_that_its_instruction_made_are_for_a_person(self, world: World) -> None:
        # Given a second refund of the amount that shows the same instruction
        (moved,) = world.processor.books.refunds.values()
        shown = replace(moved.processor_refund, id="twice")
        world.processor.books.refunds["twice"] = replace(moved, processor_refund=shown)
        # When its caller repeats it, then nobody says which of the two it is, and nothing is sent
        assert world.refund("k", amount=2500).refund.state is State.UNKNOWN
        assert len(world.processor.books.refunds) == 2

    def test_another_amount_under_its_instruction_is_for_a_person(self, world: World) -> None:
        (moved,) = world.processor.books.refunds.values()
        moved.processor_refund = replace(moved.processor_refund, money=Money(2400, "sgd"))
        assert world.refund("k", amount=2500).refund.state is State.UNKNOWN
        world.settle_for(10 * STEP_MS)
        assert len(world.processor.books.refunds) == 1
        assert world.stored("k").state is State.REVIEW

    def test_two_under_its_instruction_are_for_a_person(self, world: World) -> None:
        (moved,) = world.processor.books.refunds.values()
        twin = replace(moved.processor_refund, id="twin")
        world.processor.books.refunds["twin"] = replace(moved, processor_refund=twin, key=None)
        refund = world.refund("k", amount=2500).refund
        assert (refund.state, refund.processor_refund_id) == (State.UNKNOWN, None)
        assert len(world.processor.books.refunds) == 2

    def test_one_that_failed_there_may_be_made_again(self) -> None:
        # Given an instruction that failed at the processor, which keeps no keys
        world = World(doors=("hedge",))
        world.pay()
        world.processor.books.names_instructions = True
        failed = world.processor.books.arrive(
            Instruction(
                refund_id=world.command("k").refund_id,
                payment_id="charge-1",
                money=Money(2500, "sgd"),
            )
        )
        assert isinstance(failed, ProcessorRefund)
        world.processor.books.set_status(failed.id, ProcessorRefundStatus.FAILED)
        # When it is asked for, then it is sent
        refund = world.refund("k", amount=2500).refund
        assert refund.state is State.SUCCEEDED
        assert refund.processor_refund_id != failed.id

    def test_a_person_is_called_if_it_was_imported_as_somebody_elses(self, world: World) -> None:
        # Given that another refund has met the payment, so that the processor refund was imported
        world.refund("other", amount=100)
        # When its caller repeats it
        world.refund("k", amount=2500)
        world.settle_for(10 * STEP_MS)
        # Then money has moved once for it and once for the other, and somebody is called
        assert len(world.processor.books.refunds) == 2
        assert world.stored("k").state is State.REVIEW
