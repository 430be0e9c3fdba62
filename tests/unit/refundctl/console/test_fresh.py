"""What was read is kept for a while, read once for all who ask, and read again after trouble."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from refundctl.console.fresh import Fresh
from tests.fakes.virtual_clock import VirtualClock

KEEP_MS = 1000


class Reads:
    """Counts reads; each takes so long by the virtual clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.count = 0
        self.takes_ms = 0
        self.trouble: Exception | None = None
        self._clock = clock

    def __call__(self) -> int:
        self.count += 1
        self._clock.advance(self.takes_ms)
        if self.trouble is not None:
            raise self.trouble
        return self.count


def run(body: Callable[..., object]) -> None:
    clock = VirtualClock()
    reads = Reads(clock)
    with ThreadPoolExecutor(4) as pool:

        async def go() -> None:
            fresh = Fresh(reads, keep_ms=KEEP_MS, executor=pool, clock=clock)
            await body(fresh, reads, clock)  # type: ignore[misc]

        asyncio.run(go())


def test_it_is_read_again_when_it_is_no_longer_fresh() -> None:
    async def body(fresh: Fresh[int], reads: Reads, clock: VirtualClock) -> None:
        assert await fresh.get() == 1
        clock.advance(KEEP_MS - 1)
        assert await fresh.get() == 1
        clock.advance(1)
        assert await fresh.get() == 2

    run(body)


def test_slow_reading_is_rested_from() -> None:
    async def body(fresh: Fresh[int], reads: Reads, clock: VirtualClock) -> None:
        reads.takes_ms = 2000
        assert await fresh.get() == 1
        clock.advance(9 * 2000 - 1)
        assert await fresh.get() == 1
        clock.advance(1)
        assert await fresh.get() == 2

    run(body)


def test_trouble_is_told_and_not_kept() -> None:
    async def body(fresh: Fresh[int], reads: Reads, clock: VirtualClock) -> None:
        reads.trouble = LookupError("gone")
        with pytest.raises(LookupError, match="gone"):
            await fresh.get()
        reads.trouble = None
        assert await fresh.get() == 2

    run(body)


def test_who_asks_meanwhile_waits_for_the_same_read_and_may_give_up_alone() -> None:
    begun, go_on = threading.Event(), threading.Event()
    count = 0

    def read() -> int:
        nonlocal count
        count += 1
        begun.set()
        assert go_on.wait(30)
        return count

    async def go() -> None:
        with ThreadPoolExecutor(4) as pool:
            fresh = Fresh(read, keep_ms=KEEP_MS, executor=pool, clock=VirtualClock())
            first, second = (asyncio.ensure_future(fresh.get()) for _ in range(2))
            await asyncio.to_thread(begun.wait, 30)
            first.cancel()
            go_on.set()
            assert await second == 1
            assert first.cancelled()

    asyncio.run(go())
    assert count == 1
