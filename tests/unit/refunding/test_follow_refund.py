"""A refund of the ledger becomes what its processor shows of it now, and nothing else changes."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import after_news, after_processor_refund, booked_by
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.follow_refund import FollowRefund
from tests.fakes.processor_fates import Answered, Conduct
from tests.fakes.world import STEP_MS, World

FAILED, PENDING, SUCCEEDED = (
    ProcessorRefundStatus.FAILED,
    ProcessorRefundStatus.PENDING,
    ProcessorRefundStatus.SUCCEEDED,
)


@pytest.fixture
def follow(world: World) -> FollowRefund:
    return world.learn.follow


def pending(world: World) -> Refund:
    """SGD 25.00 that the processor has accepted and not yet moved; ten minutes ago."""
    world.processor.books.conduct = Conduct(PENDING)
    refund = world.refund("k", amount=2500).refund
    return afterwards(world, refund)


def succeeded(world: World) -> Refund:
    return afterwards(world, world.refund("k", amount=2500).refund)


def rejected(world: World) -> Refund:
    """One that the processor refused, and that is shown under its instruction's id if it moves."""
    world.processor.books.names_instructions = True
    world.processor.fates.append(Answered(422, "No."))
    return afterwards(world, world.refund("k", amount=2500).refund)


def afterwards(world: World, refund: Refund) -> Refund:
    world.clock.advance(10 * STEP_MS)
    world.telemetry.notes.clear()
    world.doorbell.rung.clear()
    return refund


def becomes(world: World, status: ProcessorRefundStatus) -> ProcessorRefund:
    """The processor shows the refund with that status now."""
    world.processor.books.set_status("hitpay-refund-1", status)
    return world.processor.books.refunds["hitpay-refund-1"].processor_refund


def moves(world: World, refund: Refund, amount: int = 2500) -> ProcessorRefund:
    """The refund's instruction moves so much after all."""
    charge = world.processor.books.charges["charge-1"]
    moved = world.processor.books.move(charge, Money(amount, "sgd"), refund.id)
    assert isinstance(moved, ProcessorRefund)
    return moved


def tamper(world: World, refund: Refund, **facts: Any) -> Refund:
    world.ledger.refunds[refund.id] = replace(refund, **facts)
    return world.ledger.refunds[refund.id]


def seen(world: World, record: str | None = "pr_1") -> PaymentSnapshot:
    """The payment as the processor shows it now."""
    return PaymentSnapshot(
        key=PaymentKey(world.processor.name, "charge-1"),
        payment_record=record,
        currency="sgd",
        captured=9999,
        in_book=None,
        charge=world.processor.charge("charge-1", world.deadline()),
    )


