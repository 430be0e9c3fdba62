"""What each processor may answer to an instruction, sample by sample, and what is made of it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted, Outcome, Rejected, Unknown
from tests.unit.processors.adapters import (
    ADAPTERS,
    INSTRUCTION,
    ccg_error,
    ccg_refund,
    ccg_unlinked,
    hedge_error,
    hedge_payment,
    hedge_refund,
    hitpay_refund,
    hyperswitch_error,
    hyperswitch_refund,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer

OutcomeOf = Callable[..., tuple[Outcome, RawServer]]
Changes = Sequence[dict[str, Any]]
SUCCEEDED, PENDING = ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.PENDING
SOMEBODY_ELSE = "rfd_of_somebody_else"
HUGE = b'"currency":"usd","amount_refunded":1e99999999999}'
NAN = b'"currency":"usd","amount_refunded":NaN}'


@pytest.fixture
def outcome_of(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> OutcomeOf:
    def ask(processor: str, status: int, body: Any) -> tuple[Outcome, RawServer]:
        with RawServer(answer(status, body)) as server:
            adapter = ADAPTERS[processor].make(server.url, key, http)
            return adapter.refund(INSTRUCTION, clock.deadline()), server

    return ask


def hedge_listing(**changes: Any) -> dict[str, Any]:
    """A payment whose only refund is so."""
    return hedge_payment(hedge_refund(**changes), refunded_amount=0)


# What does not show that what was asked for is what was done.
DISAGREEING: dict[str, tuple[Callable[..., Any], Changes]] = {
    "hitpay": (hitpay_refund, [
        {"id": None}, {"id": 17}, {"id": ""}, {"payment_id": "pay-2"}, {"payment_id": None},
        {"amount_refunded": 50.01}, {"amount_refunded": 49.999}, {"amount_refunded": -50},
        {"amount_refunded": None}, {"amount_refunded": True}, {"amount_refunded": "5_0"},
        {"amount_refunded": "NaN"}, {"amount_refunded": [50]}, {"currency": "eur"},
        {"currency": None}, {"currency": "dollars"}, {"status": 1},
        {"refunded_at": 1_714_528_984},
    ]),
    "hyperswitch": (hyperswitch_refund, [
        {"refund_id": None}, {"refund_id": 17}, {"refund_id": "ref_of_somebody_else"},
        {"payment_id": "pay-2"}, {"payment_id": None}, {"amount": 5001}, {"amount": "5000"},
        {"amount": 5000.0}, {"amount": True}, {"amount": 0}, {"amount": -5000}, {"amount": None},
        {"currency": "EUR"}, {"currency": None}, {"currency": "dollars"}, {"status": None},
        {"status": 1}, {"created_at": 1_714_528_984},
    ]),
    "hedge": (hedge_payment, [
        {"id": "pay-2"}, {"id": None}, {"currency": "EUR"}, {"currency": None},
        {"amount": "9999"}, {"status": None}, {"refunded_amount": None},
        {"refunded_amount": 50.00}, {"refunds": ["ref-1"]},
        {"refunds": [hedge_refund(amount=True)]}, {"refunds": [hedge_refund(id=None)]},
        {"refunds": [hedge_refund(status=None)]}, {"refunds": [hedge_refund(amount=0)]},
    ]),
    "ccg": (ccg_refund, [
        {"id": None}, {"id": 17}, {"paymentId": "pay-2"}, {"paymentId": None},
        {"merchantTransactionId": None}, {"merchantTransactionId": SOMEBODY_ELSE},
        {"merchantTransactionId": "6a5215e2"}, {"amount": 5001}, {"amount": 50},
        {"amount": 5000.5}, {"amount": "5000"}, {"amount": True}, {"amount": 0},
        {"amount": -5000}, {"currency": "EUR"}, {"currencyCode": "EUR"},
        {"currency": "dollars"}, {"status": None},
    ]),
}  # fmt: skip
UNLIKE: list[tuple[str, Any]] = [
    ("hitpay", b'{"id": "ref-1", "payment_id": "pay'),
    ("hitpay", b'{"id": "ref-1"}'),
    ("hitpay", b'{"id":"ref-1","payment_id":"pay-1",' + NAN),
    ("hitpay", b'{"id":"ref-1","payment_id":"pay-1",' + HUGE),
    ("ccg", {}),
    ("ccg", {"data": None}),
    ("ccg", {"data": []}),
    ("ccg", {"data": "257d30aa"}),
    ("ccg", b'{"data": {"amount": 1e99999999999}}'),
    ("ccg", ccg_unlinked()),
    *(
        (processor, build(**one))
        for processor, (build, changes) in DISAGREEING.items()
        for one in changes
    ),
]


@pytest.mark.parametrize(("processor", "body"), UNLIKE)
def test_a_success_that_cannot_be_read_or_disagrees_is_unknown(
    outcome_of: OutcomeOf, processor: str, body: Any
) -> None:
    outcome, server = outcome_of(processor, 200, body)
    assert isinstance(outcome, Unknown)
    assert server.requests == [ADAPTERS[processor].money_call]


# What an accepted refund is by its first answer; the look-up of its id decides of the rest.
FIRST: list[tuple[str, Callable[..., Any], ProcessorRefundStatus, Changes]] = [
    ("hitpay", hitpay_refund, SUCCEEDED, [{"status": None}, {"created_at": "yesterday"}]),
    ("hitpay", hitpay_refund, PENDING, [
        {"status": None, "refunded_at": None}, {"status": "pending", "refunded_at": None},
        {"status": "a word nobody documented"}, {"status": "failed"},
    ]),
    ("hyperswitch", hyperswitch_refund, SUCCEEDED, [{"status": "succeeded"}]),
    ("hyperswitch", hyperswitch_refund, PENDING, [
        {"status": "pending"}, {"status": "review"}, {"status": "failed"},
        {"status": "a word nobody documented"},
    ]),
    ("hedge", hedge_listing, PENDING, [
        {"status": "pending"}, {"status": "failed"}, {"status": "a word nobody documented"},
    ]),
    ("ccg", ccg_refund, SUCCEEDED, [{"status": "COMPLETED"}]),
    ("ccg", ccg_refund, PENDING, [
        {"status": "INITIATED"}, {"status": "FAILED"}, {"status": "A WORD"},
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("processor", "body", "status"),
    [
        (processor, build(**one), status)
        for processor, build, status, changes in FIRST
        for one in changes
    ],
)
def test_only_a_documented_success_is_final(
    outcome_of: OutcomeOf, processor: str, body: Any, status: ProcessorRefundStatus
) -> None:
    outcome, _ = outcome_of(processor, 200, body)
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.status is status


REFUSALS: dict[str, tuple[Callable[[str, str], Any], list[tuple[int, str, str]]]] = {
    "hyperswitch": (hyperswitch_error, [
        (400, "IR_04", "Missing required param: payment_id"),
        (422, "IR_05", "refund_id contains invalid data."),
        (400, "IR_06", "Refunds are currently not supported for this payment method"),
        (400, "IR_12", "Reached maximum refund attempts"),
        (400, "IR_13", "The refund amount exceeds the amount captured"),
        (400, "IR_14", "This Payment could not be refund because it has a status of failed."),
        (404, "HE_02", "Payment does not exist in our records"),
        (400, "HE_03", "This refund is not possible through Hyperswitch."),
        (404, "HE_04", "Successful payment not found for the given payment id"),
        (400, "RE_03", "The payment has not succeeded yet."),
    ]),
    "hedge": (hedge_error, [
        (404, "not_found", "Payment not found with the given ID."),
        (412, "payment_not_refundable", "It says no."),
        (400, "invalid_request", "It says no."),
    ]),
    "ccg": (lambda title, detail: ccg_error(detail, title), [
        (400, "INVALID_REQUEST", "Refund amount cannot be more than the un-refunded amount of the "
                                 "original payment"),
        (400, "INVALID_REQUEST", "When paymentMethodId is present, amount is required"),
        (400, "PAYMENT_ERROR", "Cannot issue refund for this payment"),
        (400, "INVALID_REQUEST", "Refunds can only be processed for captured payments"),
        (400, "INVALID_REQUEST", "The amount given exceeds the allowed refund limit"),
        (400, "INVALID_REQUEST", "paymentId or paymentMethodId is required"),
        (400, "PAYMENT_ERROR", "Charge ch_1 has already been refunded."),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("processor", "body", "refusal"),
    [
        (processor, build(code, message), Rejected(message, status, code))
        for processor, (build, refusals) in REFUSALS.items()
        for status, code, message in refusals
    ],
)
def test_a_documented_refusal_is_final_and_in_the_processors_words(
    outcome_of: OutcomeOf, processor: str, body: Any, refusal: Rejected
) -> None:
    outcome, server = outcome_of(processor, refusal.status, body)
    assert outcome == refusal
    assert server.requests == [ADAPTERS[processor].money_call]
