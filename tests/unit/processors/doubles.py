"""Clocks and keys that the tests of the HTTP adapters move by hand."""

import time

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.ports.runtime import Deadline


class FrozenWallClock:
    """Wall time stands still until it is moved; monotonic time is real, sockets wait for it."""

    def __init__(self) -> None:
        self.wall_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def deadline(self, milliseconds: int = 10_000) -> Deadline:
        return Deadline.after(self, milliseconds)


class StoredKey:
    """A secret as the store holds it; ``rotate`` changes it behind the cache."""

    def __init__(self, key: str = "key-one") -> None:
        self._cached = key
        self._stored = key
        self.unavailable = False
        self.reads = 0

    def rotate(self, key: str) -> None:
        self._stored = key

    def current(self) -> str:
        if self.unavailable:
            raise KeyUnavailableError("the parameter store does not answer")
        return self._cached

    def refreshed(self) -> str | None:
        self.reads += 1
        if self._stored == self._cached:
            return None
        self._cached = self._stored
        return self._cached
