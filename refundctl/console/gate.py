"""Which requests the console answers: those with its secret address, not from another site's page.

The console listens on this machine's loopback alone, behind the gate that all of our servers on a
developer's machine have. Other programs and other people of the machine pass that gate, so the path
of every address also begins with a random token. Only GET and HEAD are routed.

https://www.w3.org/TR/CSP3/
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from aiohttp import web

from deployed.loopback_gate import refusal

HOST: Final = "127.0.0.1"

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
            # No text can become HTML or a script in the page, even by a mistake in our script.
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
        refused = refusal(request.headers.items(), self.port)
        if refused is not None and refused.status == 421:
            return web.HTTPMisdirectedRequest(text="This is not the console's address.\n")
        if refused is not None:
            return web.HTTPForbidden(text="Open the console by its address, not by a link.\n")
        first = request.path.split("/", 2)[1]
        if not compare_digest(first.encode(), self.token.encode()):
            return web.HTTPNotFound(text="Nothing is here.\n")
        return None


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every answer, refusals included."""
    response.headers.update(HEADERS)
    response.headers.pop("Server", None)
