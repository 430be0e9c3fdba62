"""Our callers' API keys in the Systems Manager: digests only, never the keys themselves."""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.adapters.ssm.parameters import RETRY_AFTER_S, UNREADABLE, Kept, parameters_under
from refund_bridge.domain.errors import KeysUnavailableError
from refund_bridge.http.callers import ApiKeyHolder
from refund_bridge.ports.runtime import Clock, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# Each ten of them need one round trip.
KEYS_MAX: Final = 200

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Entry:
    holder: ApiKeyHolder
    digest: bytes


class ApiKeys:
    """Our callers' keys: one parameter each under ``<prefix>/api-keys``, digests only.

    A revoked key stops working, and a new one works, at the latest when the cache is ``max_age_s``
    old; while the Systems Manager throttles, a few minutes later (``Kept``). If it fails in another
    way, nobody is let in. At most ``KEYS_MAX`` keys are read, in the Systems Manager's order; the
    others do not work.
    """

    def __init__(
        self,
        client: "SSMClient",
        prefix: str,
        *,
        max_age_s: int,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._client = client
        self._path = f"{prefix.rstrip('/')}/api-keys"
        self._values = Kept(self._fetch, max_age_s=max_age_s, clock=clock)
        self._telemetry = telemetry
        self._parsed: tuple[Sequence[str], tuple[_Entry, ...]] = ((), ())

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        """The holder of that key, ``None`` if nobody is.

        Raises:
            KeysUnavailableError: the keys cannot be read now.
        """
        digest = hashlib.sha256(bearer_token.encode("utf-8", "surrogatepass")).digest()
        holder = None
        for entry in self._entries():
            # Every key is always compared, so that the time taken does not tell which one matches.
            if hmac.compare_digest(entry.digest, digest):
                holder = entry.holder
        return holder

    def _fetch(self) -> Sequence[str]:
        return parameters_under(self._client, self._path, at_most=KEYS_MAX + 1)

    def _entries(self) -> tuple[_Entry, ...]:
        try:
            values = self._values.current()
        except KeyUnavailableError as error:
            self._telemetry.note("api_keys_unreadable", reason=error.reason)
            raise KeysUnavailableError(UNREADABLE, retry_after_s=RETRY_AFTER_S) from error
        known, entries = self._parsed
        if values != known:
            read = [_entry(value) for value in values[:KEYS_MAX]]
            entries = tuple(entry for entry in read if entry is not None)
            self._parsed = (values, entries)
            if len(entries) < len(read):
                self._telemetry.note("api_keys_malformed", count=len(read) - len(entries))
            if len(read) < len(values):
                self._telemetry.note("api_keys_too_many", read=len(read))
        return entries

    def __repr__(self) -> str:
        return f"ApiKeys({self._path})"


def _entry(value: str) -> _Entry | None:
    try:
        fields = json.loads(value)
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
