"""In front of the emulator: who names its own address, with a key of this run.

The emulator itself takes requests without a key, with the key `test` and with any twelve digits for
its root account's, and checks no signature of root's. So its root key is a random one of each run,
and nothing reaches it without that, or without a key that it gave to a role or a user itself, whose
signature it does check. The API of the service stands open, as it does on AWS: it knows its own
callers. But whoever names an access key there too must name one of these.

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
_CODE: Final = "InvalidClientTokenId"  # what AWS says to a key that it does not know
_XML: Final = "<ErrorResponse><Error><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"


class EmulatorGate:
    """An ASGI application in front of another."""

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
            port: that it listens on.
            root_key: this run's access key id.
            issued: whether the emulator gave this key to a role or a user.
            webhook_host: what `Host` may say to the webhooks' address besides; empty for nothing.
        """
        self._behind = behind
        self._port = port
        self._root_key = root_key.encode()
        self._issued = issued
        self._webhook_hosts = frozenset({webhook_host} - {""})
        self._key_in = import_module("ministack.core.router").extract_access_key_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is let in."""
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
            return _TWICE  # the emulator would not read the same one everywhere
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
    """Say it as AWS would, in whichever protocol the service that is meant has."""
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
