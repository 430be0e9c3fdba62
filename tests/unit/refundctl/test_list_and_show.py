"""Refunds are listed, the stuck ones first, and one is shown from its first line to its last."""

import re
from dataclasses import replace
from typing import Any

import pytest

from deployed.command_lines import WORDS
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refund_bridge.reporting.report import ReportFailedError
from refundctl.exits import Exit
from refundctl.facts import goes_to
from tests.contract.ledger.examples import a_refund, a_request
from tests.fakes.processor_fates import Answered, Conduct, ReplyLost, RequestLost
from tests.fakes.stripe_fates import Arrives, TurnedAway
from tests.fakes.world import GRACE_MS, STAGE, STEP_MS, World
from tests.unit.refundctl.operator import Operator

DAY_MS = 24 * 60 * STEP_MS


def fact(shown: str, name: str) -> str:
    """What is shown of a payment or a refund under a name."""
    (line,) = [one for one in shown.splitlines() if re.match(rf"\W*{name}\s", one)]
    return re.sub(rf"^\W*{name}", "", line).strip(" \u2502")


def reported(world: World, key: str, amount: int = 100) -> str:
    """The id of a refund that is done."""
    refund_id = world.refund(key, amount=amount).refund.id
    world.report(refund_id)
    return refund_id


def unknown(world: World, key: str, record: str) -> str:
    """The id of a refund whose answer was lost."""
    world.processor.fates.append(RequestLost())
    return world.refund(key, record=record, amount=100).refund.id


