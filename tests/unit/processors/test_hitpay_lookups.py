"""Look-ups as such: times, names, second attempts, and what is no answer."""

from typing import Any

import pytest

from refunds.ports import (
    ChargeNotFoundError,
    MovementStatus,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, Script, answer, hang_up, reset, silence
from tests.unit.processors.test_hitpay_charge import charge_body
from tests.unit.processors.test_hitpay_refund_outcomes import LARAVEL_404, refund_body


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2024-05-01T02:03:04Z", 1_714_528_984_000),
        ("2024-05-01T10:03:04", 1_714_528_984_000),
        ("2024-05-01 10:03:04", 1_714_528_984_000),
        ("2024-05-01T10:03:04.250000+08:00", 1_714_528_984_250),
        ("soon", None),
        ("", None),
    ],
)
def test_times_without_an_offset_are_singapores(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, text: str, milliseconds: int | None
) -> None:
    with RawServer(answer(200, refund_body(created_at=text))) as server:
        movement = make_hitpay(server.url).movement("ref-1", clock.deadline())
    assert movement is not None
    assert movement.created_at_ms == milliseconds


def test_a_failed_refund_is_failed_when_it_is_looked_up(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, refund_body(status="failed"))) as server:
        movement = make_hitpay(server.url).movement("ref-1", clock.deadline())
    assert movement is not None
    assert movement.status is MovementStatus.FAILED


def test_unknown_objects_are_told_from_a_wrong_address(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(*[answer(404, LARAVEL_404)] * 3, answer(404, "<html>nginx</html>")) as server:
        hitpay = make_hitpay(server.url)
        with pytest.raises(ChargeNotFoundError):
            hitpay.charge("pay-9", clock.deadline())
        with pytest.raises(ChargeNotFoundError):
            hitpay.charge_id_of("req-9", clock.deadline())
        assert hitpay.movement("ref-9", clock.deadline()) is None
        with pytest.raises(ProviderUnavailableError):
            hitpay.movement("ref-9", clock.deadline())


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_no_name_in_a_path_are_not_asked_for(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, name: str
) -> None:
    with RawServer() as server:
        hitpay = make_hitpay(server.url)
        with pytest.raises(ChargeNotFoundError):
            hitpay.charge(name, clock.deadline())
        assert hitpay.movement(name, clock.deadline()) is None
    assert server.requests == []


def test_ids_are_quoted_into_the_path(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> None:
    with RawServer(answer(404, LARAVEL_404)) as server, pytest.raises(ChargeNotFoundError):
        make_hitpay(server.url).charge("../a b?c#d/é%2e", clock.deadline())
    assert server.requests == ["GET /v1/charges/..%2Fa%20b%3Fc%23d%2F%C3%A9%252e"]


@pytest.mark.parametrize(
    ("payments", "found"),
    [
        ([{"id": "pay-1", "status": "succeeded"}], "pay-1"),
        ([{"id": "a", "status": "failed"}, {"id": "pay-1", "status": "refunded"}], "pay-1"),
        ([{"id": "a", "status": "succeeded"}, {"id": "b", "status": "partially_refunded"}], None),
        ([{"id": "a", "status": "pending"}], None),
        ([], None),
        (None, None),
    ],
)
def test_a_payment_request_leads_to_its_one_captured_payment(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, payments: Any, found: str | None
) -> None:
    with RawServer(answer(200, {"id": "req-1", "payments": payments})) as server:
        hitpay = make_hitpay(server.url)
        if found is None:
            with pytest.raises(ChargeNotFoundError):
                hitpay.charge_id_of("req-1", clock.deadline())
        else:
            assert hitpay.charge_id_of("req-1", clock.deadline()) == found
    assert server.requests == ["GET /v1/payment-requests/req-1"]


@pytest.mark.parametrize("first", [hang_up, reset, answer(500), answer(503, "<html>")])
def test_a_read_that_failed_is_repeated_once_on_a_fresh_connection(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, first: Script
) -> None:
    with RawServer(first, answer(200, charge_body())) as server:
        make_hitpay(server.url).charge("pay-1", clock.deadline())
    assert [arrival.connection for arrival in server.arrived] == [1, 2]


def test_a_read_is_not_tried_a_third_time(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> None:
    with (
        RawServer(hang_up, hang_up, answer(200, charge_body())) as server,
        pytest.raises(ProviderUnavailableError),
    ):
        make_hitpay(server.url).charge("pay-1", clock.deadline())
    assert len(server.arrived) == 2


def test_a_read_ends_with_its_deadline(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> None:
    with (
        RawServer(silence, answer(200, charge_body())) as server,
        pytest.raises(ProviderUnavailableError),
    ):
        make_hitpay(server.url).charge("pay-1", clock.deadline(1_000))
    assert len(server.arrived) == 1


def test_a_read_is_asked_again_with_a_rotated_key(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, key: StoredKey
) -> None:
    key.rotate("key-two")
    with RawServer(answer(401), answer(200, charge_body())) as server:
        make_hitpay(server.url).charge("pay-1", clock.deadline())
    assert [a.headers["x-business-api-key"] for a in server.arrived] == ["key-one", "key-two"]


def test_a_read_with_a_key_that_stays_refused_is_unavailable(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, key: StoredKey
) -> None:
    with (
        RawServer(answer(401, {"message": "Unauthenticated."})) as server,
        pytest.raises(ProviderUnavailableError) as caught,
    ):
        make_hitpay(server.url).charge("pay-1", clock.deadline())
    assert "401" in caught.value.reason
    assert (len(server.arrived), key.reads) == (1, 1)


def test_a_rate_limit_on_a_read_is_passed_on_and_not_met_with_haste(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with (
        RawServer(answer(429, {"message": "Slow."}, {"Retry-After": "3"})) as server,
        pytest.raises(ProviderUnavailableError) as caught,
    ):
        make_hitpay(server.url).charge("pay-1", clock.deadline())
    assert caught.value.retry_after_s == 3
    assert len(server.arrived) == 1


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'"text"', b'{"id": 1}'])
def test_a_read_of_something_else_is_unreadable(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, body: bytes
) -> None:
    with RawServer(*[answer(200, body)] * 3) as server:
        hitpay = make_hitpay(server.url)
        with pytest.raises(UnreadableAnswerError):
            hitpay.charge("pay-1", clock.deadline())
        with pytest.raises(UnreadableAnswerError):
            hitpay.movement("ref-1", clock.deadline())


def test_without_a_key_a_read_is_unavailable(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, key: StoredKey
) -> None:
    key.unavailable = True
    with RawServer() as server, pytest.raises(ProviderUnavailableError):
        make_hitpay(server.url).charge("pay-1", clock.deadline())
    assert server.connections == 0
