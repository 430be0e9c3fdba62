"""What stands at a domain of one's own: TLS, no path in front, and a network that may fail."""

import ssl
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import urllib3

from deployed import paths
from deployed.loopback_gate import GatedHandler
from local.http_client import TIMEOUT, Answer, Exchange

CERTIFICATE = paths.ROOT / "tests" / "unit" / "processors" / "localhost.pem"
# What belongs to one connection, and what each side says of its own.
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "server", "date"}
)


class TlsProxy:
    """Passes every call that names the proxy's own address on to another, which may have a path.

    Attributes:
        calls: what arrived, with what it was answered, in the order of the answers.
        lose_answers: so many answers that are ready are not passed on; the connection ends instead.
        caller_address: where it says that callers are, as such a proxy does; ``None``: nothing.
    """

    def __init__(self, target: str, observer: Callable[[Exchange], object]) -> None:
        self.target = target
        self.calls: list[Exchange] = []
        self.lose_answers = 0
        self.caller_address: str | None = None
        self._observer = observer
        self._lock = threading.Lock()
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, maxsize=16)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        port: int = self._server.server_address[1]
        return port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.clear()

    def pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Exchange:
        """One call, answered."""
        told_of = {"X-Forwarded-For": self.caller_address} if self.caller_address else {}
        response = self._pool.request(
            method, self.target + path, headers=headers | told_of, body=body or None, redirect=False
        )
        text = response.data.decode()
        told = Answer(response.status, dict(response.headers), response.json(), text)
        return Exchange(method, path, headers, body, told)

    def took(self, exchange: Exchange) -> bool:
        """Remember a call; whether its answer is passed on."""
        with self._lock:
            self.calls.append(exchange)
            lost = self.lose_answers > 0
            self.lose_answers -= lost
        self._observer(exchange)
        return not lost

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(GatedHandler, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self) -> None:
                self._pass_on()

            def do_POST(self) -> None:
                self._pass_on()

            def do_DELETE(self) -> None:
                self._pass_on()

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                given = passed_on(self.headers.items())
                exchange = proxy.pass_on(self.command, self.path, given, body)
                if not proxy.took(exchange):
                    self.close_connection = True
                    return
                raw = exchange.answer.text.encode()
                self.send_response(exchange.answer.status)
                for name, value in passed_on(exchange.answer.headers.items()).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler


def passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those that are not about one connection."""
    return {name: text for name, text in headers if name.lower() not in _OF_THE_CONNECTION}
