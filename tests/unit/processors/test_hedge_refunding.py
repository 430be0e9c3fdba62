"""What Hedge Payments is sent, and what each of its answers to a refund means."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.processors.hedge.adapter import Hedge
from tests.unit.processors.adapters import (
    INSTRUCTION,
    REFUND_ID,
    hedge_error,
    hedge_payment,
    hedge_refund,
    sent_json,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer

OLDER = hedge_refund(id="ref-0", created_at="2024-04-30T11:00:00Z")


@pytest.fixture
def outcome_of(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, refuses: bool = True, **changes: Any) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            adapter = Hedge(base_url=server.url, key=key, http=http, refuses_other_decimals=refuses)
            return adapter.refund(replace(INSTRUCTION, **changes), clock.deadline()), server

    return ask


def test_it_is_sent_the_resolved_amount_and_our_id(outcome_of: Any) -> None:
    _, server = outcome_of(answer(200, hedge_payment()), metadata={"order": "1007"})
    assert server.requests == ["POST /v1/payments/pay-1/refund"]
    assert sent_json(server.arrived[0].body) == {
        "amount": 5000,
        "metadata": {"order": "1007", "refund_bridge_id": REFUND_ID},
    }


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("requested_by_customer", "customer_requested"),
        ("duplicate", "duplicate"),
        ("fraudulent", "fraudulent"),
        ("It was too small.", "It was too small."),
    ],
)
def test_reasons_are_in_its_words(outcome_of: Any, reason: str, told: str) -> None:
    _, server = outcome_of(answer(200, hedge_payment()), reason=reason)
    assert sent_json(server.arrived[0].body)["reason"] == told


def test_a_payments_id_is_quoted_into_the_path(outcome_of: Any) -> None:
    _, server = outcome_of(answer(404, hedge_error("not_found")), payment_id="../a b?c#d")
    assert server.requests == ["POST /v1/payments/..%2Fa%20b%3Fc%23d/refund"]


@pytest.mark.parametrize("payment_id", ["", ".", ".."])
def test_an_id_that_is_none_in_a_path_is_not_asked_for(outcome_of: Any, payment_id: str) -> None:
    outcome, server = outcome_of(payment_id=payment_id)
    assert isinstance(outcome, Rejected)
    assert server.connections == 0


@pytest.mark.parametrize("currency", ["jpy", "kwd"])
def test_a_currency_without_cents_is_not_asked_for(outcome_of: Any, currency: str) -> None:
    outcome, server = outcome_of(money=Money(5000, currency))
    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.code) == (422, "amount_not_representable")
    assert server.connections == 0


def test_cents_may_be_set_to_mean_the_minor_unit(outcome_of: Any) -> None:
    body = hedge_payment(currency="JPY")
    outcome, server = outcome_of(answer(200, body), refuses=False, money=Money(5000, "jpy"))
    assert isinstance(outcome, Accepted)
    assert sent_json(server.arrived[0].body)["amount"] == 5000


def test_the_only_refund_of_the_amount_is_ours(outcome_of: Any) -> None:
    body = hedge_payment(hedge_refund(id="ref-0", amount=1000), hedge_refund())
    outcome, _ = outcome_of(answer(200, body))
    assert isinstance(outcome, Accepted)
    processor_refund = outcome.processor_refund
    assert (processor_refund.id, processor_refund.payment_id, processor_refund.money) == (
        "ref-1",
        "pay-1",
        INSTRUCTION.money,
    )
    assert processor_refund.status is ProcessorRefundStatus.SUCCEEDED
    assert (processor_refund.created_at_ms, processor_refund.refunded_at_ms) == (
        1_714_528_984_000,
        None,
    )


def test_of_two_of_the_amount_the_one_that_was_not_there_is_ours(outcome_of: Any) -> None:
    body = hedge_payment(OLDER, hedge_refund())
    outcome, _ = outcome_of(answer(200, body), listed_before=frozenset({"ref-0"}))
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.id == "ref-1"


def test_metadata_that_is_shown_again_leaves_no_doubt(outcome_of: Any) -> None:
    # Given two refunds of the amount, nothing known of before, and metadata in the answer
    ours = hedge_refund(metadata={"refund_bridge_id": REFUND_ID})
    other = hedge_refund(id="ref-2", metadata={"refund_bridge_id": "rfd_of_somebody_else"})
    outcome, _ = outcome_of(answer(200, hedge_payment(OLDER, ours, other)))
    assert isinstance(outcome, Accepted)
    assert (outcome.processor_refund.id, outcome.processor_refund.instruction_id) == (
        "ref-1",
        REFUND_ID,
    )


@pytest.mark.parametrize(
    ("body", "listed_before"),
    [
        (hedge_payment(OLDER, hedge_refund()), None),
        (hedge_payment(OLDER, hedge_refund()), frozenset({"ref-0", "ref-1"})),
        (hedge_payment(OLDER, hedge_refund(), hedge_refund(id="ref-2")), frozenset({"ref-0"})),
        (hedge_payment(hedge_refund(amount=4999)), None),
        (hedge_payment(hedge_refund(metadata={"refund_bridge_id": "rfd_another"})), None),
        (
            hedge_payment(
                hedge_refund(metadata={"refund_bridge_id": REFUND_ID}),
                hedge_refund(id="ref-2", metadata={"refund_bridge_id": REFUND_ID}),
            ),
            None,
        ),
        (hedge_payment(refunds=None), None),
        (hedge_payment(refunds=[]), None),
        # The sum shows a refund that the list does not: it may be the list that lacks ours.
        (hedge_payment(OLDER, refunded_amount=9999), None),
    ],
)
def test_a_success_that_does_not_show_which_is_ours_is_unknown(
    outcome_of: Any, body: Any, listed_before: frozenset[str] | None
) -> None:
    outcome, server = outcome_of(answer(200, body), listed_before=listed_before)
    assert isinstance(outcome, Unknown)
    assert len(server.arrived) == 1


def test_a_refusal_for_the_amount_names_the_amounts(outcome_of: Any) -> None:
    amounts = {
        "original_amount": 9999,
        "already_refunded": 7500,
        "remaining_refundable": 2499,
        "requested_refund": 5000,
    }
    message = "Refund amount exceeds the remaining refundable amount."
    details = {"payment_id": "pay_abc123xyz", **amounts}
    body = hedge_error("refund_amount_exceeded", message, details=details)
    outcome, _ = outcome_of(answer(422, body))
    assert outcome == Rejected(message, 422, "refund_amount_exceeded", amounts)


@pytest.mark.parametrize("details", [None, [], {"original_amount": "9999"}, {"x": 1}])
def test_details_of_an_odd_form_are_none(outcome_of: Any, details: Any) -> None:
    outcome, _ = outcome_of(answer(422, hedge_error("x", "No.", details=details)))
    assert outcome == Rejected("No.", 422, "x")
