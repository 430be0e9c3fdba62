"""Secrets in the Systems Manager: the providers' keys.

Kept for a short while. Nothing here ever puts a secret into a ``repr``, an exception or a log.
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

# What an HTTP header can carry. Anything else would be refused by the HTTP library, in a sentence
# that repeats the secret.
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]+")


class Secrets:
    """The parameters ``names`` under ``prefix``, fetched together in one call.

    They are kept for ``max_age_s``. After a provider refused one, all are read anew: by one thread
    for all that ask, and not again within ``REREAD_EVERY_MS``, so that a revoked key cannot turn
    every request into a call to the Systems Manager.

    One that is missing is no key for those who need it, and nothing to the others. It is looked for
    whenever it is asked for, so that a key put right now works at once.
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
        """The value of a parameter that was refused; returns and raises as ``Secret.refreshed``."""
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

        Within ``REREAD_EVERY_MS`` of the last reading this is what that reading brought: a call
        that was under way with the old value meanwhile still learns the new one. A caller that was
        already refused with it sees that they are equal.

        Raises:
            KeyUnavailableError: it is missing, unusable, or cannot be read now.
        """
        return self._secrets.read_anew(self._full_name)

    def __repr__(self) -> str:
        return f"Secret({self._full_name})"


def _usable(full_name: str, values: Mapping[str, str]) -> str:
    if full_name not in values:
        raise KeyUnavailableError(f"{full_name}: missing")
    value = values[full_name].strip()  # a line break at the end of a pasted secret is no part of it
    if not _HEADER_TEXT.fullmatch(value):
        raise KeyUnavailableError(f"{full_name}: empty, or not printable ASCII without spaces")
    return value
