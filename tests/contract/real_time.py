"""What the contract suites need to meet a real server: its clock, a key, and patience."""

import socket
import time
from collections.abc import Callable


class RealClock:
    """``ports.runtime.Clock`` of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class FixedKey:
    """``ApiKey`` that nobody rotates."""

    def __init__(self, key: str) -> None:
        self._key = key

    def current(self) -> str:
        return self._key

    def refreshed(self) -> str | None:
        return None


def wait_until(true: Callable[[], bool]) -> None:
    """Ask again and again; what is late in another thread has no other signal."""
    ends = time.monotonic() + 10
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError("it did not happen within ten seconds")
        time.sleep(0.01)


def closed_port_url() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
