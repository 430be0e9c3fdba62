"""The published schemas: written from the code, and true of what the code takes and tells."""

import json
from typing import Any

import jsonschema_rs
import pytest

from deployed import paths
from local.event_schemas import DIRECTORY, schemas, text_of
from refund_bridge.domain.errors import InvalidRequestError, RefundBridgeError
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.events.announcements import announcements_of, refusal_of
from refund_bridge.events.requested import asked_by, parse_event
from refund_bridge.ports.events import Announcement
from tests.fakes.processor_fates import Answered, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.events.test_requested import message

SCHEMAS = schemas()


def is_valid(schema: str, value: Any) -> bool:
    return jsonschema_rs.validator_for(SCHEMAS[schema]).is_valid(json.loads(json.dumps(value)))


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_file_is_what_the_code_says(name: str) -> None:
    assert (DIRECTORY / name).read_text() == text_of(SCHEMAS[name])


def test_there_is_no_other_file() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == set(SCHEMAS)


KEY = {"idempotency_key": "k"}
GOOD = [
    {"payment_record": "pr_1"} | KEY,
    {"payment_intent": "pi_1", "refund_id": "k"},
    {"invoice": "in_1", "merchant_transaction_id": "k", "amount": 1, "currency": "sgd"},
    {"payment_record": "pr_1", "reason": "free text", "metadata": {"a": ""}} | KEY,
    {"payment_record": "pr_1", "refund_type": "scheduled"} | KEY,
]
BAD = [
    {},
    KEY,
    {"payment_record": "pr_1"},
    {"payment_record": "pr_1", "invoice": "in_1"} | KEY,
    {"payment_record": "pr_1", "amuont": 1} | KEY,
    {"payment_record": "pr_1", "amount": 0} | KEY,
    {"payment_record": "pr_1", "amount": 10**12} | KEY,
    {"payment_record": "pr_1", "amount": 1.5} | KEY,
    {"payment_record": "pr_1", "amount": "1"} | KEY,
    {"payment_record": "pr_1", "amount": None} | KEY,
    {"payment_record": None} | KEY,
    {"payment_record": "pr 1"} | KEY,
    {"payment_record": "pr_1", "currency": "S9D"} | KEY,
    {"payment_record": "pr_1", "reason": ""} | KEY,
    {"payment_record": "pr_1", "refund_type": "later"} | KEY,
    {"payment_record": "pr_1", "metadata": {"a": 1}} | KEY,
    {"payment_record": "pr_1", "metadata": {"a" * 41: ""}} | KEY,
    {"payment_record": "pr_1", "metadata": {str(n): "" for n in range(51)}} | KEY,
    {"payment_record": "pr_1", "idempotency_key": ""},
    {"payment_record": "pr_1", "idempotency_key": "x" * 256},
]


def is_taken(detail: Any) -> bool:
    try:
        asked_by(parse_event(message(detail)))
    except RefundBridgeError:
        return False
    return True


@pytest.mark.parametrize("detail", GOOD)
def test_what_the_schema_allows_is_taken(detail: Any) -> None:
    assert is_valid("refund-requested.json", detail)
    assert is_taken(detail)


@pytest.mark.parametrize("detail", BAD)
def test_what_the_schema_forbids_is_not(detail: Any) -> None:
    assert not is_valid("refund-requested.json", detail)
    assert not is_taken(detail)


def test_the_sample_event_is_valid() -> None:
    sample = json.loads((paths.ROOT / "events" / "refund_requested_sqs.json").read_text())
    body = sample["Records"][0]["body"]
    assert is_valid("refund-requested.json", json.loads(body)["detail"])
    assert asked_by(parse_event(body)).request.amount == 2500


def told_in_every_way() -> list[Announcement]:
    """Refunds in all kinds of states, and what is told of them."""
    world = World()
    world.pay()
    world.report(world.refund("ok", amount=100, metadata={"order": "1007"}).refund.id)
    world.processor.fates.append(Answered(422, "insufficient balance"))
    world.refund("no", amount=100)
    world.processor.fates.append(RequestLost())
    world.refund("lost", amount=100)
    world.refund("later", amount=100, refund_type=RefundType.SCHEDULED)
    world.settle_for(2 * STEP_MS)
    payment = world.payment()
    return [
        told
        for key in ("ok", "no", "lost", "later")
        for told in announcements_of(world.stored(key), payment, after_seq=0)
    ]


def test_what_is_told_is_valid_and_every_member_of_it_is_documented() -> None:
    documented = set(SCHEMAS["refund-event.json"]["properties"])
    told = told_in_every_way()
    assert len({one.name for one in told}) >= 4
    for one in told:
        assert is_valid("refund-event.json", one.detail), one
        assert set(one.detail) <= documented


@pytest.mark.parametrize("source", ["demo.orders", None])
def test_a_refusal_is_valid_and_every_member_of_it_is_documented(source: str | None) -> None:
    error = InvalidRequestError("No.", details={"fields": [{"path": "", "reason": "no"}]})
    told = refusal_of(error, request_id="e-1", source=source, refund_id=source, at_ms=0)
    assert is_valid("refund-request-refused.json", told.detail)
    assert set(told.detail) == set(SCHEMAS["refund-request-refused.json"]["properties"])
