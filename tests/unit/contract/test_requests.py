"""What a caller may ask: the contract's form, and nothing that only looks like it."""

import json
from typing import Any

import pytest

from refund_bridge.contract.documents import parse_json
from refund_bridge.contract.requests import CallBody, idempotency_key, validate_body
from refund_bridge.domain.errors import IdempotencyKeyRequiredError, InvalidRequestError
from refund_bridge.domain.refund_request import (
    PaymentMethodKind,
    ReferenceType,
    RefundRequest,
    RefundType,
)

PLAIN: dict[str, Any] = {"payment_record": "pr_1"}


def parse_body(text: str) -> CallBody:
    return validate_body(parse_json(text))


def parsed(**fields: Any) -> RefundRequest:
    return parse_body(json.dumps({**PLAIN, **fields})).normalised()


def test_only_the_payment_is_required_and_the_rest_has_defaults() -> None:
    assert parsed() == RefundRequest(
        reference_type=ReferenceType.PAYMENT_RECORD, reference_id="pr_1"
    )


def test_a_full_request_is_kept_as_sent() -> None:
    request = parse_body(
        json.dumps(
            {
                "payment_intent": "pi_1",
                "amount": 2500,
                "currency": "sgd",
                "reason": "duplicate",
                "metadata": {"order": "1007"},
                "refund_type": "scheduled",
            }
        )
    ).normalised()
    assert request == RefundRequest(
        reference_type=ReferenceType.PAYMENT_INTENT,
        reference_id="pi_1",
        amount=2500,
        currency="sgd",
        reason="duplicate",
        metadata={"order": "1007"},
        refund_type=RefundType.SCHEDULED,
    )


def test_an_alias_of_a_reason_is_the_same_request() -> None:
    assert parsed(reason="customer_requested") == parsed(reason="requested_by_customer")


def test_the_order_of_members_does_not_make_another_request() -> None:
    one = parse_body('{"payment_record": "pr_1", "amount": 5}').normalised()
    other = parse_body('{"amount": 5, "payment_record": "pr_1"}').normalised()
    assert one == other


def test_an_amount_left_out_is_another_request_than_one_given() -> None:
    assert parsed() != parsed(amount=9999)


UNLINKED: dict[str, Any] = {
    "payment_method": {"id": "method-1"},
    "customer": {"hsid": "9c80e161"},
    "amount": 2500,
    "currency": "usd",
    "processor": "ccg",
}


def test_an_unlinked_refund_is_kept_as_sent() -> None:
    text = json.dumps(UNLINKED | {"payment_method": {"id": "method-1", "type": "card"}})
    assert parse_body(text).normalised() == RefundRequest(
        reference_type=ReferenceType.PAYMENT_METHOD,
        reference_id="method-1",
        amount=2500,
        currency="usd",
        processor="ccg",
        payment_method_type=PaymentMethodKind.CARD,
        customer={"hsid": "9c80e161"},
    )


def test_an_unlinked_refund_may_name_the_record_that_it_is_reported_to() -> None:
    request = parse_body(json.dumps(UNLINKED | PLAIN)).normalised()
    assert request.is_unlinked
    assert (request.reference_id, request.report_to) == ("method-1", "pr_1")
    assert parse_body(json.dumps(UNLINKED)).normalised().report_to is None


def test_a_refund_of_a_payment_may_say_which_processor() -> None:
    request = parsed(processor="hedge")
    assert (request.processor, request.is_unlinked, request.report_to) == ("hedge", False, None)
    assert request != parsed()


