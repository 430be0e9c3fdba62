"""HitPay's look-ups: times, names, and what is not there."""

from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.ports.processor import ChargeNotFoundError, ProviderUnavailableError
from tests.unit.processors.adapters import hitpay_charge, hitpay_refund, hitpay_unknown
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import RawServer, answer


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
    with RawServer(answer(200, hitpay_refund(created_at=text))) as server:
        processor_refund = make_hitpay(server.url).processor_refund("ref-1", clock.deadline())
    assert processor_refund is not None
    assert processor_refund.created_at_ms == milliseconds


def test_a_failed_refund_is_failed_when_it_is_looked_up(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, hitpay_refund(status="failed"))) as server:
        processor_refund = make_hitpay(server.url).processor_refund("ref-1", clock.deadline())
    assert processor_refund is not None
    assert processor_refund.status is ProcessorRefundStatus.FAILED


@pytest.mark.parametrize(
    "word",
    [
        "completed",
        "success",
        "refunded",
        "rejected",
        "declined",
        "voided",
        "something_new",
        "Pending",
    ],
)
def test_a_word_that_nobody_documented_decides_nothing(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, word: str
) -> None:
    with RawServer(answer(200, hitpay_refund(status=word))) as server:
        processor_refund = make_hitpay(server.url).processor_refund("ref-1", clock.deadline())
    assert processor_refund is not None
    assert (processor_refund.status, processor_refund.processor_status) == (
        ProcessorRefundStatus.PENDING,
        word,
    )


def test_unknown_objects_are_told_from_a_wrong_address(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(
        *[answer(404, hitpay_unknown())] * 3, answer(404, "<html>nginx</html>")
    ) as server:
        hitpay = make_hitpay(server.url)
        with pytest.raises(ChargeNotFoundError):
            hitpay.charge("pay-9", clock.deadline())
        with pytest.raises(ChargeNotFoundError):
            hitpay.charge_id_of("req-9", clock.deadline())
        assert hitpay.processor_refund("ref-9", clock.deadline()) is None
        with pytest.raises(ProviderUnavailableError):
            hitpay.processor_refund("ref-9", clock.deadline())


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_no_name_in_a_path_are_not_asked_for(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, name: str
) -> None:
    with RawServer() as server:
        hitpay = make_hitpay(server.url)
        with pytest.raises(ChargeNotFoundError):
            hitpay.charge(name, clock.deadline())
        assert hitpay.processor_refund(name, clock.deadline()) is None
    assert server.requests == []


def test_ids_are_quoted_into_the_path(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> None:
    with RawServer(answer(404, hitpay_unknown())) as server, pytest.raises(ChargeNotFoundError):
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


NO_WORD = {
    "amount_refunded": "10.00",
    "total_amount": "100.00",
    "currency": "SGD",
    "status": None,
    "refunded_at": None,
    "payment_method": "card",
    "created_at": "2023-01-30T16:10:17",
}
LISTING = {"id": "ref-1", "amount_refunded": "10.00", "status": None}


@pytest.mark.parametrize(
    ("charge", "status"),
    [
        ({"refunded_amount": 10, "refunds": [LISTING]}, ProcessorRefundStatus.SUCCEEDED),
        (
            {"status": "refunded", "refunded_amount": None, "refunds": None},
            ProcessorRefundStatus.SUCCEEDED,
        ),
        ({"refunded_amount": 0, "refunds": [LISTING]}, ProcessorRefundStatus.PENDING),
        (
            {"refunded_amount": 10, "refunds": [LISTING | {"id": "ref-2"}]},
            ProcessorRefundStatus.PENDING,
        ),
        ({"refunded_amount": 10, "refunds": None}, ProcessorRefundStatus.PENDING),
    ],
)
def test_a_refund_without_status_and_time_is_told_from_its_charge(
    make_hitpay: MakeHitPay,
    clock: FrozenWallClock,
    charge: dict[str, Any],
    status: ProcessorRefundStatus,
) -> None:
    # Given a refund of the older form, and what its charge says
    shown = answer(200, hitpay_charge(**charge))
    with RawServer(answer(200, hitpay_refund(**NO_WORD)), shown) as server:
        processor_refund = make_hitpay(server.url).processor_refund("ref-1", clock.deadline())

    # Then it has happened if the charge holds it
    assert processor_refund is not None
    assert (processor_refund.status, processor_refund.created_at_ms) == (status, 1_675_066_217_000)
    assert server.requests == ["GET /v1/refund/ref-1", "GET /v1/charges/pay-1"]


def test_a_refund_whose_charge_is_gone_stays_as_it_is(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    gone = answer(404, hitpay_unknown())
    with RawServer(answer(200, hitpay_refund(**NO_WORD)), gone) as server:
        processor_refund = make_hitpay(server.url).processor_refund("ref-1", clock.deadline())
    assert processor_refund is not None
    assert processor_refund.status is ProcessorRefundStatus.PENDING
