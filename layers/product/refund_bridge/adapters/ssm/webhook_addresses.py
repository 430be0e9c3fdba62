"""Reads the webhook addresses with their secrets: a parameter each under ``<prefix>/webhooks``.

``refundctl webhooks`` writes them. No secret ever gets into an exception or a log.
"""

from collections.abc import Mapping
from threading import RLock
from typing import TYPE_CHECKING, Final

from refund_bridge.adapters.ssm.parameters import Kept, parameters_under
from refund_bridge.delivering.address import (
    ADDRESSES_MAX,
    UnreadableAddressError,
    WebhookAddress,
    parse_address,
)
from refund_bridge.ports.runtime import Clock, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

FOLDER: Final = "webhooks"
# A missing address is read again at most this often, by one thread.
REREAD_EVERY_MS: Final = 30_000


class SsmWebhookAddresses:
    """``delivering.ports.AddressBook`` under ``prefix``; kept for ``max_age_s`` at most."""

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
        self._path = f"{prefix.rstrip('/')}/{FOLDER}"
        self._kept = Kept(self._fetch, max_age_s=max_age_s, clock=clock)
        self._clock = clock
        self._telemetry = telemetry
        self._lock = RLock()
        self._reread_at_ms: dict[str, int] = {}

    def address(self, address_id: str, *, anew: bool = False) -> WebhookAddress | None:
        """As the port says."""
        with self._lock:
            addresses = self._kept.fetched_anew() if anew else self._kept.current()
            if not anew and address_id not in addresses and self._may_reread(address_id):
                addresses = self._kept.fetched_anew()
            return addresses.get(address_id)

    def _may_reread(self, address_id: str) -> bool:
        now_ms = self._clock.monotonic_ms()
        recent = {
            one: at_ms
            for one, at_ms in self._reread_at_ms.items()
            if now_ms - at_ms < REREAD_EVERY_MS
        }
        self._reread_at_ms = recent
        if address_id in recent or len(recent) >= ADDRESSES_MAX:
            return False
        recent[address_id] = now_ms
        return True

    def _fetch(self) -> Mapping[str, WebhookAddress]:
        found: dict[str, WebhookAddress] = {}
        for text in parameters_under(self._client, self._path, at_most=ADDRESSES_MAX):
            try:
                address = parse_address(text)
            except UnreadableAddressError:
                self._telemetry.note("webhook_address_unreadable")
                continue
            found[address.id] = address
        return found
