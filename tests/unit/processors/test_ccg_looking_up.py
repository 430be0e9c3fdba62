"""What is read of the Convenient Checkout Gateway's refunds."""

from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import ChargeNotFoundError, UnreadableAnswerError
from refund_bridge.processors.ccg.adapter import Ccg
from refund_bridge.processors.ccg.objects import AmountUnit
from tests.unit.processors.adapters import (
    REFUND_ID,
    ccg_error,
    ccg_refund,
    ccg_settings,
    ccg_unlinked,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer


@pytest.fixture
def read(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, **settings: Any) -> Any:
        with RawServer(*scripts) as server:
            adapter = Ccg(ccg_settings(server.url, **settings), key=key, http=http)
            processor_refund = adapter.processor_refund("257d30aa", clock.deadline())
        assert server.requests[0] == "GET /v1/refunds/257d30aa"
        return processor_refund

    return ask


@pytest.fixture
def found(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, payment_id: str | None = "pay-1") -> Any:
        with RawServer(*scripts) as server:
            adapter = Ccg(ccg_settings(server.url), key=key, http=http)
            return adapter.find_by_key(REFUND_ID, payment_id, clock.deadline())

    return ask


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("INITIATED", ProcessorRefundStatus.PENDING),
        ("COMPLETED", ProcessorRefundStatus.SUCCEEDED),
        ("FAILED", ProcessorRefundStatus.FAILED),
        ("completed", ProcessorRefundStatus.SUCCEEDED),
        ("REVERSED", ProcessorRefundStatus.PENDING),
    ],
)
def test_a_refund_is_polled_to_its_end(read: Any, word: str, status: ProcessorRefundStatus) -> None:
    processor_refund = read(answer(200, ccg_refund(status=word, amount=8000)))
    assert (processor_refund.id, processor_refund.status, processor_refund.processor_status) == (
        "257d30aa",
        status,
        word,
    )
    assert (processor_refund.payment_id, processor_refund.money) == ("pay-1", Money(8000, "usd"))
    assert processor_refund.instruction_id == REFUND_ID


def test_an_unlinked_refund_belongs_to_a_payment_method(read: Any) -> None:
    processor_refund = read(answer(200, ccg_unlinked()))
    assert (processor_refund.payment_id, processor_refund.payment_method) == ("", "method-1")


def test_a_refund_of_others_is_nobodys_instruction(read: Any) -> None:
    assert read(answer(200, ccg_refund(merchantTransactionId="6a5215e2"))).instruction_id is None


def test_amounts_are_of_the_unit_that_is_set(read: Any) -> None:
    body = b'{"data": {"id": "257d30aa", "paymentId": "p", "status": "FAILED", "amount": 200.0}}'
    assert read(answer(200, body), amount_unit=AmountUnit.MAJOR).money == Money(20_000, "usd")
    assert read(answer(200, body), amount_unit=AmountUnit.MINOR).money == Money(200, "usd")


@pytest.mark.parametrize(("amount", "currency"), [(50.005, "usd"), (0.5, "jpy")])
def test_a_major_amount_that_is_none_is_unreadable(read: Any, amount: float, currency: str) -> None:
    with pytest.raises(UnreadableAnswerError):
        read(
            answer(200, ccg_refund(amount=amount)),
            amount_unit=AmountUnit.MAJOR,
            currency=currency,
        )


def test_a_refund_that_it_does_not_know_is_not_there(read: Any) -> None:
    assert read(answer(404, ccg_error("Refund not found"))) is None


@pytest.mark.parametrize("body", [ccg_refund(), {"data": [ccg_refund()["data"]]}])
def test_an_instruction_is_found_by_our_id(found: Any, body: Any) -> None:
    assert found(answer(200, body)).instruction_id == REFUND_ID


def test_an_unlinked_instruction_is_found_by_our_id(found: Any) -> None:
    assert found(answer(200, ccg_unlinked()), payment_id=None).payment_method == "method-1"


@pytest.mark.parametrize("data", [None, [], {}])
def test_only_an_answer_with_nothing_in_it_means_that_there_is_none(found: Any, data: Any) -> None:
    assert found(answer(200, {"data": data})) is None


@pytest.mark.parametrize(
    ("script", "payment_id"),
    [
        (answer(404, ccg_error("Refund not found")), "pay-1"),
        (answer(404, {"message": "no route"}), "pay-1"),
        (answer(405, {"message": "no"}), "pay-1"),
        (answer(200, {"refunds": []}), "pay-1"),
        (answer(200, {"data": [{"id": "x"}]}), "pay-1"),
        (answer(200, ccg_refund(merchantTransactionId="6a5215e2")), "pay-1"),
        (answer(200, ccg_refund()), None),
        (answer(200, ccg_unlinked()), "pay-1"),
    ],
)
def test_every_other_answer_leaves_it_open(found: Any, script: Any, payment_id: str | None) -> None:
    with pytest.raises(UnreadableAnswerError):
        found(script, payment_id=payment_id)


def test_it_shows_no_payments(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> None:
    adapter = Ccg(ccg_settings("http://127.0.0.1:1"), key=key, http=http)
    with pytest.raises(UnreadableAnswerError):
        adapter.charge("pay-1", clock.deadline())
    with pytest.raises(UnreadableAnswerError):
        adapter.charges(None, clock.deadline())
    with pytest.raises(ChargeNotFoundError):
        adapter.charge_id_of("req-1", clock.deadline())
