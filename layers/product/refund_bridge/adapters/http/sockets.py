"""Sockets and connections of which every wait ends with a deadline, however slowly the peer sends.

urllib3's and http.client's timeouts are per read: a server that sends one byte a second, in its
headers or its body, never exceeds them. Here every read gets only the time left in all.
"""

import os
import socket
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

import certifi
import urllib3.connection

from refund_bridge.config import ConfigurationError
from refund_bridge.ports.runtime import Deadline

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

PRIVATE_CA = "PRIVATE_CA"
"""The variable that names a file of authorities to trust besides the public ones."""


class TimedSocket(socket.socket):
    """A socket that reads until ``deadline`` and no longer."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """As ``socket.recv_into``; ``TimeoutError`` when the deadline is over."""
        if self.deadline is not None:
            self.settimeout(seconds_left(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


class TimedTlsSocket(ssl.SSLSocket):
    """A ``TimedSocket`` over TLS; each piece that is sent also gets only the time left."""

    deadline: Deadline | None = None

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        """As ``SSLSocket.send``, which ``sendall`` uses; ``TimeoutError`` as in ``recv_into``."""
        if self.deadline is not None:
            self.settimeout(seconds_left(self.deadline))
        return super().send(data, flags)

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """As ``SSLSocket.recv_into``; ``TimeoutError`` when the deadline is over."""
        if self.deadline is not None:
            self.settimeout(seconds_left(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


class PlainConnection(urllib3.connection.HTTPConnection):
    """HTTP on a ``TimedSocket``; ``connect_by`` is set before ``connect()``."""

    connect_by: Deadline

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port, self.connect_by)


class TlsConnection(urllib3.connection.HTTPSConnection):
    """HTTPS on a ``TimedTlsSocket``; ``connect_by`` bounds the handshake too."""

    connect_by: Deadline

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port, self.connect_by)


Connection = PlainConnection | TlsConnection


@lru_cache
def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """A verifying TLS context that makes ``TimedTlsSocket``s.

    Trusts certifi's authorities and those of ``PRIVATE_CA``, or only those in ``ca_file``. Reading
    them takes milliseconds, so it is done once per process.

    Raises:
        ConfigurationError: ``PRIVATE_CA`` names no file of certificates.
    """
    context = ssl.create_default_context(cafile=ca_file or certifi.where())
    if ca_file is None and (private := os.environ.get(PRIVATE_CA)):
        try:
            context.load_verify_locations(private)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"{PRIVATE_CA}: {private} cannot be read as certificates (PEM):"
                " PrivateCaLayerArn must be a layer with that file at its top"
            ) from error
    # These are Python 3.13's defaults, on which the functions run. So tests and tools on an older
    # Python refuse the same certificates.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False  # as in urllib3: only the alternative names count
    context.sslsocket_class = TimedTlsSocket
    return context


def open_socket(host: str, port: int, deadline: Deadline) -> TimedSocket:
    """A connected socket; its timeout is the time then left, for the TLS handshake.

    urllib3 would give every address of the host the whole timeout, one after the other. Here they
    share it: an address that does not answer leaves half of the time to those after it. (Resolving
    the name cannot be interrupted without a thread; glibc's own limit applies, see RES_OPTIONS.)

    Raises:
        OSError: the name has no address (``gaierror``), none took the connection, or too late.
    """
    failure = OSError("the name has no address")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for others, (family, kind, protocol, _, address) in zip(
        reversed(range(len(found))), found, strict=True
    ):
        candidate = TimedSocket(family, kind, protocol)
        try:
            left = seconds_left(deadline)
            candidate.settimeout(left / 2 if others else left)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            candidate.connect(address)
            candidate.settimeout(seconds_left(deadline))
        except OSError as error:
            candidate.close()
            failure = error
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise failure


def is_quiet(connection: Connection) -> bool:
    """Whether an idle connection is still open and has received nothing unexpected.

    A readable socket does not prove the contrary: TLS 1.3 servers send session tickets unasked. So
    the socket is read without waiting, and TLS consumes the tickets. Only the end of the stream or
    bytes that nobody asked for make the connection unusable.
    """
    if connection.sock is None:
        return False
    connection.sock.settimeout(0)
    try:
        connection.sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


def seconds_left(deadline: Deadline) -> float:
    """The time left, in seconds, as sockets take it.

    Raises:
        TimeoutError: no time is left.
    """
    left_ms = deadline.remaining_ms()
    if left_ms <= 0:
        raise TimeoutError("the deadline is over")
    return left_ms / 1000
