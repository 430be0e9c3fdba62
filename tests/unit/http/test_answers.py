"""What callers are told, by what the ledger holds: the contract's two tables."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain import errors
from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.errors import PaymentBusyError, RefundBridgeError
from refund_bridge.domain.instruction import Rejected
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Failure
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState, State
from refund_bridge.http.answers import STATUS_OF_ERROR, answer_of, error_answer
from refund_bridge.refunding.execute import Answer
from tests.fakes.processor_fates import Answered, NotSent, RequestLost
from tests.fakes.world import World

FIELDS = {
    "id", "object", "status", "amount", "currency", "payment_record", "payment_intent", "invoice",
    "processor", "processor_payment_id", "processor_refund_id", "processor_fee", "reason",
    "metadata", "failure", "stripe_report", "credit_note", "arrival", "payment", "refund_type",
    "source", "created_at", "updated_at", "created", "charge", "balance_transaction",
    "receipt_number", "failure_reason",
}  # fmt: skip


@pytest.fixture
def succeeded() -> Answer:
    """A first answer to a refund that succeeded."""
    world = World()
    world.pay()
    return world.refund("k", amount=2500)


def test_the_processors_fee_is_shown_in_its_own_currency_and_null_if_it_was_not_said(
    succeeded: Answer,
) -> None:
    with_fee = replace(succeeded.refund, fee=Money(0, "jpy"))
    shown = [refund_object(one, None)["processor_fee"] for one in (succeeded.refund, with_fee)]
    assert shown == [None, {"amount": 0, "currency": "jpy"}]


def in_state(answer: Answer, state: State, failure: Failure | None = None) -> Answer:
    return replace(answer, refund=replace(answer.refund, state=state, failure=failure))


def test_a_refund_is_shown_with_every_field_of_the_contract(succeeded: Answer) -> None:
    shown = refund_object(succeeded.refund, succeeded.payment)
    assert set(shown) == FIELDS
    assert shown["created_at"] == "2023-11-14T22:13:20.000Z"
    assert shown["created"] == 1_700_000_000
    unknown_here = ("charge", "balance_transaction", "receipt_number", "failure_reason")
    assert [shown[name] for name in unknown_here] == [None] * 4
    assert shown["stripe_report"] == {
        "status": "due",
        "cause": None,
        "attempts": 0,
        "reported_at": None,
        "last_error": None,
    }
    assert shown["payment"] == {
        "amount": 9999,
        "refunded_amount": 2500,
        "refundable_amount": 7499,
        "status": "partially_refunded",
    }


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        (CreditNote(), None),
        (CreditNote(last_error="taken_back", attempts=2), None),
        (
            CreditNote(state=CreditNoteState.DUE, attempts=1, last_error="no answer"),
            {"status": "due", "id": None, "attempts": 1, "last_error": "no answer"},
        ),
        (
            CreditNote(state=CreditNoteState.ISSUED, id="cn_1", attempts=2),
            {"status": "issued", "id": "cn_1", "attempts": 2, "last_error": None},
        ),
        (
            CreditNote(state=CreditNoteState.FAILED, attempts=8, last_error="refused: no"),
            {"status": "failed", "id": None, "attempts": 8, "last_error": "refused: no"},
        ),
    ],
)
def test_a_credit_note_is_shown_once_it_is_owed(
    succeeded: Answer, note: CreditNote, shown: dict[str, object] | None
) -> None:
    refund = replace(succeeded.refund, credit_note=note)
    expected = None if shown is None else shown | {"issued_at": None}
    assert refund_object(refund, succeeded.payment)["credit_note"] == expected


def test_a_credit_note_says_when_it_was_issued(succeeded: Answer) -> None:
    note = CreditNote(state=CreditNoteState.ISSUED, issued_at_ms=1_700_000_000_000)
    refund = replace(succeeded.refund, credit_note=note)
    shown = refund_object(refund, succeeded.payment)["credit_note"]
    assert shown["issued_at"] == "2023-11-14T22:13:20.000Z"


@pytest.mark.parametrize(
    ("arrival", "shown"),
    [
        (None, None),
        (Arrival(0, 0), {"business_days": {"min": 0, "max": 0}}),
        (Arrival(3, 5), {"business_days": {"min": 3, "max": 5}}),
    ],
)
def test_when_the_money_arrives_is_shown_where_the_processor_says_it(
    succeeded: Answer, arrival: Arrival | None, shown: object
) -> None:
    assert succeeded.payment is not None
    payment = replace(succeeded.payment, arrival=arrival)
    assert refund_object(succeeded.refund, payment)["arrival"] == shown
    assert refund_object(succeeded.refund, None)["arrival"] is None


@pytest.mark.parametrize(
    "facts",
    [
        {"state": State.REJECTED},
        {"state": State.ABORTED},
        {"state": State.FAILED},
        {"late_failure_at_ms": 1},
    ],
)
def test_no_arrival_is_shown_where_no_money_comes(succeeded: Answer, facts: dict[str, Any]) -> None:
    assert succeeded.payment is not None
    assert succeeded.payment.arrival == Arrival(3, 5)
    refund = replace(succeeded.refund, **facts)
    assert refund_object(refund, succeeded.payment)["arrival"] is None


def test_a_success_that_was_taken_back_says_so(succeeded: Answer) -> None:
    taken_back = replace(succeeded.refund, late_failure_at_ms=1_700_000_000_001)
    shown = refund_object(taken_back, succeeded.payment)
    assert shown["late_failure"] == {"seen_at": "2023-11-14T22:13:20.001Z"}
    # Callers see it as Stripe itself shows it
    assert (shown["status"], shown["failure_reason"]) == ("failed", "taken_back")
    assert (shown["failure"]["code"], shown["failure"]["retryable"]) == ("taken_back", False)
    again = answer_of(replace(succeeded, refund=taken_back, replayed=True), "request")
    assert (again.status, again.body["status"]) == (200, "failed")


@pytest.mark.parametrize(
    ("state", "first", "again"),
    [
        (State.SUCCEEDED, 201, 200),
        (State.REQUESTED, 202, 202),
        (State.SUBMITTING, 202, 202),
        (State.UNKNOWN, 202, 202),
        (State.PENDING, 202, 202),
        (State.REVIEW, 202, 202),
        (State.REJECTED, 402, 402),
        (State.ABORTED, 503, 503),
        (State.FAILED, 200, 200),
    ],
)
def test_the_status_follows_from_the_state(
    succeeded: Answer, state: State, first: int, again: int
) -> None:
    failure = Failure(code="c", message="m", status=422)
    answer = in_state(succeeded, state, failure)
    assert answer_of(answer, "request").status == first
    replay = answer_of(replace(answer, replayed=True), "request")
    assert replay.status == again
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in answer_of(answer, "request").headers


@pytest.mark.parametrize(
    ("fate", "status", "code"),
    [
        (Answered(422, "Insufficient balance."), 402, "refund_rejected"),
        (NotSent(), 503, "processor_unavailable"),
    ],
)
def test_a_refund_that_did_not_happen_is_told_as_an_error(
    fate: object, status: int, code: str
) -> None:
    world = World()
    world.pay()
    world.processor.fates.append(fate)  # type: ignore[arg-type]
    told = answer_of(world.refund("k"), "request-1")
    assert told.status == status
    assert told.body["error"]["code"] == code
    assert told.body["error"]["request_id"] == "request-1"
    assert ("Retry-After" in told.headers) == (status == 503)


def test_amounts_that_the_processor_named_are_told_and_again_on_a_replay() -> None:
    # Given a processor that refuses, and says how much is left
    world = World()
    world.pay()
    facts = {"original_amount": 9999, "remaining_refundable": 100}
    refusal = Rejected("Exceeds what is left.", 422, "refund_amount_exceeded", facts)
    world.processor.refund = lambda *_: refusal  # type: ignore[method-assign]
    # When a refund is asked for twice under one key
    for _ in range(2):
        told = answer_of(world.refund("k"), "request-1")
        # Then both times the caller is told
        details = told.body["error"]["details"]
        assert (told.status, details.pop("refund")) == (402, world.stored("k").id)
        assert details == {"status": 422, "code": "refund_amount_exceeded"} | facts


def test_what_is_not_known_is_told_as_pending() -> None:
    world = World()
    world.pay()
    world.processor.fates.append(RequestLost())
    told = answer_of(world.refund("k"), "request-1")
    assert (told.status, told.body["status"], told.body["failure"]) == (202, "pending", None)


def test_an_error_has_the_one_shape() -> None:
    error = PaymentBusyError("Busy.", details={"blocking_refund": None}, retry_after_s=2)
    told = error_answer(error, "request-1")
    assert told.status == 409
    assert told.headers == {"Retry-After": "2", "Stripe-Should-Retry": "true"}
    assert told.body == {
        "error": {
            "code": "payment_busy",
            "message": "Busy.",
            "type": "invalid_request_error",
            "param": None,
            "details": {"blocking_refund": None},
            "request_id": "request-1",
        }
    }


def test_every_error_of_the_contract_has_a_status() -> None:
    classes = {
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, RefundBridgeError)
    }
    assert set(STATUS_OF_ERROR) == classes - {RefundBridgeError}
