"""Whom every server of a developer's machine lets in: only who names its own address.

Each listens on the loopback alone. Other programs of the machine, and every web page that is open
in a browser on it, reach that too. A page whose own name was made to resolve to the loopback (DNS
rebinding) shows itself by `Host`; a page of another site, or of another port, by `Origin` or by
`Sec-Fetch-Site`. What no browser sends, neither of the two headers, comes from a program.

Only the standard library is used here: the emulator's environment has nothing else.

https://www.w3.org/TR/fetch-metadata/
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

NAMES: Final = ("127.0.0.1", "localhost")
_OWN_SITE: Final = frozenset({"same-origin", "none"})


@dataclass(frozen=True)
class Refusal:
    """Why a request is not let in: the status to answer with, and a sentence without its text."""

    status: int
    sentence: str


def own_hosts(port: int) -> frozenset[str]:
    """What `Host` may say to a server on this port."""
    return frozenset(f"{name}:{port}" for name in NAMES)


def refusal(
    headers: Iterable[tuple[str, str]], port: int, also_hosts: frozenset[str] = frozenset()
) -> Refusal | None:
    """Why a request is refused; `None` if it is let in.

    Args:
        headers: names and values as sent, a repeated one several times.
        port: that the server listens on.
        also_hosts: what `Host` may say besides, where somebody else's server stands in front.
    """
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.lower(), []).append(value.strip().lower())
    hosts, origins = given.get("host", []), given.get("origin", [])
    if len(hosts) != 1 or hosts[0] not in own_hosts(port) | also_hosts:
        return Refusal(421, "This is not the server's address.")
    if any(origin != f"http://{hosts[0]}" for origin in origins):
        return Refusal(403, "Another origin's pages are not let in.")
    if not _OWN_SITE.issuperset(given.get("sec-fetch-site", [])):
        return Refusal(403, "Another site's pages are not let in.")
    return None


class GatedHandler(BaseHTTPRequestHandler):
    """Refuses what is not let in before any method of a subclass sees it."""

    server: HTTPServer

    def parse_request(self) -> bool:
        """Whether there is a request to be answered; `False` if it was refused already."""
        if not super().parse_request():
            return False
        refused = refusal(self.headers.items(), self.server.server_port)
        if refused is not None:
            self.close_connection = True
            self.send_error(refused.status, refused.sentence)
        return refused is None
