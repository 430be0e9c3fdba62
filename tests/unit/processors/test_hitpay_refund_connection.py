"""What becomes of the call that moves money when the connection fails, and when exactly it does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from refund_bridge.domain.instruction import Aborted, Accepted, Unknown
from tests.unit.processors.adapters import INSTRUCTION, hitpay_refund
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import Arrival, RawServer, answer, silence

CHARGE = {"id": "pay-1", "status": "succeeded", "amount": 99.99, "currency": "sgd", "refunds": []}
# Far longer than any limit of these tests, far shorter than a hung connection.
SOON_S = 60


def test_a_name_without_address_is_aborted(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    outcome = make_hitpay("http://api.hitpay.invalid").refund(INSTRUCTION, clock.deadline())
    assert outcome == Aborted("the name could not be resolved")


def test_a_connection_that_is_never_taken_is_aborted(
    make_impatient: MakeHitPay, clock: FrozenWallClock
) -> None:
    with full_listener() as port:
        outcome = make_impatient(f"http://127.0.0.1:{port}").refund(INSTRUCTION, clock.deadline())
        assert outcome == Aborted("connecting took too long")


def test_tls_that_fails_before_sending_is_aborted(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer() as server:  # it waits for plain HTTP, and hangs up on a TLS greeting
        outcome = make_hitpay(server.url.replace("http", "https")).refund(
            INSTRUCTION, clock.deadline()
        )
    assert isinstance(outcome, Aborted)
    assert server.requests == []


def test_the_callers_deadline_ends_the_wait_before_the_limit_does(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(silence) as server:
        outcome = make_hitpay(server.url).refund(INSTRUCTION, clock.deadline(1_000))
    assert outcome == Unknown("no whole answer: TimeoutError")


def test_an_answer_that_came_before_the_body_was_wanted_is_still_read(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(422, {"message": "No."}, {"Connection": "close"}, close=True)) as server:
        outcome = make_hitpay(server.url).refund(INSTRUCTION, clock.deadline())
    assert getattr(outcome, "message", None) == "No."


def test_a_connection_just_used_serves_the_next_call(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, CHARGE), answer(200, hitpay_refund())) as server:
        hitpay = make_hitpay(server.url)
        hitpay.charge("pay-1", clock.deadline())
        assert isinstance(hitpay.refund(INSTRUCTION, clock.deadline()), Accepted)
    assert server.requests == ["GET /v1/charges/pay-1", "POST /v1/refund"]
    assert server.connections == 1


@pytest.mark.parametrize("passed_ms", [5_001, 3_600_000, -1])
def test_a_connection_that_slept_is_not_trusted_with_money(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, passed_ms: int
) -> None:
    with RawServer(answer(200, CHARGE), answer(200, hitpay_refund())) as server:
        hitpay = make_hitpay(server.url)
        hitpay.charge("pay-1", clock.deadline())
        clock.wall_ms += passed_ms  # frozen by Lambda, or a clock put back
        assert isinstance(hitpay.refund(INSTRUCTION, clock.deadline()), Accepted)
    assert [arrival.connection for arrival in server.arrived] == [1, 2]


def test_a_connection_that_the_peer_has_closed_is_noticed_before_sending(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, CHARGE, close=True), answer(200, hitpay_refund())) as server:
        hitpay = make_hitpay(server.url)
        hitpay.charge("pay-1", clock.deadline())
        assert server.hung_up.wait(SOON_S)
        assert isinstance(hitpay.refund(INSTRUCTION, clock.deadline()), Accepted)
    assert [arrival.connection for arrival in server.arrived] == [1, 2]


def test_a_connection_with_bytes_that_nobody_asked_for_is_not_used_again(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    def says_too_much(arrival: Arrival) -> None:
        answer(200, CHARGE)(arrival)
        answer(200, hitpay_refund(id="somebody-elses"))(arrival)
        told.set()

    told = threading.Event()
    with RawServer(says_too_much, answer(200, hitpay_refund())) as server:
        hitpay = make_hitpay(server.url)
        hitpay.charge("pay-1", clock.deadline())
        assert told.wait(SOON_S)
        outcome = hitpay.refund(INSTRUCTION, clock.deadline())
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.id == "ref-1"


def test_warming_opens_the_connection_that_the_refund_then_uses(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, hitpay_refund())) as server:
        hitpay = make_hitpay(server.url)
        hitpay.warm(clock.deadline())
        hitpay.warm(clock.deadline())
        clock.wall_ms += 2_000
        assert isinstance(hitpay.refund(INSTRUCTION, clock.deadline()), Accepted)
        assert server.connections == 1


def test_warming_in_vain_is_quiet(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    make_hitpay(f"http://127.0.0.1:{port}").warm(clock.deadline())


@contextmanager
def full_listener() -> Iterator[int]:
    """A port that completes no more connections: Linux drops SYNs beyond the backlog."""
    waiting = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        for _ in range(4):
            visitor = socket.socket()
            visitor.setblocking(False)
            visitor.connect_ex(listener.getsockname())
            waiting.append(visitor)
        yield listener.getsockname()[1]
        for visitor in waiting:
            visitor.close()
