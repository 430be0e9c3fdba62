"""Serves the console from a thread of the test's own process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from refundctl.console.server import serving
from refundctl.console.sources import Sources


@contextmanager
def console(sources: Sources, *, refresh_ms: int = 0) -> Iterator[str]:
    """Serve while the body runs; yields the address."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    started: list[str] = []
    ready = threading.Event()

    async def serve() -> None:
        try:
            async with serving(sources, refresh_ms=refresh_ms) as address:
                started.append(address)
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="console")
    thread.start()
    try:
        assert ready.wait(30)
        (address,) = started
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
