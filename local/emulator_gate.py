"""In front of the emulator: lets in only requests to its own address, with a key of this run.

The emulator itself accepts requests without a key, with the key `test`, and with any twelve digits
as the root account's key, and does not check root's signatures. So each run has a random root key,
and the gate lets a request in only with that key, or with a key that the emulator itself gave to a
role or a user; the emulator does check those keys' signatures. The service's API is open, as on
AWS, since it checks its callers itself. But a request to the API that has an access key must have
one of these too.

Runs in the emulator's environment: only the standard library and MiniStack itself.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs

from deployed.loopback_gate import Refusal, refusal

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_API: Final = re.compile(r"/restapis/[^/]+/[^/]+/_user_request_(/.*)?", re.DOTALL)
_WEBHOOK: Final = re.compile(r"/restapis/[^/]+/[^/]+/_user_request_/v1/webhooks/[a-z]+")
_NO_KEY: Final = Refusal(403, "This is no access key of this run: .local/stack.json has one.")
_TWICE: Final = Refusal(403, "One Authorization header is enough.")
_CODE: Final = "InvalidClientTokenId"  # AWS's error code for an unknown key
_XML: Final = "<ErrorResponse><Error><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"


class EmulatorGate:
    """An ASGI application that passes permitted requests on to another one."""

    def __init__(
        self,
        behind: Application,
        *,
        port: int,
        root_key: str,
        issued: Callable[[str], bool],
        webhook_host: str = "",
    ) -> None:
        """Stand in front of `behind`.

        Args:
            behind: the emulator.
            port: the port that it listens on.
            root_key: this run's access key id.
            issued: says whether the emulator gave a key to a role or a user.
            webhook_host: one more value of `Host` for the webhooks' address; empty for none.
        """
        self._behind = behind
        self._port = port
        self._root_key = root_key.encode()
        self._issued = issued
        self._webhook_hosts = frozenset({webhook_host} - {""})
        self._key_in = import_module("ministack.core.router").extract_access_key_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests that are let in; answer the others."""
        if scope["type"] == "lifespan":
            await self._behind(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif (refused := self.refusal(scope)) is not None:
            await _answer(scope, send, refused)
        else:
            await self._behind(scope, receive, send)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why an HTTP request is refused; `None` if it is let in."""
        headers = [(name.decode("latin-1"), _text(value)) for name, value in scope["headers"]]
        path = scope["path"]
        hosts = self._webhook_hosts if _WEBHOOK.fullmatch(path) else frozenset()
        if (refused := refusal(headers, self._port, hosts)) is not None:
            return refused
        credentials = [value for name, value in headers if name.lower() == "authorization"]
        if len(credentials) > 1:
            return _TWICE  # parts of the emulator would read different ones
        query = parse_qs(_text(scope.get("query_string", b"")), keep_blank_values=True)
        key = self._key_in({"authorization": "".join(credentials)}, query)
        if not key and _API.fullmatch(path):
            return None
        return None if self._is_known(key) else _NO_KEY

    def _is_known(self, key: str) -> bool:
        return compare_digest(key.encode(), self._root_key) or self._issued(key)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


async def _answer(scope: Scope, send: Send, refused: Refusal) -> None:
    """Answer a refusal as AWS would, in JSON or XML, whichever the requested service speaks."""
    in_json = any(name.lower() == b"x-amz-target" for name, _value in scope["headers"])
    if in_json:
        body = json.dumps({"__type": _CODE, "message": refused.sentence}).encode()
    else:
        body = _XML.format(_CODE, refused.sentence).encode()
    headers = [
        (b"content-type", b"application/x-amz-json-1.1" if in_json else b"text/xml"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", _CODE.encode()),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
