"""What HitPay is sent, and what it means by a success and by a refusal."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Instruction, Outcome, Rejected
from refund_bridge.domain.money import Money
from tests.unit.processors.adapters import INSTRUCTION, hitpay_refund
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer


@pytest.fixture
def outcome_of(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, instruction: Instruction = INSTRUCTION) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            return make_hitpay(server.url).refund(instruction, clock.deadline()), server

    return ask


def test_an_accepted_refund_says_what_it_is(outcome_of: Any) -> None:
    outcome, server = outcome_of(answer(200, hitpay_refund()))
    assert isinstance(outcome, Accepted)
    processor_refund = outcome.processor_refund
    assert (processor_refund.id, processor_refund.payment_id) == ("ref-1", "pay-1")
    assert processor_refund.money == Money(5000, "usd")
    assert processor_refund.status is ProcessorRefundStatus.SUCCEEDED
    assert processor_refund.refunded_at_ms == 1_714_528_984_000
    assert (
        processor_refund.created_at_ms == 1_714_528_980_000
    )  # 10:03:00 in Singapore is 02:03:00 UTC
    assert server.requests == ["POST /v1/refund"]


@pytest.mark.parametrize(
    ("written", "currency", "fee"),
    [
        (b"0.65", "SGD", Money(65, "sgd")),
        (b"65", "jpy", Money(65, "jpy")),
        (b"0.10", "usd", Money(10, "usd")),
        (b"0", "usd", Money(0, "usd")),
        (b"90071992547.43", "usd", Money(9_007_199_254_743, "usd")),
        (b'"0.65"', "usd", Money(65, "usd")),
    ],
)
def test_the_fee_is_kept_exactly_in_its_own_currency(
    outcome_of: Any, written: bytes, currency: str, fee: Money
) -> None:
    outcome, _ = outcome_of(answer(200, with_fee(written, currency)))
    assert isinstance(outcome, Accepted)
    assert (outcome.processor_refund.fee, outcome.processor_refund.money) == (
        fee,
        Money(5000, "usd"),
    )


@pytest.mark.parametrize(
    ("written", "currency"),
    [
        (b"null", None), (b"0.65", None), (b"null", "usd"), (b"0.65", ""), (b"0.65", "dollars"),
        (b"0.65", 36), (b"-0.65", "usd"), (b"0.655", "usd"), (b"0.5", "jpy"), (b"true", "usd"),
        (b'"much"', "usd"), (b'"-1"', "usd"), (b"[0.65]", "usd"), (b'{"amount": 0.65}', "usd"),
        (b"1e30", "usd"), (b"1e-999999", "usd"), (b"1000000000000", "usd"), (b"9" * 4000, "usd"),
    ],
)  # fmt: skip
def test_a_fee_that_is_no_amount_is_not_kept_and_delays_nothing(
    outcome_of: Any, written: bytes, currency: object
) -> None:
    outcome, server = outcome_of(answer(200, with_fee(written, currency)))
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.fee is None
    assert outcome.processor_refund.status is ProcessorRefundStatus.SUCCEEDED
    assert server.requests == ["POST /v1/refund"]


def with_fee(written: bytes, currency: object) -> bytes:
    """A refund whose fee is printed so, digit for digit."""
    body = hitpay_refund(provider_fee="the fee", provider_fee_currency=currency)
    return json.dumps(body).encode().replace(b'"the fee"', written)


def test_the_request_is_a_form_with_the_charge_and_the_decimal_amount(outcome_of: Any) -> None:
    _, server = outcome_of(answer(200, hitpay_refund()))
    sent = server.arrived[0]
    assert parse_qs(sent.body.decode()) == {"payment_id": ["pay-1"], "amount": ["50.00"]}
    assert sent.headers["x-requested-with"] == "XMLHttpRequest"


@pytest.mark.parametrize(
    ("money", "printed"),
    [(Money(5000, "jpy"), "5000"), (Money(5000, "kwd"), "5.000"), (Money(7, "sgd"), "0.07")],
)
def test_amounts_have_the_decimals_of_their_currency(
    outcome_of: Any, money: Money, printed: str
) -> None:
    instruction = Instruction(refund_id="rfd_1", payment_id="pay-1", money=money)
    body = hitpay_refund(currency=money.currency.upper(), amount_refunded=printed)
    outcome, server = outcome_of(answer(200, body), instruction=instruction)
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.money == money
    assert parse_qs(server.arrived[0].body.decode())["amount"] == [printed]


def test_a_refusal_names_the_field_that_laravels_message_leaves_out(outcome_of: Any) -> None:
    errors = {"amount": ["The amount may not be greater than 10."]}
    body = {"message": "The given data was invalid.", "errors": errors}
    outcome, _ = outcome_of(answer(422, body))
    assert outcome == Rejected(
        "The given data was invalid. The amount may not be greater than 10.", 422
    )


def test_a_key_that_http_cannot_carry_aborts_and_stays_unspoken(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, key: StoredKey
) -> None:
    key._cached = "secret\nwith a line break"
    with RawServer() as server:
        outcome = make_hitpay(server.url).refund(INSTRUCTION, clock.deadline())
    assert isinstance(outcome, Aborted)
    assert "secret" not in repr(outcome)
    assert server.requests == []
