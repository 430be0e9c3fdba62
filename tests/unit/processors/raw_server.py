"""A server of raw sockets that does to each request what the test says, byte by byte."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

_RST_ON_CLOSE = struct.pack("ii", 1, 0)
_PATIENCE = 20


@dataclass
class Arrival:
    """A request that arrived whole, and the wire on which its script answers."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    wire: socket.socket = field(repr=False)


Script = Callable[[Arrival], None]


class RawServer:
    """Runs one script per arriving request, in order; keeps connections open between them.

    A script that closes the socket ends its connection; ``hung_up`` is set when one has ended.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._closing = False
        self.arrived: list[Arrival] = []
        self.connections = 0
        self.hung_up = threading.Event()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[str]:
        """What arrived, as ``POST /v1/refund``."""
        return [f"{arrival.method} {arrival.path}" for arrival in self.arrived]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        # Closing a socket does not wake a thread that waits in accept(); one more visitor does.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._threads[0].join(_PATIENCE)
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already
        for thread in self._threads:
            thread.join(_PATIENCE)
        self._listener.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            self._start(partial(self._serve, connection, self.connections))

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while (arrival := _read(connection, number)) is not None:
                self.arrived.append(arrival)
                script = self._scripts.pop(0) if self._scripts else answer(500, "no script left")
                script(arrival)
                if connection.fileno() == -1:
                    return
        except (OSError, ValueError):
            return  # the client went away, or never spoke HTTP
        finally:
            connection.close()
            self.hung_up.set()


def answer(
    status: int, body: object = b"", headers: dict[str, str] | None = None, *, close: bool = False
) -> Script:
    """A whole answer; a body that is not bytes or text is sent as JSON."""
    raw = _raw(body)
    lines = {"Content-Length": str(len(raw)), "Content-Type": "application/json", **(headers or {})}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())

    def script(arrival: Arrival) -> None:
        arrival.wire.sendall(head.encode() + b"\r\n" + raw)
        if close:
            arrival.wire.close()

    return script


def send_raw(data: bytes) -> Script:
    """These bytes, and then the end of the connection."""

    def script(arrival: Arrival) -> None:
        arrival.wire.sendall(data)
        arrival.wire.close()

    return script


def hang_up(arrival: Arrival) -> None:
    """A polite end of the connection without an answer."""
    arrival.wire.close()


def reset(arrival: Arrival) -> None:
    """An RST in place of an answer."""
    arrival.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    arrival.wire.close()


def silence(arrival: Arrival) -> None:
    """No answer until the client gives up."""
    arrival.wire.settimeout(_PATIENCE)
    while arrival.wire.recv(1024):
        continue
    arrival.wire.close()


def drip(before: bytes, piece: bytes, *, every_s: float = 0.02) -> Script:
    """``before`` at once, then ``piece`` again and again until the client gives up."""

    def script(arrival: Arrival) -> None:
        arrival.wire.sendall(before)
        pause = threading.Event()
        while not pause.wait(every_s):
            arrival.wire.sendall(piece)  # OSError once the client is gone

    return script


def _raw(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _read(connection: socket.socket, number: int) -> Arrival | None:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Arrival(method, path, headers, body, number, connection)
