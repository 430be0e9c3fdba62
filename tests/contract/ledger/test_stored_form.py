"""How the ledger's items look in the table: what releases and indexes agree on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refund_bridge.adapters.dynamodb.items import due_partition, payment_of, refund_item, refund_of
from refund_bridge.adapters.dynamodb.keys import (
    Item,
    payment_item_key,
    processor_refund_claim_key,
    refund_key,
)
from refund_bridge.adapters.dynamodb.values import decode_item
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteEvent, CreditNoteState, Event, State
from refund_bridge.domain.transitions import credit_note_transition, transition
from refund_bridge.ports.ledger import (
    DUE_SHARDS,
    Commit,
    LedgerUnavailableError,
    PaymentWrite,
    ProcessorRefundClaim,
    RefundWrite,
)
from tests.contract.ledger.conftest import Table
from tests.contract.ledger.examples import NOW, a_full_refund, a_payment, a_refund, unique, why

ALL_SHARDS = {due_partition(shard) for shard in range(DUE_SHARDS)}
SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> dict[str, dict[str, Any]]:
    typed: dict[str, dict[str, Any]] = json.loads((SAMPLES / f"{name}.json").read_text())
    return typed


def without_defaults(item: Item) -> Item:
    """A refund's item of the first form without what a reader knows if nothing is said."""
    request = {name: item["request"][name] for name in item["request"] if name != "refund_type"}
    report = {name: value for name, value in item["report"].items() if value != 0}
    history = [{name: v for name, v in line.items() if v != {}} for line in item["history"]]
    return item | {"request": request, "report": report, "history": history}


def keep(table: Table, refund: Refund) -> Refund:
    table.ledger().commit(Commit(refunds=(RefundWrite(None, refund),)))
    return read(table, refund)


def change(table: Table, before: Refund, after: Refund) -> Refund:
    table.ledger().commit(Commit(refunds=(RefundWrite(before, after),)))
    return read(table, before)


def read(table: Table, refund: Refund) -> Refund:
    found = table.ledger().refund(refund.id)
    assert found is not None
    return found


def item_of(table: Table, refund: Refund) -> Item:
    item = table.item(refund_key(refund.id))
    assert item is not None
    return item


def test_an_item_of_version_1_is_read_and_written_as_ever() -> None:
    item = decode_item(sample("refund-1"))
    refund = refund_of(item)
    assert (refund.state, refund.amount, refund.snapshot) == (State.SUCCEEDED, 2500, ("hp_0",))
    assert refund.report.parameters is not None
    assert refund.history[1].evidence == {"processor_refund_id": "hp_1", "amount": 2500}
    assert refund.credit_note == CreditNote()
    written = refund_item(refund) | {"write_id": "5f1d3a"}
    # Facts that came later are written beside those of then, which are written as they were, but
    # for what is left out today because its absence says the same.
    assert without_defaults(item) == {name: written[name] for name in without_defaults(item)}


def test_a_payment_of_version_1_is_read_as_ever() -> None:
    assert payment_of(decode_item(sample("payment-1"))) == Payment(
        key=PaymentKey("hitpay", "charge_1"),
        payment_record="pr_1",
        currency="sgd",
        captured=9999,
        held=2500,
        moved=2500,
        foreign_on_charge=100,
        bound_amount=2500,
        report_due_count=1,
        report_due_amount=2500,
        revision=2,
    )


