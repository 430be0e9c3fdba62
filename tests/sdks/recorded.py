"""Requests as one of Stripe's SDKs wrote them to a socket, byte by byte."""

import json
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from deployed import paths

PHP = Path(__file__).parent / "php"
# Where the requests were sent, and the key that they show.
STAGE_PATH = "/sandbox"
KEY = "rbk_replace-with-an-api-key"
_EVENT = paths.ROOT / "events" / "refund_api_post.json"


@dataclass(frozen=True)
class Recorded:
    """One request, whole."""

    raw: bytes

    @classmethod
    def of_php(cls, name: str) -> Self:
        """The one that ``tests/sdks/php/README.md`` tells of under this name."""
        return cls((PHP / f"{name}.http").read_bytes())

    def about(self, recorded_id: str, refund_id: str) -> Self:
        """The same for another refund; every id of ours is as long as every other."""
        assert len(recorded_id) == len(refund_id)
        assert recorded_id.encode() in self.raw
        return type(self)(self.raw.replace(recorded_id.encode(), refund_id.encode()))

    def sent_to(self, host: str, path: str, key: str) -> bytes:
        """The bytes for another address and another key."""
        method, rest = self.raw.split(b" ", 1)
        assert rest.startswith(STAGE_PATH.encode())
        moved = method + b" " + path.encode() + rest.removeprefix(STAGE_PATH.encode())
        host_line = f"Host: {self.headers['Host']}\r\n".encode()
        assert moved.count(host_line) == moved.count(KEY.encode()) == 1
        return moved.replace(host_line, f"Host: {host}\r\n".encode()).replace(
            KEY.encode(), key.encode()
        )

    @property
    def body(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[2].decode()

    @property
    def headers(self) -> Message:
        _, _, lines = self.raw.partition(b"\r\n\r\n")[0].partition(b"\r\n")
        return BytesHeaderParser().parsebytes(lines + b"\r\n\r\n")

    @property
    def idempotency_key(self) -> str | None:
        return self.headers["Idempotency-Key"]

    @property
    def event(self) -> dict[str, Any]:
        """What API Gateway makes of it, at the stage's own address."""
        method, target, _ = self.raw.split(b"\r\n", 1)[0].decode().split(" ")
        whole, _, query = target.partition("?")
        path = whole.removeprefix(STAGE_PATH)
        given = parse_qs(query, keep_blank_values=True, strict_parsing=True) if query else None
        last = {name: texts[-1] for name, texts in (given or {}).items()}
        event: dict[str, Any] = json.loads(_EVENT.read_text())
        event["requestContext"] |= {"path": whole, "httpMethod": method}
        return event | {
            "path": path,
            "httpMethod": method,
            "pathParameters": {"proxy": path.removeprefix("/v1/")},
            "headers": dict(self.headers.items()),
            "multiValueHeaders": {name: [text] for name, text in self.headers.items()},
            "queryStringParameters": last or None,
            "multiValueQueryStringParameters": given,
            "body": self.body or None,
        }
