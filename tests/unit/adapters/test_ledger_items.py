from dataclasses import MISSING, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refund_bridge.adapters.dynamodb.items import payment_item, payment_of, refund_item, refund_of
from refund_bridge.adapters.dynamodb.keys import (
    UnreadableItemError,
    can_exist,
    claim_holder,
    held_payment,
    payment_item_key,
    payment_key_text,
    processor_refund_claim_key,
    processor_refund_holder,
)
from refund_bridge.adapters.dynamodb.values import decode, decode_item, encode, encode_item, plain
from refund_bridge.adapters.dynamodb.writes import states_before
from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Entry, Failure, Refund
from refund_bridge.domain.refund_request import (
    PaymentMethodKind,
    ReferenceType,
    RefundRequest,
    RefundType,
    Source,
)
from refund_bridge.domain.report import CreditNote, Report, ReportCause, ReportParameters
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refund_bridge.ports.ledger import ProcessorRefundClaim, RecordClaim
from tests.contract.ledger.examples import a_payment, a_refund

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
INTS = st.integers(min_value=-(10**38) + 1, max_value=10**38 - 1)
TIMES = st.integers(min_value=0, max_value=4 * 10**12)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.builds(
    RefundRequest,
    reference_type=st.sampled_from(ReferenceType),
    reference_id=IDS,
    amount=st.none() | INTS,
    currency=st.none() | TEXT,
    reason=st.none() | TEXT,
    metadata=st.dictionaries(TEXT, TEXT, max_size=3),
    refund_type=st.sampled_from(RefundType),
    processor=st.none() | TEXT,
    payment_method_type=st.none() | st.sampled_from(PaymentMethodKind),
    customer=st.dictionaries(TEXT, TEXT, max_size=3),
    report_to=st.none() | TEXT,
)
PARAMETERS = st.builds(
    ReportParameters,
    payment_record=IDS,
    amount=INTS,
    currency=TEXT,
    refund_reference=IDS,
    initiated_at_s=INTS,
    refunded_at_s=INTS,
)
REPORTS = st.builds(
    Report,
    state=st.sampled_from(ReportState),
    cause=st.none() | st.sampled_from(ReportCause),
    forced=st.booleans(),
    waits=INTS,
    parameters=st.none() | PARAMETERS,
    epoch=INTS,
    attempts=INTS,
    lease_until_ms=st.none() | INTS,
    reported_at_ms=st.none() | INTS,
    last_error=st.none() | TEXT,
    last_ring_ms=st.none() | INTS,
    rings=INTS,
)
CREDIT_NOTES = st.builds(
    CreditNote,
    state=st.sampled_from(CreditNoteState),
    id=st.none() | IDS,
    epoch=INTS,
    attempts=INTS,
    last_error=st.none() | TEXT,
    issued_at_ms=st.none() | INTS,
)
ENTRIES = st.builds(
    Entry,
    seq=INTS,
    at_ms=INTS,
    before=st.none() | TEXT,
    after=TEXT,
    cause=TEXT,
    actor=TEXT,
    evidence=st.dictionaries(TEXT, PLAIN, max_size=3),
)
REFUNDS = st.builds(
    Refund,
    id=IDS,
    request=REQUESTS,
    source=st.sampled_from(Source),
    state=st.sampled_from(State),
    processor=st.sampled_from(["hitpay", "other"]),
    processor_payment_id=IDS,
    payment_record=st.none() | IDS,
    payment_intent=st.none() | IDS,
    invoice=st.none() | IDS,
    amount=INTS,
    currency=TEXT,
    created_at_ms=TIMES,
    updated_at_ms=TIMES,
    attempt=INTS,
    token=TEXT,
    looks=INTS,
    look_ups=INTS,
    last_look=st.none() | TEXT,
    late_failure_at_ms=st.none() | INTS,
    contradicts=st.none() | IDS,
    lease_until_ms=st.none() | INTS,
    started_at_ms=st.none() | INTS,
    snapshot=st.none() | st.lists(IDS, max_size=3).map(tuple),
    processor_refund_id=st.none() | IDS,
    fee=st.none() | st.builds(Money, INTS, st.sampled_from(["sgd", "jpy"])),
    failure=st.none() | st.builds(Failure, code=TEXT, message=TEXT, status=st.none() | INTS),
    report=REPORTS,
    credit_note=CREDIT_NOTES,
    next_check_ms=st.none() | INTS,
    history=st.lists(ENTRIES, max_size=3).map(tuple),
    revision=INTS,
    schema_version=INTS,
)
PAYMENTS = st.builds(
    Payment,
    key=st.builds(PaymentKey, st.sampled_from(["hitpay", "other"]), IDS),
    payment_record=st.none() | IDS,
    currency=TEXT,
    slot=st.none() | IDS,
    waiting=st.lists(IDS, max_size=3).map(tuple),
    doubtful=st.lists(IDS, max_size=3).map(tuple),
    arrival=st.none() | st.sampled_from([Arrival(0, 0), Arrival(3, 5)]),
    unexplained=st.none() | INTS,
    report_lease_until_ms=st.none() | INTS,
    **{
        name: INTS
        for name, field in Payment.__dataclass_fields__.items()
        if field.type in (int, "int")
    },
)


