"""The queue's messages: two ids, never a fact."""

import json

import pytest

from refund_bridge.delivering.message import (
    Message,
    PoisonMessageError,
    message_text,
    parse_message,
)

REFUND, ADDRESS = "rfd_1", "we_00000000000000aa"


def test_a_message_names_a_refund_and_an_address() -> None:
    text = message_text(REFUND, ADDRESS)
    assert json.loads(text) == {"refund_id": REFUND, "address_id": ADDRESS, "schema_version": 1}
    assert parse_message(text) == Message(REFUND, ADDRESS)


def test_a_dead_letter_names_the_line_that_it_is_about() -> None:
    assert parse_message(message_text(REFUND, ADDRESS, 7)) == Message(REFUND, ADDRESS, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        json.dumps({"refund_id": REFUND, "address_id": ADDRESS}),
        json.dumps({"refund_id": REFUND, "address_id": ADDRESS, "schema_version": True}),
        json.dumps({"refund_id": "", "address_id": ADDRESS, "schema_version": 1}),
        json.dumps({"refund_id": "r" * 256, "address_id": ADDRESS, "schema_version": 1}),
        json.dumps({"refund_id": REFUND, "address_id": "we_1", "schema_version": 1}),
        json.dumps({"refund_id": REFUND, "address_id": 7, "schema_version": 1}),
    ],
)
def test_what_names_none_is_poison_and_not_repeated(text: str) -> None:
    with pytest.raises(PoisonMessageError) as error:
        parse_message(text)
    assert REFUND not in str(error.value)
