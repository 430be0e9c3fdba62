"""What each processor may show of a payment or refund, sample by sample, and what is read."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ChargeStatus, ProcessorRefundStatus
from refund_bridge.ports.processor import UnreadableAnswerError
from tests.unit.processors.adapters import (
    ADAPTERS,
    ccg_refund,
    hedge_payment,
    hedge_refund,
    hitpay_charge,
    hyperswitch_payment,
    hyperswitch_refund,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer

Shown = Callable[..., Any]
REFUNDABLE, REFUNDED = ChargeStatus.REFUNDABLE, ChargeStatus.REFUNDED
NOT_REFUNDABLE = ChargeStatus.NOT_REFUNDABLE
SUCCEEDED, FAILED = ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.FAILED
PENDING = ProcessorRefundStatus.PENDING
SHOWN: dict[str, Callable[..., dict[str, Any]]] = {
    "hitpay": hitpay_charge,
    "hyperswitch": hyperswitch_payment,
    "hedge": hedge_payment,
    "ccg": ccg_refund,
}


@pytest.fixture
def shown(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Shown:
    """What is read where a processor shows what it usually shows, with changes, or something."""

    def read(processor: str, body: Any = None, **changes: Any) -> Any:
        with RawServer(answer(200, body or SHOWN[processor](**changes))) as server:
            adapting = ADAPTERS[processor]
            return adapting.look(adapting.make(server.url, key, http), clock.deadline())

    return read


WORDS: list[tuple[str, ChargeStatus, Sequence[str]]] = [
    ("hitpay", REFUNDABLE, ["succeeded", "partially_refunded"]),
    ("hitpay", REFUNDED, ["refunded"]),
    ("hitpay", NOT_REFUNDABLE, ["void", "failed", "pending", "a new word"]),
    ("hyperswitch", REFUNDABLE, ["succeeded", "partially_captured"]),
    ("hyperswitch", NOT_REFUNDABLE, [
        "partially_captured_and_capturable", "requires_capture", "processing", "failed",
        "cancelled", "a new word",
    ]),
    ("hedge", REFUNDABLE, ["succeeded", "partially_refunded"]),
    ("hedge", REFUNDED, ["refunded"]),
    ("hedge", NOT_REFUNDABLE, ["pending", "failed", "canceled", "a new word"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("processor", "status", "word"),
    [(processor, status, word) for processor, status, words in WORDS for word in words],
)
def test_only_known_words_make_a_payment_refundable(
    shown: Shown, processor: str, status: ChargeStatus, word: str
) -> None:
    whole = {"refunded_amount": 99.99} if (processor, word) == ("hitpay", "refunded") else {}
    charge = shown(processor, status=word, **whole)
    assert (charge.status, charge.processor_status) == (status, word)


UNREADABLE: dict[str, Sequence[dict[str, Any]]] = {
    "hitpay": [
        {"id": None}, {"id": 1}, {"id": "pay-2"}, {"id": "pay-1\x00"}, {"status": None},
        {"status": 7}, {"amount": None}, {"amount": "1e2"}, {"amount": -1}, {"amount": [1]},
        {"amount": 99.999}, {"currency": None}, {"currency": "S$"}, {"refunded_amount": "much"},
        {"refunded_amount": None, "refunds": None},
    ],
    "hyperswitch": [
        {"payment_id": "pay-2"}, {"payment_id": None}, {"status": None},
        {"amount": "9999", "amount_received": None}, {"amount_received": 99.99},
        {"currency": None}, {"refunds": {}}, {"refunds": ["ref-1"]},
        {"refunds": [hyperswitch_refund(status=None)]},
        {"refunds": [hyperswitch_refund(payment_id="pay-2")]},
        {"refunds": [hyperswitch_refund(currency="EUR")]},
        {"refunds": [hyperswitch_refund(), hyperswitch_refund()]},
    ],
    "hedge": [
        {"id": "pay-2"}, {"amount": None}, {"currency": 7}, {"status": ""},
        {"refunded_amount": "0"},
    ],
    "ccg": [
        {"id": "another"}, {"amount": None}, {"status": None}, {"paymentId": None},
        {"currencyCode": "EUR"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("processor", "changes"),
    [(processor, one) for processor, changes in UNREADABLE.items() for one in changes],
)
def test_what_has_another_form_is_unreadable(
    shown: Shown, processor: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(UnreadableAnswerError):
        shown(processor, **changes)


@pytest.mark.parametrize("body", [{"other": "x"}, {"data": None}])
@pytest.mark.parametrize("processor", SHOWN)
def test_so_is_what_has_none_of_it(shown: Shown, processor: str, body: Any) -> None:
    with pytest.raises(UnreadableAnswerError):
        shown(processor, body)


ITEM = {"id": "ref-1", "amount": 25}
# The lists of a payment of which 25.00 were refunded, or 50.00.
NOT_WHOLE: dict[str, Sequence[Any]] = {
    "hitpay": [
        None, {}, "none", [{"id": "ref-1"}], [{"amount": 25}], ["ref-1"], [ITEM, None],
        [ITEM | {"status": 1}], [ITEM | {"amount": 25.001}], [ITEM | {"currency": "usd"}],
        [ITEM | {"payment_id": "pay-2"}], [ITEM, ITEM], [], [ITEM | {"amount": 24.99}],
    ],
    "hedge": [
        None, {}, "none", ["ref-1"], [hedge_refund(), None], [hedge_refund(), hedge_refund()],
        [hedge_refund(amount=49.99)], [hedge_refund(status=7)], [hedge_refund(amount=4999)], [],
    ],
}  # fmt: skip
REFUNDED_OF = {"hitpay": (25.0, 2500), "hedge": (5000, 5000)}


@pytest.mark.parametrize(
    ("processor", "refunds"),
    [(processor, one) for processor, lists in NOT_WHOLE.items() for one in lists],
)
def test_a_list_that_is_not_whole_counts_as_none(
    shown: Shown, processor: str, refunds: Any
) -> None:
    told, refunded = REFUNDED_OF[processor]
    charge = shown(processor, refunds=refunds, refunded_amount=told)
    assert (charge.processor_refunds, charge.refunded) == (None, refunded)


@pytest.mark.parametrize("processor", NOT_WHOLE)
def test_an_empty_list_of_an_untouched_payment_is_a_list(shown: Shown, processor: str) -> None:
    charge = shown(processor, status="succeeded", refunds=[], refunded_amount=0)
    assert charge.processor_refunds == ()


ITEMS: list[tuple[str, ProcessorRefundStatus, Sequence[dict[str, Any]]]] = [
    ("hitpay", SUCCEEDED, [
        {"status": "succeeded"}, {"status": None, "refunded_at": "2024-05-01T02:03:04Z"},
    ]),
    ("hitpay", PENDING, [{"status": None}, {}, {"status": "pending"}, {"status": "reversed"}]),
    ("hitpay", FAILED, [{"status": "failed"}, {"status": "Canceled"}]),
    ("hedge", SUCCEEDED, [{"status": "succeeded"}]),
    ("hedge", PENDING, [{"status": "pending"}, {"status": "processing"}]),
    ("hedge", FAILED, [{"status": "failed"}, {"status": "Canceled"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("processor", "status", "facts"),
    [(processor, status, one) for processor, status, facts in ITEMS for one in facts],
)
def test_a_refund_in_a_payment_has_the_status_that_is_shown(
    shown: Shown, processor: str, status: ProcessorRefundStatus, facts: dict[str, Any]
) -> None:
    plain = {"hitpay": {"id": "ref-1", "amount": "25.00"}, "hedge": hedge_refund()}[processor]
    charge = shown(processor, status="succeeded", refunds=[plain | facts], refunded_amount=0)
    assert [processor_refund.status for processor_refund in charge.processor_refunds] == [status]