def test_an_item_of_a_newer_release_is_read_and_keeps_all_that_is_not_understood(
    table: Table,
) -> None:
    typed: Any = sample("refund-from-a-newer-release") | {"later_bytes": {"B": b"\x00\x01"}}
    table.client.put_item(TableName=table.name, Item=typed)
    ledger = table.ledger()
    refund = ledger.refund("rfd_sample2")
    assert refund is not None
    assert (refund.state, refund.schema_version, refund.request.amount) == ("submitting", 2, None)
    assert (refund.payment_record, refund.updated_at_ms) == (None, NOW)
    after = transition(
        refund,
        Event.REJECT,
        why("processor_answered", status=422),
        failure=Failure(code="refund_rejected", message="no"),
        report=replace(refund.report, last_error="never asked"),
        next_check_ms=NOW,
    )
    ledger.commit(Commit(refunds=(RefundWrite(refund, after),)))
    kept = ledger.refund("rfd_sample2")
    assert kept == replace(after, revision=2)
    raw: Any = table.client.get_item(
        TableName=table.name, Key={"pk": typed["pk"], "sk": typed["sk"]}
    )["Item"]
    for name in ("later_bytes", "later_fraction", "later_map", "request", "schema_version"):
        assert raw[name] == typed[name]
    assert sorted(raw["later_set"]["SS"]) == ["a", "b"]
    assert raw["report"]["M"]["later_note"] == typed["report"]["M"]["later_note"]
    assert raw["history"]["L"][0] == typed["history"]["L"][0]


def test_what_a_newer_release_adds_survives_taking_a_report_and_changing_a_payment(
    table: Table,
) -> None:
    full, payment = keep(table, a_full_refund()), a_payment()
    table.ledger().commit(Commit(payments=(PaymentWrite(None, payment),)))
    added = {"later": {"a": ["b"]}}
    item = item_of(table, full)
    table.put(item | added | {"report": item["report"] | added})
    table.put((table.item(payment_item_key(payment.key)) or {}) | added)
    taken = table.ledger().take_check(full.id, now_ms=NOW * 2, until_ms=NOW * 3)
    assert taken is not None
    before = replace(payment, revision=1)
    after = replace(payment, held=1)
    table.ledger().commit(Commit(payments=(PaymentWrite(before, after),)))
    item = item_of(table, full)
    assert (item["later"], item["report"]["later"]) == (added["later"], added["later"])
    assert (table.item(payment_item_key(payment.key)) or {})["later"] == added["later"]


def test_a_credit_note_is_stored_once_it_is_owed_and_then_changed_in_place(table: Table) -> None:
    first = keep(table, a_refund())
    assert "credit_note" not in item_of(table, first)
    owed = credit_note_transition(first, CreditNoteEvent.OWE, why("said"), attempts=1)
    due = change(table, first, owed)
    assert item_of(table, first)["credit_note"] == {"state": "due", "attempts": 1}
    # Given a newer release that adds to it
    item = item_of(table, first)
    table.put(item | {"credit_note": item["credit_note"] | {"later": "?"}})
    ended = credit_note_transition(due, CreditNoteEvent.ISSUE, why("said"), id="cn_1")
    after = change(table, due, ended)
    assert (after.credit_note.state, after.credit_note.id) == (CreditNoteState.ISSUED, "cn_1")
    assert item_of(table, first)["credit_note"]["later"] == "?"


def test_a_fee_is_stored_once_it_is_known_and_absent_until_then(table: Table) -> None:
    first = keep(table, a_refund())
    assert "fee" not in item_of(table, first)
    second = change(table, first, replace(first, fee=Money(0, "sgd")))
    assert item_of(table, first)["fee"] == {"amount": 0, "currency": "sgd"}
    third = change(table, second, replace(second, fee=Money(65, "usd")))
    assert third.fee == Money(65, "usd")


def test_what_a_newer_release_adds_to_a_claim_survives_confirming_it(table: Table) -> None:
    claim = ProcessorRefundClaim("hitpay", unique("hp"), unique("rfd"))
    table.ledger().commit(Commit(claims=(claim,)))
    key = processor_refund_claim_key("hitpay", claim.processor_refund_id)
    table.put((table.item(key) or {}) | {"later": 1, "schema_version": 2})
    table.ledger().commit(Commit(claims=(claim,)))
    item = table.item(key)
    assert item == key | {"holder": claim.refund_id, "later": 1, "schema_version": 2}