REFUSED: list[tuple[str, str]] = [
    *(
        (f"unlinked without {name}", json.dumps({k: v for k, v in UNLINKED.items() if k != name}))
        for name in UNLINKED
    ),
    ("unlinked, and a PaymentIntent", json.dumps(UNLINKED | {"payment_intent": "pi_1"})),
    ("unlinked, and an invoice", json.dumps(UNLINKED | {"invoice": "in_1"})),
    ("a payment's refund with a customer", json.dumps(PLAIN | {"customer": {"hsid": "1"}})),
    *(
        (f"the payment method {value}", json.dumps(UNLINKED | {"payment_method": value}))
        for value in ("m", {}, {"id": ""}, {"id": "m", "type": "cash"}, {"id": "m", "type": None})
    ),
    ("an unknown member of it", json.dumps(UNLINKED | {"payment_method": {"id": "m", "cvc": 1}})),
    *(
        (f"the customer {value}", json.dumps(UNLINKED | {"customer": value}))
        for value in ("c", {}, {"hsid": ""}, {"hsid": 1}, {"": "c"}, {"name": "Jane Doe"}, None)
    ),
    ("a customer of 11", json.dumps(UNLINKED | {"customer": {str(n): "c" for n in range(11)}})),
    *(
        (f"the processor {value!r}", json.dumps(PLAIN | {"processor": value}))
        for value in ("", "HitPay", "hit pay", "../x", "x" * 33, 1, None)
    ),
    ("malformed", '{"payment_record": "pr_1"'),
    ("empty", ""),
    ("not an object", "[]"),
    ("a string", '"pr_1"'),
    ("nested too deeply", "[" * 100_000),
    (
        "a number of ten thousand digits",
        '{"payment_record": "pr_1", "amount": 1' + "0" * 9999 + "}",
    ),
    ("NaN", '{"payment_record": "pr_1", "amount": NaN}'),
    ("a member given twice", '{"payment_record": "pr_1", "amount": 1, "amount": 9999}'),
    ("no payment", "{}"),
    ("two payments", '{"payment_record": "pr_1", "invoice": "in_1"}'),
    ("a misspelt field", '{"payment_record": "pr_1", "amuont": 100}'),
    ("a field with a lone surrogate", '{"payment_record": "pr_1", "reason": "\\ud800"}'),
    ("an empty reference", '{"payment_record": ""}'),
    ("a reference with a space", '{"payment_record": "pr 1"}'),
    ("a reference with a line feed", '{"payment_record": "pr_1\\n"}'),
    ("a reference that is a number", '{"payment_record": 1}'),
    *(
        (f"amount {value}", json.dumps({**PLAIN, "amount": value}))
        for value in (0, -1, 1.5, 1.0, "100", True, None, [1], {"v": 1}, 10**30, 10**12)
    ),
    *(
        (f"currency {value!r}", json.dumps({**PLAIN, "currency": value}))
        for value in ("s9d", "sg", "sgdx", "", 1, None, "sgd\n")
    ),
    ("a reason of 256 characters", json.dumps({**PLAIN, "reason": "x" * 256})),
    ("an empty reason", json.dumps({**PLAIN, "reason": ""})),
    ("51 metadata keys", json.dumps({**PLAIN, "metadata": {str(n): "" for n in range(51)}})),
    ("a metadata key of 41 characters", json.dumps({**PLAIN, "metadata": {"k" * 41: "v"}})),
    ("an empty metadata key", json.dumps({**PLAIN, "metadata": {"": "v"}})),
    ("a metadata value of 501", json.dumps({**PLAIN, "metadata": {"k": "v" * 501}})),
    ("a metadata value that is a number", json.dumps({**PLAIN, "metadata": {"k": 1}})),
    ("a reason with an escape sequence", json.dumps({**PLAIN, "reason": "a\x1b[2K"})),
    ("a reason with a NUL", json.dumps({**PLAIN, "reason": "a\0"})),
    ("a reason of two lines", json.dumps({**PLAIN, "reason": "a\nb"})),
    ("a metadata key with a C1 control", json.dumps({**PLAIN, "metadata": {"\x9b": "v"}})),
    ("a metadata value with a DEL", json.dumps({**PLAIN, "metadata": {"k": "\x7f"}})),
    ("metadata that is a list", json.dumps({**PLAIN, "metadata": ["k"]})),
    ("an unknown refund type", json.dumps({**PLAIN, "refund_type": "later"})),
    ("a key of 256 characters in the body", json.dumps({**PLAIN, "refund_id": "k" * 256})),
    ("a key with a control character", json.dumps({**PLAIN, "refund_id": "a\u0007b"})),
    ("a key outside ASCII", json.dumps({**PLAIN, "merchant_transaction_id": "schlüssel"})),
    ("a key with a trailing line feed", json.dumps({**PLAIN, "refund_id": "key\n"})),
    # A header loses outer spaces on its way, so with them it would be another key there.
    ("a key with a leading space", json.dumps({**PLAIN, "refund_id": " key"})),
    ("a key with a trailing space", json.dumps({**PLAIN, "merchant_transaction_id": "key "})),
]


