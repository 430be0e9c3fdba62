"""One HTTP exchange under a deadline; a failure says whether the request was ever sent.

For a call that moves money this matters most: after ``NotSentError`` it is certain that nothing was
executed, after any other error it is not. So connecting and sending are two steps here, which
urllib3's pool would do in one. From urllib3 only the connections and the reading of answers are
used. There are no retries, no redirects, no proxies and no threads.
"""

import os
from dataclasses import dataclass
from http.client import HTTPException
from socket import gaierror
from ssl import SSLError
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from refund_bridge.adapters.http.idle_connections import Idle, IdleConnections, Origin
from refund_bridge.adapters.http.messages import HttpAnswer, HttpRequest, NotSentError, UnclearError
from refund_bridge.adapters.http.sockets import (
    PRIVATE_CA,
    Connection,
    PlainConnection,
    TimedSocket,
    TimedTlsSocket,
    TlsConnection,
    seconds_left,
    tls_context,
)
from refund_bridge.ports.runtime import Clock, Deadline

_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one exchange; docs/architecture.md, "Outcomes of the call that moves money".

    Attributes:
        connect_ms: for the name, TCP and TLS together.
        exchange_ms: from the first byte sent to the last one read.
        idle_ms: how long, by wall clock, an idle connection is used again. Lambda freezes a
            function between two calls, and meanwhile the peer may close its sockets.
        body_bytes: the longest answer that is read.
    """

    connect_ms: int = 2_000
    exchange_ms: int = 18_000
    idle_ms: int = 5_000
    body_bytes: int = 1024 * 1024


class DeadlineHttp:
    """Sends requests over connections that it keeps alive; safe to use from two threads.

    Args:
        clock: wall time for the age of idle connections.
        limits: the bounds of each exchange.
        ca_file: trust these authorities (PEM) in place of certifi's.
    """

    def __init__(
        self, clock: Clock, *, limits: Limits | None = None, ca_file: str | None = None
    ) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._ca_file = ca_file
        if PRIVATE_CA in os.environ:
            tls_context(ca_file)  # a wrong file is noticed at start, not at the first refund
        self._idle = IdleConnections(clock)

    def send(self, request: HttpRequest, deadline: Deadline, *, fresh: bool = False) -> HttpAnswer:
        """Send the request once and read the whole answer, whatever its status.

        ``fresh`` requires a new connection. Without it, a connection may be used that was opened or
        used successfully within ``idle_ms``.

        Raises:
            NotSentError: the request was never sent.
            UnclearError: it may have been sent; no whole answer came.
        """
        origin = _origin_of(request.url)
        idle = None if fresh else self._idle.take(origin, age_ms=self._limits.idle_ms)
        connection = idle.connection if idle else self._open(origin, deadline)
        try:
            answer = self._exchange(connection, request, deadline)
        except BaseException:
            connection.close()
            raise
        if not connection.is_closed:
            self._idle.keep(origin, Idle(connection, self._clock.now_ms()))
        return answer

    def warm(self, url: str, deadline: Deadline) -> None:
        """Open a connection for the next call to that origin, if possible.

        A failure is ignored: the call that follows will meet it and report it.
        """
        origin = _origin_of(url)
        # A connection that is soon too old would not help the call for which this prepares.
        idle = self._idle.take(origin, age_ms=self._limits.idle_ms // 2)
        if idle is None:
            try:
                idle = Idle(self._open(origin, deadline), self._clock.now_ms())
            except NotSentError:
                return
        self._idle.keep(origin, idle)

    def close(self) -> None:
        """Close all idle connections."""
        self._idle.close()

    def _open(self, origin: Origin, deadline: Deadline) -> Connection:
        scheme, host, port = origin
        connection: Connection
        if scheme == "https":
            connection = TlsConnection(host, port, ssl_context=tls_context(self._ca_file))
        else:
            connection = PlainConnection(host, port)
        connection.connect_by = deadline.at_most(self._limits.connect_ms)
        connection.auto_open = 0  # sending must never connect: errors of the two differ in meaning
        try:
            connection.connect()
        except (OSError, HTTPError) as error:
            connection.close()
            raise NotSentError(_why_unconnected(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(
        self, connection: Connection, request: HttpRequest, deadline: Deadline
    ) -> HttpAnswer:
        until = deadline.at_most(self._limits.exchange_ms)
        try:
            connection.timeout = seconds_left(until)
        except TimeoutError as error:
            raise NotSentError("no time was left to send") from error
        if isinstance(connection.sock, TimedSocket | TimedTlsSocket):
            connection.sock.deadline = until
        _write(connection, request)
        try:
            return self._read(connection)
        except (OSError, HTTPException, HTTPError, ValueError) as error:
            raise UnclearError(f"no whole answer: {_name_of(error)}") from error

    def _read(self, connection: Connection) -> HttpAnswer:
        response = connection.getresponse()
        try:
            body = bytearray()
            while chunk := response.read(_CHUNK):
                body += chunk
                if len(body) > self._limits.body_bytes:
                    raise UnclearError(f"the body exceeds {self._limits.body_bytes} bytes")
        finally:
            response.close()
        return HttpAnswer(response.status, response.headers, bytes(body))


def _write(connection: Connection, request: HttpRequest) -> None:
    path = urllib3.util.parse_url(request.url).request_uri
    try:
        connection.request(
            request.method,
            path,
            body=request.body,
            headers=request.headers,
            preload_content=False,
        )
    except (ConnectionResetError, BrokenPipeError):
        # The peer may have answered before it closed (with a 413, for example): read its answer.
        return
    except OSError as error:
        raise UnclearError(f"broken off while sending: {_name_of(error)}") from error
    except (ValueError, HTTPException):
        # http.client checks everything before it sends the first byte. Its message contains the
        # header, which may have the key, so it is dropped.
        raise NotSentError("the request cannot be written as HTTP") from None


def _origin_of(url: str) -> Origin:
    parsed = urllib3.util.parse_url(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"no origin in {url!r}")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    return parsed.scheme, parsed.host.strip("[]"), port


def _why_unconnected(error: Exception) -> str:
    if isinstance(error, gaierror):
        return "the name could not be resolved"
    if isinstance(error, TimeoutError):
        return "connecting took too long"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, SSLError):
        return f"TLS failed: {error.reason or 'handshake'}"
    return f"no connection: {_name_of(error)}"


def _name_of(error: Exception) -> str:
    """The name of an error's class; its message may contain what was sent."""
    cause = error.__cause__ if isinstance(error, HTTPError) and error.__cause__ else error
    return type(cause).__name__
