"""A merchant's own backend that receives our webhooks: an HTTP server on this machine."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Self

import stripe

from deployed.loopback_gate import GatedHandler

BODY_MAX = 256 * 1024


@dataclass(frozen=True)
class Delivery:
    """A request that was received.

    Attributes:
        answered: the status that the receiver answered with.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    answered: int

    def event(self, secret: str) -> stripe.Event:
        """The event in it, as Stripe's own library verifies and reads it.

        Raises:
            stripe.SignatureVerificationError: it is not signed with that secret, or is too old.
        """
        signature = self.headers["Stripe-Signature"]
        event: stripe.Event = stripe.Webhook.construct_event(self.body, signature, secret)
        return event


Answer = Callable[[bytes, Mapping[str, str]], int]
"""What a body and its headers are answered with; 0 hangs up without an answer."""


class WebhookReceiver:
    """Keeps every request to `url`; `answer` decides the status, and may be changed at any time.

    Requests from pages of other sites are refused, as by all of our servers on this machine.
    """

    def __init__(self, answer: Answer = lambda _body, _headers: 200) -> None:
        self.answer = answer
        self._deliveries: list[Delivery] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(GatedHandler, BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.handle(self)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address for webhooks."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hooks"

    @property
    def deliveries(self) -> list[Delivery]:
        """All requests received, in order."""
        with self._lock:
            return list(self._deliveries)

    def taken(self, secret: str) -> list[stripe.Event]:
        """The events that were answered with 2xx, after verifying each signature."""
        return [one.event(secret) for one in self.deliveries if 200 <= one.answered <= 299]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        length = min(int(request.headers.get("Content-Length", "0")), BODY_MAX)
        body, headers = request.rfile.read(length), dict(request.headers.items())
        status = self.answer(body, headers)
        with self._lock:
            self._deliveries.append(Delivery(headers, body, status))
        if not status:
            request.close_connection = True
            return
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()

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
        self._thread.join()


def down_a_third_of_the_time() -> Answer:
    """Accepts six of nine attempts, and then answers 503, nothing, and 503."""
    attempts = count()

    def answer(_body: bytes, _headers: Mapping[str, str]) -> int:
        return (200, 200, 200, 200, 200, 200, 503, 0, 503)[next(attempts) % 9]

    return answer
