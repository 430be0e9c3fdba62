"""So many events from one address in a minute, and then it has to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refund_bridge.http.address_throttle import AddressThrottle
from tests.fakes.virtual_clock import VirtualClock

HERE, THERE = "192.0.2.10", "192.0.2.11"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def throttle(clock: VirtualClock) -> AddressThrottle:
    return AddressThrottle(clock)


def exhaust(throttle: AddressThrottle, address: str) -> None:
    """Spend all ten."""
    assert [throttle.wait_s(address) for _ in range(10)] == [None] * 10


def test_ten_events_in_a_minute_pass_and_the_eleventh_waits(throttle: AddressThrottle) -> None:
    exhaust(throttle, HERE)
    assert throttle.wait_s(HERE) == 60


def test_another_address_does_not_wait_with_it(throttle: AddressThrottle) -> None:
    exhaust(throttle, HERE)
    assert throttle.wait_s(THERE) is None


def test_the_wait_is_told_in_whole_seconds_rounded_up(
    throttle: AddressThrottle, clock: VirtualClock
) -> None:
    exhaust(throttle, HERE)
    clock.advance(29_999)
    assert throttle.wait_s(HERE) == 31
    clock.advance(29_002)
    assert throttle.wait_s(HERE) == 1
    clock.advance(998)
    assert throttle.wait_s(HERE) == 1
    clock.advance(1)
    assert throttle.wait_s(HERE) is None


def test_asking_while_one_waits_lengthens_nothing(
    throttle: AddressThrottle, clock: VirtualClock
) -> None:
    exhaust(throttle, HERE)
    for _ in range(59):
        clock.advance(1000)
        assert throttle.wait_s(HERE) is not None
    clock.advance(1000)
    exhaust(throttle, HERE)


def test_the_window_slides(throttle: AddressThrottle, clock: VirtualClock) -> None:
    # Given five events now and five half a minute later
    for _ in range(5):
        assert throttle.wait_s(HERE) is None
    clock.advance(30_000)
    for _ in range(5):
        assert throttle.wait_s(HERE) is None
    # When the first five are a minute old
    clock.advance(30_000)
    # Then five more pass, not ten
    assert [throttle.wait_s(HERE) for _ in range(6)] == [None] * 5 + [30]


def test_all_addresses_of_one_ipv6_network_count_as_one(throttle: AddressThrottle) -> None:
    for number in range(10):
        assert throttle.wait_s(f"2001:db8:1:2::{number + 1:x}") is None
    assert throttle.wait_s("2001:0db8:0001:0002:ffff:ffff:ffff:ffff") == 60
    assert throttle.wait_s("2001:db8:1:3::1") is None


def test_what_is_no_address_counts_as_what_it_begins_with(throttle: AddressThrottle) -> None:
    exhaust(throttle, "x" * 64)
    assert throttle.wait_s("x" * 100_000) == 60
    assert throttle.wait_s("None") is None


def test_of_too_many_addresses_the_one_that_was_quiet_longest_is_forgotten(
    clock: VirtualClock,
) -> None:
    # Given room for two addresses, both of which have to wait
    throttle = AddressThrottle(clock, addresses_max=2)
    exhaust(throttle, HERE)
    exhaust(throttle, THERE)
    assert throttle.wait_s(HERE) == 60
    # When a third one comes
    assert throttle.wait_s("192.0.2.12") is None
    # Then of the two the one that was heard of last still waits
    assert throttle.wait_s(HERE) == 60
    assert throttle.wait_s(THERE) is None


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from(["a", "b", "c"])), max_size=200),
    st.integers(1, 5),
)
def test_never_more_than_allowed_in_any_window(
    steps: list[tuple[int, str]], events_max: int
) -> None:
    clock = VirtualClock()
    throttle = AddressThrottle(clock, events_max=events_max, window_ms=60_000)
    passed: dict[str, list[int]] = {}
    for pause_ms, address in steps:
        clock.advance(pause_ms)
        times = passed.setdefault(address, [])
        if throttle.wait_s(address) is None:
            times.append(clock.monotonic_ms())
        recent = [time for time in times if clock.monotonic_ms() - time < 60_000]
        assert len(recent) <= events_max
