"""From a message of the request queue to a request, or to what is wrong with it."""

import json
from typing import Any

import pytest

from refund_bridge.adapters.eventbridge import BYTES_MAX, entry_size
from refund_bridge.domain.errors import IdempotencyKeyRequiredError, InvalidRequestError
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import ReferenceType, RefundType
from refund_bridge.events.announcements import refusal_of
from refund_bridge.events.requested import asked_by, letter_of, parse_event

DETAIL = {"payment_record": "pr_1", "amount": 2500, "idempotency_key": "order-1007"}


def message(detail: Any = DETAIL, **envelope: Any) -> str:
    """What EventBridge puts into the queue."""
    event = {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eab",
        "detail-type": "Refund Requested",
        "source": "demo.orders",
        "account": "123456789012",
        "time": "2026-11-22T07:40:00Z",
        "region": "ap-southeast-1",
        "resources": [],
        "detail": detail,
    }
    return json.dumps(event | envelope)


def problems(body: str) -> list[dict[str, str]]:
    with pytest.raises(InvalidRequestError) as refused:
        asked_by(parse_event(body))
    fields: list[dict[str, str]] = refused.value.details["fields"]
    return fields


def test_a_request_is_the_body_of_a_call_with_its_key() -> None:
    asked = asked_by(parse_event(message()))
    assert (asked.source, asked.idempotency_key) == ("demo.orders", "order-1007")
    assert asked.id == "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eab"
    assert asked.request.reference_type is ReferenceType.PAYMENT_RECORD
    assert (asked.request.amount, asked.request.refund_type) == (2500, RefundType.INSTANT)


@pytest.mark.parametrize("name", ["idempotency_key", "refund_id", "merchant_transaction_id"])
def test_the_key_has_three_names(name: str) -> None:
    asked = asked_by(parse_event(message({"invoice": "in_1", name: "k"})))
    assert asked.idempotency_key == "k"


@pytest.mark.parametrize("value", [1, None])
def test_why_it_is_refused_fits_into_an_event_whatever_its_fields_are_called(value: Any) -> None:
    # Given a request that is as large as an event may be, nearly all of it names of fields
    names = {f"{number}" + "é" * 6_000: value for number in range(20)}
    body = message(DETAIL | names)
    # When it is refused
    with pytest.raises(InvalidRequestError) as refused:
        asked_by(parse_event(body))
    # Then its refusal can be told on the bus
    told = refusal_of(refused.value, request_id="e", source="s", refund_id=None, at_ms=0)
    assert entry_size(told) < BYTES_MAX / 2


def test_several_keys_must_be_equal() -> None:
    asked = asked_by(parse_event(message(DETAIL | {"refund_id": "order-1007"})))
    assert asked.idempotency_key == "order-1007"
    assert problems(message(DETAIL | {"refund_id": "other"})) == [
        {"path": "idempotency_key", "reason": "differs"},
        {"path": "refund_id", "reason": "differs"},
    ]


def test_without_a_key_it_names_no_refund() -> None:
    with pytest.raises(IdempotencyKeyRequiredError, match="idempotency_key"):
        asked_by(parse_event(message({"payment_record": "pr_1"})))


@pytest.mark.parametrize("key", ["", "x" * 256, "line\nbreak", "naïve", 7, True, None, ["k"]])
def test_a_key_is_printable_and_not_too_long(key: Any) -> None:
    assert problems(message({"payment_record": "pr_1", "idempotency_key": key}))


@pytest.mark.parametrize(
    "detail",
    [
        [1],
        "text",
        None,
        7,
        {},
        DETAIL | {"amuont": 1},
        DETAIL | {"amount": 0},
        DETAIL | {"amount": 1.0},
        DETAIL | {"amount": "2500"},
        DETAIL | {"amount": None},
        DETAIL | {"invoice": "in_1"},
        DETAIL | {"currency": "SG"},
        DETAIL | {"refund_type": "now"},
        DETAIL | {"metadata": {"a": 1}},
    ],
)
def test_a_detail_of_another_form_is_refused_and_says_where(detail: Any) -> None:
    found = problems(message(detail))
    assert all(set(one) == {"path", "reason"} for one in found)
    assert found


@pytest.mark.parametrize(
    ("envelope", "path"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"source": 7}, "source"),
        ({"source": "a\nb"}, "source"),
        ({"source": "x" * 257}, "source"),
        ({"detail-type": None}, "detail-type"),
        ({"detail-type": "Refund Asked"}, "detail-type"),
    ],
)
def test_another_kind_of_message_is_refused(envelope: dict[str, Any], path: str) -> None:
    assert [one["path"] for one in problems(message(**envelope))] == [path]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"id": "e", "id": "f"}', '{"a": NaN}']
)
def test_what_is_no_event_at_all_is_refused(body: str) -> None:
    assert problems(body)


def test_a_member_given_twice_is_refused() -> None:
    twice = message().replace('"amount": 2500', '"amount": 2500, "amount": 2600')
    assert problems(twice) == [{"path": "", "reason": "a member is given twice"}]


def test_a_letter_tells_what_can_be_read() -> None:
    good = letter_of(message(), receive=2, stage="test")
    assert good.refund_id == refund_id_of("order-1007", "test")
    assert (good.source, good.receive) == ("demo.orders", 2)
    keyless = letter_of(message({"payment_record": "pr_1"}), receive=1, stage="test")
    assert (keyless.id, keyless.refund_id) == (good.id, None)


def test_an_unreadable_letter_is_known_by_its_text() -> None:
    one, again, other = (letter_of(body, receive=1, stage="t") for body in ("{", "{", "["))
    assert one.id == again.id
    assert one.id != other.id
    assert (one.source, one.refund_id) == (None, None)
