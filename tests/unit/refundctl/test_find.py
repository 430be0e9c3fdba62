"""Whatever somebody has at hand of a refund leads to it: an id, a key, or words in it."""

from dataclasses import replace

import pytest

from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState
from refundctl import find
from refundctl.exits import Exit
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator

DAY_MS = 24 * 60 * STEP_MS


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """Refunds of one payment: by its record, by its intent, and in the dashboard."""
    link = {"hitpay_payment_id": "charge-1", "stripe_payment_record_id": "pr_1"}
    world.stripe.add_reference("pi_1", link)
    made = {
        "record": world.refund("order 1007", amount=100, reason="Torn sleeve").refund.id,
        "intent": world.refund(
            "k2",
            reference_type=ReferenceType.PAYMENT_INTENT,
            record="pi_1",
            amount=200,
            metadata={"order": "A-1008", "note": "second try"},
        ).refund.id,
    }
    world.processor.refund_in_dashboard("charge-1", 300)
    world.observe(world.payment().key, world.deadline())
    (made["dashboard"],) = set(world.ledger.refunds) - set(made.values())
    return made


def found(operator: Operator, line: str) -> dict[str, str]:
    return {one["id"]: one["found_by"] for one in operator.json(f"find {line}")}


def test_every_kind_of_name_is_looked_up(
    world: World, operator: Operator, ids: dict[str, str]
) -> None:
    first = ids["record"]
    processor_refund = world.ledger.refunds[first].processor_refund_id
    assert found(operator, first) == {first: "id"}
    assert found(operator, "order 1007")[first] == "idempotency key"
    assert found(operator, str(processor_refund)) == {first: "the processor's refund"}
    # A payment's names lead to all of its refunds, a dashboard's too
    for name, kind in (
        ("pr_1", "Payment Record"),
        ("pi_1", "PaymentIntent"),
        ("charge-1", "charge"),
    ):
        assert found(operator, name) == dict.fromkeys(ids.values(), kind)


def test_words_are_looked_for_in_reason_metadata_and_key(
    operator: Operator, ids: dict[str, str]
) -> None:
    assert found(operator, "sleeve") == {ids["record"]: "reason"}
    assert found(operator, "a-1008") == {ids["intent"]: "metadata order"}
    assert found(operator, "TRY order") == {ids["intent"]: "metadata order, metadata note"}
    assert found(operator, "1007") == {ids["record"]: "idempotency key"}
    assert found(operator, "nothing-says-so") == {}


def test_a_credit_note_leads_to_the_refund_that_it_is_for(
    world: World, operator: Operator, ids: dict[str, str]
) -> None:
    refund = world.ledger.refunds[ids["record"]]
    note = CreditNote(state=CreditNoteState.ISSUED, id="cn_1MxvRqLkdIwHu7ixABCDEFGH")
    world.ledger.refunds[refund.id] = replace(refund, credit_note=note)
    assert found(operator, "cn_1MxvRqLkdIwHu7ixABCDEFGH") == {refund.id: "credit note"}
    assert found(operator, "cn_another") == {}


def test_how_far_was_looked_is_said(
    world: World, operator: Operator, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.clock.advance(40 * DAY_MS)
    assert "in 0 refunds" in operator.done("find sleeve").err
    assert found(operator, "sleeve --since 60d") == {ids["record"]: "reason"}
    monkeypatch.setattr(find, "READ_MAX", 1)
    assert "in 3 refunds made since 2023-11-14" in operator.done("find x --since 60d").err


def test_names_that_nothing_can_have_are_found_nowhere(operator: Operator) -> None:
    for name in ("''", "'\u202e'", "x" * 300):
        assert operator.json(f"find {name}") == []


class TestFilters:
    """`list` by what an operator knows of a refund."""

    def test_an_intent_stands_for_its_payment(
        self, operator: Operator, ids: dict[str, str]
    ) -> None:
        assert {one["id"] for one in operator.json("list --intent pi_1")} == set(ids.values())

    def test_they_go_together(self, operator: Operator, ids: dict[str, str]) -> None:
        line = "list --status succeeded,failed --amount 1.00 --currency SGD --processor hitpay"
        assert [one["id"] for one in operator.json(line)] == [ids["record"]]
        assert operator.json(f"{line} --reason other") == []
        assert operator.json(f"{line} --intent pi_1 --reason 'Torn sleeve'")[0]["id"]

    @pytest.mark.parametrize("amount", ["1.000,50", "1,00", "1", "1.0", "-1.00", "0.00", "1.000"])
    def test_an_amount_that_can_be_taken_for_another_is_refused(
        self, operator: Operator, amount: str
    ) -> None:
        line = f"list --currency sgd --amount={amount}"
        if amount == "1":
            assert operator.json(line) == []
            return
        ended = operator(line)
        assert (ended.exit_code, ended.out) == (Exit.MISUSED, "")
        assert amount in ended.err

    def test_an_amount_needs_its_currency(self, operator: Operator) -> None:
        assert operator("list --amount 1.00").exit_code == Exit.MISUSED
        assert operator("list --amount 10.00 --currency jpy").exit_code == Exit.MISUSED


class TestShow:
    """`show` leads on from whatever names a refund."""

    def test_what_leads_to_one_refund_shows_it(
        self, world: World, operator: Operator, ids: dict[str, str]
    ) -> None:
        processor_refund = world.ledger.refunds[ids["record"]].processor_refund_id
        for name in (processor_refund, "'order 1007'"):
            assert operator.json(f"show {name}")["id"] == ids["record"]

    def test_what_leads_to_several_names_each_as_a_line(
        self, operator: Operator, ids: dict[str, str]
    ) -> None:
        ended = operator("show pi_1")
        assert ended.exit_code == Exit.REFUSED
        assert "pi_1 leads to 3 refunds." in ended.err
        assert all(f"refundctl show {one}" in ended.err for one in ids.values())
        assert operator("show nobody").exit_code == Exit.REFUSED
