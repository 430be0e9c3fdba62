"""A merchant's webhook address: its parameter's text, its secrets, the event types it wants.

An address is one SecureString, ``<prefix>/webhooks/<id>``; only ``refundctl webhooks`` writes it.
Its changing state (failures, closed, disabled) is in the ledger, because the function that delivers
may not write parameters.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SCHEMA_VERSION: Final = 1
ADDRESSES_MAX: Final = 16
"""As many as Stripe allows. https://docs.stripe.com/webhooks, "Register your endpoint"."""
ADDRESS_ID: Final = re.compile(r"we_[0-9a-f]{16}")
SECRET: Final = re.compile(r"whsec_[A-Za-z0-9]{32,128}")
API_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]{1,32})?")
DEFAULT_API_VERSION: Final = "2026-10-28.endive"
"""That of stripe-python 16.1, whose events these look like."""

CREATED: Final = "refund.created"
UPDATED: Final = "refund.updated"
FAILED: Final = "refund.failed"
NEEDS_REVIEW: Final = "refund_bridge.refund.needs_review"
REPORTED: Final = "refund_bridge.refund.reported"
REPORT_FAILED: Final = "refund_bridge.refund.report_failed"
TEST: Final = "refund_bridge.test"
"""Sent only when somebody asks for it; no choice of types leaves it out."""
TYPES: Final = (CREATED, UPDATED, FAILED, NEEDS_REVIEW, REPORTED, REPORT_FAILED)


class UnreadableAddressError(ValueError):
    """The parameter is no valid address. Its text may contain a secret, so it is not repeated."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret that events are signed with.

    Attributes:
        text: ``whsec_…``; never logged, never in an error.
        until_ms: until when it is used, Unix milliseconds; ``None``: until it is replaced.
    """

    text: str = field(repr=False)
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAddress:
    """Where events go, and how they are signed.

    Attributes:
        id: ``we_`` and 16 hexadecimal digits.
        types: the event types that it wants; empty: all.
        api_version: the version of Stripe's API that each event shows.
    """

    id: str
    url: str
    secrets: tuple[SigningSecret, ...] = field(repr=False)
    api_version: str = DEFAULT_API_VERSION
    types: tuple[str, ...] = ()

    def wants(self, event_type: str) -> bool:
        """Whether events of that type are sent to it."""
        return event_type == TEST or not self.types or event_type in self.types

    def signing(self, now_ms: int) -> tuple[str, ...]:
        """The secrets that are valid at that time, in the order in which they were made."""
        return tuple(one.text for one in self._valid(now_ms))

    def rotating_until_ms(self, now_ms: int) -> int | None:
        """Until when two secrets are valid; ``None``: there is one."""
        valid = self._valid(now_ms)
        return valid[0].until_ms if len(valid) > 1 else None

    def rotated(self, secret: str, *, now_ms: int, old_until_ms: int) -> "WebhookAddress":
        """The address with a new secret; the oldest valid one is also used for a while.

        At most two secrets are ever valid. If two are still valid from an earlier rotation, the
        newer of them is dropped, because the receiver may not know it yet.
        """
        oldest = self._valid(now_ms)[:1]
        kept = tuple(SigningSecret(one.text, old_until_ms) for one in oldest)
        return WebhookAddress(
            id=self.id,
            url=self.url,
            secrets=(*kept, SigningSecret(secret)),
            api_version=self.api_version,
            types=self.types,
        )

    def _valid(self, now_ms: int) -> tuple[SigningSecret, ...]:
        return tuple(one for one in self.secrets if one.until_ms is None or one.until_ms > now_ms)


def parse_address(text: str) -> WebhookAddress:
    """Read the address from a parameter's text. Unknown members are ignored.

    Raises:
        UnreadableAddressError: the text is no valid address.
    """
    try:
        return _address_of(json.loads(text))
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError):
        raise UnreadableAddressError("the parameter holds no webhook address") from None


def _address_of(told: Any) -> WebhookAddress:
    secrets = tuple(SigningSecret(one["text"], one.get("until_ms")) for one in told["secrets"])
    address = WebhookAddress(
        id=told["id"],
        url=told["url"],
        secrets=secrets,
        api_version=told["api_version"],
        types=tuple(told["types"]),
    )
    if not (
        ADDRESS_ID.fullmatch(address.id)
        and isinstance(address.url, str)
        and secrets
        and all(SECRET.fullmatch(one.text) for one in secrets)
        and all(one.until_ms is None or type(one.until_ms) is int for one in secrets)
        and API_VERSION.fullmatch(address.api_version)
        and all(isinstance(one, str) for one in address.types)
    ):
        raise ValueError
    return address


def address_text(address: WebhookAddress) -> str:
    """The text that is stored for an address; it contains the secrets."""
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "id": address.id,
            "url": address.url,
            "secrets": [_secret(one) for one in address.secrets],
            "api_version": address.api_version,
            "types": list(address.types),
        },
        separators=(",", ":"),
    )


def _secret(secret: SigningSecret) -> dict[str, Any]:
    until = {} if secret.until_ms is None else {"until_ms": secret.until_ms}
    return {"text": secret.text, **until}


def unknown_types(types: Sequence[str]) -> tuple[str, ...]:
    """Those of the types that no event of this service has."""
    return tuple(one for one in types if one not in TYPES)
