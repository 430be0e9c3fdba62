"""What is read of Hyperswitch's refunds and payments, and what of them is refused as unreadable."""

from collections.abc import Callable
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ChargeStatus, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import ChargeNotFoundError, UnreadableAnswerError
from refund_bridge.processors.hyperswitch import objects as shapes
from refund_bridge.processors.hyperswitch.adapter import Hyperswitch
from tests.unit.processors.adapters import (
    REFUND_ID,
    hyperswitch_error,
    hyperswitch_payment,
    hyperswitch_refund,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer

NOT_THERE = hyperswitch_error("HE_02", "It does not exist in our records")


Make = Callable[..., Hyperswitch]


@pytest.fixture
def make(http: DeadlineHttp, key: StoredKey) -> Make:
    return lambda url, **more: Hyperswitch(base_url=url, key=key, http=http, **more)


@pytest.fixture
def read_charge(make: Make, clock: FrozenWallClock) -> Any:
    def read(**changes: Any) -> Any:
        with RawServer(answer(200, hyperswitch_payment(**changes))) as server:
            charge = make(server.url).charge("pay-1", clock.deadline())
        assert server.requests == ["GET /payments/pay-1"]
        return charge

    return read


@pytest.fixture
def read_processor_refund(make: Make, clock: FrozenWallClock) -> Any:
    def read(**changes: Any) -> ProcessorRefund | None:
        with RawServer(answer(200, hyperswitch_refund(**changes))) as server:
            processor_refund = make(server.url).processor_refund(REFUND_ID, clock.deadline())
        assert server.requests == [f"GET /refunds/{REFUND_ID}?force_sync=true"]
        return processor_refund

    return read


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("succeeded", ProcessorRefundStatus.SUCCEEDED),
        ("failed", ProcessorRefundStatus.FAILED),
        ("pending", ProcessorRefundStatus.PENDING),
        ("review", ProcessorRefundStatus.PENDING),
        ("reversed", ProcessorRefundStatus.PENDING),
    ],
)
def test_a_refund_is_read_as_its_connector_shows_it(
    read_processor_refund: Any, word: str, status: ProcessorRefundStatus
) -> None:
    processor_refund = read_processor_refund(status=word)
    assert (processor_refund.status, processor_refund.processor_status) == (status, word)
    assert (processor_refund.refunded_at_ms is not None) == (
        status is ProcessorRefundStatus.SUCCEEDED
    )


def test_a_failed_refund_says_why(read_processor_refund: Any) -> None:
    why = {"error_code": "insufficient_funds", "error_message": "Balance\nof key-one is too low."}
    processor_refund = read_processor_refund(status="failed", **why)
    assert processor_refund.failure_code == "insufficient_funds"
    assert processor_refund.failure_message == "Balance of *** is too low."


@pytest.mark.parametrize("odd", [None, "", 17, ["x"]])
def test_words_of_an_odd_form_are_none(read_processor_refund: Any, odd: Any) -> None:
    processor_refund = read_processor_refund(status="failed", error_code=odd, error_message=odd)
    assert (processor_refund.failure_code, processor_refund.failure_message) == (None, None)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2024-05-01T02:03:04Z", 1_714_528_984_000),
        ("2024-05-01T02:03:04.000Z", 1_714_528_984_000),
        ("2024-05-01T02:03:04", 1_714_528_984_000),
        ("2024-05-01T04:03:04+02:00", 1_714_528_984_000),
        ("soon", None),
        (None, None),
    ],
)
def test_times_without_an_offset_are_utc(
    read_processor_refund: Any, text: str | None, milliseconds: int | None
) -> None:
    assert read_processor_refund(created_at=text).created_at_ms == milliseconds


