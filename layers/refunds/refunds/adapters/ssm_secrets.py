"""Secrets in the Systems Manager: the providers' keys, and the digests of our callers' keys.

Read through Powertools Parameters with a short cache. Nothing here ever puts a secret into a
``repr``, an exception or a log.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from refunds.adapters.api_key import KeyUnavailableError
from refunds.callers import ApiKeyHolder
from refunds.ports import Clock, Trail

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

REREAD_EVERY_MS: Final = 30_000
# The Systems Manager hands out ten at a time, one round trip after another.
KEYS_MAX: Final = 200

_FAILURES: Final = (GetParameterError, BotoCoreError, ClientError)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)
# What an HTTP header can carry. Anything else would be refused by the HTTP library, in a sentence
# that repeats the secret.
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]+")


class Secrets:
    """The parameters ``names`` under ``prefix``, fetched together in one call.

    They are kept for ``max_age_s``. After a provider refused one, all are read anew: by one thread
    for all that ask, and not again within ``REREAD_EVERY_MS``, so that a revoked key cannot turn
    every request into a call to the Systems Manager.
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
        self._provider = SSMProvider(boto3_client=client)
        self._prefix = prefix.rstrip("/")
        self._names = tuple(f"{self._prefix}/{name}" for name in names)
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = RLock()
        self._reread_at_ms: int | None = None
        self._before_reread: dict[str, str] = {}

    def secret(self, name: str) -> "Secret":
        """The secret of that name, one of ``names``."""
        full_name = f"{self._prefix}/{name}"
        if full_name not in self._names:
            raise ValueError(f"{full_name} is not among the secrets of this function")
        return Secret(self, full_name)

    def read(self, full_name: str) -> str:
        """The value of that parameter; raises as ``Secret.current`` does."""
        with self._lock:
            return _usable(full_name, self._fetch())

    def read_anew(self, full_name: str) -> str | None:
        """The value of that parameter after a 401; returns and raises as ``Secret.refreshed``."""
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if self._reread_at_ms is None or now_ms - self._reread_at_ms >= REREAD_EVERY_MS:
                self._reread_at_ms = now_ms
                self._before_reread = self._fetch()
                self._fetch_past_cache()
            value = _usable(full_name, self._fetch())
            return None if value == self._before_reread.get(full_name, "").strip() else value

    def _fetch_past_cache(self) -> None:
        kept = dict(self._provider.store)
        self._provider.clear_cache()  # type: ignore[no-untyped-call]
        try:
            self._fetch()
        except KeyUnavailableError:
            self._provider.store.update(kept)
            raise

    def _fetch(self) -> dict[str, str]:
        # By name, even where there is only one, since GetParameters is all that the role allows.
        try:
            found: Mapping[str, object] = self._provider.get_parameters_by_name(
                {name: {} for name in self._names}, decrypt=True, max_age=self._max_age_s
            )
        except _FAILURES as error:
            raise KeyUnavailableError(f"{self._prefix}: {type(error).__name__}") from error
        return {name: str(value) for name, value in found.items()}

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
    value = values.get(full_name)
    if value is None:
        raise KeyUnavailableError(f"{full_name}: missing")
    value = value.strip()  # a line break at the end of a pasted secret is no part of it
    if not _HEADER_TEXT.fullmatch(value):
        raise KeyUnavailableError(f"{full_name}: empty, or not printable ASCII without spaces")
    return value


@dataclass(frozen=True, slots=True)
class _Entry:
    holder: ApiKeyHolder
    digest: bytes


class ApiKeys:
    """Our callers' keys: one parameter each under ``<prefix>/api-keys``, digests only.

    A key that is revoked stops working when the cache is ``max_age_s`` old, and a new one works by
    then. There is no fallback to older values: without an answer of the Systems Manager nobody is
    let in. At most ``KEYS_MAX`` are read, in the Systems Manager's order; the others let nobody in.
    """

    def __init__(self, client: "SSMClient", prefix: str, *, max_age_s: int, trail: Trail) -> None:
        self._provider = SSMProvider(boto3_client=client)
        self._path = f"{prefix.rstrip('/')}/api-keys"
        self._max_age_s = max_age_s
        self._trail = trail
        self._parsed: tuple[Mapping[str, object], tuple[_Entry, ...]] = ({}, ())

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        """The holder of that key, ``None`` if nobody is.

        Raises:
            KeyUnavailableError: the keys cannot be read now.
        """
        digest = hashlib.sha256(bearer_token.encode("utf-8", "surrogatepass")).digest()
        holder = None
        for entry in self._entries():
            # Every key is compared, whichever matches, so that time tells nothing.
            if hmac.compare_digest(entry.digest, digest):
                holder = entry.holder
        return holder

    def _entries(self) -> tuple[_Entry, ...]:
        try:
            values: Mapping[str, object] = self._provider.get_multiple(
                self._path,
                max_age=self._max_age_s,
                decrypt=True,
                recursive=False,
                PaginationConfig={"MaxItems": KEYS_MAX + 1},
            )
        except _FAILURES as error:
            raise KeyUnavailableError(f"{self._path}: {type(error).__name__}") from error
        known, entries = self._parsed
        if values != known:
            read = [_entry(value) for value in list(values.values())[:KEYS_MAX]]
            entries = tuple(entry for entry in read if entry is not None)
            self._parsed = (dict(values), entries)
            if len(entries) < len(read):
                self._trail.note("api_keys_malformed", count=len(read) - len(entries))
            if len(read) < len(values):
                self._trail.note("api_keys_too_many", read=len(read))
        return entries

    def __repr__(self) -> str:
        return f"ApiKeys({self._path})"


def _entry(value: object) -> _Entry | None:
    try:
        fields = json.loads(str(value))
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    name, scopes, digest = (fields.get(field) for field in ("name", "scopes", "sha256"))
    if not (isinstance(name, str) and name and isinstance(digest, str)):
        return None
    if not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        return None
    if not _SHA256.fullmatch(digest):
        return None
    return _Entry(ApiKeyHolder(name, frozenset(scopes)), bytes.fromhex(digest))
