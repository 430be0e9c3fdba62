"""A circuit breaker for one provider, in the memory of one worker.

::

    closed ──so many failures in a row──▶ open ──after a while──▶ half-open: one call, the probe
      ▲                                     ▲                       │ fails  │ succeeds
      │                                     └───────────────────────┘        │
      └──────────────────────────────────────────────────────────────────────┘

Without it, every call would wait for its whole deadline while a provider is down. Safe to use
from any number of threads; has none of its own and never waits.
"""

import threading
from enum import Enum, auto
from math import ceil
from typing import Final

from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Clock, Telemetry

FAILURES_MAX: Final = 5
OPEN_MS: Final = 15_000


class Sign(Enum):
    """What the end of a call tells about the provider."""

    UP = auto()
    DOWN = auto()
    NONE = auto()


class CircuitOpenError(ProviderUnavailableError):
    """The provider was not asked, because it failed too often recently."""


class Turn:
    """Permission for one call, as a context; set ``sign`` in it if the call tells anything."""

    def __init__(self, breaker: "Breaker", epoch: int) -> None:
        self._breaker = breaker
        self._epoch = epoch
        self.sign = Sign.NONE

    def __enter__(self) -> "Turn":
        return self

    def __exit__(self, *_: object) -> None:
        self._breaker.learn(self._epoch, self.sign)


class Breaker:
    """Counts failures in a row, and turns calls away while the provider seems to be down.

    Args:
        provider: its name, for logs.
        clock: both of its times are used; the one that shows more time passed counts.
        telemetry: logs every opening and closing.
        failures_max: how many failures in a row open the circuit.
        open_ms: how long it then turns every call away.
    """

    def __init__(
        self,
        provider: str,
        clock: Clock,
        telemetry: Telemetry,
        *,
        failures_max: int = FAILURES_MAX,
        open_ms: int = OPEN_MS,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._telemetry = telemetry
        self._failures_max = failures_max
        self._open_ms = open_ms
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: tuple[int, int] | None = None
        self._is_probed = False
        # Increased at every opening and closing: results of calls that began before are ignored.
        self._epoch = 0

    @property
    def in_doubt(self) -> bool:
        """Whether the provider failed too often and has not answered since."""
        return self._opened_at is not None

    def admit(self) -> Turn:
        """Permission for one call; the returned turn must be entered.

        Raises:
            CircuitOpenError: no call is allowed now; ``retry_after_s`` says when, unless a probe is
                under way.
        """
        with self._lock:
            if self._opened_at is not None:
                left_ms = self._left_ms(self._opened_at)
                if left_ms > 0 or self._is_probed:
                    raise CircuitOpenError(
                        f"{self._provider} failed too often just now and was not asked",
                        retry_after_s=ceil(left_ms / 1000) if left_ms > 0 else None,
                        was_asked=False,
                    )
                self._is_probed = True
            return Turn(self, self._epoch)

    def learn(self, epoch: int, sign: Sign) -> None:
        """Record how the call that was admitted in ``epoch`` ended."""
        event = None
        with self._lock:
            if epoch != self._epoch:
                return
            self._is_probed = False
            if sign is Sign.UP:
                self._failures = 0
                if self._opened_at is not None:
                    event, self._opened_at = "circuit_closed", None
            elif sign is Sign.DOWN:
                self._failures += 1
                if self._failures >= self._failures_max:
                    event, self._opened_at = "circuit_opened", self._now()
            if event:
                self._epoch += 1
        if event:
            self._telemetry.note(event, provider=self._provider)

    def _now(self) -> tuple[int, int]:
        return self._clock.now_ms(), self._clock.monotonic_ms()

    def _left_ms(self, opened_at: tuple[int, int]) -> int:
        # The monotonic clock may stand still while Lambda freezes the function, and the wall clock
        # may be put back: neither may keep the circuit open for longer.
        wall_ms, monotonic_ms = self._now()
        return self._open_ms - max(wall_ms - opened_at[0], monotonic_ms - opened_at[1])