class TestItsProcessorRefund:
    """News of the processor refund that it is bound to."""

    def test_what_has_ended_is_written_and_its_report_is_rung_for(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = pending(world)
        shown = becomes(world, SUCCEEDED)
        assert follow(before, shown, world.deadline()) is True
        # Then it is what the processor shows, seen just now by whoever observes
        now_ms = world.clock.now_ms()
        after = after_processor_refund(
            before, shown, at_ms=now_ms, cause="observed", actor="observe"
        )
        assert world.stored("k") == replace(after, revision=before.revision + 1)
        assert world.doorbell.rung == [before.id]
        assert world.telemetry.events == ["refund_moved"]

    def test_what_is_taken_back_is_written_and_told(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = succeeded(world)
        shown = becomes(world, FAILED)
        assert follow(before, shown, world.deadline()) is True
        now_ms = world.clock.now_ms()
        after = after_news(before, shown, at_ms=now_ms, cause="observed", actor="observe")
        assert world.stored("k") == replace(after, revision=before.revision + 1)
        told = {"refund_id": before.id, "movement": shown.id}
        assert world.telemetry.notes == [("refund_taken_back", told)]
        assert world.doorbell.rung == []

    def test_a_report_that_failed_before_is_not_told_again_when_the_money_is_back(
        self, world: World, follow: FollowRefund
    ) -> None:
        # Given a refund that was taken back, whose report Stripe was asked for and refused
        before = succeeded(world)
        report = replace(before.report, state=ReportState.FAILED, attempts=1, last_error="no")
        before = tamper(world, before, report=report, late_failure_at_ms=world.clock.now_ms())
        # When it is there again
        assert follow(before, becomes(world, SUCCEEDED), world.deadline()) is True
        # Then that is all that is told
        assert world.telemetry.events == ["refund_restored"]
        assert world.doorbell.rung == []

    @pytest.mark.parametrize("status", [FAILED, SUCCEEDED])
    def test_what_shows_another_amount_or_nothing_new_changes_nothing(
        self, world: World, follow: FollowRefund, status: ProcessorRefundStatus
    ) -> None:
        before = succeeded(world)
        assert follow(before, becomes(world, SUCCEEDED), world.deadline()) is False
        other = replace(becomes(world, status), money=Money(1, "sgd"))
        assert follow(before, other, world.deadline()) is False
        assert world.stored("k") == before
        assert world.telemetry.notes == [("movement_disagrees", {"refund_id": before.id})]

    def test_what_another_call_has_written_is_not_written_again(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = pending(world)
        shown = becomes(world, SUCCEEDED)
        follow(before, shown, world.deadline())
        after = world.stored("k")
        assert follow(before, shown, world.deadline()) is True
        assert world.stored("k") == after
        assert world.doorbell.rung == [before.id]


class TestASecondLook:
    """What the processor said otherwise before is believed if it says so twice."""

    @pytest.mark.parametrize("facts", [{"status": SUCCEEDED}, {"money": Money(1, "sgd")}, None])
    def test_a_second_look_that_shows_something_else_changes_nothing(
        self, world: World, follow: FollowRefund, facts: dict[str, Any] | None
    ) -> None:
        before = succeeded(world)
        shown = becomes(world, FAILED)
        # Given that the second look shows another status, another amount, or nothing
        other = None if facts is None else replace(shown, **facts)
        world.processor.processor_refund = lambda *_: other  # type: ignore[method-assign]
        world.processor.lists_refunds = False
        assert follow(before, shown, world.deadline()) is False
        assert world.stored("k") == before
        assert world.telemetry.notes == []

    def test_one_without_an_answer_neither(self, world: World, follow: FollowRefund) -> None:
        before = succeeded(world)
        shown = becomes(world, FAILED)
        world.processor.is_down = True
        assert follow(before, shown, world.deadline()) is False
        told = {"refund_id": before.id, "reason": "ProviderUnavailableError"}
        assert world.telemetry.notes == [("no_second_look", told)]
        assert world.stored("k") == before

    def test_nor_where_the_processor_is_not_set_up_any_more(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = succeeded(world)
        shown = becomes(world, FAILED)
        world.doors.clear()
        assert follow(before, shown, world.deadline()) is False
        assert world.stored("k") == before

    def test_an_end_needs_none(self, world: World, follow: FollowRefund) -> None:
        before = pending(world)
        shown = becomes(world, SUCCEEDED)
        world.processor.is_down = True
        assert follow(before, shown, world.deadline()) is True


class TestItsInstruction:
    """A refund that was thought to have moved nothing, and its instruction has."""

    def test_it_is_bound_to_what_its_instruction_moved_and_stripe_is_owed_it(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = rejected(world)
        moved = moves(world, before)
        assert follow.instruction(before, moved, world.deadline()) is True
        stored = world.stored("k")
        assert (stored.state, stored.processor_refund_id) == (State.SUCCEEDED, moved.id)
        assert world.doorbell.rung == [before.id]
        told = {"refund_id": before.id, "movement": moved.id}
        assert world.noted("refund_moved_after_all") == [told]
        # And no second time
        assert follow.instruction(stored, moved, world.deadline()) is False
        assert world.stored("k") == stored

    def test_what_was_imported_before_is_told_once_as_that(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = rejected(world)
        moved = moves(world, before)
        world.ledger.processor_refunds["hitpay", moved.id] = "rfd_imported"
        assert follow.instruction(before, moved, world.deadline()) is False
        assert world.stored("k") == before
        assert world.doorbell.rung == []

    @pytest.mark.parametrize(
        "facts", [{"status": PENDING}, {"status": FAILED}, {"money": Money(1, "sgd")}, None]
    )
    def test_what_has_not_moved_its_amount_binds_nothing(
        self, world: World, follow: FollowRefund, facts: dict[str, Any] | None
    ) -> None:
        before = rejected(world)
        moved = moves(world, before)
        listed = None if facts is None else replace(moved, **facts)
        assert follow.instruction(before, listed, world.deadline()) is False
        assert world.stored("k") == before
        assert world.telemetry.notes == []

    @pytest.mark.parametrize(
        "facts",
        [
            {"state": State.UNKNOWN},
            {"state": State.REVIEW},
            {"processor_refund_id": "hitpay-refund-9"},
        ],
    )
    def test_one_that_may_still_move_or_is_bound_is_not_bound_by_it(
        self, world: World, follow: FollowRefund, facts: dict[str, Any]
    ) -> None:
        before = rejected(world)
        moved = moves(world, before)
        before = tamper(world, before, **facts)
        assert follow.instruction(before, moved, world.deadline()) is False
        assert world.stored("k") == before

    def test_where_its_processor_is_not_set_up_nothing_is_known(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = rejected(world)
        moved = moves(world, before)
        world.doors.clear()
        assert follow.instruction(before, moved, world.deadline()) is False
        assert follow.again(before, world.deadline()) is False
        bound = replace(before, processor_refund_id=moved.id)
        assert follow.again(bound, world.deadline()) is False

    @pytest.mark.parametrize("is_shown", [True, False])
    def test_where_keys_are_kept_it_is_bound_by_the_id_that_its_key_shows(
        self, is_shown: bool
    ) -> None:
        # Given a payment that lists its refunds by other ids than instructions are answered with
        world = World(doors=("hyperswitch",))
        world.pay()
        before = rejected(world)
        moved = moves(world, before)
        listed = replace(moved, id=f"listed-{moved.id}")
        if not is_shown:
            world.processor.reads_keys = False
            by_id = {moved.id: moved, listed.id: listed}

            def read(name: str, _: Deadline) -> ProcessorRefund:
                return by_id[name]

            world.processor.processor_refund = read  # type: ignore[method-assign, assignment]
        follow = world.learn.follow
        assert follow.instruction(before, listed, world.deadline()) is True
        expected = moved if is_shown else listed
        assert world.stored("k").processor_refund_id == expected.id


class TestAgain:
    """The processor is asked what became of it."""

    def test_it_is_asked_for_by_its_id(self, world: World, follow: FollowRefund) -> None:
        before = pending(world)
        assert follow.again(before, world.deadline()) is False
        becomes(world, SUCCEEDED)
        assert follow.again(before, world.deadline()) is True
        assert world.stored("k").state is State.SUCCEEDED

    def test_one_without_an_id_is_asked_for_by_its_instruction(self) -> None:
        world = World(doors=("hyperswitch",))
        world.pay()
        before = rejected(world)
        follow = world.learn.follow
        assert follow.again(before, world.deadline()) is False
        moves(world, before)
        assert follow.again(before, world.deadline()) is True
        assert world.stored("k").state is State.SUCCEEDED

    def test_an_answer_that_cannot_be_read_or_shows_nothing_changes_nothing(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = pending(world)
        world.processor.books.refunds.clear()
        assert follow.again(before, world.deadline()) is False

        def unreadable(*_: object) -> ProcessorRefund:
            raise UnreadableAnswerError("contradicts itself")

        world.processor.processor_refund = unreadable  # type: ignore[method-assign, assignment]
        assert follow.again(before, world.deadline()) is False
        assert world.stored("k") == before

    def test_no_answer_is_told_to_whoever_asks(self, world: World, follow: FollowRefund) -> None:
        before = pending(world)
        world.processor.is_down = True
        with pytest.raises(ProviderUnavailableError):
            follow.again(before, world.deadline())


class TestAllListed:
    """Everything that a payment lists."""

    def test_each_that_is_listed_as_it_is_bound_is_followed(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = pending(world)
        owners = {"hitpay-refund-1": before}
        assert follow.all_listed(seen(world), owners, world.deadline()) is False
        assert world.stored("k") == before
        becomes(world, SUCCEEDED)
        assert follow.all_listed(seen(world), owners, world.deadline()) is True
        assert world.stored("k").state is State.SUCCEEDED

    def test_one_that_is_listed_by_another_id_is_not_followed_by_that(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = pending(world)
        becomes(world, SUCCEEDED)
        world.processor.books.lists_other_ids = True
        owners = {"listed-hitpay-refund-1": before}
        assert follow.all_listed(seen(world), owners, world.deadline()) is False
        assert world.stored("k") == before
        assert world.telemetry.notes == []

    def test_an_instruction_is_found_among_others(self, world: World, follow: FollowRefund) -> None:
        # Given one of ours, a colleague's, one of an instruction that nobody knows, and then it
        before = rejected(world)
        ours = world.refund("other", amount=100).refund
        world.processor.books.names_instructions = False
        world.in_dashboard(300)
        world.processor.books.names_instructions = True
        moves(world, replace(before, id="rfd_nobody"), 400)
        moves(world, before)
        afterwards(world, before)
        # When the payment is read
        refund, asked = world.ledger.refund, list[str | None]()

        def watched(refund_id: str) -> Refund | None:
            asked.append(refund_id)
            return refund(refund_id)

        world.ledger.refund = watched  # type: ignore[method-assign]
        owners = {ours.processor_refund_id or "": ours}
        assert follow.all_listed(seen(world), owners, world.deadline()) is True
        # Then the ledger was asked for no refund that the payment does not name
        assert set(asked) == {"rfd_nobody", before.id}
        assert world.stored("k").state is State.SUCCEEDED
        assert world.stored("other") == ours

    def test_an_instruction_that_moved_another_amount_is_followed_by_nothing(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = rejected(world)
        moves(world, before, 2400)
        moves(world, replace(before, id="rfd_nobody"), 100)
        assert follow.all_listed(seen(world), {}, world.deadline()) is False
        assert world.stored("k") == before
        assert world.telemetry.notes == []

    def test_what_was_imported_is_not_its_instructions_any_more(
        self, world: World, follow: FollowRefund
    ) -> None:
        before = rejected(world)
        moved = moves(world, before)
        facts: dict[str, Any] = {"processor_refund_id": moved.id, "state": State.SUCCEEDED}
        imported = replace(before, id="rfd_imported", **facts)
        world.ledger.processor_refunds["hitpay", moved.id] = imported.id
        owners = {moved.id: imported}
        assert follow.all_listed(seen(world), owners, world.deadline()) is False
        assert world.stored("k") == before
        assert world.telemetry.notes == []

    def test_no_answer_about_one_keeps_nothing_of_the_others(self) -> None:
        # Given an instruction that moved after all, where keys are kept
        world = World(doors=("hyperswitch",))
        world.pay()
        before = rejected(world)
        moves(world, before)
        shown = seen(world)
        # When its key gets no answer
        world.processor.is_down = True
        assert world.learn.follow.all_listed(shown, {}, world.deadline()) is False
        told = {"refund_id": before.id, "reason": "ProviderUnavailableError"}
        assert world.telemetry.notes == [("no_second_look", told)]
        assert world.stored("k") == before


class TestARecordThatIsFoundLater:
    """An import whose payment had no Payment Record."""

    @pytest.fixture
    def kept(self, world: World) -> Refund:
        """A colleague's refund, imported while its PaymentIntent named no record."""
        world.processor.references["charge-1"] = "pi_1"
        world.stripe.add_reference("pi_1", {})
        world.in_dashboard(2500)
        world.observe(PaymentKey("hitpay", "charge-1"), world.deadline())
        (refund,) = world.imported()
        return afterwards(world, refund)

    def looked_at(self, world: World, refund: Refund, record: str | None) -> bool:
        owners = {"hitpay-refund-1": refund}
        return world.learn.follow.all_listed(seen(world, record), owners, world.deadline())

    def has_record(self, world: World) -> None:
        payment = replace(world.payment(), payment_record="pr_1")
        world.ledger.payments[payment.key] = payment

    def test_it_is_given_the_record_that_its_payment_has_now(
        self, world: World, kept: Refund
    ) -> None:
        self.has_record(world)
        assert self.looked_at(world, kept, "pr_1") is True
        shown = world.processor.books.refunds["hitpay-refund-1"].processor_refund
        now_ms = world.clock.now_ms()
        after = booked_by(kept, "pr_1", shown, at_ms=now_ms, actor="observe")
        assert world.imported() == [replace(after, revision=kept.revision + 1)]
        # And a look from before that gives it nothing more
        assert self.looked_at(world, kept, "pr_1") is False
        assert world.imported() == [replace(after, revision=kept.revision + 1)]
        assert self.looked_at(world, world.imported()[0], "pr_1") is False

    @pytest.mark.parametrize("has_record", [True, False])
    def test_as_long_as_none_is_seen_a_person_is_called(
        self, world: World, kept: Refund, has_record: bool
    ) -> None:
        if has_record:
            self.has_record(world)
        assert self.looked_at(world, kept, None) is False
        assert world.imported() == [kept]
        told = {"refund_id": kept.id, "reason": "payment_not_linked"}
        assert world.telemetry.notes == [("report_failed", told)]

    def test_one_that_its_payment_has_not_got_yet_is_given_later(
        self, world: World, kept: Refund
    ) -> None:
        assert self.looked_at(world, kept, "pr_1") is False
        assert world.imported() == [kept]
        assert world.telemetry.notes == []

    def test_nobody_is_called_for_money_that_came_back(self, world: World, kept: Refund) -> None:
        back = tamper(world, kept, late_failure_at_ms=world.clock.now_ms())
        becomes(world, FAILED)
        assert self.looked_at(world, back, None) is False
        assert world.telemetry.notes == []
