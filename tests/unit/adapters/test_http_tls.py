"""The caller over TLS: verified, kept alive, and as strict about time as without it."""

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.adapters.http.messages import HttpRequest, NotSentError, UnclearError
from refund_bridge.adapters.http.sockets import tls_context
from refund_bridge.config import ConfigurationError
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import RawServer, answer, drip

# Made for these tests alone: self-signed, for 127.0.0.1 only (its common name is localhost).
CERTIFICATE = Path(__file__).parent.parent / "processors" / "localhost.pem"


@pytest.fixture
def clock() -> FrozenWallClock:
    return FrozenWallClock()


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def trusting(clock: FrozenWallClock) -> Iterator[DeadlineHttp]:
    limits = Limits(exchange_ms=2_000)
    caller = DeadlineHttp(clock, limits=limits, ca_file=str(CERTIFICATE))
    yield caller
    caller.close()


def get(url: str) -> HttpRequest:
    return HttpRequest("GET", url + "/x", {})


def test_a_certificate_that_nobody_vouches_for_stops_the_request(
    clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with (
        RawServer(answer(200, b"{}"), tls=tls) as server,
        pytest.raises(NotSentError, match="TLS failed"),
    ):
        DeadlineHttp(clock).send(get(server.url), clock.deadline())
    assert server.requests == []


@pytest.fixture
def private_ca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the authorities of a private gateway are, as the template sets it."""
    named = tmp_path / "private-ca.pem"
    monkeypatch.setenv("PRIVATE_CA", str(named))
    tls_context.cache_clear()
    yield named
    tls_context.cache_clear()


def test_a_private_authority_is_trusted_besides_the_public_ones(
    private_ca: Path, clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    private_ca.write_bytes(CERTIFICATE.read_bytes())
    with RawServer(answer(200, b"{}"), tls=tls) as server:
        caller = DeadlineHttp(clock)
        assert caller.send(get(server.url), clock.deadline()).status == 200
        caller.close()
    public = ssl.create_default_context(cafile=certifi.where()).cert_store_stats()["x509_ca"]
    assert tls_context().cert_store_stats()["x509_ca"] >= public


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_private_authority_that_cannot_be_read_is_said_at_start(
    private_ca: Path, clock: FrozenWallClock, text: str | None
) -> None:
    if text is not None:
        private_ca.write_text(text)
    with pytest.raises(ConfigurationError, match=r"private-ca\.pem.*PrivateCaLayerArn"):
        DeadlineHttp(clock)


def test_a_certificate_for_another_name_stops_the_request(
    trusting: DeadlineHttp, clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with RawServer(answer(200, b"{}"), tls=tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(NotSentError, match="TLS failed"):
            trusting.send(get(url), clock.deadline())
    assert server.requests == []


def test_a_warmed_connection_survives_the_session_tickets_that_tls_sends_unasked(
    trusting: DeadlineHttp, clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with RawServer(answer(200, b"{}"), answer(200, b"{}"), tls=tls) as server:
        trusting.warm(server.url, clock.deadline())
        trusting.send(get(server.url), clock.deadline())
        trusting.send(get(server.url), clock.deadline())
        assert server.connections == 1


def test_a_connection_closed_over_tls_is_noticed_before_sending(
    trusting: DeadlineHttp, clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with RawServer(answer(200, b"{}", close=True), answer(200, b"{}"), tls=tls) as server:
        trusting.send(get(server.url), clock.deadline())
        assert server.hung_up.wait(5)
        trusting.send(get(server.url), clock.deadline())
        assert [arrival.connection for arrival in server.arrived] == [1, 2]


def test_a_dripping_body_over_tls_ends_with_the_limit(
    trusting: DeadlineHttp, clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with (
        RawServer(drip(head, b" "), tls=tls) as server,
        pytest.raises(UnclearError),
    ):
        trusting.send(get(server.url), clock.deadline())
    assert len(server.arrived) == 1


def test_a_greeting_that_is_never_answered_ends_with_the_connect_limit(
    clock: FrozenWallClock,
) -> None:
    caller = DeadlineHttp(clock, limits=Limits(connect_ms=200))
    # The server takes the TLS greeting for the start of a request, and waits for its end.
    with (
        RawServer() as server,
        pytest.raises(NotSentError),
    ):
        caller.send(get(server.url.replace("http:", "https:")), clock.deadline())


def test_no_thread_is_left_behind(
    trusting: DeadlineHttp, clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    before = threading.active_count()
    with RawServer(answer(200, b"{}"), tls=tls) as server:
        trusting.send(get(server.url), clock.deadline())
    assert threading.active_count() == before


def test_an_address_that_is_none_is_a_mistake_of_ours(clock: FrozenWallClock) -> None:
    with pytest.raises(ValueError, match="no origin"):
        DeadlineHttp(clock).send(get("ftp://127.0.0.1"), clock.deadline())
