"""A circuit: closed, open, half-open, and closed or open again."""

import pytest

from refund_bridge.adapters.providers.breaker import (
    FAILURES_MAX,
    OPEN_MS,
    Breaker,
    CircuitOpenError,
    Sign,
)
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def telemetry() -> FakeTelemetry:
    return FakeTelemetry()


@pytest.fixture
def breaker(clock: VirtualClock, telemetry: FakeTelemetry) -> Breaker:
    return Breaker("hitpay", clock, telemetry)


def call(breaker: Breaker, sign: Sign) -> None:
    """One call that ends with ``sign``."""
    with breaker.admit() as turn:
        turn.sign = sign


def fail(breaker: Breaker, times: int = FAILURES_MAX) -> None:
    """So many calls that fail, by default as many as open a closed circuit."""
    for _ in range(times):
        call(breaker, Sign.DOWN)


def retry_after_of(breaker: Breaker) -> int | None:
    """What a call that is turned away is told."""
    with pytest.raises(CircuitOpenError) as turned_away:
        breaker.admit()
    return turned_away.value.retry_after_s


class TestClosed:
    """Calls pass."""

    def test_fewer_failures_than_the_limit_change_nothing(
        self, breaker: Breaker, telemetry: FakeTelemetry
    ) -> None:
        # When all but one of the failures have happened that it takes
        fail(breaker, FAILURES_MAX - 1)
        # Then calls still pass
        call(breaker, Sign.UP)
        assert not breaker.in_doubt
        assert telemetry.events == []

    def test_an_answer_makes_the_counting_begin_again(self, breaker: Breaker) -> None:
        # Given an answer among failures that together would be enough
        fail(breaker, FAILURES_MAX - 1)
        call(breaker, Sign.UP)
        # When the counting goes on, then it begins at nothing
        fail(breaker, FAILURES_MAX - 1)
        assert not breaker.in_doubt

    def test_what_says_nothing_neither_counts_nor_makes_good(self, breaker: Breaker) -> None:
        # Given any number of calls that say nothing, among failures
        fail(breaker, FAILURES_MAX - 1)
        for _ in range(100):
            call(breaker, Sign.NONE)
        assert not breaker.in_doubt
        # When one more fails, then those before it still count
        fail(breaker, 1)
        assert breaker.in_doubt

    def test_the_last_failure_of_a_row_opens_it(
        self, breaker: Breaker, telemetry: FakeTelemetry
    ) -> None:
        fail(breaker)
        assert breaker.in_doubt
        assert telemetry.notes == [("circuit_opened", {"provider": "hitpay"})]


class TestOpen:
    """Calls are turned away, and told until when."""

    @pytest.fixture(autouse=True)
    def _open(self, breaker: Breaker) -> None:
        fail(breaker)

    def test_the_time_that_is_left_is_told_in_whole_seconds(
        self, breaker: Breaker, clock: VirtualClock
    ) -> None:
        assert retry_after_of(breaker) == OPEN_MS // 1000
        clock.advance(OPEN_MS - 1_001)
        assert retry_after_of(breaker) == 2
        clock.advance(1_000)
        assert retry_after_of(breaker) == 1

    def test_it_ends_by_the_wall_clock_where_a_freeze_stopped_the_other(
        self, breaker: Breaker, clock: VirtualClock
    ) -> None:
        clock.wall_ms += OPEN_MS
        breaker.admit()

    def test_it_ends_by_the_monotonic_clock_where_the_other_was_put_back(
        self, breaker: Breaker, clock: VirtualClock
    ) -> None:
        clock.wall_ms -= 3_600_000
        clock.passed_ms += OPEN_MS
        breaker.admit()


class TestHalfOpen:
    """One call passes, and decides."""

    @pytest.fixture(autouse=True)
    def _due(self, breaker: Breaker, clock: VirtualClock, telemetry: FakeTelemetry) -> None:
        fail(breaker)
        clock.advance(OPEN_MS)
        telemetry.notes.clear()

    def test_while_one_call_probes_the_others_are_turned_away(self, breaker: Breaker) -> None:
        # Given a probe under way
        probe = breaker.admit()
        # When another call comes, then it is turned away; nobody knows for how long
        assert retry_after_of(breaker) is None
        # And when the probe has succeeded, calls pass
        with probe:
            probe.sign = Sign.UP
        breaker.admit()

    def test_a_probe_that_succeeds_closes_it(
        self, breaker: Breaker, telemetry: FakeTelemetry
    ) -> None:
        call(breaker, Sign.UP)
        assert not breaker.in_doubt
        assert telemetry.notes == [("circuit_closed", {"provider": "hitpay"})]
        # And it takes as many failures as ever to open it again
        fail(breaker, FAILURES_MAX - 1)
        assert not breaker.in_doubt
        fail(breaker, 1)
        assert breaker.in_doubt

    def test_a_probe_that_fails_opens_it_again_for_the_whole_time(
        self, breaker: Breaker, clock: VirtualClock, telemetry: FakeTelemetry
    ) -> None:
        # When the probe waits for a while, and fails
        probe = breaker.admit()
        clock.advance(12_000)
        with probe:
            probe.sign = Sign.DOWN
        # Then the time begins anew
        assert retry_after_of(breaker) == OPEN_MS // 1000
        assert telemetry.events == ["circuit_opened"]
        # And ends with another probe
        clock.advance(OPEN_MS)
        call(breaker, Sign.UP)
        assert not breaker.in_doubt

    def test_a_probe_that_says_nothing_leaves_the_decision_to_the_next_call(
        self, breaker: Breaker, telemetry: FakeTelemetry
    ) -> None:
        call(breaker, Sign.NONE)
        assert breaker.in_doubt
        assert telemetry.events == []
        call(breaker, Sign.UP)
        assert not breaker.in_doubt

    def test_a_probe_that_breaks_off_leaves_the_decision_to_the_next_call(
        self, breaker: Breaker
    ) -> None:
        # Given a probe that ends by something that is not the provider's fault
        def break_off() -> None:
            with breaker.admit():
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            break_off()
        # When the next call succeeds, then that counts
        call(breaker, Sign.UP)
        assert not breaker.in_doubt


class TestCallsFromBefore:
    """A call that began before the circuit changed has nothing to say after."""

    def test_late_failures_keep_it_open_for_no_longer(
        self, breaker: Breaker, clock: VirtualClock, telemetry: FakeTelemetry
    ) -> None:
        # Given calls under way, and a circuit that opened meanwhile
        turns = [breaker.admit() for _ in range(FAILURES_MAX)]
        fail(breaker)
        clock.advance(5_000)
        # When they fail as well
        for turn in turns:
            with turn:
                turn.sign = Sign.DOWN
        # Then the time that was begun goes on
        assert telemetry.events == ["circuit_opened"]
        assert retry_after_of(breaker) == OPEN_MS // 1000 - 5

    def test_a_late_answer_does_not_pass_for_the_probes(
        self, breaker: Breaker, clock: VirtualClock
    ) -> None:
        # Given a call from before the circuit opened, and a probe
        old = breaker.admit()
        fail(breaker)
        clock.advance(OPEN_MS)
        probe = breaker.admit()
        # When the old one's answer arrives
        with old:
            old.sign = Sign.UP
        # Then the probe still decides
        assert breaker.in_doubt
        with probe:
            probe.sign = Sign.DOWN
        assert retry_after_of(breaker) == OPEN_MS // 1000
