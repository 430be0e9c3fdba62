"""Keeps connections between two calls, and decides which may be used for the next one.

A pooled socket that the peer has closed fails only *after* sending began. For a call that moves
money that would turn "certainly not executed" into "unknown". So the age of a connection is
limited, by wall clock (the monotonic clock may stand still while Lambda freezes the function). And
a connection that received anything while idle is not used again.
"""

import threading
from dataclasses import dataclass

from refund_bridge.adapters.http.sockets import Connection, is_quiet
from refund_bridge.ports.runtime import Clock

# scheme, host, port
Origin = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Idle:
    """An open connection; ``since_ms`` is the wall time at which it was last known to work."""

    connection: Connection
    since_ms: int


class IdleConnections:
    """Open connections by origin; safe to use from two threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Origin, list[Idle]] = {}
        self._lock = threading.Lock()

    def take(self, origin: Origin, *, age_ms: int) -> Idle | None:
        """The newest connection that is usable and not older than ``age_ms``; others are closed."""
        while True:
            with self._lock:
                entries = self._entries.get(origin)
                entry = entries.pop() if entries else None
            if entry is None:
                return None
            # A clock that was put back makes an age negative: such a connection is not trusted.
            if 0 <= self._clock.now_ms() - entry.since_ms <= age_ms and is_quiet(entry.connection):
                return entry
            entry.connection.close()

    def keep(self, origin: Origin, entry: Idle) -> None:
        """Keep the connection for a later ``take``."""
        with self._lock:
            self._entries.setdefault(origin, []).append(entry)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            entries = [entry for entries in self._entries.values() for entry in entries]
            self._entries.clear()
        for entry in entries:
            entry.connection.close()
