"""A merchant's server does what it likes; one attempt ends in time and goes nowhere else."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from refund_bridge.adapters.http.webhook_sender import ANSWER_BYTES_MAX, WebhookSender
from refund_bridge.delivering.ports import Answered, NoAnswer
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import (
    RawServer,
    Script,
    answer,
    drip,
    hang_up,
    reset,
    send_raw,
    silence,
)

CERTIFICATE = Path(__file__).parent.parent / "processors" / "localhost.pem"
BODY = b'{"id": "evt_1"}'
HEADERS = {"Content-Type": "application/json", "Stripe-Signature": "t=1,v1=00"}
SHORT_MS = 600


@pytest.fixture
def clock() -> FrozenWallClock:
    return FrozenWallClock()


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def resolves_to(*addresses: str, port: int = 443) -> Callable[..., Any]:
    """A resolver for which every name has these addresses."""

    def resolve(host: str, asked_port: int, **_: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port),
            )
            for one in addresses
        ]

    return resolve


def post(
    sender: WebhookSender, url: str, clock: FrozenWallClock, *, body: bytes = BODY, ms: int = 5_000
) -> Answered | NoAnswer:
    return sender.post(url, HEADERS, body, clock.deadline(ms))


def sent_to(clock: FrozenWallClock, *scripts: Script, ms: int = 5_000) -> Answered | NoAnswer:
    with RawServer(*scripts) as server:
        return post(WebhookSender(local=True), f"{server.url}/hooks", clock, ms=ms)


def test_the_event_arrives_as_it_was_signed(clock: FrozenWallClock) -> None:
    with RawServer(answer(204)) as server:
        url = f"{server.url}/hooks?shop=1"
        assert post(WebhookSender(local=True), url, clock) == Answered(204)
        (arrived,) = server.arrived
        assert arrived.headers["host"] == f"127.0.0.1:{server.port}"
    assert (arrived.method, arrived.path, arrived.body) == ("POST", "/hooks?shop=1", BODY)
    assert arrived.headers["stripe-signature"] == "t=1,v1=00"
    assert arrived.headers["connection"] == "close"


def test_an_ipv6_literal_may_be_an_addresss_host(clock: FrozenWallClock) -> None:
    # Given a literal whose last group could be taken for a port that is no number
    with RawServer(answer(200)) as server:
        sender = WebhookSender(
            local=False,
            resolve=resolves_to("127.0.0.1", port=server.port),
            is_allowed=lambda ip, **_: True,
        )
        # When something is sent there
        found = post(sender, "http://[2606:4700::64aa]/hooks", clock)
        (arrived,) = server.arrived
    # Then it arrives, with that literal as its Host
    assert found == Answered(200)
    assert (arrived.path, arrived.headers["host"]) == ("/hooks", "[2606:4700::64aa]")


@pytest.mark.parametrize("status", [200, 301, 307, 404, 410, 500])
def test_the_status_is_told_and_nothing_is_followed(clock: FrozenWallClock, status: int) -> None:
    with (
        RawServer(answer(200)) as elsewhere,
        RawServer(answer(status, headers={"Location": elsewhere.url})) as server,
    ):
        found = post(WebhookSender(local=True), server.url, clock)
    assert found == Answered(status)
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "script",
    [
        silence,
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    ],
    ids=["never", "status", "headers", "body"],
)
def test_an_answer_that_takes_too_long_is_none(clock: FrozenWallClock, script: Script) -> None:
    found = sent_to(clock, script, ms=SHORT_MS)
    assert isinstance(found, NoAnswer)


@pytest.mark.parametrize(
    "script",
    [
        hang_up,
        reset,
        send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"),
        send_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        send_raw(b"not HTTP at all\r\n\r\n"),
        send_raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        send_raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    ],
    ids=["closed", "reset", "short", "chunk", "nonsense", "many headers", "long header"],
)
def test_a_broken_answer_is_none(clock: FrozenWallClock, script: Script) -> None:
    assert isinstance(sent_to(clock, script), NoAnswer)


def test_of_ten_megabytes_only_the_beginning_is_read(clock: FrozenWallClock) -> None:
    sent = 0

    def flood(arrival: Any) -> None:
        nonlocal sent
        arrival.wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
        for _ in range(160):
            arrival.wire.sendall(b"x" * ANSWER_BYTES_MAX)  # OSError once the client is gone
            sent += ANSWER_BYTES_MAX

    assert sent_to(clock, flood) == Answered(200)
    assert sent < 10 * 1024 * 1024


def test_a_body_that_nobody_reads_ends_in_time(clock: FrozenWallClock) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=1)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        found = post(WebhookSender(local=True), url, clock, body=b"x" * 8_000_000, ms=SHORT_MS)
    assert found == NoAnswer("no whole answer in time")


def test_a_refusal_before_the_whole_body_came_is_heard(clock: FrozenWallClock) -> None:
    assert sent_to(clock, answer(413, close=True)) == Answered(413)


def test_nobody_listens(clock: FrozenWallClock) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    found = post(WebhookSender(local=True), f"http://127.0.0.1:{port}/", clock)
    assert found == NoAnswer("it refused the connection")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["10.0.0.1", "192.168.1.1"],
    ],
)
def test_a_name_that_leads_inside_is_not_connected_to(
    clock: FrozenWallClock, addresses: list[str]
) -> None:
    with RawServer(answer(200)) as server:
        sender = WebhookSender(local=False, resolve=resolves_to(*addresses, port=server.port))
        found = post(sender, "https://shop.example.com/", clock)
    assert found == NoAnswer("its name leads to no address that may be sent to")
    assert server.connections == 0


def test_a_name_that_leads_inside_is_not_connected_to_on_a_local_stage_either(
    clock: FrozenWallClock,
) -> None:
    with RawServer(answer(200)) as server:
        sender = WebhookSender(local=True, resolve=resolves_to("127.0.0.1", port=server.port))
        found = post(sender, "https://shop.example.com/", clock)
    assert isinstance(found, NoAnswer)
    assert server.connections == 0


def test_what_was_checked_is_what_is_connected_to(clock: FrozenWallClock) -> None:
    """The name leads to a public address when it is asked first, and to this machine then."""
    asked: list[str] = []
    with RawServer(answer(200)) as server:

        def resolve(host: str, port: int, **more: Any) -> Any:
            asked.append(host)
            address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
            return resolves_to(address, port=server.port)(host, port, **more)

        # 192.0.2.1 is nobody's; here it stands for a public address.
        sender = WebhookSender(
            local=False,
            resolve=resolve,
            is_allowed=lambda ip, **_: ip == "192.0.2.1",
        )
        found = post(sender, "https://rebind.example.com/", clock, ms=SHORT_MS)
    assert isinstance(found, NoAnswer)
    assert asked == ["rebind.example.com"]
    assert server.connections == 0


def test_of_several_addresses_only_those_that_are_allowed_are_tried(
    clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with RawServer(answer(200), tls=tls) as server, RawServer(answer(200)) as inside:

        def resolve(host: str, port: int, **more: Any) -> Any:
            return [
                *resolves_to("127.0.0.2", port=inside.port)(host, port),
                *resolves_to("127.0.0.1", port=server.port)(host, port),
            ]

        sender = WebhookSender(
            local=False,
            resolve=resolve,
            ca_file=str(CERTIFICATE),
            is_allowed=lambda ip, **_: ip == "127.0.0.1",
        )
        assert post(sender, "https://127.0.0.1/hooks", clock) == Answered(200)
    assert (server.connections, inside.connections) == (1, 0)


@pytest.fixture
def named(tls: ssl.SSLContext) -> Iterator[tuple[RawServer, list[str | None]]]:
    """A TLS server of this machine, and the names by which it was called."""
    names: list[str | None] = []

    def called(_wire: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    tls.sni_callback = called
    with RawServer(answer(200), tls=tls) as server:
        yield server, names


def test_a_name_that_is_not_resolved_in_time_is_left_behind(clock: FrozenWallClock) -> None:
    # Given a name server that gives no answer
    over = Event()

    def hangs(*_: object, **__: object) -> list[Any]:
        over.wait(30)
        return []

    # When something is sent, then it ends with its own deadline
    sender = WebhookSender(local=False, resolve=hangs)
    found = post(sender, "https://shop.example.com/hooks", clock, ms=SHORT_MS)
    assert not over.is_set()
    over.set()
    assert found == NoAnswer("no connection in time")


def test_tls_is_asked_for_the_name_and_verified_against_it(
    clock: FrozenWallClock, named: tuple[RawServer, list[str | None]]
) -> None:
    server, names = named
    sender = WebhookSender(
        local=False,
        resolve=resolves_to("127.0.0.1", port=server.port),
        ca_file=str(CERTIFICATE),
        is_allowed=lambda ip, **_: True,
    )
    found = post(sender, "https://shop.example.com/hooks", clock)
    # The certificate is for 127.0.0.1: it is the right machine, and not that shop.
    assert isinstance(found, NoAnswer)
    assert found.reason.startswith("TLS failed")
    assert names == ["shop.example.com"]
    assert server.arrived == []


def test_a_certificate_that_nobody_vouches_for_is_refused(
    clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with RawServer(answer(200), tls=tls) as server:
        found = post(WebhookSender(local=True), f"{server.url}/", clock)
    assert isinstance(found, NoAnswer)
    assert "CERTIFICATE_VERIFY_FAILED" in found.reason
    assert server.arrived == []


def test_a_server_without_tls_is_none(clock: FrozenWallClock) -> None:
    with RawServer(answer(200)) as server:
        url = f"https://127.0.0.1:{server.port}/"
        found = post(WebhookSender(local=True), url, clock, ms=SHORT_MS)
    assert isinstance(found, NoAnswer)


def test_a_tls_body_that_nobody_reads_ends_in_time(
    clock: FrozenWallClock, tls: ssl.SSLContext
) -> None:
    with RawServer(silence, tls=tls) as server:
        sender = WebhookSender(local=True, ca_file=str(CERTIFICATE))
        found = post(sender, f"{server.url}/", clock, ms=SHORT_MS)
    assert found == NoAnswer("no whole answer in time")


def test_a_name_that_nobody_has_is_told(clock: FrozenWallClock) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    found = post(WebhookSender(local=False, resolve=unknown), "https://nobody.example/", clock)
    assert found == NoAnswer("its name could not be resolved")


def test_a_name_that_cannot_be_looked_up_at_all_is_told(clock: FrozenWallClock) -> None:
    found = post(WebhookSender(local=False), f"https://{'a' * 70}.example/", clock)
    assert isinstance(found, NoAnswer)
