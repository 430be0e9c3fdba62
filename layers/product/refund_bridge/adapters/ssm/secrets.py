"""Reads the providers' keys from the Systems Manager.

They are cached for a short while. No secret ever gets into a ``repr``, an exception or a log.
"""

import re
from collections.abc import Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Final

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.adapters.ssm.parameters import Kept, parameters_by_name
from refund_bridge.ports.runtime import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

REREAD_EVERY_MS: Final = 30_000

# The characters that an HTTP header can have. The HTTP library would refuse others with a message
# that repeats the secret.
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]+")


class Secrets:
    """The parameters ``names`` under ``prefix``, fetched together in one call.

    They are cached for ``max_age_s``. After a provider refused one, one thread reads all of them
    anew, and not again within ``REREAD_EVERY_MS``, so that a revoked key does not cause a call to
    the Systems Manager for every request.

    A missing secret only fails for those who need it. It is read again each time it is asked for,
    so that it works as soon as it has been set.
    """

    def __init__(
        self,
        client: "SSMClient",
        prefix: str,
        names: Sequence[str],
        *,
        max_age_s: int,
        clock: Clock,
    ) -> None:
        self._client = client
        self._prefix = prefix.rstrip("/")
        self._names = tuple(f"{self._prefix}/{name}" for name in names)
        self._values = Kept(self._fetch, max_age_s=max_age_s, clock=clock)
        self._clock = clock
        self._lock = RLock()
        self._reread_at_ms: int | None = None
        self._before_reread: Mapping[str, str] = {}

    def secret(self, name: str) -> "Secret":
        """The secret of that name, one of ``names``."""
        full_name = f"{self._prefix}/{name}"
        if full_name not in self._names:
            raise ValueError(f"{full_name} is not among the secrets of this function")
        return Secret(self, full_name)

    def read(self, full_name: str) -> str:
        """The value of that parameter; raises as ``Secret.current`` does."""
        with self._lock:
            kept = self._values.kept()
            if kept is None:
                kept = self._values.current()
            elif full_name not in kept:
                kept = self._values.fetched_anew()
            return _usable(full_name, kept)

    def read_anew(self, full_name: str) -> str | None:
        """Read a refused parameter anew; returns and raises as ``Secret.refreshed``."""
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if self._reread_at_ms is None or now_ms - self._reread_at_ms >= REREAD_EVERY_MS:
                self._reread_at_ms = now_ms
                self._before_reread = self._values.current()
                self._values.fetched_anew()
            value = _usable(full_name, self._values.current())
            return None if value == self._before_reread.get(full_name, "").strip() else value

    def _fetch(self) -> Mapping[str, str]:
        return parameters_by_name(self._client, self._names)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._names)})"


class Secret:
    """One secret, as the adapters of the providers ask for it (``api_key.ApiKey``)."""

    __slots__ = ("_full_name", "_secrets")

    def __init__(self, secrets: Secrets, full_name: str) -> None:
        self._secrets = secrets
        self._full_name = full_name

    def current(self) -> str:
        """The value, from the cache while it is young enough.

        Raises:
            KeyUnavailableError: it is missing, unusable, or cannot be read now.
        """
        return self._secrets.read(self._full_name)

    def refreshed(self) -> str | None:
        """The value after the provider refused ``current()``; ``None`` if reading brought no other.

        Within ``REREAD_EVERY_MS`` after the last read this returns the value of that read. So a
        call that was under way with the old value still gets the new one. A caller that was refused
        with the new value sees that the two are equal.

        Raises:
            KeyUnavailableError: it is missing, unusable, or cannot be read now.
        """
        return self._secrets.read_anew(self._full_name)

    def __repr__(self) -> str:
        return f"Secret({self._full_name})"


def _usable(full_name: str, values: Mapping[str, str]) -> str:
    if full_name not in values:
        raise KeyUnavailableError(f"{full_name}: missing")
    value = values[full_name].strip()  # a pasted secret may end with a line break
    if not _HEADER_TEXT.fullmatch(value):
        raise KeyUnavailableError(f"{full_name}: empty, or not printable ASCII without spaces")
    return value
