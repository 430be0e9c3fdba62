"""What Hyperswitch is sent, and what each of its answers to ``POST /refunds`` means."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.processors.hyperswitch.adapter import Hyperswitch
from tests.unit.processors.adapters import (
    INSTRUCTION,
    REFUND_ID,
    hyperswitch_error,
    hyperswitch_refund,
    sent_json,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer, hang_up

READ = f"GET /refunds/{REFUND_ID}?force_sync=true"
NOT_THERE = hyperswitch_error("HE_02", "Refund does not exist in our records")
TAKEN = hyperswitch_error(
    "HE_01", "Duplicate refund request. Refund already attempted with the refund ID"
)


@pytest.fixture
def outcome_of(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, key_max: int = 64, **changes: Any) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            adapter = Hyperswitch(base_url=server.url, key=key, http=http, refund_id_max=key_max)
            return adapter.refund(replace(INSTRUCTION, **changes), clock.deadline()), server

    return ask


def test_it_is_sent_our_id_the_resolved_amount_and_to_do_it_now(outcome_of: Any) -> None:
    _, server = outcome_of(answer(200, hyperswitch_refund()))
    assert server.requests == ["POST /refunds"]
    assert sent_json(server.arrived[0].body) == {
        "payment_id": "pay-1",
        "refund_id": REFUND_ID,
        "amount": 5000,
        "refund_type": "instant",
    }


@pytest.mark.parametrize("reason", ["duplicate", "fraudulent", "requested_by_customer"])
def test_a_reason_in_stripes_words_is_a_reason(outcome_of: Any, reason: str) -> None:
    _, server = outcome_of(answer(200, hyperswitch_refund()), reason=reason)
    sent = sent_json(server.arrived[0].body)
    assert (sent["reason"], "metadata" in sent) == (reason, False)


def test_any_other_reason_goes_with_the_metadata(outcome_of: Any) -> None:
    # A payment that went through Stripe would be refused a refund with such a reason.
    metadata = {"order": "1007"}
    _, server = outcome_of(
        answer(200, hyperswitch_refund()), reason="It was too small.", metadata=metadata
    )
    sent = sent_json(server.arrived[0].body)
    assert "reason" not in sent
    assert sent["metadata"] == {"order": "1007", "reason": "It was too small."}


def test_metadata_that_is_full_or_has_a_reason_keeps_what_it_has(outcome_of: Any) -> None:
    full = {f"key-{number}": "x" for number in range(50)}
    own = {"reason": "the caller's own"}
    for metadata in (full, own):
        _, server = outcome_of(
            answer(200, hyperswitch_refund()), reason="Too small.", metadata=metadata
        )
        assert sent_json(server.arrived[0].body)["metadata"] == metadata


@pytest.mark.parametrize(
    ("money", "told", "shown"),
    [
        (Money(5000, "jpy"), 5000, 5000),
        (Money(5000, "kwd"), 5000, 5000),
        # Stripe's two-decimal UGX is in whole shillings at Hyperswitch.
        (Money(500_000, "ugx"), 5000, 5000),
    ],
)
def test_amounts_are_iso_4217s_minor_units(
    outcome_of: Any, money: Money, told: int, shown: int
) -> None:
    body = hyperswitch_refund(currency=money.currency.upper(), amount=shown)
    outcome, server = outcome_of(answer(200, body), money=money)
    assert sent_json(server.arrived[0].body)["amount"] == told
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.money == money


def test_an_amount_that_it_cannot_be_told_is_not_asked_for(outcome_of: Any) -> None:
    outcome, server = outcome_of(money=Money(1230, "ugx"))
    assert outcome == Rejected(
        "Hyperswitch counts ugx in whole units.",
        422,
        "amount_not_representable",
        was_asked=False,
    )
    assert server.connections == 0


def test_an_accepted_refund_says_what_it_is(outcome_of: Any) -> None:
    outcome, _ = outcome_of(answer(200, hyperswitch_refund()))
    processor_refund = outcome.processor_refund
    assert (processor_refund.id, processor_refund.instruction_id) == (REFUND_ID, REFUND_ID)
    assert processor_refund.processor_status == "succeeded"
    assert processor_refund.refunded_at_ms == 1_714_528_984_000
    assert processor_refund.created_at_ms == 1_714_528_980_000


def test_a_refusal_gives_its_reason_where_there_is_one(outcome_of: Any) -> None:
    body = hyperswitch_error("IR_06", "The data is wrong.", reason="The payment is too old.")
    outcome, _ = outcome_of(answer(400, body))
    assert outcome == Rejected("The data is wrong. The payment is too old.", 400, "IR_06")


@pytest.mark.parametrize("code", ["HE_01", "RE_01"])
def test_a_repeat_that_is_refused_is_read(outcome_of: Any, code: str) -> None:
    # Given that a refund has this id, by an instruction that nobody knows the outcome of
    refused = answer(400, hyperswitch_error(code, "Duplicate refund request."))

    # When it is asked for again, then what there is is read, and is what was asked for
    outcome, server = outcome_of(refused, answer(200, hyperswitch_refund(status="pending")))
    assert isinstance(outcome, Accepted)
    assert outcome.processor_refund.status is ProcessorRefundStatus.PENDING
    assert server.requests == ["POST /refunds", READ]


@pytest.mark.parametrize(
    "read",
    [
        answer(404, NOT_THERE),
        answer(404, "<html>nginx</html>"),
        answer(404, hyperswitch_error("IR_02", "Unrecognized request URL")),
        answer(200, b"{}"),
        answer(200, hyperswitch_refund(amount=4999)),
        answer(200, hyperswitch_refund(payment_id="pay-2")),
        answer(200, hyperswitch_refund(refund_id="ref_2")),
        answer(401),
        answer(400, hyperswitch_error("IR_06")),
    ],
)
def test_a_repeat_that_is_refused_and_cannot_be_read_is_unknown(outcome_of: Any, read: Any) -> None:
    outcome, server = outcome_of(answer(400, TAKEN), read)
    assert isinstance(outcome, Unknown)
    assert server.requests == ["POST /refunds", READ]


def test_a_repeat_is_looked_up_twice_at_most(outcome_of: Any) -> None:
    outcome, server = outcome_of(answer(400, TAKEN), hang_up, hang_up, answer(200))
    assert isinstance(outcome, Unknown)
    assert server.requests == ["POST /refunds", READ, READ]


@pytest.mark.parametrize(
    "body",
    [
        hyperswitch_error("CE_06", "Refund failed while processing with connector."),
        hyperswitch_error("HE_00", "Something went wrong"),
        hyperswitch_error("XX_17", "A code that nobody documented."),
        hyperswitch_error(None, "No code at all."),
        hyperswitch_error("", "An empty code."),
    ],
)
def test_a_refusal_that_may_have_come_too_late_is_read(outcome_of: Any, body: Any) -> None:
    # A connector's failure comes when the refund is recorded already, and perhaps executed.
    outcome, server = outcome_of(answer(400, body), answer(200, hyperswitch_refund()))
    assert isinstance(outcome, Accepted)
    assert server.requests == ["POST /refunds", READ]


def test_a_refusal_of_which_no_refund_came_is_final(outcome_of: Any) -> None:
    body = hyperswitch_error("CE_06", "Refund failed while processing with connector.")
    outcome, _ = outcome_of(answer(400, body), answer(404, NOT_THERE))
    assert outcome == Rejected("Refund failed while processing with connector.", 400, "CE_06")


@pytest.mark.parametrize("code", ["IR_02", "IR_03"])
def test_a_wrong_address_is_no_refusal(outcome_of: Any, code: str) -> None:
    outcome, _ = outcome_of(answer(404, hyperswitch_error(code, "Unrecognized request URL")))
    assert isinstance(outcome, Aborted)


@pytest.mark.parametrize(
    "refusal",
    [
        answer(400, hyperswitch_error("IR_13", "The refund amount exceeds the amount captured")),
        answer(400, TAKEN),
        answer(404, hyperswitch_error("HE_02", "Payment does not exist in our records")),
    ],
)
def test_a_repeated_instruction_is_accepted_if_its_key_is_there(
    outcome_of: Any, refusal: Any
) -> None:
    outcome, server = outcome_of(refusal, answer(200, hyperswitch_refund()), repeated=True)
    assert isinstance(outcome, Accepted)
    assert server.requests == ["POST /refunds", READ]


@pytest.mark.parametrize(
    "scripts",
    [
        [answer(400, hyperswitch_error("IR_13")), answer(404, NOT_THERE)],
        [answer(400, TAKEN), answer(404, NOT_THERE)],
        [answer(401)],
        [answer(429, hyperswitch_error("HE_00"))],
        [answer(403, "<html>")],
        [hang_up],
    ],
)
def test_a_repeated_instruction_is_otherwise_unknown(outcome_of: Any, scripts: list[Any]) -> None:
    outcome, _ = outcome_of(*scripts, repeated=True)
    assert isinstance(outcome, Unknown)


def test_a_repeated_instruction_that_was_not_sent_is_unknown(
    outcome_of: Any, key: StoredKey
) -> None:
    key.unavailable = True
    outcome, server = outcome_of(repeated=True)
    assert isinstance(outcome, Unknown)
    assert server.connections == 0


def test_a_shorter_key_is_the_beginning_of_our_id(outcome_of: Any) -> None:
    # Given a Hyperswitch that keeps to its schema, in which ids have 30 characters
    key = REFUND_ID[:30]
    body = hyperswitch_refund(refund_id=key)
    outcome, server = outcome_of(answer(400, TAKEN), answer(200, body), key_max=30)
    assert sent_json(server.arrived[0].body)["refund_id"] == key
    assert server.requests[1] == f"GET /refunds/{key}?force_sync=true"
    assert isinstance(outcome, Accepted)
    assert (outcome.processor_refund.id, outcome.processor_refund.instruction_id) == (
        key,
        REFUND_ID,
    )
