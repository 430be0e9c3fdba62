"""Whatever others do at the processor and at Stripe, the books agree in the end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, product

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.errors import (
    PaymentNotFoundError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import Commit, LedgerUnavailableError
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding import learn_from_charge as learn
from refund_bridge.refunding.learn_from_charge import IMPORTS_PER_COMMIT
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.reporting.report import ReportFailedError
from refund_bridge.settling.settling import AfterHold
from refundctl.deciding.report_by_hand import (
    Owed,
    ReportByHand,
    ReportDecision,
    ToldByOthers,
    Waive,
)
from refundctl.deciding.resolve import (
    Decision,
    ItFailed,
    ItSucceeded,
    ResolutionRefusedError,
    ResolveRefund,
)
from tests.fakes.processor_fates import Answered, Conduct, ExecutedLate, ReplyLost, RequestLost
from tests.fakes.stripe_fates import AnswerLost, ReportLost
from tests.fakes.world import GRACE_MS, HOLD_MS, REPORT_LEASE_MS, STEP_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")
HOUR = 60 * STEP_MS
DAY = 24 * HOUR

UNREADABLE_ANSWERS = count()


def unreadable(*_: object) -> Charge:
    raise UnreadableAnswerError(f"answer {next(UNREADABLE_ANSWERS)} contradicts itself")


def lists_each(_: World) -> None:
    """The payment lists its refunds by the ids that instructions are answered with."""


def lists_other_ids(world: World) -> None:
    world.processor.books.lists_other_ids = True


def lists_nothing(world: World) -> None:
    world.processor.lists_refunds = False


LISTS = pytest.mark.parametrize("lists", [lists_each, lists_other_ids, lists_nothing])


def moved_and_lost(world: World, amount: int) -> None:
    """A refund that moved so much, and one of 40.00 whose instruction was lost."""
    world.refund("moved", amount=amount)
    world.processor.fates.append(RequestLost())
    world.refund("ours", amount=4000)


@pytest.fixture
def resolve(world: World) -> ResolveRefund:
    return ResolveRefund(
        ledger=world.ledger,
        processors=world.doors,
        accounts=world.accounts,
        recorder=world.execute.recorder,
        doorbell=world.doorbell,
        clock=world.clock,
        telemetry=world.telemetry,
        hold_ms=HOLD_MS,
        actor="operator:kim",
    )


@pytest.fixture
def by_hand_of() -> Callable[[World], ReportByHand]:
    def of(world: World) -> ReportByHand:
        return ReportByHand(
            ledger=world.ledger,
            read_sums=world.read_sums,
            doorbell=world.doorbell,
            clock=world.clock,
            telemetry=world.telemetry,
            lease_ms=REPORT_LEASE_MS,
            step_ms=STEP_MS,
            actor="operator:kim",
        )

    return of


@pytest.fixture
def by_hand(world: World, by_hand_of: Callable[[World], ReportByHand]) -> ReportByHand:
    return by_hand_of(world)


def decide(world: World, by_hand: ReportByHand, key: str, decision: ReportDecision) -> None:
    decide_about(world, by_hand, world.stored(key).id, decision)


def decide_about(
    world: World, by_hand: ReportByHand, refund_id: str, decision: ReportDecision
) -> None:
    agreed = by_hand.weigh(refund_id, decision, world.deadline())
    by_hand.carry_out(refund_id, decision, agreed, world.deadline())


@pytest.fixture
def world() -> World:
    """A payment of SGD 100.00 in a stage that has looked for a month, and knows the payment not."""
    return paid_world("hitpay")


def paid_world(door: str) -> World:
    """A stage that has looked for a month at that processor, with a payment of SGD 100.00 there."""
    made = World(doors=(door,))
    made.settle_run(made.deadline())
    made.clock.advance(30 * DAY)
    made.pay(amount=10000)
    return made


def observe(world: World) -> None:
    world.observe(CHARGE, world.deadline())


class TestTwoClocks:
    """Whether Stripe was told is never decided by comparing clocks."""

    @pytest.mark.parametrize("milliseconds", [300, 600, 900, 1500])
    def test_our_lost_instruction_and_a_dashboard_refund_of_one_amount_are_both_told(
        self, world: World, milliseconds: int
    ) -> None:
        # Given our first instruction, whose answer is lost, and which the charge shows only later
        world.clock.advance(milliseconds)
        world.processor.fates.append(ExecutedLate(5 * STEP_MS))
        world.refund("ours", amount=4000)
        # When staff refund as much in the dashboard meanwhile
        world.clock.advance(30_000)
        world.in_dashboard(4000)
        world.live_for(2 * HOUR)
        observe(world)
        world.live_for(2 * HOUR)
        # Then both processor refunds end in the ledger, and Stripe knows of both
        assert world.at_processor == world.at_stripe == 8000
        assert len(world.ledger.refunds) == 2

    @pytest.mark.parametrize("behind_ms", [0, 5_000, 90_000, 8 * HOUR])
    def test_one_of_the_second_of_first_sight_is_told(self, world: World, behind_ms: int) -> None:
        world.refund("first", amount=1000)
        world.clock.advance(400)
        moved = world.in_dashboard(3000)
        record = world.processor.books.refunds[moved.id]
        at_ms = (moved.created_at_ms or 0) - behind_ms
        record.processor_refund = replace(
            record.processor_refund, created_at_ms=at_ms, refunded_at_ms=at_ms
        )
        observe(world)
        world.live_for(HOUR)
        assert world.at_stripe == 4000

    def test_one_just_before_our_first_refund_is_told(self, world: World) -> None:
        world.in_dashboard(3000)
        world.clock.advance(2_000)
        world.refund("ours", amount=2000)
        world.live_for(HOUR)
        assert world.at_stripe == 5000

    def test_one_that_was_pending_at_first_sight_is_told_when_it_succeeds(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        moved = world.in_dashboard(3000)
        world.processor.books.conduct = Conduct()
        world.clock.advance(2_000)
        world.refund("ours", amount=2000)
        world.live_for(HOUR)
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.SUCCEEDED)
        world.live_for(3 * HOUR)
        assert world.at_stripe == 5000


class TestBookedByHand:
    """Staff refund in the dashboard, and tell Stripe under a reference of their own."""

    @pytest.mark.parametrize("before_import", [True, False])
    @pytest.mark.parametrize("by_its_id", [True, False])
    def test_stripe_shows_it_once(self, world: World, before_import: bool, by_its_id: bool) -> None:
        world.refund("first", amount=1)
        world.live_for(HOUR)
        moved = world.in_dashboard(2999)
        reference = moved.id if by_its_id else "ticket-4711"
        if before_import:
            world.book_by_hand(2999, reference)
            observe(world)
        else:
            observe(world)
            world.book_by_hand(2999, reference)
        world.live_for(2 * HOUR)
        assert world.at_stripe == world.at_processor == 3000
        assert world.payment().refundable == 7000
        (imported,) = world.imported()
        assert imported.report.state is ReportState.REPORTED
        assert imported.report.cause is ReportCause.BY_SUMS
        assert world.noted("report_failed") == []
        assert world.noted("stripe_higher") == world.noted("stripe_lower") == []

    def test_while_a_report_of_ours_is_under_way_each_is_there_once(self, world: World) -> None:
        ours = world.refund("ours", amount=2000).refund
        world.stripe.fates.append(AnswerLost())
        world.report_rung()
        world.in_dashboard(3000)
        world.book_by_hand(3000, "ticket-4711")
        observe(world)
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 5000
        assert world.stored("ours").report.state is ReportState.REPORTED
        assert ours.id in world.ledger.refunds

    def test_of_two_equal_ones_of_which_one_was_told_the_other_is_told(self, world: World) -> None:
        world.refund("first", amount=1)
        world.live_for(HOUR)
        for _ in range(2):
            world.in_dashboard(1000)
        world.book_by_hand(1000, "ticket-1")
        observe(world)
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 2001

    def test_an_old_one_told_under_a_ticket_does_not_hide_a_new_one(self) -> None:
        # Given a refund of years ago, told under a ticket
        world = World()
        world.pay(amount=10000)
        world.in_dashboard(3000)
        world.book_by_hand(3000, "ticket-of-years-ago")
        world.clock.advance(400 * DAY)
        world.settle_run(world.deadline())
        # When somebody refunds as much, and tells nobody
        world.refund("first", amount=1)
        world.live_for(HOUR)
        world.in_dashboard(3000)
        observe(world)
        world.live_for(3 * HOUR)
        # Then Stripe hears of it
        assert world.at_stripe == world.at_processor == 6001

    def test_our_own_that_staff_booked_while_stripe_was_down_is_there_once(
        self, world: World
    ) -> None:
        # Given a report of ours that was never sent, since the reporter did not run
        world.refund("ours", amount=2500)
        world.doorbell.rung.clear()
        world.book_by_hand(2500, "ticket-4711")
        # When it is redelivered a day later
        world.clock.advance(DAY)
        world.live_for(3 * HOUR)
        # Then the sums say that Stripe knows
        assert world.at_stripe == 2500
        assert world.stored("ours").report.cause is ReportCause.BY_SUMS

    def test_our_own_that_failed_to_be_told_and_staff_booked_is_never_silently_there_twice(
        self, world: World
    ) -> None:
        # Given a report that was sent while Stripe was down, until it was a dead letter
        refund = world.refund("ours", amount=2500).refund
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        # When staff book it under a ticket, and it is replayed a day later
        world.book_by_hand(2500, "ticket-4711")
        world.clock.advance(DAY)
        world.report(refund.id)
        world.live_for(3 * HOUR)
        # Then Stripe shows it once, or somebody is told that it does not
        assert world.at_stripe == 2500 or world.noted("stripe_higher") != []

    def test_a_lost_answer_on_the_last_receive_ends_with_each_told(self, world: World) -> None:
        world.refund("first", amount=1)
        world.live_for(HOUR)
        for _ in range(2):
            world.in_dashboard(1000)
        observe(world)
        first, _ = world.imported()
        world.clock.advance(GRACE_MS)
        world.stripe.fates.append(AnswerLost())
        with pytest.raises(Exception, match="no whole answer"):
            world.report(first.id, receive=8, last=True)
        # When a person has it sent again
        world.report(first.id)
        world.live_for(3 * HOUR)
        assert world.at_stripe == world.at_processor == 2001


class TestTheProcessorContradictsItself:
    """What it called failed succeeds, what succeeded comes back, more than once."""

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

    def test_ids_that_differ_between_list_and_answer_import_nothing(self, world: World) -> None:
        world.refund("ours", amount=4000)
        refund = world.processor.books.refunds.pop("hitpay-refund-1")
        refund.processor_refund = replace(refund.processor_refund, id="rf-list-1")
        world.processor.books.refunds["rf-list-1"] = refund
        observe(world)
        world.live_for(3 * HOUR)
        assert world.imported() == []
        assert world.at_stripe == 4000
        assert world.noted("ids_do_not_fit") != []

    def test_what_is_pending_under_ids_that_do_not_fit_counts_as_others(self, world: World) -> None:
        # Given our pending refund, which is gone, and one of its amount that is pending beside it
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        world.in_dashboard(4000)
        del world.processor.books.refunds["hitpay-refund-1"]
        # When more is asked for than both leave, then nothing is sent
        with pytest.raises(RefundAmountExceededError):
            world.refund("more", amount=4000)

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
        with pytest.raises(ProcessorUnavailableError):
            world.refund("more", amount=2000)
        # Then nothing was sent, and the same key may try again
        assert world.at_processor == 1000
        assert world.refund("more", amount=2000).refund.state is State.SUCCEEDED

    def test_nothing_is_imported_while_the_index_of_refunds_is_behind(self, world: World) -> None:
        # Given our refund, listed under another id, which the index does not show yet
        world.refund("ours", amount=4000)
        world.processor.books.lists_other_ids = True
        every_refund = world.learn.every_refund
        object.__setattr__(world.learn, "every_refund", lambda _: [])
        observe(world)
        # Then nothing is taken for somebody else's, and nobody is alarmed
        assert world.imported() == []
        assert world.noted("ids_do_not_fit") == []
        object.__setattr__(world.learn, "every_refund", every_refund)
        observe(world)
        assert world.noted("ids_do_not_fit") != []

    def test_the_index_of_refunds_is_asked_once_for_a_payment_that_does_not_list_ours_yet(
        self, world: World
    ) -> None:
        # Given our refund, which the payment does not list yet
        stale = world.processor.charge("charge-1", world.deadline())
        world.refund("ours", amount=4000)
        every_refund, asked = world.learn.every_refund, list[str]()

        def read(*_: object) -> Charge:
            asked.append("processor")
            return stale

        def listed(key: PaymentKey) -> Sequence[Refund]:
            asked.append("index")
            return every_refund(key)

        world.processor.charge = read  # type: ignore[method-assign, assignment]
        object.__setattr__(world.learn, "every_refund", listed)
        # When the next one reads the payment
        world.refund("more", amount=1000)
        # Then both were asked once
        assert asked == ["processor", "index"]

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

    def test_a_failed_refund_that_cannot_be_asked_for_keeps_nothing_from_being_told(
        self, world: World
    ) -> None:
        # Given a refund that failed, and a colleague's of its amount, listed by ids of another kind
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        world.refund("failed", amount=2500)
        world.live_for(HOUR // 2)
        world.processor.books.conduct = Conduct()
        world.processor.books.lists_other_ids = True
        world.in_dashboard(2500)
        # When no answer about the failed one can be read
        world.processor.processor_refund = unreadable  # type: ignore[method-assign, assignment]
        observe(world)
        # Then the colleague's is imported all the same
        assert [one.amount for one in world.imported()] == [2500]

    def test_what_another_of_ours_moved_is_not_found_to_be_the_next_ones(
        self, world: World
    ) -> None:
        # Given a refund that moved, and one of the same amount whose instruction was lost
        world.refund("moved", amount=2500)
        world.processor.fates.append(RequestLost())
        lost = world.refund("lost", amount=2500).refund
        # When the payment lists the first one by another id
        world.processor.books.lists_other_ids = True
        world.live_for(HOUR)
        # Then nobody takes it for the second one's: a person decides, and Stripe shows one
        assert world.stored("lost").state is State.REVIEW
        assert world.noted("refund_needs_review")[0]["refund_id"] == lost.id
        assert world.at_stripe == world.at_processor == 2500

    def test_one_of_the_same_amount_that_the_payment_lists_as_it_was_answered_confuses_nobody(
        self, world: World
    ) -> None:
        # Given a refund that moved, and one of the same amount whose answer was lost
        world.refund("moved", amount=2500)
        world.processor.fates.append(ReplyLost())
        world.refund("lost", amount=2500)
        # When the index of refunds does not show the first one yet
        every_refund, asked = world.learn.every_refund, count(1)

        def late(key: PaymentKey) -> Sequence[Refund]:
            return [] if next(asked) == 1 else every_refund(key)

        object.__setattr__(world.learn, "every_refund", late)
        world.live_for(STEP_MS)
        assert world.stored("lost").state is State.UNKNOWN
        world.live_for(HOUR)
        # Then the second one is found as soon as it does
        assert world.stored("lost").state is State.SUCCEEDED
        assert world.at_stripe == world.at_processor == 5000


class TestACapturedSumThatIsOff:
    """What Stripe shows as captured disagrees with the processor for a while."""

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

    def test_an_instruction_is_not_handed_over_again_for_what_another_may_move_yet(self) -> None:
        # Given a refund that is pending and listed no more, and an instruction by key that was lost
        world = paid_world("hyperswitch")
        world.processor.books.checks_amounts = False
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        pending = world.refund("pending", amount=5000).refund.processor_refund_id or ""
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        # When a colleague refunds a part of what the two reserve
        world.in_dashboard(2000)
        world.processor.books.refunds.pop(pending)
        world.live_for(3 * HOUR)
        # Then it is not repeated, for the pending one may move
        assert world.noted("guard_tripped") != []
        assert world.at_processor == 2000

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


class TestAPaymentThatCannotBeRead:
    """A charge that contradicts itself for good, or a record that Stripe has not any more."""

    def test_an_unknown_refund_goes_to_a_person_who_can_close_it(
        self, world: World, resolve: ResolveRefund
    ) -> None:
        # Given our instruction, whose answer is lost, and a charge that contradicts itself from
        # then on
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        # When the hold is over
        world.live_for(27 * HOUR, every_ms=5 * STEP_MS)
        # Then a person decides
        refund = world.stored("ours")
        assert refund.state is State.REVIEW
        failed = ItFailed("seen in its dashboard", despite_evidence=True)
        agreed = resolve.weigh(refund.id, failed, world.deadline())
        resolve.carry_out(refund.id, failed, agreed, world.deadline())
        assert world.stored("ours").state is State.FAILED
        assert world.payment().refundable == 10000

    def test_one_odd_answer_is_no_reason_for_a_person(self, world: World) -> None:
        world.processor.fates.append(ExecutedLate(2 * HOUR))
        world.refund("ours", amount=4000)
        charge = world.processor.charge
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        world.live_for(HOUR)
        world.processor.charge = charge  # type: ignore[method-assign]
        world.live_for(3 * HOUR)
        assert world.stored("ours").state is State.SUCCEEDED

    @pytest.mark.parametrize("decision", [Owed("known"), Waive("known"), ToldByOthers("known")])
    def test_a_report_that_waits_for_the_charge_can_be_decided(
        self, world: World, by_hand: ReportByHand, decision: ReportDecision
    ) -> None:
        world.refund("ours", amount=4000)
        world.doorbell.rung.clear()
        world.book_by_hand(4000, "ticket-4711")
        world.clock.advance(GRACE_MS + STEP_MS)
        world.processor.charge = unreadable  # type: ignore[method-assign, assignment]
        decide(world, by_hand, "ours", decision)
        world.live_for(HOUR)
        assert world.stored("ours").report.state is not ReportState.DUE

    @pytest.mark.parametrize("decision", [Owed("known"), Waive("known")])
    def test_a_report_on_a_record_that_is_gone_can_be_decided(
        self, world: World, by_hand: ReportByHand, decision: ReportDecision
    ) -> None:
        # Given a report that Stripe refuses, since the record is gone
        world.refund("ours", amount=4000)
        del world.stripe.books.records["pr_1"]
        with pytest.raises(ReportFailedError):
            world.report(world.stored("ours").id, receive=8, last=True)
        # When a person decides, then that is written though nothing can be compared
        decide(world, by_hand, "ours", decision)
        due = isinstance(decision, Owed)
        expected = ReportState.DUE if due else ReportState.NOT_DUE
        assert world.stored("ours").report.state is expected

    def test_what_was_told_by_others_must_be_shown_by_the_record(
        self, world: World, by_hand: ReportByHand
    ) -> None:
        world.refund("ours", amount=4000)
        del world.stripe.books.records["pr_1"]
        world.live_for(HOUR)
        with pytest.raises(PaymentNotFoundError):
            decide(world, by_hand, "ours", ToldByOthers("known"))

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


class TestAProcessorThatGivesNoAnswer:
    """It is down for good, or refuses the key: a review has a way out nevertheless."""

    @pytest.mark.parametrize(
        "decision",
        [
            ItFailed("its support says so", despite_evidence=True),
            ItSucceeded("hitpay-refund-9", "its support says so", despite_evidence=True),
        ],
    )
    def test_a_review_is_decided_once_it_has_waited_for_long(
        self, world: World, resolve: ResolveRefund, decision: Decision
    ) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=4000)
        world.live_for(26 * HOUR, every_ms=5 * STEP_MS)
        refund = world.stored("ours")
        assert refund.state is State.REVIEW
        world.processor.is_down = True
        # Not while it may be an outage
        with pytest.raises(ProviderUnavailableError):
            resolve.weigh(refund.id, decision, world.deadline())
        world.clock.advance(DAY)
        agreed = resolve.weigh(refund.id, decision, world.deadline())
        resolve.carry_out(refund.id, decision, agreed, world.deadline())
        expected = State.FAILED if isinstance(decision, ItFailed) else State.SUCCEEDED
        assert world.stored("ours").state is expected

    @pytest.mark.parametrize(
        "decision",
        [
            ItFailed("its support says so", despite_evidence=True),
            ItSucceeded("hitpay-refund-9", "its support says so", despite_evidence=True),
        ],
    )
    def test_an_unknown_refund_is_decided_after_twice_the_hold(
        self, world: World, resolve: ResolveRefund, decision: Decision
    ) -> None:
        # Given our instruction, whose answer is lost, and a processor that is gone from then on
        world.processor.fates.append(RequestLost())
        refund = world.refund("ours", amount=4000).refund
        world.processor.is_down = True
        world.live_for(47 * HOUR, every_ms=HOUR)
        assert world.stored("ours").state is State.UNKNOWN
        with pytest.raises(ResolutionRefusedError):
            resolve.weigh(refund.id, decision, world.deadline())
        # When that has lasted for twice as long as an instruction may take, then a person decides
        world.live_for(2 * HOUR, every_ms=HOUR)
        agreed = resolve.weigh(refund.id, decision, world.deadline())
        resolve.carry_out(refund.id, decision, agreed, world.deadline())
        expected = State.FAILED if isinstance(decision, ItFailed) else State.SUCCEEDED
        assert world.stored("ours").state is expected


class TestLooksAfterwards:
    """What others report later is noticed, whenever ours was told."""

    @pytest.mark.parametrize("days", [2, 40])
    def test_a_booking_after_a_report_that_came_late_rings(self, world: World, days: int) -> None:
        # Given our report, accepted and its answer lost, replayed much later
        world.refund("ours", amount=4000)
        world.stripe.fates.append(AnswerLost())
        refund_id = world.stored("ours").id
        with pytest.raises(ReportFailedError):
            world.report(refund_id, receive=8, last=True)
        world.doorbell.rung.clear()
        world.settle_for(days * DAY, every_ms=HOUR)
        world.report(refund_id)
        assert world.stored("ours").report.state is ReportState.REPORTED
        world.live_for(3 * HOUR)
        # When a colleague books it once more a day after that
        world.clock.advance(DAY)
        world.book_by_hand(4000, "ticket-4711")
        world.live_for(8 * DAY, every_ms=HOUR)
        # Then somebody is told
        assert world.noted("stripe_higher") != []

    def test_what_a_person_owed_is_told_after_it_was_taken_back_and_restored(
        self, by_hand_of: Callable[[World], ReportByHand]
    ) -> None:
        # Given a refund from before this service, of which a person says that Stripe is owed it
        world = World()
        world.pay(amount=10000)
        moved = world.in_dashboard(3000)
        world.clock.advance(400 * DAY)
        world.settle_run(world.deadline())
        world.refund("first", amount=1)
        world.live_for(HOUR)
        (imported,) = world.imported()
        assert imported.is_before_adoption
        decide_about(world, by_hand_of(world), imported.id, Owed("nobody told"))
        # When it is taken back before Stripe was told, and restored
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.FAILED)
        observe(world)
        world.processor.books.set_status(moved.id, ProcessorRefundStatus.SUCCEEDED)
        observe(world)
        world.live_for(2 * DAY, every_ms=HOUR)
        # Then Stripe is told of it
        assert world.at_processor == world.at_stripe == 3001


class TestImports:
    """What others made becomes refunds here, each once, and each of its own."""

    def test_two_equal_ones_contradict_one_failed_refund_each(
        self, world: World, resolve: ResolveRefund
    ) -> None:
        # Given two refunds of one amount that a person called failed without evidence
        failed = ItFailed("not in its dashboard", despite_evidence=True)
        for key in ("one", "two"):
            world.processor.fates.append(RequestLost())
            refund = world.refund(key, amount=1000).refund
            world.live_for(27 * HOUR, every_ms=5 * STEP_MS)
            agreed = resolve.weigh(refund.id, failed, world.deadline())
            resolve.carry_out(refund.id, failed, agreed, world.deadline())
        # When the payment lists two of that amount
        world.in_dashboard(1000)
        world.in_dashboard(1000)
        observe(world)
        # Then each of them may be one of the two
        contradicted = {one.contradicts for one in world.imported()}
        assert contradicted == {world.stored("one").id, world.stored("two").id}

    def test_a_crash_between_two_batches_of_them_leaves_none_untold(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given more dashboard refunds than one write holds
        world.refund("first", amount=1)
        world.live_for(HOUR)
        made = IMPORTS_PER_COMMIT + 3
        for _ in range(made):
            world.in_dashboard(10)
        commit, commits = world.ledger.commit, count(1)

        def dies(some: Commit) -> None:
            if next(commits) == 2:
                raise LedgerUnavailableError("the function died")
            commit(some)

        # When the function dies between the two writes
        monkeypatch.setattr(world.ledger, "commit", dies)
        with pytest.raises(LedgerUnavailableError):
            observe(world)
        assert 0 < len(world.imported()) < made
        # Then the next look imports the rest, and Stripe hears of all
        observe(world)
        world.live_for(3 * HOUR)
        assert len(world.imported()) == made
        assert world.at_stripe == world.at_processor == 1 + 10 * made


class TestAnotherAccount:
    """An instruction is not looked for where it was not sent."""

    def test_an_unknown_refund_is_neither_found_nor_repeated_there(self) -> None:
        world = paid_world("hyperswitch")
        world.processor.fates.append(ExecutedLate(HOUR))
        world.refund("ours", amount=4000)
        # When another account is set up meanwhile
        world.accounts["hyperswitch"] = "account-2"
        world.live_for(27 * HOUR, every_ms=5 * STEP_MS)
        # Then a person decides, although this account shows a refund under our key
        assert world.stored("ours").state is State.REVIEW
        assert len(world.processor.instructions) == 1
        assert world.noted("sent_to_another_account") != []


class TestPendingForEver:
    """No state without a way out."""

    def test_one_whose_processor_refund_is_gone_goes_to_a_person(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        del world.processor.books.refunds["hitpay-refund-1"]
        world.live_for(26 * HOUR)
        assert world.stored("ours").state is State.REVIEW

    def test_one_that_stays_pending_goes_to_a_person(self, world: World) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("ours", amount=4000)
        world.live_for(31 * DAY, every_ms=HOUR)
        assert world.stored("ours").state is State.REVIEW


class TestAWrongLink:
    """A mistake in metadata can be mended, as long as no money moved under it."""

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


class TestSeenMeanwhile:
    """Nothing is imported while a refund's outcome is not known."""

    @pytest.mark.parametrize("door", ["hitpay", "hedge"])
    def test_a_refund_of_others_is_told_when_ours_has_failed(self, door: str) -> None:
        # Given a refund whose instruction was lost, and a dashboard refund of another amount beside
        # it
        world = World(doors=(door,), after_hold=AfterHold.FAILED)
        world.settle_run(world.deadline())
        world.clock.advance(DAY)
        world.pay()
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=2500)
        world.in_dashboard(1000)
        # When it has failed, since nothing of its amount was found for the whole hold
        world.live_for(HOLD_MS + 4 * HOUR, every_ms=5 * STEP_MS)
        assert world.stored("ours").state is State.FAILED
        # Then Stripe hears of the other though no webhook came and nobody asked again
        assert [one.amount for one in world.imported()] == [1000]
        assert world.at_stripe == 1000


def test_a_report_that_stripe_lost_is_sent_again_until_it_answers(world: World) -> None:
    world.refund("ours", amount=2500)
    world.stripe.fates.extend([ReportLost(), ReportLost()])
    world.live_for(HOUR)
    assert world.at_stripe == 2500


def test_a_lost_reply_and_its_refund_are_one(world: World) -> None:
    world.processor.fates.append(ReplyLost())
    world.refund("ours", amount=2500)
    world.live_for(HOUR)
    assert world.at_stripe == world.at_processor == 2500