class TestList:
    def test_what_is_stuck_comes_first_and_of_that_the_oldest(
        self, world: World, operator: Operator
    ) -> None:
        # Given refunds that are done and refunds that are not, one made after the other
        made = []
        for number, name in enumerate("abc"):
            world.pay(name)
            made.append(reported(world, f"done-{name}", 100 + number))
            world.clock.advance(STEP_MS)
            made.append(unknown(world, f"stuck-{name}", f"pr_{name}"))
            world.clock.advance(STEP_MS)
        # Then the stuck ones come first, oldest first, and then the others, newest first
        listed = [one["id"] for one in operator.json("list")]
        assert listed == [*made[1::2], *reversed(made[0::2])]
        # And a person sees the same, with what is known of each
        table = operator.done("list").out
        assert [line.split()[0] for line in table.splitlines()[1:]] == listed
        assert "SGD 1.02" in table
        assert "unknown" in table

    def test_what_is_stuck_is_listed_however_old_it_is(
        self, world: World, operator: Operator
    ) -> None:
        world.pay("old")
        stuck = unknown(world, "stuck", "pr_old")
        reported(world, "done")
        world.clock.advance(400 * DAY_MS)
        new = reported(world, "new")
        assert [one["id"] for one in operator.json("list")] == [stuck, new]
        assert [one["id"] for one in operator.json("list --since 7d")] == [new]
        assert len(operator.json("list --since 500d")) == 3

    def test_a_report_that_is_owed_or_failed_is_stuck(
        self, world: World, operator: Operator
    ) -> None:
        owed = world.refund("owed", amount=100).refund.id
        failed = world.refund("failed", amount=200).refund.id
        world.stripe.decide = lambda _: TurnedAway(1)
        with pytest.raises(ReportFailedError):
            world.report(failed, last=True)
        done = world.refund("other", amount=300).refund.id
        world.stripe.decide = lambda _: Arrives()
        world.report(done)
        shown = {one["id"]: one for one in operator.json("list")}
        assert [shown[one]["ledger"]["stuck"] for one in (owed, failed, done)] == [
            True,
            True,
            False,
        ]
        assert "Stripe limits the rate" in operator.done("list").out

    @pytest.mark.parametrize(
        ("status", "key"),
        [("pending", "lost"), ("succeeded", "done"), ("failed", "refused")],
    )
    def test_of_one_status_only(
        self, world: World, operator: Operator, status: str, key: str
    ) -> None:
        reported(world, "done")
        world.processor.fates.append(Answered(403, "No."))
        world.refund("refused", amount=100)
        world.pay("2")
        unknown(world, "lost", "pr_2")
        (one,) = operator.json(f"list --status {status}")
        assert one["id"] == refund_id_of(key, STAGE)

    def test_reports_that_failed_long_ago_are_found_behind_all_that_is_newer(
        self, world: World, operator: Operator
    ) -> None:
        # Given a report that failed, and was forgotten, and more refunds since than are listed
        failed = world.refund("failed", amount=200).refund.id
        world.stripe.decide = lambda _: TurnedAway(1)
        with pytest.raises(ReportFailedError):
            world.report(failed, last=True)
        world.stripe.decide = lambda _: Arrives()
        world.clock.advance(70 * DAY_MS)
        owed = world.refund("owed", amount=100).refund.id
        for number in range(4):
            world.clock.advance(STEP_MS)
            reported(world, f"k{number}")
        # Then it is found as far back as one looks, and how far that is is said
        ended = operator.done("list --report failed --limit 2 --json")
        assert ended.value == []
        assert "since 2023-12-24 22:17:20 UTC; older: say --since" in ended.err
        ended = operator.done("list --report failed --since 80d --limit 2 --json")
        assert [one["id"] for one in ended.value] == [failed]
        assert ended.err == ""
        assert [one["id"] for one in operator.json("list --report due")] == [owed]
        assert len(operator.json("list --report reported")) == 4
        assert operator.done("list --report failed --payment pr_1").err == ""

    def test_credit_notes_that_failed_are_found(self, world: World, operator: Operator) -> None:
        done = reported(world, "done")
        reported(world, "other")
        stored = world.stored("done")
        note = CreditNote(state=CreditNoteState.FAILED, attempts=1, last_error="refused: void")
        world.ledger.refunds[done] = replace(stored, credit_note=note)
        assert [one["id"] for one in operator.json("list --credit-note failed")] == [done]
        assert "no credit note: refused: void" in operator.done("list --credit-note failed").out

    @pytest.mark.parametrize("name", ["pr_2", "charge-2"])
    def test_of_one_payment_by_its_record_or_its_charge(
        self, world: World, operator: Operator, name: str
    ) -> None:
        reported(world, "other")
        world.pay("2")
        mine = [world.refund(f"k{n}", record="pr_2", amount=100).refund.id for n in range(2)]
        found = operator.json(f"list --payment {name}")
        assert sorted(one["id"] for one in found) == sorted(mine)

    def test_of_one_invoice(self, world: World, operator: Operator) -> None:
        invoice = world.pay_invoice("inv")
        refund = world.refund(
            "k", reference_type=ReferenceType.INVOICE, reference_id=invoice, amount=100
        ).refund
        reported(world, "other")
        assert [one["id"] for one in operator.json(f"list --invoice {invoice}")] == [refund.id]
        assert operator.json("list --intent pi_none") == []

    def test_a_payment_that_the_ledger_does_not_know_is_said(self, operator: Operator) -> None:
        ended = operator("list --payment pr_nobody")
        assert (ended.exit_code, ended.out) == (Exit.MISUSED, "")
        assert "pr_nobody" in ended.err

    def test_no_more_than_asked_for_and_that_is_said(
        self, world: World, operator: Operator
    ) -> None:
        made = []
        for number in range(4):
            made.append(reported(world, f"k{number}"))
            world.clock.advance(STEP_MS)
        ended = operator.done("list --limit 3 --json")
        assert [one["id"] for one in ended.value] == list(reversed(made))[:3]
        assert "more than these 3" in ended.err
        assert "more" not in operator.done("list --limit 4").err

    def test_none_are_said_to_be_none(self, operator: Operator) -> None:
        assert operator.json("list") == []
        assert "no such refunds" in operator.done("list").err


