"""The call that moves money, alike for every adapter: it is sent once, or known not to be."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import ANY

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    CredentialRefused,
    Outcome,
    Rejected,
    Unknown,
)
from refund_bridge.ports.processor import Processor
from refund_bridge.refunding.send import sent_with_a_valid_credential
from tests.unit.processors.adapters import ADAPTERS, INSTRUCTION, Adapting
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
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

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"


@pytest.fixture(params=ADAPTERS)
def adapting(request: pytest.FixtureRequest) -> Adapting:
    return ADAPTERS[request.param]


class Desk:
    """One adapter, and a server whose scripts answer it."""

    def __init__(self, adapting: Adapting, key: StoredKey, clock: FrozenWallClock) -> None:
        self._adapting = adapting
        self._key = key
        self._clock = clock
        self._stack = ExitStack()
        limits = Limits(connect_ms=300, exchange_ms=500, body_bytes=20_000)
        self._http = DeadlineHttp(clock, limits=limits)
        self._stack.callback(self._http.close)

    def at(self, url: str) -> Processor:
        return self._adapting.make(url, self._key, self._http)

    def ask(self, *scripts: Script, repeated: bool = False) -> tuple[Outcome, RawServer]:
        instruction = replace(INSTRUCTION, repeated=repeated)
        with RawServer(*scripts) as server:
            return self.at(server.url).refund(instruction, self._clock.deadline()), server

    def ask_as_it_is_sent(self, *scripts: Script) -> tuple[Outcome, RawServer]:
        """As ``send.sent_with_a_valid_credential`` sends it."""
        with RawServer(*scripts) as server:
            processor, deadline = self.at(server.url), self._clock.deadline()
            send = partial(processor.refund, INSTRUCTION, deadline)
            return sent_with_a_valid_credential(send), server

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def desk(adapting: Adapting, key: StoredKey, clock: FrozenWallClock) -> Iterator[Desk]:
    desk = Desk(adapting, key, clock)
    yield desk
    desk.close()


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_that_agrees_is_accepted(desk: Desk, adapting: Adapting, status: int) -> None:
    outcome, server = desk.ask(answer(status, adapting.success))
    assert isinstance(outcome, Accepted)
    assert (outcome.processor_refund.payment_id, outcome.processor_refund.money) == (
        "pay-1",
        INSTRUCTION.money,
    )
    assert server.requests == [adapting.money_call]


def test_it_carries_the_key_in_its_header(desk: Desk, adapting: Adapting) -> None:
    _, server = desk.ask(answer(200, adapting.success))
    sent = server.arrived[0]
    name, form = adapting.key_header
    assert sent.headers[name] == form.format("key-one")
    assert sent.headers["content-type"] == adapting.content_type
    assert sent.headers["accept"] == "application/json"
    assert "transfer-encoding" not in sent.headers


@pytest.mark.parametrize(
    "script",
    [
        hang_up,
        reset,
        silence,
        drip(HEAD, b" "),
        drip(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        send_raw(HEAD),
        send_raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        send_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
        send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}"),
        send_raw(b"\x16\x03\x01 this is not HTTP\r\n\r\n"),
        send_raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 50\r\n\r\n"),
        answer(200, b" " * 30_000 + b"{}"),
    ],
)
def test_whatever_breaks_after_sending_is_unknown_and_is_not_sent_again(
    desk: Desk, adapting: Adapting, script: Script
) -> None:
    outcome, server = desk.ask(script, answer(200, adapting.success))
    assert isinstance(outcome, Unknown)
    assert server.requests == [adapting.money_call]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"42", b"<html>", b"\xff", b"[" * 9_000])
def test_a_success_that_is_no_object_is_unknown(
    desk: Desk, adapting: Adapting, body: bytes
) -> None:
    outcome, server = desk.ask(answer(200, body))
    assert isinstance(outcome, Unknown)
    assert server.requests == [adapting.money_call]


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_refusal_of_its_own_is_final(desk: Desk, adapting: Adapting, status: int) -> None:
    # Where 403 may as well be about the key, the payment that is shown with it tells
    outcome, server = desk.ask(answer(status, adapting.refusal), answer(200, adapting.shown))
    assert isinstance(outcome, Rejected)
    assert (outcome.message, outcome.status) == ("No.", status)
    assert server.requests.count(adapting.money_call) == 1


@pytest.mark.parametrize("body", [b"", b"<html>Forbidden</html>", {"other": "x"}, {"error": 1}])
@pytest.mark.parametrize("status", [403, 404])
def test_being_turned_away_in_front_of_it_is_aborted(desk: Desk, status: int, body: Any) -> None:
    outcome, _ = desk.ask(answer(status, body))
    assert isinstance(outcome, Aborted)


@pytest.mark.parametrize("status", [400, 402, 422])
def test_a_refusal_that_is_not_its_own_is_unknown(desk: Desk, status: int) -> None:
    outcome, _ = desk.ask(answer(status, "<html>?</html>"))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("status", [408, 409, 410, 418, 500, 502, 503, 504, 599])
def test_every_other_status_is_unknown(desk: Desk, adapting: Adapting, status: int) -> None:
    outcome, server = desk.ask(answer(status, adapting.refusal))
    assert isinstance(outcome, Unknown)
    assert server.requests == [adapting.money_call]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_unknown_and_not_followed(
    desk: Desk, adapting: Adapting, status: int
) -> None:
    with RawServer(answer(200, adapting.success)) as elsewhere:
        outcome, _ = desk.ask(answer(status, b"", {"Location": f"{elsewhere.url}/x"}))
        assert isinstance(outcome, Unknown)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "7"}, 7), ({}, None), ({"Retry-After": "soon"}, None)]
)
def test_a_rate_limit_is_aborted_with_its_wish(
    desk: Desk, adapting: Adapting, header: dict[str, str], seconds: int | None
) -> None:
    outcome, _ = desk.ask(answer(429, adapting.refusal, header))
    assert isinstance(outcome, Aborted)
    assert outcome.retry_after_s == seconds


def test_a_401_with_a_rotated_key_is_sent_once_more(
    desk: Desk, adapting: Adapting, key: StoredKey
) -> None:
    key.rotate("key-two")
    outcome, server = desk.ask_as_it_is_sent(answer(401), answer(200, adapting.success))
    assert isinstance(outcome, Accepted)
    name, form = adapting.key_header
    sent = [arrival.headers[name] for arrival in server.arrived]
    assert sent == [form.format("key-one"), form.format("key-two")]


def test_a_401_with_the_same_key_in_the_store_is_aborted(desk: Desk, key: StoredKey) -> None:
    outcome, server = desk.ask_as_it_is_sent(answer(401))
    assert outcome == CredentialRefused(ANY, replaced=False)
    assert (len(server.arrived), key.reads) == (1, 1)


def test_by_itself_an_instruction_is_sent_once_whatever_the_key_store_holds(
    desk: Desk, adapting: Adapting, key: StoredKey
) -> None:
    key.rotate("key-two")
    outcome, server = desk.ask(answer(401), answer(200, adapting.success))
    assert outcome == CredentialRefused(ANY, replaced=True)
    assert server.requests == [adapting.money_call]


def test_a_call_that_is_not_there_has_executed_nothing(desk: Desk, adapting: Adapting) -> None:
    outcome, server = desk.ask(answer(405, adapting.refusal))
    assert isinstance(outcome, Aborted)
    assert server.requests == [adapting.money_call]


def test_two_401s_are_aborted_and_there_is_no_third_request(desk: Desk, key: StoredKey) -> None:
    key.rotate("key-two")
    outcome, server = desk.ask_as_it_is_sent(answer(401), answer(401), answer(200))
    assert outcome == CredentialRefused(ANY, replaced=False)
    assert (len(server.arrived), key.reads) == (2, 2)


def test_what_follows_a_401_decides(desk: Desk, key: StoredKey) -> None:
    key.rotate("key-two")
    outcome, _ = desk.ask_as_it_is_sent(answer(401), answer(500))
    assert isinstance(outcome, Unknown)


def test_without_a_key_nothing_is_sent(desk: Desk, key: StoredKey) -> None:
    key.unavailable = True
    outcome, server = desk.ask()
    assert isinstance(outcome, Aborted)
    assert server.connections == 0


def test_a_refused_connection_is_aborted(desk: Desk, clock: FrozenWallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert desk.at(url).refund(INSTRUCTION, clock.deadline()) == Aborted(
        "the connection was refused"
    )


def test_a_deadline_that_is_over_sends_nothing(desk: Desk, clock: FrozenWallClock) -> None:
    with RawServer() as server:
        outcome = desk.at(server.url).refund(INSTRUCTION, clock.deadline(0))
    assert isinstance(outcome, Aborted)
    assert server.requests == []


def test_a_refusal_that_echoes_the_key_does_not_pass_it_on(desk: Desk, adapting: Adapting) -> None:
    echo = {
        name: "Bad key\nkey-one " + "x" * 2000 if value == "No." else value
        for name, value in adapting.refusal.items()
    }
    if "error" in echo:
        echo["error"] = {**adapting.refusal["error"], "message": "Bad key\nkey-one " + "x" * 2000}
    outcome, _ = desk.ask(answer(400, echo))
    assert isinstance(outcome, Rejected)
    assert outcome.message.startswith("Bad key *** xxx")
    assert len(outcome.message) == 500


def test_nothing_that_is_shown_holds_the_key(desk: Desk) -> None:
    outcome, _ = desk.ask(reset)
    assert "key-one" not in repr((outcome, desk.at("http://127.0.0.1:1")))
