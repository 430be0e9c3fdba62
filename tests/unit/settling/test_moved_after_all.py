"""What the processor called failed moves after all, and what succeeded comes back."""

from collections.abc import Callable
from itertools import product

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import RefundAmountExceededError
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.processor import ProviderUnavailableError
from tests.fakes.processor_fates import Answered, Conduct, ExecutedLate
from tests.fakes.stripe_fates import AnswerLost
from tests.fakes.world import World
from tests.unit.refunding.paid_world import DAY, HOUR, observe, paid_world, unreadable


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


class TestOneOfOurs:
    """A refund of ours changes after its end."""

    def test_a_failed_refund_that_succeeds_after_all_is_told_and_its_amount_is_gone(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        moved = "hitpay-refund-1"
        world.processor.books.set_status(moved, ProcessorRefundStatus.FAILED)
        world.live_for(HOUR)
        assert world.stored("ours").state is State.FAILED
        world.processor.books.set_status(moved, ProcessorRefundStatus.SUCCEEDED)
        world.processor.books.conduct = Conduct()
        # When all that is left is refunded
        answer = world.refund("rest")
        world.live_for(HOUR)
        # Then that is what is really left, and Stripe knows of both
        assert answer.refund.amount == 6000
        assert world.stored("ours").state is State.SUCCEEDED
        assert world.at_stripe == world.at_processor == 10000
        assert world.noted("refund_moved_after_all") != []

    @pytest.mark.parametrize("reported", [True, False])
    @pytest.mark.parametrize(
        ("door", "seen"),
        [
            ("hitpay", "by the sweep"),
            *product(("hitpay", "hedge", "hyperswitch"), ("by webhook", "by the next refund")),
        ],
    )
    def test_a_success_shown_failed_once_and_succeeded_again_is_told_once(
        self, door: str, seen: str, reported: bool
    ) -> None:
        # Given a refund of ours that has succeeded, and Stripe may know of it
        world = paid_world(door)

        def asked() -> None:
            with pytest.raises(RefundAmountExceededError):
                world.refund("more", amount=9000)

        looks: dict[str, Callable[[], object]] = {
            "by webhook": lambda: world.observe(PaymentKey(door, "charge-1"), world.deadline()),
            "by the sweep": lambda: world.sweep(world.deadline_of(240_000)),
            "by the next refund": asked,
        }
        bound_to = world.refund("ours", amount=4000).refund.processor_refund_id or ""
        if reported:
            world.report_rung()
        # When it is shown as failed once, and as succeeded again
        for status in (ProcessorRefundStatus.FAILED, ProcessorRefundStatus.SUCCEEDED):
            world.processor.books.set_status(bound_to, status)
            looks[seen]()
            is_back = world.stored("ours").late_failure_at_ms is not None
            assert is_back is (status is ProcessorRefundStatus.FAILED)
        # Then it is as if nothing had been, but for one alarm
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 4000
        assert world.payment().refundable == 6000
        assert len(world.noted("refund_taken_back")) == 1
        assert world.noted("stripe_higher") == world.noted("stripe_lower") == []

    def test_more_than_was_paid_is_written_as_it_is_and_alarmed(self, world: World) -> None:
        world.processor.books.checks_amounts = False
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        world.live_for(HOUR)
        world.processor.books.conduct = Conduct()
        world.refund("all", amount=10000)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        assert world.stored("ours").state is State.SUCCEEDED
        assert (world.payment().refundable, world.payment().held) == (0, 14000)
        assert world.noted("over_refunded") != []
        world.live_for(3 * HOUR)
        assert world.stored("ours").report.cause is ReportCause.NO_ROOM

    def test_what_comes_back_under_another_id_that_shows_its_instruction_is_not_somebody_elses(
        self,
    ) -> None:
        # Given a refund that Stripe was told of and the processor took back
        world = paid_world("hyperswitch")
        moved = world.refund("ours", amount=2500).refund.processor_refund_id or ""
        world.live_for(HOUR)
        world.processor.books.set_status(moved, ProcessorRefundStatus.FAILED)
        world.live_for(2 * DAY, every_ms=HOUR)
        assert world.stored("ours").late_failure_at_ms is not None
        # When it is there again, and the payment lists it by another id
        world.processor.books.lists_other_ids = True
        world.processor.books.set_status(moved, ProcessorRefundStatus.SUCCEEDED)
        world.live_for(8 * DAY, every_ms=HOUR)
        # Then it is still the one refund, and Stripe is told of it once
        assert world.imported() == []
        assert world.stored("ours").late_failure_at_ms is None
        assert world.at_stripe == world.at_processor == 2500
        # And what a colleague refunds is told from it
        world.in_dashboard(2500)
        with pytest.raises(RefundAmountExceededError):
            world.refund("more", amount=6000)
        assert len(world.imported()) == 1
        assert world.noted("movement_disagrees") + world.noted("ids_do_not_fit") == []

    def test_what_moves_after_all_is_found_under_its_own_id(self, world: World) -> None:
        # Given a refund that failed, and one that succeeded, which the payment lists by other ids
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        failed = world.refund("failed", amount=9000).refund.processor_refund_id or ""
        world.processor.books.set_status(failed, ProcessorRefundStatus.FAILED)
        world.live_for(HOUR)
        world.processor.books.conduct = Conduct()
        world.refund("moved", amount=1000)
        world.processor.books.lists_other_ids = True
        # When the first one moves after all
        world.processor.books.set_status(failed, ProcessorRefundStatus.SUCCEEDED)
        world.live_for(2 * DAY, every_ms=HOUR)
        # Then its own look-up tells, and Stripe hears of both
        assert world.stored("failed").state is State.SUCCEEDED
        assert world.at_stripe == world.at_processor == 10000

    def test_what_moves_after_all_is_not_imported_under_another_id(self, world: World) -> None:
        # Given the only refund of a payment, which failed, and another id in the payment's list
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        failed = world.refund("failed", amount=9000).refund.processor_refund_id or ""
        world.processor.books.set_status(failed, ProcessorRefundStatus.FAILED)
        world.live_for(HOUR // 2)
        world.processor.books.lists_other_ids = True
        # When it moves after all, and the payment is looked at before settling looks by its id
        world.processor.books.set_status(failed, ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        # Then it is that refund, and not somebody else's
        assert world.stored("failed").state is State.SUCCEEDED
        assert world.imported() == []
        world.live_for(2 * DAY, every_ms=HOUR)
        assert world.at_stripe == world.at_processor == 9000

    def test_what_comes_back_under_another_id_is_not_somebody_elses(self, world: World) -> None:
        # Given a refund that Stripe was told of and HitPay took back, and another id in the list
        moved = world.refund("ours", amount=9000).refund.processor_refund_id or ""
        world.live_for(HOUR)
        world.processor.books.set_status(moved, ProcessorRefundStatus.FAILED)
        observe(world)
        assert world.stored("ours").late_failure_at_ms is not None
        world.processor.books.lists_other_ids = True
        # When HitPay has executed it after all, and the payment is looked at first
        world.processor.books.set_status(moved, ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        # Then it is that refund, and Stripe is not told of it again
        assert world.imported() == []
        assert world.stored("ours").late_failure_at_ms is None
        world.live_for(2 * DAY, every_ms=HOUR)
        assert world.at_stripe == world.at_processor == 9000

    def test_what_moved_after_all_is_found_though_its_payment_cannot_be_read(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        world.live_for(HOUR)
        assert world.stored("ours").state is State.FAILED
        # When it succeeds after all, and the charge contradicts itself
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        world.live_for(2 * DAY, every_ms=HOUR)
        # Then its own look-up tells
        assert world.stored("ours").state is State.SUCCEEDED

    def test_what_was_imported_before_its_own_instruction_was_seen_is_told_once_and_comes_to_an_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a refund that the processor refused, and that moved after all
        world = paid_world("hyperswitch")
        world.processor.fates.append(Answered(422, "No."))
        refused = world.refund("ours", amount=4000).refund
        charge = world.processor.books.charges["charge-1"]
        world.processor.books.move(charge, Money(4000, "sgd"), refused.id)

        def down(*_: object) -> None:
            raise ProviderUnavailableError("503")

        # When its payment is read while no second look is possible
        with monkeypatch.context() as patched:
            patched.setattr(world.processor, "processor_refund", down)
            patched.setattr(world.processor, "find_by_key", down)
            world.observe(PaymentKey("hyperswitch", "charge-1"), world.deadline())
        assert [one.amount for one in world.imported()] == [4000]
        # And from then on the processor shows the refund by its key alone
        world.processor.lists_refunds = False
        world.live_for(40 * DAY, every_ms=6 * HOUR)
        # Then Stripe was told of it once, the alarm rang at every look, and no look is left
        assert world.at_stripe == world.at_processor == 4000
        assert 1 <= len(world.noted("refund_moved_after_all")) <= 4
        assert world.stored("ours").next_check_ms is None


class TestBesideOneOfOthers:
    """A refund of others is there too, or is the one that changes."""

    def test_what_came_back_before_stripe_answered_hides_no_refund_of_others(
        self, world: World
    ) -> None:
        # Given a report of ours that Stripe took, its answer lost
        world.refund("ours", amount=4000)
        world.stripe.fates.append(AnswerLost())
        world.report_rung()
        # When the processor takes the money back, and staff refund as much in the dashboard
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        observe(world)
        world.in_dashboard(4000)
        observe(world)
        world.live_for(3 * HOUR)
        # Then Stripe shows both, as it was told, and what it shows too much has an alarm
        assert (world.at_processor, world.at_stripe) == (4000, 8000)
        assert world.noted("refund_taken_back") != []
        (imported,) = world.imported()
        assert imported.report.state is ReportState.REPORTED

    def test_a_failed_processor_refund_of_somebody_ends_no_refund_of_ours(
        self, world: World
    ) -> None:
        world.processor.fates.append(ExecutedLate(3 * DAY))
        world.refund("ours", amount=4000)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.in_dashboard(4000)
        world.live_for(26 * HOUR)
        assert world.stored("ours").state is State.REVIEW
        assert world.payment().held == 4000

    def test_what_a_colleague_refunded_and_failed_is_found_when_it_moves_after_all(self) -> None:
        # Given somebody else's refund that was pending, seen by one of ours, and failed; no sweep
        world = paid_world("hyperswitch")
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        moved = world.in_dashboard(4000).id
        with pytest.raises(RefundAmountExceededError):
            world.refund("more", amount=7000)
        world.processor.books.set_status(moved, ProcessorRefundStatus.FAILED)
        world.live_for(HOUR)
        assert [one.state for one in world.imported()] == [State.FAILED]
        # When it moves after all
        world.processor.books.set_status(moved, ProcessorRefundStatus.SUCCEEDED)
        world.live_for(2 * DAY, every_ms=HOUR)
        # Then Stripe hears of it
        assert world.at_stripe == world.at_processor == 4000