class TestShow:
    def test_the_whole_history_as_a_timeline_with_its_evidence(
        self, world: World, operator: Operator
    ) -> None:
        # Given a refund whose answer was lost, that was found, and reported
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        world.settle_due()
        world.live_for(GRACE_MS + 10 * STEP_MS)
        stored = world.stored("k")
        # Then each step is there, for a person ...
        shown = operator.done(f"show {refund.id}").out
        for entry in stored.history:
            assert entry.cause in shown
            assert entry.after in shown
        assert f"processor_refund_id={stored.processor_refund_id}" in shown
        assert "2023-11-14" in shown
        assert "SGD 25.00" in shown
        assert "SGD 74.99" in shown  # still refundable
        # ... and for machines
        value = operator.json(f"show {refund.id}")
        assert [line["cause"] for line in value["history"]] == [e.cause for e in stored.history]
        assert value["history"][0]["at"].endswith("Z")
        assert value["status"] == "succeeded"
        assert value["report"]["state"] == "reported"
        assert value["report"]["parameters"]["refund_reference"] == stored.processor_refund_id
        assert value["ledger_payment"]["booked"] == 2500
        assert value["payment"]["refundable_amount"] == 7499

    def test_by_its_idempotency_key(self, world: World, operator: Operator) -> None:
        refund_id = reported(world, "order-1007")
        assert operator.json("show --key order-1007")["id"] == refund_id

    def test_what_is_known_of_one_that_is_not_settled(
        self, world: World, operator: Operator
    ) -> None:
        refund_id = unknown(world, "k", "pr_1")
        world.settle_due()
        shown = operator.done(f"show {refund_id}").out
        assert "no processor refund found" in shown
        assert "no processor refund found (looks in this state: 1, answered: 1)" in shown
        assert re.search(r"unclaimed before we sent +none", shown)
        assert "busy with" in shown
        value = operator.json(f"show {refund_id}")["ledger"]
        assert (value["state"], value["snapshot"], value["look_ups"]) == ("unknown", [], 1)

    def test_what_moved_is_not_counted_again_as_held(
        self, world: World, operator: Operator
    ) -> None:
        # Given of one payment a refund that moved 25.00, and one of 10.00 whose outcome is unknown
        moved = world.refund("moved", amount=2500).refund
        world.processor.fates.append(RequestLost())
        unknown = world.refund("open", amount=1000).refund
        # When either is shown, then no amount stands in two lines, and they add up to the payment
        for refund in (moved, unknown):
            shown = operator.done(f"show {refund.id}").out
            assert fact(shown, "captured") == "SGD 99.99"
            assert fact(shown, "held by open refunds") == "SGD 10.00"
            assert fact(shown, "moved") == "SGD 25.00"
            assert fact(shown, "still refundable") == "SGD 64.99"
        # And machines read the ledger's own sum, as before
        assert operator.json(f"show {moved.id}")["ledger_payment"]["held"] == 3500

    def test_a_success_that_was_taken_back(self, world: World, operator: Operator) -> None:
        refund = world.refund("k", amount=100).refund
        world.processor.books.set_status(
            refund.processor_refund_id or "", ProcessorRefundStatus.FAILED
        )
        world.observe(world.payment().key, world.deadline())
        assert "taken back" in operator.done(f"show {refund.id}").out
        assert "taken back" in operator.done("list").out

    def test_a_failure(self, world: World, operator: Operator) -> None:
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(Answered(403, "Insufficient balance."))
        refund = world.refund("k", amount=100).refund
        assert "Insufficient balance." in operator.done(f"show {refund.id}").out

    def test_what_may_be_done_is_shown_as_lines_for_a_shell(
        self, world: World, operator: Operator
    ) -> None:
        done = reported(world, "done")
        assert "refundctl" not in operator.done(f"show {done}").out
        stored = world.stored("done")
        failed = replace(stored.report, state=ReportState.FAILED)
        note = CreditNote(state=CreditNoteState.FAILED)
        for changed, line in (
            (replace(stored, state=State.REVIEW), f"review {done}"),
            (
                replace(stored, state=State.REQUESTED),
                f"withdraw {done} --reason '{WORDS}' --dry-run",
            ),
            (replace(stored, report=failed), f"dlq replay --id {done} --dry-run"),
            (replace(stored, credit_note=note), f"notes replay {done} --dry-run"),
        ):
            world.ledger.refunds[done] = changed
            told = operator.done(f"show {done} --stage production").out
            assert f"refundctl {line} --stage production" in told

    def test_a_failed_report_that_no_record_books_is_not_replayed(
        self, world: World, operator: Operator
    ) -> None:
        done = reported(world, "done")
        stored = world.stored("done")
        report = replace(stored.report, state=ReportState.FAILED, parameters=None)
        world.ledger.refunds[done] = replace(stored, report=report)
        assert "refundctl" not in operator.done(f"show {done}").out

    def test_one_that_does_not_exist(self, operator: Operator) -> None:
        ended = operator("show rfd_nobody")
        assert ended.exit_code == Exit.REFUSED
        assert "rfd_nobody" in ended.err

    @pytest.mark.parametrize("line", ["show", "show rfd_x --key k"])
    def test_it_must_be_named_once(self, operator: Operator, line: str) -> None:
        assert operator(line).exit_code == Exit.MISUSED


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"payment_record": "pr_1"}, "pr_1"),
        ({"payment_record": None, "processor_payment_id": "charge-1"}, "charge-1"),
        (
            {
                "payment_record": None,
                "request": a_request(
                    reference_type=ReferenceType.PAYMENT_METHOD, reference_id="card-1"
                ),
            },
            "to card-1",
        ),
    ],
)
def test_a_row_says_what_is_refunded_or_where_the_money_goes(
    facts: dict[str, Any], shown: str
) -> None:
    assert goes_to(replace(a_refund(), **facts)) == shown
