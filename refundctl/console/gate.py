"""Who is let in: whoever was given the address, from a page of the console's own or from none.

The console listens on this machine's loopback alone. Other programs and other people of the
machine, and every web page that is open in the same browser, can reach that too; so the path of
every address begins with a random token, the host must be the loopback by its number or name (a web
page whose own name is made to resolve to it is refused: DNS rebinding), and what a browser says was
asked for by another site is refused. Nothing but GET and HEAD is routed.

https://www.w3.org/TR/fetch-metadata/, https://www.w3.org/TR/CSP3/
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from aiohttp import web

HOST: Final = "127.0.0.1"
_OWN: Final = frozenset({"same-origin", "none"})

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            # No text can become HTML or a script in the page, by whatever mistake in ours.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Gate:
    """Lets requests in or refuses them.

    Attributes:
        token: what the path of every address begins with.
    """

    token: str
    port: int

    def refusal(self, request: web.Request) -> web.HTTPException | None:
        """Why a request is refused; `None` if it is let in."""
        own_hosts = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        headers = request.headers
        if request.host not in own_hosts:
            return web.HTTPMisdirectedRequest(text="This is not the console's address.\n")
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
        if site not in _OWN or origin not in (None, f"http://{request.host}"):
            return web.HTTPForbidden(text="Open the console by its address, not by a link.\n")
        first = request.path.split("/", 2)[1]
        if not compare_digest(first.encode(), self.token.encode()):
            return web.HTTPNotFound(text="Nothing is here.\n")
        return None


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every answer, refusals included."""
    response.headers.update(HEADERS)
    response.headers.pop("Server", None)
