"""Limits how many events one IP address may cause in a while; then it must wait.

It is in memory, and each worker has its own. It saves work and logs; it does not protect keys,
because our keys have 256 random bits and cannot be guessed at any rate.
"""

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from refund_bridge.ports.runtime import Clock

EVENTS_MAX: Final = 10
WINDOW_MS: Final = 60_000
# About a megabyte when all are in use.
ADDRESSES_MAX: Final = 1_000
_TEXT_MAX: Final = 64


class AddressThrottle:
    """At most ``events_max`` events from one address in any ``window_ms``.

    If there are more than ``addresses_max`` addresses, the one that was quiet longest is forgotten.
    An IPv6 address counts as its 64-bit network, because one caller usually has all of it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        events_max: int = EVENTS_MAX,
        window_ms: int = WINDOW_MS,
        addresses_max: int = ADDRESSES_MAX,
    ) -> None:
        self._clock = clock
        self._events_max = events_max
        self._window_ms = window_ms
        self._addresses_max = addresses_max
        self._events: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_s(self, address: str) -> int | None:
        """Count one more event from ``address``; ``None`` if it was within the limit.

        Otherwise it is not counted, and the result is the whole seconds until the next one may be.
        So an address that goes on calling does not have to wait longer.
        """
        now_ms = self._clock.monotonic_ms()
        name = _network(address)
        events = self._events.setdefault(name, deque())
        self._events.move_to_end(name)
        while len(self._events) > self._addresses_max:
            self._events.popitem(last=False)
        while events and now_ms - events[0] >= self._window_ms:
            events.popleft()
        if len(events) < self._events_max:
            events.append(now_ms)
            return None
        return -(-(events[0] + self._window_ms - now_ms) // 1000)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:_TEXT_MAX]
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed.packed, 64), strict=False))
    return str(parsed)