@given(REFUNDS)
def test_a_refund_comes_back_as_it_was(refund: Refund) -> None:
    assert refund_of(decode_item(encode_item(refund_item(refund)))) == refund


@given(PAYMENTS)
def test_a_payment_comes_back_as_it_was(payment: Payment) -> None:
    assert payment_of(decode_item(encode_item(payment_item(payment)))) == payment


def test_every_fact_is_tried() -> None:
    built = {"key", "payment_record", "currency", "slot", "waiting", "doubtful", "arrival"}
    built |= {"unexplained", "report_lease_until_ms"}
    ints = {n for n, f in Payment.__dataclass_fields__.items() if f.type in (int, "int")}
    assert built | ints == set(Payment.__dataclass_fields__)


@given(PLAIN)
def test_a_plain_value_comes_back_as_it_was(value: Any) -> None:
    assert plain(value) == value
    back = decode(encode(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [1.0, 0.1, b"x", {1}, object(), {1: "a"}, [[1.5]]])
def test_what_cannot_be_stored_exactly_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        plain(value)


@pytest.mark.parametrize("value", [10**38, -(10**38)])
def test_numbers_that_dynamodb_would_round_are_refused(value: int) -> None:
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("value", [1.0, b"x", (1,)])
def test_only_plain_values_are_encoded(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_a_fact_that_is_none_is_absent() -> None:
    item = refund_item(a_refund())
    assert not {"payment_intent", "failure", "snapshot", "due_at", "lease_until_ms"} & set(item)
    assert "parameters" not in item["report"]
    assert "credit_note" not in item


def test_so_is_one_that_nobody_has_changed_yet() -> None:
    entry = Entry(seq=1, at_ms=1, before=None, after="submitting", cause="reserved", actor="shop")
    request = RefundRequest(reference_type=ReferenceType.INVOICE, reference_id="in_1")
    item = refund_item(replace(a_refund(), request=request, history=(entry,)))
    assert not {"attempt", "token", "looks", "look_ups"} & set(item)
    assert item["request"] == {"reference_type": "invoice", "reference_id": "in_1"}
    assert item["report"] == {"state": "not_due"}
    assert "evidence" not in item["history"][0]


def test_what_absent_facts_are_taken_for_never_changes() -> None:
    """It is part of the stored form of every item that was ever written."""
    defaults = {
        kind.__name__: {
            one.name: one.default if one.default_factory is MISSING else one.default_factory()
            for one in fields(kind)
            if (one.default, one.default_factory) != (MISSING, MISSING)
        }
        for kind in (Refund, RefundRequest, Report, CreditNote, Entry)
    }
    always_said = ("revision", "schema_version")
    said = {
        kind: {
            name: value
            for name, value in found.items()
            if value is not None and name not in always_said
        }
        for kind, found in defaults.items()
    }
    zero = dict.fromkeys
    assert said["Refund"] == zero(("attempt", "looks", "look_ups"), 0) | {
        "token": "",
        "report": Report(),
        "credit_note": CreditNote(),
        "history": (),
        "answers": (),
    }
    assert said["RefundRequest"].items() >= {"metadata": {}, "refund_type": "instant"}.items()
    assert said["Report"] == zero(("epoch", "attempts", "rings", "waits"), 0) | {
        "state": "not_due",
        "forced": False,
        "answers": (),
    }
    assert said["CreditNote"] == zero(("epoch", "attempts"), 0) | {
        "state": "not_due",
        "answers": (),
    }
    assert said["Entry"] == {"evidence": {}}


@pytest.mark.parametrize(
    "broken",
    [
        {"state": "dreaming"},
        {"amount": "2500"},
        {"amount": True},
        {"history": [{"seq": 1}]},
        {"report": {"state": "dreaming"}},
        {"report": 7},
        {"credit_note": {"state": "dreaming"}},
        {"request": {"reference_type": "payment_record"}},
        {"created_at_ms": None},
    ],
)
def test_what_is_not_understood_is_no_answer_and_not_repeated(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableItemError) as refused:
        refund_of(refund_item(a_refund()) | broken)
    assert "dreaming" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("broken", [{"captured": "1"}, {"revision": None}, {"arrival": 3}])
def test_a_payment_that_is_not_understood_is_no_answer(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableItemError):
        payment_of(payment_item(a_payment()) | broken)


def test_the_time_of_creation_sorts_as_text() -> None:
    early = refund_item(replace(a_refund(), created_at_ms=9))["created_sort"]
    late = refund_item(replace(a_refund(), created_at_ms=10**12))["created_sort"]
    assert early < late


@given(st.builds(PaymentKey, st.sampled_from(["hitpay", "other"]), IDS), IDS)
def test_a_claim_tells_its_holder(key: PaymentKey, name: str) -> None:
    record, processor_refund = (
        RecordClaim(name, key),
        ProcessorRefundClaim(key.processor, name, "rfd_1"),
    )
    assert held_payment({"holder": claim_holder(record)}) == key
    item = processor_refund_claim_key(key.processor, name) | {
        "holder": claim_holder(processor_refund)
    }
    assert processor_refund_holder(item) == (name, "rfd_1")


def test_a_processor_cannot_be_named_so_that_two_payments_share_a_key() -> None:
    for name in ("", "hit#pay"):
        with pytest.raises(ValueError, match="processor"):
            payment_key_text(PaymentKey(name, "charge"))


def test_keys_are_as_long_as_dynamodb_takes_them() -> None:
    key = payment_item_key(PaymentKey("hitpay", ""))
    room = 2048 - len(key["pk"])
    assert can_exist(key | {"pk": key["pk"] + "x" * room})
    assert not can_exist(key | {"pk": key["pk"] + "x" * (room - 1) + "é"})


def test_conditions_name_the_states_that_the_table_lets_a_state_follow() -> None:
    assert set(states_before(State.SUBMITTING)) == {"submitting", "requested", "aborted"}
    assert set(states_before(State.SUCCEEDED)) == {
        "succeeded",
        "submitting",
        "unknown",
        "pending",
        "review",
        # What others restored, or a person found to be there after all.
        "failed",
        "rejected",
        "aborted",
    }
    assert states_before(State.REJECTED) == (State.SUBMITTING, State.REJECTED)
    assert states_before(State.REVIEW) == (State.PENDING, State.UNKNOWN, State.REVIEW)
