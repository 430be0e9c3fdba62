"""One circuit and many threads: reads run on two, reports on eight."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Thread

import pytest

from refund_bridge.adapters.providers.breaker import (
    FAILURES_MAX,
    OPEN_MS,
    Breaker,
    CircuitOpenError,
    Sign,
    Turn,
)
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry


def fail(breaker: Breaker, times: int) -> None:
    """So many calls that fail."""
    for _ in range(times):
        with breaker.admit() as turn:
            turn.sign = Sign.DOWN


def at_once(threads: int, do: Callable[[], None]) -> None:
    """Let so many threads do it, all beginning together."""
    start = Barrier(threads)

    def begin(_: int) -> None:
        start.wait(timeout=10)
        do()

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(begin, range(threads)):
            pass


@pytest.fixture
def clock() -> "Intruded":
    return Intruded()


@pytest.fixture
def telemetry() -> FakeTelemetry:
    return FakeTelemetry()


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Intruded(VirtualClock):
    """A clock that lets another thread try to get in, each time that somebody looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.intrude: Callable[[], object] | None = None
        self.threads: list[Thread] = []

    def now_ms(self) -> int:
        intrude, self.intrude = self.intrude, None
        if intrude is not None:
            thread = Thread(target=intrude)
            self.threads.append(thread)
            thread.start()
            # Long enough for one that nothing keeps out; one that is kept out goes on afterwards.
            thread.join(timeout=0.05)
        return super().now_ms()

    def wait(self) -> None:
        """Return when the other threads have ended."""
        for thread in self.threads:
            thread.join(timeout=10)
            assert not thread.is_alive()


def end_badly(turn: Turn) -> None:
    """The call of that turn fails."""
    with turn:
        turn.sign = Sign.DOWN


def test_two_at_the_threshold_open_it_once(clock: Intruded, telemetry: FakeTelemetry) -> None:
    # Given a circuit that one more failure opens, and two calls under way
    breaker = Breaker("hitpay", clock, telemetry)
    fail(breaker, FAILURES_MAX - 1)
    one, other = breaker.admit(), breaker.admit()
    # When the other fails while the failure of the first is being written down
    clock.intrude = lambda: end_badly(other)
    end_badly(one)
    clock.wait()
    # Then it opened once
    assert breaker.in_doubt
    assert telemetry.events == ["circuit_opened"]


def test_of_two_that_ask_at_once_one_probes(clock: Intruded, telemetry: FakeTelemetry) -> None:
    # Given a circuit that was open for long enough
    breaker = Breaker("hitpay", clock, telemetry)
    fail(breaker, FAILURES_MAX)
    clock.advance(OPEN_MS)
    admitted: list[Turn] = []

    def ask() -> None:
        with suppress(CircuitOpenError):
            admitted.append(breaker.admit())

    # When another call asks while the first is being answered
    clock.intrude = ask
    ask()
    clock.wait()
    # Then only one of them may
    assert len(admitted) == 1


def test_no_failure_is_lost(clock: Intruded, telemetry: FakeTelemetry) -> None:
    # Given eight threads that fail at once, one time too few in all
    breaker = Breaker("hitpay", clock, telemetry, failures_max=8 * 500)
    at_once(8, lambda: fail(breaker, 499))
    fail(breaker, 7)
    assert not breaker.in_doubt
    # When one more fails, then every one of them counted
    fail(breaker, 1)
    assert breaker.in_doubt
