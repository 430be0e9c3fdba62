"""Keeps what was read for a moment, so that open pages cost little, in however many tabs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar

from refund_bridge.ports.runtime import Clock

_T = TypeVar("_T")

# At most a tenth of the time is spent reading, however slow reading is.
_REST: Final = 9


class Fresh(Generic[_T]):
    """Reads in a thread, one read at a time, and not again while the last result is fresh.

    Args:
        keep_ms: for how long a result stays fresh, but at least nine times the time of its read.
    """

    def __init__(
        self, read: Callable[[], _T], *, keep_ms: int, executor: Executor, clock: Clock
    ) -> None:
        self._read = read
        self._keep_ms = keep_ms
        self._executor = executor
        self._clock = clock
        self._reading: asyncio.Future[_T] | None = None
        self._fresh_until_ms = 0

    async def get(self) -> _T:
        """The result; whatever reading raises is raised, and the next call reads again."""
        reading = self._reading
        if reading is None or (reading.done() and not self._is_fresh(reading)):
            reading = self._reading = asyncio.ensure_future(self._timed())
        # If one request stops waiting, the read goes on for the others.
        return await asyncio.shield(reading)

    def _is_fresh(self, reading: "asyncio.Future[_T]") -> bool:
        failed = reading.cancelled() or reading.exception() is not None
        return not failed and self._clock.monotonic_ms() < self._fresh_until_ms

    async def _timed(self) -> _T:
        began_ms = self._clock.monotonic_ms()
        result = await asyncio.get_running_loop().run_in_executor(self._executor, self._read)
        now_ms = self._clock.monotonic_ms()
        self._fresh_until_ms = now_ms + max(self._keep_ms, _REST * (now_ms - began_ms))
        return result