@pytest.mark.parametrize("name", ["id", "request", "state", "amount", "currency", "revision"])
def test_a_refund_without_what_every_release_writes_is_no_answer(table: Table, name: str) -> None:
    refund = keep(table, a_refund())
    item = item_of(table, refund)
    del item[name]
    table.put(item)
    with pytest.raises(LedgerUnavailableError, match="cannot be read"):
        table.ledger().refund(refund.id)


def test_every_write_leaves_its_own_mark(table: Table) -> None:
    first = keep(table, a_refund())
    mark = item_of(table, first)["write_id"]
    change(table, first, first)
    assert item_of(table, first)["write_id"] != mark


def test_only_refunds_that_are_due_are_in_the_due_index(table: Table) -> None:
    first = keep(table, a_refund())
    assert not {"due_at", "due_shard", "next_check_ms"} & set(item_of(table, first))
    second = change(table, first, replace(first, next_check_ms=NOW + 1))
    item = item_of(table, first)
    assert item["due_at"] == item["next_check_ms"] == NOW + 1
    assert item["due_shard"] in ALL_SHARDS
    assert [item["pk"]] == [
        pk
        for pk in table.keys_in("due", due_shard=item["due_shard"])
        if pk == refund_key(first.id)["pk"]
    ]
    third = change(table, second, replace(second, next_check_ms=None))
    assert third.next_check_ms is None
    assert not {"due_at", "due_shard", "next_check_ms"} & set(item_of(table, first))
    assert item["pk"] not in table.keys_in("due", due_shard=item["due_shard"])


def test_ids_spread_over_all_shards() -> None:
    shards = {str(refund_item(a_refund(next_check_ms=1))["due_shard"]) for _ in range(400)}
    assert shards == ALL_SHARDS == {f"due#{n}" for n in range(8)}


def test_refunds_are_listed_by_payment_intent_invoice_month_and_status(table: Table) -> None:
    intent, invoice = unique("pi"), unique("in")
    ids = [
        keep(table, a_refund(payment_intent=intent, invoice=invoice, created_at_ms=at)).id
        for at in (NOW, 5, NOW + 1)
    ]
    in_time = [f"refund#{ids[n]}" for n in (1, 0, 2)]
    assert table.keys_in("by_payment_intent", payment_intent=intent) == in_time
    assert table.keys_in("by_invoice", invoice=invoice) == in_time
    months = {name: table.keys_in("by_month", list_month=name) for name in ("1970-01", "2024-03")}
    assert in_time[0] in months["1970-01"]
    assert in_time[2] in months["2024-03"]
    assert in_time[1] in table.keys_in("by_status", status_month="pending#2024-02")


def test_refunds_are_listed_by_their_payment(table: Table) -> None:
    charge = unique("charge") + "#x"
    refunds = [keep(table, a_refund(processor_payment_id=charge)) for _ in range(2)]
    listed = table.keys_in("by_payment", payment_key=f"hitpay#{charge}")
    assert sorted(listed) == sorted(f"refund#{refund.id}" for refund in refunds)


def test_a_refund_without_intent_and_invoice_is_in_neither_index(table: Table) -> None:
    item = item_of(table, keep(table, a_refund()))
    assert not {"payment_intent", "invoice"} & set(item)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.REQUESTED, "pending"),
        (State.SUBMITTING, "pending"),
        (State.UNKNOWN, "pending"),
        (State.PENDING, "pending"),
        (State.SUCCEEDED, "succeeded"),
        (State.REJECTED, "failed"),
        (State.FAILED, "failed"),
        (State.ABORTED, "failed"),
        (State.REVIEW, "review"),
    ],
)
def test_the_status_index_speaks_the_callers_words(state: State, status: str) -> None:
    assert refund_item(replace(a_refund(), state=state))["status_month"] == f"{status}#2024-02"


def test_the_status_index_follows_the_state(table: Table) -> None:
    first = keep(table, a_refund())
    change(table, first, transition(first, Event.REJECT, why("said")))
    assert item_of(table, first)["status_month"] == "failed#2024-02"
