"""Sends webhooks to addresses that merchants chose: ``delivering.ports.Sender``.

For each attempt the name is resolved once and every resulting IP address is checked. The connection
is made to a checked address, with the name in SNI and Host. So it does not matter if the name leads
to another address a moment later. One deadline bounds all of it. Redirects are not followed, and
nothing is kept alive or repeated.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ssl import SSLError
from threading import Thread
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from refund_bridge.adapters.http.sockets import (
    TimedSocket,
    TimedTlsSocket,
    seconds_left,
    tls_context,
)
from refund_bridge.delivering.ports import Answered, NoAnswer
from refund_bridge.delivering.where import is_allowed_ip
from refund_bridge.ports.runtime import Deadline

# At most this much of an answer is read; only its status matters.
ANSWER_BYTES_MAX: Final = 64 * 1024
_PORTS: Final = {"https": 443, "http": 80}
# What ``socket.getaddrinfo`` gives for one address.
_Found = tuple[Any, ...]


class WebhookSender:
    """Posts to HTTPS addresses of the public internet; on a local stage to 127.0.0.1 too.

    Args:
        local: whether this is a local stage.
        resolve: ``socket.getaddrinfo``.
        ca_file: trust these authorities (PEM) in place of the public ones.
        is_allowed: ``delivering.where.is_allowed_ip``.
    """

    def __init__(
        self,
        *,
        local: bool,
        resolve: Callable[..., Sequence[_Found]] = socket.getaddrinfo,
        ca_file: str | None = None,
        is_allowed: Callable[..., bool] = is_allowed_ip,
    ) -> None:
        self._local = local
        self._resolve = resolve
        self._ca_file = ca_file
        self._is_allowed = is_allowed

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answered | NoAnswer:
        """POST it once, without following redirects. Never raises for network errors."""
        parts = urlsplit(url)
        try:
            wire = self._connect(parts, deadline)
        except (OSError, ValueError) as error:  # a name may be one that cannot be looked up at all
            return NoAnswer(_why_unconnected(error))
        if wire is None:
            return NoAnswer("its name leads to no address that may be sent to")
        try:
            return _exchange(wire, parts, headers, body)
        except TimeoutError:
            return NoAnswer("no whole answer in time")
        except (OSError, HTTPException, ValueError) as error:
            return NoAnswer(f"no whole answer: {type(error).__name__}")
        finally:
            wire.close()

    def _connect(
        self, parts: SplitResult, deadline: Deadline
    ) -> TimedSocket | TimedTlsSocket | None:
        """A connection to an address that was checked; ``None`` if there is none."""
        host = parts.hostname or ""
        found = self._looked_up(host, parts.port or _PORTS[parts.scheme], deadline)
        allowed = [
            one for one in found if self._is_allowed(str(one[4][0]), host=host, local=self._local)
        ]
        if not allowed:
            return None
        plain = _first_open(allowed, deadline)
        plain.deadline = deadline
        if parts.scheme == "http":
            return plain
        try:
            plain.settimeout(seconds_left(deadline))
            wire = tls_context(self._ca_file).wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        if not isinstance(wire, TimedTlsSocket):
            raise TypeError("the TLS context makes sockets of another kind")
        wire.deadline = deadline
        return wire

    def _looked_up(self, host: str, port: int, deadline: Deadline) -> Sequence[_Found]:
        """Resolve the name in another thread, which is left behind if it takes too long.

        Raises:
            TimeoutError: nothing was found in time.
            OSError, ValueError: the name cannot be resolved.
        """
        found: Future[Sequence[_Found]] = Future()

        def look() -> None:
            try:
                found.set_result(self._resolve(host, port, type=socket.SOCK_STREAM))
            except (OSError, ValueError) as error:
                found.set_exception(error)

        Thread(target=look, name="resolve", daemon=True).start()
        return found.result(seconds_left(deadline))


def _first_open(found: Sequence[_Found], deadline: Deadline) -> TimedSocket:
    """The first connection that opens; an address that does not answer leaves time for others."""
    failure: OSError = OSError("no address")
    for others, (family, kind, protocol, _, address) in zip(
        reversed(range(len(found))), found, strict=True
    ):
        candidate = TimedSocket(family, kind, protocol)
        try:
            left = seconds_left(deadline)
            candidate.settimeout(left / 2 if others else left)
            candidate.connect(address)
            candidate.settimeout(seconds_left(deadline))
        except OSError as error:
            candidate.close()
            failure = error
        else:
            return candidate
    raise failure


def _exchange(
    wire: TimedSocket | TimedTlsSocket,
    parts: SplitResult,
    headers: Mapping[str, str],
    body: bytes,
) -> Answered | NoAnswer:
    # The name here is not used: the socket is connected already, and Host is set below. The class
    # would read the last group of an IPv6 address as a port.
    connection = HTTPConnection("webhook")
    connection.auto_open = 0  # it must never open another connection
    connection.sock = wire
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    # If the peer closes early, it may have answered before (a 413, for example): read its answer.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(
            "POST",
            path,
            body=body,
            headers={**headers, "Host": parts.netloc, "Connection": "close"},
        )
    with connection.getresponse() as response:
        if not _is_whole(response):
            return NoAnswer("the answer broke off")
        return Answered(response.status)


def _is_whole(response: HTTPResponse) -> bool:
    """Read the answer, up to the limit; whether it was as long as it said."""
    read = response.read(ANSWER_BYTES_MAX)
    return len(read) == ANSWER_BYTES_MAX or not response.length


def _why_unconnected(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name could not be resolved"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ConnectionRefusedError):
        return "it refused the connection"
    if isinstance(error, SSLError):
        return f"TLS failed: {error.reason or 'handshake'}"
    return f"no connection: {type(error).__name__}"
