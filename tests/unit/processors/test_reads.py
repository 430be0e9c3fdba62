"""A read, alike for every adapter: asked twice at most, and never taken for what it is not."""

from collections.abc import Iterator
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from tests.unit.processors.adapters import ADAPTERS, Adapting
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, Script, answer, hang_up, reset, silence


@pytest.fixture(params=ADAPTERS)
def adapting(request: pytest.FixtureRequest) -> Adapting:
    return ADAPTERS[request.param]


class Reader:
    """One adapter that reads what a server shows."""

    def __init__(self, adapting: Adapting, key: StoredKey, clock: FrozenWallClock) -> None:
        self.adapting = adapting
        self._key = key
        self._clock = clock
        self.http = DeadlineHttp(clock, limits=Limits(exchange_ms=5_000, body_bytes=20_000))
        self.shown = answer(200, adapting.shown)

    def look(self, server: RawServer, within_ms: int = 10_000) -> object:
        processor = self.adapting.make(server.url, self._key, self.http)
        return self.adapting.look(processor, self._clock.deadline(within_ms))


@pytest.fixture
def reader(adapting: Adapting, key: StoredKey, clock: FrozenWallClock) -> Iterator[Reader]:
    reader = Reader(adapting, key, clock)
    yield reader
    reader.http.close()


@pytest.mark.parametrize("first", [hang_up, reset, answer(500), answer(503, "<html>")])
def test_one_that_failed_is_repeated_once_on_a_fresh_connection(
    reader: Reader, first: Script
) -> None:
    with RawServer(first, reader.shown) as server:
        assert reader.look(server) is not None
    assert [arrival.connection for arrival in server.arrived] == [1, 2]


def test_it_is_not_tried_a_third_time(reader: Reader) -> None:
    with (
        RawServer(hang_up, answer(503), reader.shown) as server,
        pytest.raises(ProviderUnavailableError),
    ):
        reader.look(server)
    assert len(server.arrived) == 2


def test_it_ends_with_its_deadline(reader: Reader) -> None:
    with RawServer(silence, reader.shown) as server, pytest.raises(ProviderUnavailableError):
        reader.look(server, within_ms=1_000)
    assert len(server.arrived) == 1


def test_it_is_asked_again_with_a_rotated_key(reader: Reader, key: StoredKey) -> None:
    key.rotate("key-two")
    with RawServer(answer(401), reader.shown) as server:
        reader.look(server)
    name, form = reader.adapting.key_header
    sent = [arrival.headers[name] for arrival in server.arrived]
    assert sent == [form.format("key-one"), form.format("key-two")]


def test_with_a_key_that_stays_refused_it_is_unavailable(reader: Reader, key: StoredKey) -> None:
    with RawServer(answer(401)) as server, pytest.raises(ProviderUnavailableError, match="401"):
        reader.look(server)
    assert (len(server.arrived), key.reads) == (1, 1)


def test_without_a_key_it_is_not_asked(reader: Reader, key: StoredKey) -> None:
    key.unavailable = True
    with RawServer() as server, pytest.raises(ProviderUnavailableError):
        reader.look(server)
    assert server.connections == 0


def test_a_rate_limit_is_passed_on_and_not_met_with_haste(reader: Reader) -> None:
    limited = answer(429, reader.adapting.refusal, {"Retry-After": "3"})
    with RawServer(limited) as server, pytest.raises(ProviderUnavailableError) as caught:
        reader.look(server)
    assert caught.value.retry_after_s == 3
    assert len(server.arrived) == 1


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'"text"', b'{"id": 1}'])
def test_something_else_is_unreadable(reader: Reader, body: bytes) -> None:
    with RawServer(answer(200, body)) as server, pytest.raises(UnreadableAnswerError):
        reader.look(server)


@pytest.mark.parametrize("body", ["<html>nginx</html>", {"other": "no route"}])
def test_a_404_of_somebody_else_does_not_say_that_it_is_not_there(
    reader: Reader, body: Any
) -> None:
    with RawServer(answer(404, body)) as server, pytest.raises(ProviderUnavailableError):
        reader.look(server)
