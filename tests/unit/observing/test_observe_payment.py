"""A hint of the processor: what the charge shows now is learnt, once."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import PaymentNotLinkedError
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.observing.observe_payment import Observed
from refund_bridge.ports.ledger import Commit, LedgerConflictError
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.world import LEASE_MS, STEP_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")


class TestObserving:
    """A webhook hints that something has changed."""

    def observe(self, world: World) -> None:
        world.observe(CHARGE, world.deadline())

    def payment(self, world: World) -> Payment:
        world.refund("k", amount=1)
        return world.payment()

    def test_a_payment_that_is_not_known_is_left_alone(self, world: World) -> None:
        self.observe(world)
        assert world.ledger.payments == {}

    def test_what_is_found_owes_a_report_and_is_left_to_settling(self, world: World) -> None:
        self.payment(world)
        world.doorbell.rung.clear()
        world.clock.advance(STEP_MS)
        world.in_dashboard(2500)
        self.observe(world)
        (refund,) = world.imported()
        assert refund.report.state is ReportState.DUE
        assert (refund.next_check_ms, world.doorbell.rung) == (world.clock.now_ms(), [])
        # And the second hint finds nothing new
        self.observe(world)
        assert world.imported() == [refund]

    def test_an_unknown_refund_is_settled_without_waiting(self, world: World) -> None:
        # Given an unknown refund that is looked at in an hour
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        later = world.clock.now_ms() + 3_600_000
        world.ledger.refunds[refund.id] = replace(refund, next_check_ms=later)
        # When it shows on the charge, and the processor hints at it
        world.in_dashboard(2500)
        self.observe(world)
        assert world.stored("k").state is State.SUCCEEDED

    def test_one_that_is_due_anyway_is_not_hurried(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.clock.advance(STEP_MS)
        self.races(world, 1)
        self.observe(world)
        assert world.noted("not_hurried") == []

    def test_a_refund_that_nobody_may_settle_yet_is_not_settled(self, world: World) -> None:
        # Given a review that a person has put aside, due never
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        world.ledger.refunds[refund.id] = replace(refund, next_check_ms=None)
        self.observe(world)
        assert world.stored("k").looks == 0

    def test_a_call_that_still_has_its_lease_keeps_it(self, world: World) -> None:
        def hinted(_: object) -> RequestLost:
            self.observe(world)
            seen.append(world.stored("k"))
            return RequestLost()

        seen: list[Refund] = []
        world.processor.decide = hinted
        world.refund("k", amount=2500)
        assert [one.state for one in seen] == [State.SUBMITTING]
        assert seen[0].next_check_ms == world.clock.now_ms() + LEASE_MS

    def test_somebody_else_who_hurries_it_too_is_told_to_the_log(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        later = world.clock.now_ms() + 3_600_000
        world.ledger.refunds[refund.id] = replace(refund, next_check_ms=later)
        self.races(world, 1)
        self.observe(world)
        assert world.noted("not_hurried") == [{"refund_id": refund.id}]

    def test_the_end_of_a_pending_refund_is_written_with_who_saw_it(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        refund = world.refund("k", amount=2500).refund
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        self.observe(world)
        stored = world.stored("k")
        line = stored.history[-2]
        assert (stored.state, line.cause, line.actor) == (State.SUCCEEDED, "observed", "observe")
        assert line.at_ms == world.clock.now_ms()
        assert world.doorbell.rung == [refund.id]

    def test_a_success_that_is_still_one_is_left_alone(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        self.observe(world)
        assert world.stored("k") == refund

    def test_a_failure_is_not_taken_back(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("k", amount=2500)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        self.observe(world)
        failed = world.stored("k")
        assert failed.state is State.FAILED
        self.observe(world)
        assert world.stored("k") == failed

    def test_a_failure_that_turns_into_a_success_is_alarmed(self, world: World) -> None:
        # Given a refund that the processor showed as failed, so that its amount is free again
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        failed = world.refund("k", amount=2500).refund
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        self.observe(world)
        # When it shows it as succeeded after all
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        self.observe(world)
        # Then it has succeeded, Stripe is owed it, and a person is told
        stored = world.stored("k")
        assert (stored.state, stored.report.state) == (State.SUCCEEDED, ReportState.DUE)
        assert world.payment().refundable == 7499
        told = {"refund_id": failed.id, "movement": "hitpay-refund-1"}
        assert ("refund_moved_after_all", told) in world.telemetry.notes

    def test_a_payment_is_known_by_the_processors_own_spelling(self, world: World) -> None:
        # Given a webhook that spells the charge's id in capitals
        world.processor.references["charge-1"] = "pi_1"
        world.stripe.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        world.in_dashboard(2500)
        charge = world.processor.charge
        world.processor.charge = (  # type: ignore[method-assign]
            lambda charge_id, deadline: charge(charge_id.lower(), deadline)
        )
        capitals = PaymentKey("hitpay", "CHARGE-1")
        assert world.observe(capitals, world.deadline()) is Observed.LEARNT
        # Then the payment is one
        assert set(world.ledger.payments) == {CHARGE}
        assert world.imported()[0].report.state is ReportState.DUE

    def test_one_that_is_still_pending_is_left_alone(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        refund = world.refund("k", amount=2500).refund
        world.clock.advance(STEP_MS)
        self.observe(world)
        assert world.stored("k") == refund

    def test_a_bound_review_follows_its_processor_refund(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        refund = world.refund("k", amount=2500).refund
        world.ledger.refunds[refund.id] = replace(refund, state=State.REVIEW)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        self.observe(world)
        assert world.stored("k").state is State.FAILED
        assert world.doorbell.rung == []

    def test_what_is_taken_back_is_noted_once_with_who_saw_it(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        world.report(refund.id)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        for _ in range(2):
            self.observe(world)
        stored = world.stored("k")
        assert stored.late_failure_at_ms == world.clock.now_ms()
        assert (stored.history[-1].cause, stored.history[-1].actor) == ("taken_back", "observe")
        told = {"refund_id": refund.id, "movement": "hitpay-refund-1"}
        assert world.noted("refund_taken_back") == [told]
        assert stored.report.state is ReportState.REPORTED
        assert world.payment().refundable == 7499
        assert world.doorbell.rung == [refund.id]

    def test_a_report_that_was_due_already_is_not_rung_for_again(self, world: World) -> None:
        # Given a success whose report a worker has begun, and that is then taken back
        refund = world.refund("k", amount=2500).refund
        begun = replace(refund.report, attempts=1)
        world.ledger.refunds[refund.id] = replace(refund, report=begun)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        self.observe(world)
        assert world.stored("k").report.state is ReportState.DUE
        assert world.doorbell.rung == [refund.id]

    def test_a_processor_refund_that_shows_another_sum_changes_nothing(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        shown = world.processor.books.refunds["hitpay-refund-1"]
        shown.processor_refund = replace(
            shown.processor_refund, money=Money(1, "sgd"), status=ProcessorRefundStatus.FAILED
        )
        self.observe(world)
        assert world.stored("k").late_failure_at_ms is None
        assert world.noted("movement_disagrees") == [{"refund_id": refund.id}]

    @pytest.mark.parametrize(("lost", "ends"), [(4, True), (5, False)])
    def test_it_is_tried_five_times(self, world: World, lost: int, ends: bool) -> None:
        self.payment(world)
        world.clock.advance(STEP_MS)
        world.in_dashboard(2500)
        self.races(world, lost)
        if ends:
            self.observe(world)
        else:
            with pytest.raises(LedgerConflictError, match="charge-1 is too busy"):
                self.observe(world)
        assert len(world.imported()) == int(ends)

    def test_the_charge_is_read_even_where_refunds_do_not_read_it(self) -> None:
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        self.payment(world)
        world.clock.advance(STEP_MS)
        world.in_dashboard(2500)
        self.observe(world)
        assert len(world.imported()) == 1

    def test_a_charge_that_lists_nothing_readable_teaches_its_sum(self, world: World) -> None:
        self.payment(world)
        world.processor.lists_refunds = False
        self.observe(world)
        assert world.imported() == []
        assert "refunds_not_listed" not in world.telemetry.events

    def test_a_webhook_that_is_faster_than_the_answer_alarms_nobody(self, world: World) -> None:
        world.processor.lists_refunds = False
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=2500)
        self.observe(world)
        assert "refunds_not_listed" not in world.telemetry.events

    def test_what_others_refunded_and_no_list_shows_is_alarmed(self, world: World) -> None:
        self.payment(world)
        world.processor.lists_refunds = False
        world.in_dashboard(2500)
        self.observe(world)
        told = {"charge": "charge-1", "amount": 2500}
        assert ("refunds_not_listed", told) in world.telemetry.notes

    def races(self, world: World, times: int) -> None:
        """Somebody else is faster that many times."""
        commit = world.ledger.commit
        left = [True] * times

        def raced(written: Commit) -> None:
            if left:
                left.pop()
                raise LedgerConflictError("race")
            commit(written)

        world.ledger.commit = raced  # type: ignore[method-assign, assignment]


class TestNewsOfAProcessorThatIsNotSetUp:
    """A webhook of one that was taken away."""

    @pytest.mark.parametrize("name", ["1", "unknown"])
    def test_it_is_refused_and_breaks_nothing(self, name: str) -> None:
        # Given a refund, and a stage that has lost its processor's settings
        world = World(doors=("hitpay",))
        world.pay()
        world.refund("k", amount=2500)
        world.doors.pop("hitpay")
        # When its webhook comes for that payment, or another
        with pytest.raises(PaymentNotLinkedError):
            world.observe(PaymentKey("hitpay", f"charge-{name}"), world.deadline())
        # Then what is known stays as it is
        assert world.stored("k").state is State.SUCCEEDED