@pytest.mark.parametrize("text", [text for _, text in REFUSED], ids=[name for name, _ in REFUSED])
def test_what_is_not_of_the_contracts_form_is_refused_with_its_place(text: str) -> None:
    # When a body that is not of the contract's form is read
    with pytest.raises(InvalidRequestError) as refused:
        parse_body(text)
    # Then the error lists where and why, in a form that can be sent
    fields = refused.value.details["fields"]
    assert fields
    assert all(set(field) == {"path", "reason"} for field in fields)
    assert not any("Body" in field["reason"] for field in fields)  # a class is nobody's business
    json.dumps(refused.value.details)


def test_what_is_refused_is_not_repeated_to_the_caller() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_body(json.dumps({**PLAIN, "amount": "4111111111111111"}))
    assert "4111111111111111" not in json.dumps(refused.value.details)


def test_a_long_list_of_problems_is_cut() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_body(json.dumps({**PLAIN, **{f"unknown{n}": 1 for n in range(1000)}}))
    assert len(refused.value.details["fields"]) == 20


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("key-1", {}),
        (None, {"refund_id": "key-1"}),
        (None, {"merchant_transaction_id": "key-1"}),
        ("key-1", {"refund_id": "key-1", "merchant_transaction_id": "key-1"}),
    ],
)
def test_the_key_is_taken_from_the_header_or_the_body(
    header: str | None, fields: dict[str, str]
) -> None:
    assert idempotency_key(header, parse_body(json.dumps({**PLAIN, **fields}))) == "key-1"


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(IdempotencyKeyRequiredError):
        idempotency_key(None, parse_body(json.dumps(PLAIN)))


def test_keys_that_differ_are_refused() -> None:
    body = parse_body(json.dumps({**PLAIN, "refund_id": "key-2"}))
    with pytest.raises(InvalidRequestError):
        idempotency_key("key-1", body)


@pytest.mark.parametrize("header", ["", "k" * 256, "a\x07b", "schlüssel", "a\tb", " k", "k "])
def test_a_header_that_is_not_printable_ascii_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequestError):
        idempotency_key(header, parse_body(json.dumps(PLAIN)))


def test_a_header_of_255_characters_is_a_key() -> None:
    assert idempotency_key("k" * 255, parse_body(json.dumps(PLAIN))) == "k" * 255


def test_metadata_that_would_not_leave_room_is_refused_before_anything_moves() -> None:
    metadata = {str(number): "\U0001f4b8" * 500 for number in range(50)}
    with pytest.raises(InvalidRequestError):
        validate_body({"payment_record": "pr_1", "metadata": metadata})


def test_fifty_values_of_five_hundred_ascii_characters_are_taken() -> None:
    metadata = {f"{number:040d}": "x" * 500 for number in range(50)}
    assert validate_body({"payment_record": "pr_1", "metadata": metadata})


@pytest.mark.parametrize(
    "slip", [{"jane@example.com": 5}, {"jane@example.com": "Jane Doe"}, {"j\ud800": "x"}]
)
def test_a_slip_of_the_caller_is_told_without_them(slip: dict[str, Any]) -> None:
    # Given a caller who mistakes the members of a customer
    body = {"payment_method": {"id": "m"}, "customer": slip, "processor": "ccg"}
    # When it is refused, which is also told on the bus and kept beside a dead letter
    with pytest.raises(InvalidRequestError) as refused:
        validate_body(body | {"amount": 1, "currency": "usd"})
    # Then the answer says where, and repeats nothing
    assert {field["path"] for field in refused.value.details["fields"]} == {"customer"}
    assert "jane" not in str(refused.value.details).lower()


def test_control_characters_are_refused_by_name_and_not_repeated() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        validate_body({"payment_record": "pr_1", "reason": "\x1b", "metadata": {"a\x1b": "v"}})
    told = {field["path"]: field["reason"] for field in refused.value.details["fields"]}
    assert told["reason"] == told["metadata.a?.[key]"] == "must not hold control characters"


def test_a_text_of_any_script_is_taken() -> None:
    text = "日本語 مرحبا 👩‍👧 café"
    body = validate_body({"payment_record": "pr_1", "reason": text, "metadata": {"é": text}})
    assert (body.reason, body.metadata) == (text, {"é": text})


@pytest.mark.parametrize("written", ["sgd", "SGD", "Sgd"])
def test_a_currency_is_the_same_in_either_case(written: str) -> None:
    asked = validate_body({"payment_record": "pr_1", "currency": written}).normalised()
    assert asked == validate_body({"payment_record": "pr_1", "currency": "sgd"}).normalised()
    assert asked.currency == "sgd"
