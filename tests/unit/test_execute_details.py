"""What one call leaves undone, tells and logs, at the limits of its time and of its lease."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refunds.errors import (
    IdempotencyKeyReusedError,
    KeyInUseError,
    OutcomeUnknownError,
    PaymentNotLinkedError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    StripeUnavailableError,
)
from refunds.money import Money
from refunds.ports import (
    Commit,
    Deadline,
    Known,
    LedgerConflictError,
    LedgerUnavailableError,
    Movement,
    MovementStatus,
    ProviderUnavailableError,
    RefundOrder,
)
from refunds.refund import ReferenceType, Refund, RefundType
from refunds.state_machine import ReportState, State
from tests.fakes.processor_fates import Conduct, Executed, NotSent, RequestLost
from tests.fakes.world import LEASE_MS, World

SEND_MS_MIN = 12_000
SEND_MS_MAX = 20_000


@pytest.fixture
def world() -> World:
    """A world with one payment of SGD 99.99, ``pr_1``."""
    made = World()
    made.pay()
    return made


def after_commit(world: World, happens: Callable[[], object]) -> None:
    """Let that happen once the intent is durable, before anything is sent."""
    commit = world.ledger.commit

    def committed(written: Commit) -> None:
        world.ledger.commit = commit  # type: ignore[method-assign]
        commit(written)
        happens()

    world.ledger.commit = committed  # type: ignore[method-assign, assignment]


class TestOrder:
    """What the processor is asked."""

    def test_it_is_the_stored_refund(self, world: World) -> None:
        asked: dict[str, Any] = {"amount": 2500, "reason": "duplicate", "metadata": {"a": "b"}}
        refund = world.refund("k", **asked).refund
        assert world.processor.orders == [
            RefundOrder(
                refund_id=refund.id,
                payment_id="charge-1",
                money=Money(2500, "sgd"),
                reason="duplicate",
                metadata={"a": "b"},
                listed_before=frozenset(),
            )
        ]

    def test_the_log_says_when_it_was_sent_and_what_it_came_to(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        refund = world.refund("k").refund
        assert world.noted("refund_sending") == [{"refund_id": refund.id, "attempt": 1}]
        ((told, after),) = [(o["refund_id"], o["after"]) for o in world.noted("refund_moved")]
        assert (told, after) == (refund.id, "aborted")


class TestAnswer:
    """What a call finds out is told apart from what an earlier one did."""

    def test_a_first_call_has_not_replayed_anything(self, world: World) -> None:
        answer = world.refund("k", amount=2500)
        assert not answer.replayed
        assert answer.payment == world.payment()

    def test_a_call_that_comes_again_has(self, world: World) -> None:
        world.refund("k", amount=2500)
        answer = world.refund("k", amount=2500)
        assert answer.replayed
        assert answer.payment == world.payment()

    def test_a_call_that_lost_the_race_for_its_key_has_too(self, world: World) -> None:
        # Given another call with the same key that does it all just before this one writes
        commit = world.ledger.commit

        def beaten(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            world.refund("k", amount=2500)
            commit(written)

        world.ledger.commit = beaten  # type: ignore[method-assign, assignment]
        # Then this one finds what the other did
        answer = world.refund("k", amount=2500)
        assert (answer.replayed, answer.refund.state) == (True, State.SUCCEEDED)
        assert len(world.processor.orders) == 1

    def test_another_request_that_lost_the_race_for_the_key_is_refused(self, world: World) -> None:
        commit = world.ledger.commit

        def beaten(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            world.refund("k", amount=1)
            commit(written)

        world.ledger.commit = beaten  # type: ignore[method-assign, assignment]
        with pytest.raises(IdempotencyKeyReusedError) as reused:
            world.refund("k", amount=2)
        assert reused.value.details == {"refund": world.stored("k").id}

    def test_an_aborted_refund_with_another_request_is_refused(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k", amount=1)
        with pytest.raises(IdempotencyKeyReusedError):
            world.refund("k", amount=2)
        assert len(world.processor.orders) == 1

    @pytest.mark.parametrize(
        ("kind", "record"),
        [(ReferenceType.PAYMENT_RECORD, "pr_1"), (ReferenceType.PAYMENT_INTENT, None)],
    )
    def test_only_a_records_own_id_is_looked_up_as_one(
        self, world: World, kind: ReferenceType, record: str | None
    ) -> None:
        asked: list[tuple[str, str | None]] = []
        look_up = world.ledger.look_up

        def watched(refund_id: str, payment_record: str | None) -> Known:
            asked.append((refund_id, payment_record))
            return look_up(refund_id, payment_record)

        world.ledger.look_up = watched  # type: ignore[method-assign]
        world.book.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        name = "pr_1" if record else "pi_1"
        refund = world.refund("k", record=name, reference_type=kind).refund
        assert asked == [(refund.id, record)]


class TestKeyInUse:
    """The same key comes while its call may still be sending."""

    def sending(self, world: World) -> Refund:
        class Killed(BaseException):
            pass

        def killed(_: object) -> NotSent:
            raise Killed

        world.processor.decide = killed
        with pytest.raises(Killed):
            world.refund("k")
        return world.stored("k")

    def test_it_is_told_to_come_again_in_two_seconds(self, world: World) -> None:
        refund = self.sending(world)
        with pytest.raises(KeyInUseError) as in_use:
            world.refund("k")
        assert in_use.value.details == {"outcome": "unknown", "refund": refund.id}
        assert in_use.value.retry_after_s == 2

    def test_until_the_lease_ends_and_no_longer(self, world: World) -> None:
        self.sending(world)
        world.clock.advance(LEASE_MS - 1)
        with pytest.raises(KeyInUseError):
            world.refund("k")
        world.clock.advance(1)
        assert world.refund("k").refund.state is State.SUBMITTING

    def test_what_is_not_being_sent_is_not_in_use_whatever_lease_it_has(self, world: World) -> None:
        # Given a refund that an older release left with the lease of its attempt
        refund = world.refund("k").refund
        lease_until_ms = world.clock.now_ms() + LEASE_MS
        world.ledger.refunds[refund.id] = replace(refund, lease_until_ms=lease_until_ms)
        assert world.refund("k").replayed

    def test_a_call_without_a_lease_is_not_in_use(self, world: World) -> None:
        refund = self.sending(world)
        world.ledger.refunds[refund.id] = replace(refund, lease_until_ms=None)
        assert world.refund("k").replayed


class TestTime:
    """Nothing is begun that might not end in time."""

    @pytest.mark.parametrize(("late_ms", "sent"), [(0, True), (1, False)])
    def test_the_lease_has_to_cover_the_longest_call(
        self, world: World, late_ms: int, sent: bool
    ) -> None:
        # Given a call that is paused until just as long before its lease's end
        wall_ms = LEASE_MS - SEND_MS_MAX + late_ms

        def pause() -> None:
            world.clock.wall_ms += wall_ms

        after_commit(world, pause)
        # When it goes on, then it sends only if the lease still covers the call
        answer = world.refund("k")
        assert bool(world.processor.orders) is sent
        if not sent:
            reason = "The lease ran out before the refund was sent."
            assert answer.refund.history[-1].evidence["reason"] == reason

    @pytest.mark.parametrize(("left_ms", "sent"), [(SEND_MS_MIN, True), (SEND_MS_MIN - 1, False)])
    def test_the_time_has_to_cover_the_shortest_call(
        self, world: World, left_ms: int, sent: bool
    ) -> None:
        # Given a reservation that leaves just so much time
        def pause() -> None:
            world.clock.passed_ms += 24_000 - left_ms

        after_commit(world, pause)
        answer = world.refund("k")
        assert bool(world.processor.orders) is sent
        if not sent:
            reason = "The time ran out before the refund was sent."
            assert answer.refund.history[-1].evidence["reason"] == reason

    @pytest.mark.parametrize(("left_ms", "begun"), [(SEND_MS_MIN, True), (SEND_MS_MIN - 1, False)])
    def test_nothing_is_reserved_without_time_to_send(
        self, world: World, left_ms: int, begun: bool
    ) -> None:
        deadline = world.deadline_of(left_ms)
        if begun:
            world.execute(world.command("k"), deadline)
            return
        with pytest.raises(ProcessorUnavailableError) as told:
            world.execute(world.command("k"), deadline)
        assert told.value.retry_after_s == 5
        assert world.ledger.refunds == {}

    def test_a_scheduled_refund_is_not_begun_without_time_to_send(self, world: World) -> None:
        refund = world.refund("k", refund_type=RefundType.SCHEDULED).refund
        world.settle(refund.id, world.deadline_of(SEND_MS_MIN - 1))
        assert world.stored("k").state is State.REQUESTED
        assert world.stored("k").last_look == "not begun: processor_unavailable"
        assert world.stored("k").attempt == 0

    def test_reading_leaves_the_time_that_sending_needs(self, world: World) -> None:
        left: list[int] = []
        record = world.book.payment_record

        def read(name: str, deadline: Deadline) -> object:
            left.append(deadline.remaining_ms())
            return record(name, deadline)

        world.book.payment_record = read  # type: ignore[method-assign, assignment]
        world.refund("k", amount=1)
        world.refund("later", amount=1, refund_type=RefundType.SCHEDULED)
        world.settle_due()
        assert left == [24_000 - SEND_MS_MIN] * 3


class TestRecording:
    """Three seconds are left for it after the providers' budget, before the gateway gives up."""

    @pytest.mark.parametrize(("late_ms", "recorded"), [(2_999, True), (3_000, False)])
    def test_the_ledger_is_tried_again_for_three_seconds(
        self, world: World, late_ms: int, recorded: bool
    ) -> None:
        # Given a call that takes the whole budget, and a ledger whose next answer comes that late
        commit = world.ledger.commit

        def slow(_: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            world.clock.advance(late_ms)
            raise LedgerUnavailableError("no answer")

        self.sending_takes(world, 24_000)
        sent = world.processor.decide

        def sending(order: RefundOrder) -> Executed:
            world.ledger.commit = slow  # type: ignore[method-assign, assignment]
            sent(order)
            return Executed()

        world.processor.decide = sending
        # Then the outcome is written, or left to settling
        expected = State.SUCCEEDED if recorded else State.SUBMITTING
        assert world.refund("k").refund.state is expected
        assert world.stored("k").state is expected

    @pytest.mark.parametrize(("took_ms", "rung"), [(26_999, True), (27_000, False)])
    def test_with_no_time_left_the_bell_is_left_to_settling(
        self, world: World, took_ms: int, rung: bool
    ) -> None:
        self.sending_takes(world, took_ms)
        refund = world.refund("k").refund
        assert (refund.state, refund.report.state) == (State.SUCCEEDED, ReportState.DUE)
        assert bool(world.doorbell.rung) is rung
        assert refund.next_check_ms is not None

    def sending_takes(self, world: World, milliseconds: int) -> None:
        def decide(_: RefundOrder) -> Executed:
            world.clock.advance(milliseconds)
            return Executed()

        world.processor.decide = decide


class TestTakenMeanwhile:
    """An error promises that nothing moved under the key; so it is made sure of."""

    def fails_after(self, world: World, happens: Callable[[], object]) -> None:
        """Stripe is asked, that happens, and Stripe gives no answer."""
        record = world.book.payment_record

        def read(*_: object) -> object:
            world.book.payment_record = record  # type: ignore[method-assign]
            happens()
            raise ProviderUnavailableError("no answer")

        world.book.payment_record = read  # type: ignore[method-assign, assignment]

    def test_another_call_that_executed_it_is_found(self, world: World) -> None:
        self.fails_after(world, lambda: world.refund("k"))
        answer = world.refund("k")
        assert (answer.replayed, answer.refund.state) == (True, State.SUCCEEDED)

    def test_another_call_that_began_an_aborted_one_again_is_found(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k")
        self.fails_after(world, lambda: world.refund("k"))
        answer = world.refund("k")
        assert (answer.replayed, answer.refund.state) == (True, State.SUCCEEDED)

    def test_without_another_call_the_error_is_told(self, world: World) -> None:
        self.fails_after(world, lambda: None)
        with pytest.raises(StripeUnavailableError):
            world.refund("k")

    def test_an_aborted_refund_that_nobody_touched_gets_the_error(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k")
        self.fails_after(world, lambda: None)
        with pytest.raises(StripeUnavailableError):
            world.refund("k")

    def test_an_intent_that_may_have_been_written_is_not_called_certain(self, world: World) -> None:
        # Given an intent whose write gets no answer, and which another process then moves on
        commit = world.ledger.commit

        def unclear(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            commit(written)
            refund = written.refunds[0].after
            world.ledger.refunds[refund.id] = replace(refund, state=State.UNKNOWN, revision=2)
            raise LedgerUnavailableError("no answer")

        world.ledger.commit = unclear  # type: ignore[method-assign, assignment]
        # Then the caller is told that the outcome is not known
        with pytest.raises(OutcomeUnknownError):
            world.refund("k")


class TestLookOnce:
    """A pending refund is looked at once more, at once; whatever comes of it, it is pending."""

    @pytest.fixture(autouse=True)
    def pending(self, world: World) -> None:
        world.processor.books.conduct = Conduct(MovementStatus.PENDING)

    def looks(self, world: World, look: Callable[[str], Movement | None]) -> None:
        def movement(name: str, _: Deadline) -> Movement | None:
            return look(name)

        world.processor.movement = movement  # type: ignore[method-assign, assignment]

    def ended(self, world: World, name: str) -> Movement:
        world.processor.books.set_status(name, MovementStatus.SUCCEEDED)
        return world.processor.books.refunds[name].movement

    def test_one_that_is_still_pending_stays_so(self, world: World) -> None:
        assert world.refund("k").refund.state is State.PENDING
        assert world.noted("pending_not_read") == []

    def test_one_that_is_still_pending_is_not_written_again(self, world: World) -> None:
        def slowly(name: str) -> Movement:
            world.clock.advance(1_000)
            return world.processor.books.refunds[name].movement

        self.looks(world, slowly)
        refund = world.refund("k").refund
        assert refund == world.stored("k")
        assert refund.next_check_ms == world.clock.now_ms() - 1_000

    def test_one_that_is_not_shown_yet_stays_so(self, world: World) -> None:
        self.looks(world, lambda _: None)
        assert world.refund("k").refund.state is State.PENDING
        assert world.noted("pending_not_read") == []

    def test_one_that_cannot_be_read_stays_so(self, world: World) -> None:
        def unavailable(_: str) -> Movement | None:
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

        def look(name: str) -> Movement:
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
        look = refund.history[-2]
        assert (look.cause, look.actor) == ("looked_up", "api_key:test")
        assert look.at_ms == world.clock.now_ms()

    def test_what_is_not_pending_is_not_looked_at(self, world: World) -> None:
        def never(_: str) -> Movement | None:
            raise AssertionError

        self.looks(world, never)
        world.processor.fates.append(RequestLost())
        assert world.refund("k").refund.state is State.UNKNOWN


def test_a_lost_doorbell_is_told_to_the_log(world: World) -> None:
    world.doorbell.is_broken = True
    refund = world.refund("k").refund
    assert world.noted("doorbell_lost") == [{"refund_id": refund.id}]


def test_a_refund_that_owes_nothing_is_not_rung_for(world: World) -> None:
    refund = world.refund("k").refund
    world.execute.ring(replace(refund, report=replace(refund.report, state=ReportState.REPORTED)))
    assert world.doorbell.rung == [refund.id]


def test_a_scheduled_refund_is_sent_as_it_was_asked_for(world: World) -> None:
    # Given a scheduled refund
    asked = world.refund("k", amount=2500, refund_type=RefundType.SCHEDULED).refund
    # When settling executes it
    world.settle_due()
    # Then request and source are as they were, by a call of its own
    done = world.stored("k")
    assert (done.request, done.source) == (asked.request, asked.source)
    assert [line.actor for line in done.history][:3] == ["api_key:test"] + ["settle_refunds"] * 2
    assert (done.attempt, done.token) == (1, "call-2")
    assert world.payment().moved == 2500


def test_what_a_call_refuses_names_what_the_caller_did(world: World) -> None:
    with pytest.raises(RefundAmountExceededError):
        world.refund("k", amount=10_000)
    world.book.books.records["pr_1"].metadata = {}
    with pytest.raises(PaymentNotLinkedError):
        world.refund("k")
    assert world.processor.orders == []
