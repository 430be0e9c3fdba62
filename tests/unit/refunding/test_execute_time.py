"""Nothing is begun that might not end in time, and what ended is written."""

from collections.abc import Callable

import pytest

from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.instruction import Instruction
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import Commit, LedgerUnavailableError
from refund_bridge.ports.runtime import Deadline
from tests.fakes.processor_fates import Answered, Executed
from tests.fakes.world import LEASE_MS, World

SEND_MS_MIN = 12_000
SEND_MS_MAX = 20_000


def after_commit(world: World, happens: Callable[[], object]) -> None:
    """Let that happen once the intent is durable, before anything is sent."""
    commit = world.ledger.commit

    def committed(written: Commit) -> None:
        world.ledger.commit = commit  # type: ignore[method-assign]
        commit(written)
        happens()

    world.ledger.commit = committed  # type: ignore[method-assign, assignment]


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
        assert bool(world.processor.instructions) is sent
        if not sent:
            assert answer.refund.state is State.ABORTED
            reason = "The lease ran out before the refund was sent."
            assert answer.refund.history[-1].evidence["reason"] == reason

    @pytest.mark.parametrize(("late_ms", "sent"), [(0, 2), (1, 1)])
    def test_before_the_second_sending_the_lease_is_looked_at_again(
        self, world: World, late_ms: int, sent: int
    ) -> None:
        # Given a call that is paused while its credential is refused, and another one is read
        def refused_after_a_pause(_: object) -> Answered:
            world.clock.wall_ms += LEASE_MS - SEND_MS_MAX + late_ms
            return Answered(403, replaced=True)

        world.processor.decide = refused_after_a_pause
        # When it goes on, then it sends again only if the lease still covers that
        world.refund("k")
        assert len(world.processor.instructions) == sent

    @pytest.mark.parametrize(("left_ms", "sent"), [(SEND_MS_MIN, True), (SEND_MS_MIN - 1, False)])
    def test_the_time_has_to_cover_the_shortest_call(
        self, world: World, left_ms: int, sent: bool
    ) -> None:
        # Given a reservation that leaves just so much time
        def pause() -> None:
            world.clock.passed_ms += 24_000 - left_ms

        after_commit(world, pause)
        answer = world.refund("k")
        assert bool(world.processor.instructions) is sent
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
        record = world.stripe.payment_record

        def read(name: str, deadline: Deadline) -> object:
            left.append(deadline.remaining_ms())
            return record(name, deadline)

        world.stripe.payment_record = read  # type: ignore[method-assign, assignment]
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

        def sending(instruction: Instruction) -> Executed:
            world.ledger.commit = slow  # type: ignore[method-assign, assignment]
            sent(instruction)
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
        def decide(_: Instruction) -> Executed:
            world.clock.advance(milliseconds)
            return Executed()

        world.processor.decide = decide
