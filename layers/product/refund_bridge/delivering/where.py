"""Decides where webhooks may go: public HTTPS addresses, no private network, not this runtime.

There are two checks, because a name does not tell to which address it leads. The URL is checked
when it is stored and before each use; the IP address is checked when connecting. The connection is
then made to exactly the checked address; the name is not resolved a second time.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

URL_MAX: Final = 2048
PORT: Final = 443

# The range for global unicast. It excludes IPv4 addresses in the forms ::ffff:0:0/96 (mapped),
# ::/96 (compatible) and 64:ff9b::/96 (NAT64).
# https://www.iana.org/assignments/ipv6-unicast-address-assignments
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Ranges of special use inside it that not every Python knows: protocol assignments with Teredo
# (RFC 2928, RFC 4380), 6to4 (RFC 3056), documentation (RFC 9637); IPv4: RFC 6890 and 6to4 relays.
_SPECIAL_IPV6: Final = tuple(map(IPv6Network, ("2001::/23", "2002::/16", "3fff::/20")))
_SPECIAL_IPV4: Final = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))


class AddressRefusedError(ValueError):
    """Webhooks may not go there; the message says why and repeats no part of the URL."""


def require_allowed_url(url: str, *, local: bool) -> None:
    """Refuse a URL that webhooks may not go to, before its name is resolved.

    ``local``: on a local stage 127.0.0.1 may be used too, by http or https, at any port.

    Raises:
        AddressRefusedError: the URL may not be used.
    """
    parts = _parts_of(url)
    if local and parts.hostname == "127.0.0.1":
        if parts.scheme not in ("http", "https"):
            raise AddressRefusedError("the URL must begin with http:// or https://")
        return
    if parts.scheme != "https":
        raise AddressRefusedError("the URL must begin with https://")
    if parts.port not in (None, PORT):
        raise AddressRefusedError("the port must be 443")
    host = parts.hostname or ""
    literal = _literal(host)
    if literal is not None and not is_public(literal):
        raise AddressRefusedError("the IP address is not a public one")
    if literal is None and ("." not in host.rstrip(".") or host.rstrip(".").endswith("localhost")):
        raise AddressRefusedError("the host is no name of the public internet")


def is_allowed_ip(text: str, *, host: str, local: bool) -> bool:
    """Whether a connection may be made to this address, to which ``host`` was resolved.

    ``local`` allows the host 127.0.0.1 itself, but no name that leads there.
    """
    literal = _literal(text)
    if literal is None:
        return False
    if local and host == text == "127.0.0.1":
        return True
    return is_public(literal)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is globally routable and is no other form of another address."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None or address not in _GLOBAL_UNICAST:
            return False
        is_special = any(address in network for network in _SPECIAL_IPV6)
    else:
        is_special = any(address in network for network in _SPECIAL_IPV4)
    return address.is_global and not (
        is_special or address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _literal(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _parts_of(url: str) -> SplitResult:
    """The URL's parts; raises if the URL cannot be written in an HTTP request as it is."""
    if len(url) > URL_MAX:
        raise AddressRefusedError(f"the URL is longer than {URL_MAX} characters")
    if not all("!" <= character <= "~" for character in url) or "\\" in url:
        raise AddressRefusedError("the URL must be plain ASCII without spaces or backslashes")
    try:
        parts = urlsplit(url)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        raise AddressRefusedError("it is not a URL") from None
    if not parts.hostname or not port_is_readable:
        raise AddressRefusedError("it is not a URL with a host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError("the URL must hold no user name or password")
    if parts.fragment:
        raise AddressRefusedError("the URL must hold no fragment (#…)")
    return parts
