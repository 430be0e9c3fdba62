"""Which requests our servers on a developer's machine answer: only those to their own address.

Each server listens on the loopback alone, but other programs of the machine, and every web page
that is open in a browser on it, can reach that too. If a page's name was made to resolve to the
loopback (DNS rebinding), its requests have a wrong `Host`. Requests from a page of another site, or
of another port, have a wrong `Origin` or `Sec-Fetch-Site`. A request with neither of these two
headers comes from a program, not from a browser.

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
    """Why a request is refused: the status to answer with, and a sentence.

    The sentence repeats nothing of the request.
    """

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
        port: the port that the server listens on.
        also_hosts: other permitted values of `Host`, if somebody else's server is in front of ours.
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
    """Refuses such requests before any method of a subclass sees them."""

    server: HTTPServer
    # An answer goes out whole. In parts, each would wait 40 ms for the part before it.
    wbufsize = -1

    def parse_request(self) -> bool:
        """Whether there is a request to be answered; `False` if it was refused already."""
        if not super().parse_request():
            return False
        refused = refusal(self.headers.items(), self.server.server_port)
        if refused is not None:
            self.close_connection = True
            self.send_error(refused.status, refused.sentence)
        return refused is None
