"""Who calls, and may they do this? Keys are checked here, signatures by the gateway.

The name that comes out stands on every line of history that the call writes. It has no part in what
a refund is: another key, or another way of calling, meets the same refund.
"""

import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final, Protocol

from refund_bridge.domain.errors import ForbiddenError, RateLimitedError, UnauthorizedError
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.ports.runtime import Telemetry

READ: Final = "refunds:read"
WRITE: Final = "refunds:write"
PAYOUT: Final = "refunds:payout"

_ASSUMED_ROLE: Final = ":assumed-role/"
_FEDERATED_USER: Final = ":federated-user/"
# Whoever changed the address in code that knew Stripe, and not the key.
_STRIPES_KEY: Final = re.compile(r"(sk|rk|pk)_(live|test)_.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings along about its caller.

    Attributes:
        authorization: the header, as sent.
        source_ip: the address that the gateway saw, not one that a header claims.
        user_arn: who signed the request, by the gateway's own check; never from a header.
    """

    authorization: str | None = field(repr=False)
    source_ip: str
    user_arn: str | None


class Callers(Protocol):
    """Tells who may come in."""

    def admitted(self, credentials: Credentials, *scopes: str) -> str:
        """The caller's name for the history, if it may use all of ``scopes``.

        Raises:
            UnauthorizedError, ForbiddenError, RateLimitedError, KeysUnavailableError: nothing was
                executed.
        """


@dataclass(frozen=True, slots=True)
class ApiKeyHolder:
    """Who a key belongs to, and what it allows."""

    name: str
    scopes: frozenset[str]


class ApiKeyRing(Protocol):
    """All keys that are valid now; several may have the same holder."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        """The holder of that key, ``None`` if nobody is.

        Raises:
            KeysUnavailableError: the keys cannot be read now.
        """


@dataclass(frozen=True, slots=True)
class KeyCallers:
    """``Callers`` who show a key of ours, as a bearer or in Basic (``ApiAuth`` bearer).

    A valid key always passes. Whoever comes too often without one, or with unknown ones, is told to
    wait.
    """

    keys: ApiKeyRing
    throttle: AddressThrottle
    telemetry: Telemetry

    def admitted(self, credentials: Credentials, *scopes: str) -> str:
        """``api_key:<name>``; see ``Callers``."""
        token = _key_shown(credentials.authorization)
        holder = self.keys.holder_of(token) if token else None
        if holder is None:
            wait_s = self.throttle.wait_s(credentials.source_ip)
            if wait_s is not None:
                self._note("throttled")
                raise RateLimitedError(
                    "Too many calls without a valid key came from this address.",
                    retry_after_s=wait_s,
                )
            if not token:
                self._note("missing")
                raise _unauthorized("Give a key")
            self._note("unknown")
            if _STRIPES_KEY.fullmatch(token):
                raise _unauthorized("This is a key of Stripe's: give one of this service")
            raise _unauthorized("Give a valid key")
        if not holder.scopes.issuperset(scopes):
            self._note("scope", holder.name)
            raise ForbiddenError(f"This key may not do this; it needs {' and '.join(scopes)}.")
        return f"api_key:{holder.name}"

    def _note(self, reason: str, name: str | None = None) -> None:
        # Without the address, which may be a person's.
        self.telemetry.note("api_key_refused", reason=reason, caller=name)


@dataclass(frozen=True, slots=True)
class SignedCallers:
    """``Callers`` whose signature the gateway has checked (``ApiAuth`` AWS_IAM).

    What they may do is said by policies on ``execute-api``: who was let through to a route may use
    it. Without the gateway's word nobody comes in, so that a gateway that was set up wrongly opens
    nothing.
    """

    telemetry: Telemetry

    def admitted(self, credentials: Credentials, *scopes: str) -> str:  # noqa: ARG002 - by policies
        """``iam:<arn>``; see ``Callers``.

        The session's name is left out of a role's ARN, and of a federated user's: people sign in
        under their mail addresses, and the history outlives them.
        """
        arn = credentials.user_arn
        if not arn:
            self.telemetry.note("api_key_refused", reason="unsigned", caller=None)
            raise UnauthorizedError("Sign the request (AWS Signature Version 4).")
        if _ASSUMED_ROLE in arn:
            arn = "/".join(arn.split("/")[:2])
        if _FEDERATED_USER in arn:
            arn = arn.partition("/")[0]
        return f"iam:{arn}"


def _unauthorized(what: str) -> UnauthorizedError:
    return UnauthorizedError(f"{what}: Authorization: Bearer <api key>.", param="Authorization")


def _key_shown(authorization: str | None) -> str:
    """The key, as a bearer token or as the user name of Basic; empty if there is none."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return _user_without_password(credentials.strip()) if scheme.lower() == "basic" else ""


def _user_without_password(credentials: str) -> str:
    """RFC 7617. What comes with a password is not how a key is shown."""
    try:
        user, _, password = b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return "" if password else user
