"""The functions behind API Gateway on a world in memory, served over HTTP on the loopback.

What the gateway does to a call, it does as on AWS: it tells every value of a header or parameter,
``null`` where there is nothing, and encodes a body that is not text.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock, Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deployed.loopback_gate import GatedHandler

CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1024, invoked_function_arn="a", aws_request_id="l"
)
Function = Callable[[dict[str, Any], Any], dict[str, Any]]
# As the template has them: all else goes to the function that is called "".
WEBHOOK = ("POST", "/v1/webhooks/hitpay")


@contextmanager
def served(api: Function, webhook: Function) -> Iterator[str]:
    """Where the two functions answer, one call after the other, as their fakes do."""
    one_call, numbers = Lock(), count(1)

    class Handler(GatedHandler, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            event = event_of(
                self.command, self.path, self.headers.items(), body, f"request-{next(numbers)}"
            )
            function = webhook if (self.command, event["path"]) == WEBHOOK else api
            with one_call:
                answer = function(event, CONTEXT)
            raw = answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, values in answer["multiValueHeaders"].items():
                for value in values:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

        def __getattr__(self, name: str) -> Callable[[], None]:
            """``do_GET`` and so on: every method is handed on."""
            if name.startswith("do_"):
                return self.handle_one
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def event_of(
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    request_id: str,
) -> dict[str, Any]:
    """A call as the gateway hands it over."""
    split = urlsplit(target)
    query = parse_qsl(split.query, keep_blank_values=True)
    given = _grouped(headers)
    # The gateway itself tells where a call comes from; here it is what the caller says.
    source = next((values[-1] for name, values in given.items() if _is_from(name)), "127.0.0.1")
    return {
        "httpMethod": method,
        "path": unquote(split.path),
        "headers": _last_of(given),
        "multiValueHeaders": given,
        "queryStringParameters": _last_of(_grouped(query)) or None,
        "multiValueQueryStringParameters": _grouped(query) or None,
        "requestContext": {
            "requestId": request_id,
            "domainName": "api.example.com",
            "path": "/live" + split.path,
            "stage": "live",
            "identity": {"sourceIp": source, "userArn": None},
        },
        **_body(body),
    }


def _is_from(header: str) -> bool:
    return header.lower() == "x-forwarded-for"


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _last_of(grouped: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in grouped.items()}


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode() or None, "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": b64encode(body).decode(), "isBase64Encoded": True}