def test_an_instruction_is_found_by_our_id(make: Make, clock: FrozenWallClock) -> None:
    with RawServer(answer(200, hyperswitch_refund()), answer(404, NOT_THERE)) as server:
        adapter = make(server.url)
        processor_refund = adapter.find_by_key(REFUND_ID, "pay-1", clock.deadline())
        assert processor_refund is not None
        assert processor_refund.instruction_id == REFUND_ID
        assert adapter.find_by_key(REFUND_ID, "pay-1", clock.deadline()) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "<html>nginx</html>"),
        (404, hyperswitch_error("IR_02", "Unrecognized request URL")),
        (405, hyperswitch_error("IR_03", "The HTTP method is not applicable")),
        (400, hyperswitch_error("IR_06", "The refund could not be synced")),
        (403, hyperswitch_error("IR_17", "Access forbidden")),
        (200, b"[]"),
        (200, hyperswitch_refund(payment_id="pay-2")),
    ],
)
def test_what_is_no_answer_to_the_question_is_no_absence(
    make: Make, clock: FrozenWallClock, status: int, body: Any
) -> None:
    with RawServer(answer(status, body)) as server, pytest.raises(UnreadableAnswerError):
        make(server.url).find_by_key(REFUND_ID, "pay-1", clock.deadline())


def test_a_payment_is_read_in_minor_units_with_its_refunds(read_charge: Any) -> None:
    charge = read_charge()
    assert (charge.id, charge.money, charge.refunded) == ("pay-1", Money(9999, "usd"), 2500)
    assert (charge.status, charge.method) == (ChargeStatus.REFUNDABLE, "card")
    (processor_refund,) = charge.processor_refunds
    assert (processor_refund.id, processor_refund.instruction_id) == (REFUND_ID, REFUND_ID)


def test_a_refund_with_an_id_of_another_make_is_nobodys_instruction(read_charge: Any) -> None:
    charge = read_charge(refunds=[hyperswitch_refund(refund_id="ref_made_in_the_dashboard")])
    assert [item.instruction_id for item in charge.processor_refunds] == [None]


def test_a_key_that_may_be_cut_names_no_instruction(make: Make, clock: FrozenWallClock) -> None:
    listed = [hyperswitch_refund(refund_id=REFUND_ID[:30])]
    with RawServer(answer(200, hyperswitch_payment(refunds=listed))) as server:
        charge = make(server.url, refund_id_max=30).charge("pay-1", clock.deadline())
    assert charge.processor_refunds is not None
    assert [item.instruction_id for item in charge.processor_refunds] == [None]


def test_null_in_place_of_the_list_means_no_refunds(read_charge: Any) -> None:
    charge = read_charge(refunds=None)
    assert (charge.processor_refunds, charge.refunded) == ((), 0)


def test_only_what_succeeded_was_refunded(read_charge: Any) -> None:
    listed = [
        hyperswitch_refund(refund_id=f"ref-{word}", status=word, amount=1000)
        for word in ("succeeded", "pending", "review", "failed")
    ]
    charge = read_charge(refunds=listed)
    assert charge.refunded == 1000
    assert len(charge.processor_refunds) == 4


def test_a_payment_that_was_refunded_in_full_is_refunded(read_charge: Any) -> None:
    charge = read_charge(refunds=[hyperswitch_refund(amount=9999)])
    assert charge.status is ChargeStatus.REFUNDED


def test_what_was_captured_is_the_amount(read_charge: Any) -> None:
    assert read_charge(amount_received=4000).money == Money(4000, "usd")
    assert read_charge(amount_received=None).money == Money(9999, "usd")


def test_more_refunds_than_can_be_told_apart_are_unreadable() -> None:
    listed = [hyperswitch_refund(refund_id=f"ref-{n}") for n in range(1001)]
    with pytest.raises(UnreadableAnswerError):
        shapes.read_charge(hyperswitch_payment(refunds=listed), key_max=64)


def test_a_payment_that_it_does_not_know_is_not_there(make: Make, clock: FrozenWallClock) -> None:
    with RawServer(answer(404, NOT_THERE)) as server:
        adapter = make(server.url)
        with pytest.raises(ChargeNotFoundError):
            adapter.charge("pay-9", clock.deadline())
        with pytest.raises(ChargeNotFoundError):
            adapter.charge("..", clock.deadline())
    assert server.requests == ["GET /payments/pay-9"]
