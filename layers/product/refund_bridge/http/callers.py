"""Finds out who calls and what they may do. Keys are checked here, signatures by the gateway.

The caller's name is written into every history entry that the call makes. It is not part of a
refund's identity: a call with another API key, or by another way, finds the same refund.
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
# A key of Stripe's: the caller changed Stripe's address to ours in its code, but not the key.
_STRIPES_KEY: Final = re.compile(r"(sk|rk|pk)_(live|test)_.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says about its caller.

    Attributes:
        authorization: the header, as sent.
        source_ip: the address that the gateway saw, not one from a header.
        user_arn: who signed the request, as the gateway has checked; never from a header.
    """

    authorization: str | None = field(repr=False)
    source_ip: str
    user_arn: str | None


class Callers(Protocol):
    """Decides which callers are let in."""

    def admitted(self, credentials: Credentials, *scopes: str) -> str:
        """The caller's name for the history, if it may use all of ``scopes``.

        Raises:
            UnauthorizedError, ForbiddenError, RateLimitedError, KeysUnavailableError: nothing was
                executed.
        """


@dataclass(frozen=True, slots=True)
class ApiKeyHolder:
    """The owner of a key, and what the key allows."""

    name: str
    scopes: frozenset[str]


class ApiKeyRing(Protocol):
    """All keys that are valid now; several may have the same owner."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        """The owner of that key; ``None`` if the key is not valid.

        Raises:
            KeysUnavailableError: the keys cannot be read now.
        """


@dataclass(frozen=True, slots=True)
class KeyCallers:
    """``Callers`` who send a key of ours, as a bearer token or by Basic (``ApiAuth`` bearer).

    A valid key always passes. An address that calls too often without a valid key must wait.
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
        # The address is not logged: it may be a person's.
        self.telemetry.note("api_key_refused", reason=reason, caller=name)


@dataclass(frozen=True, slots=True)
class SignedCallers:
    """``Callers`` whose signature the gateway has checked (``ApiAuth`` AWS_IAM).

    Policies on ``execute-api`` say what they may do: a caller that the gateway let through to a
    route may use it. A request that the gateway has not checked is refused, so a wrongly configured
    gateway lets nobody in.
    """

    telemetry: Telemetry

    def admitted(self, credentials: Credentials, *scopes: str) -> str:  # noqa: ARG002 - by policies
        """``iam:<arn>``; see ``Callers``.

        The session's name is left out of the ARN of a role or a federated user: it is often a
        person's e-mail address, and the history is kept for long.
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
    """The user name of Basic (RFC 7617); empty if a password comes with it: that is no key."""
    try:
        user, _, password = b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return "" if password else user
