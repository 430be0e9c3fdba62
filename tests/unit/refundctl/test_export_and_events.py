"""The accountants get one exact line per refund; subscribers get again what they lost."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refundctl.exits import Exit
from tests.fakes.processor_fates import Answered, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator

DAY_MS = 24 * 60 * STEP_MS


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestExport:
    def test_one_line_per_refund_the_oldest_first(self, world: World, operator: Operator) -> None:
        # Given a refund that is done, one that was refused, and one that is not settled
        first = world.refund("done", amount=2500, reason="duplicate").refund
        world.report(first.id)
        world.clock.advance(STEP_MS)
        world.processor.fates.append(Answered(403, "No."))
        world.refund("refused", amount=100)
        world.clock.advance(STEP_MS)
        world.processor.fates.append(RequestLost())
        world.refund("lost", amount=200)
        done, refused, lost = rows(operator.done("export --since 7d").out)
        assert done == {
            "refund": first.id,
            "status": "succeeded",
            "amount_minor": "2500",
            "amount": "25.00",
            "currency": "sgd",
            "processor": "hitpay",
            "processor_payment": "charge-1",
            "processor_refund": first.processor_refund_id,
            "payment_record": "pr_1",
            "payment_intent": "",
            "invoice": "",
            "source": "api",
            "reason": "duplicate",
            "created_at": "2023-11-14T22:13:20.000Z",
            "refunded_at": "2023-11-14T22:13:20.000Z",
            "report_status": "reported",
            "reported_at": "2023-11-14T22:13:20.000Z",
            "taken_back_at": "",
            "credit_note": "",
            "failure": "",
            "payment_amount_minor": "9999",
            "payment_amount": "99.99",
            "fee_minor": "",
            "fee": "",
            "fee_currency": "",
        }
        assert (refused["status"], refused["failure"]) == ("failed", "refund_rejected")
        assert (lost["status"], lost["processor_refund"], lost["refunded_at"]) == (
            "pending",
            "",
            "",
        )

    @pytest.mark.parametrize(
        ("currency", "minor", "major"),
        [
            ("jpy", 5000, "5000"),
            ("kwd", 1230, "1.230"),
            ("idr", 1_500_000, "15000.00"),
            ("sgd", 90_071_992_547_40993, "90071992547409.93"),  # more than a float can tell
        ],
    )
    def test_amounts_are_exact_in_both_units(
        self, world: World, operator: Operator, currency: str, minor: int, major: str
    ) -> None:
        world.pay("2", minor, currency)
        world.refund("k", record="pr_2")
        (row,) = rows(operator.done("export --since 7d").out)
        assert (row["amount_minor"], row["amount"]) == (str(minor), major)

    def test_what_was_taken_back_is_said(self, world: World, operator: Operator) -> None:
        refund = world.refund("k", amount=100).refund
        world.processor.books.set_status(
            refund.processor_refund_id or "", ProcessorRefundStatus.FAILED
        )
        world.observe(world.payment().key, world.deadline())
        (row,) = rows(operator.done("export --since 7d").out)
        assert row["taken_back_at"].startswith("2023-11-14")
        assert (row["status"], row["failure"]) == ("failed", "taken_back")

    def test_chosen_metadata_are_columns_and_sums_are_said(
        self, world: World, operator: Operator
    ) -> None:
        world.refund("k", amount=100, metadata={"order": "=1007", "customer": "kim"})
        world.refund("l", amount=250)
        ended = operator.done("export --since 7d --metadata order --metadata shelf")
        told = {row["amount"]: row for row in rows(ended.out)}
        assert (told["1.00"]["metadata.order"], told["1.00"]["metadata.shelf"]) == ("'=1007", "")
        assert told["2.50"]["metadata.order"] == ""
        assert "kim" not in ended.out
        assert "SGD 3.50 succeeded: 2 refunds" in ended.err

    def test_fees_stand_in_their_own_currency_and_their_sums_are_said_by_it(
        self, world: World, operator: Operator, tmp_path: Path
    ) -> None:
        # Given fees in two currencies, one of nothing, and a refund of which none is known
        fees = (Money(65, "sgd"), Money(35, "sgd"), Money(7, "jpy"), Money(0, "usd"), None)
        for number, fee in enumerate(fees):
            world.processor.books.fee = fee
            world.refund(f"k{number}", amount=100)
            world.clock.advance(STEP_MS)
        # When they are exported
        ended = operator.done("export --since 7d")
        # Then none is 0 that is not known, and no two currencies are added
        assert [(r["fee_minor"], r["fee"], r["fee_currency"]) for r in rows(ended.out)] == [
            ("65", "0.65", "sgd"),
            ("35", "0.35", "sgd"),
            ("7", "7", "jpy"),
            ("0", "0.00", "usd"),
            ("", "", ""),
        ]
        assert ended.err.splitlines() == [
            "SGD 5.00 succeeded: 5 refunds",
            "JPY 7 taken by processors as fees: 1 refund",
            "SGD 1.00 taken by processors as fees: 2 refunds",
            "USD 0.00 taken by processors as fees: 1 refund",
        ]
        # And machines are given the same with the file
        told = operator.json(f"export --since 7d --output {tmp_path / 'refunds.csv'}")
        assert told["sums"] == [
            {"currency": "sgd", "status": "succeeded", "amount_minor": 500, "refunds": 5}
        ]
        assert told["fees"] == [
            {"currency": "jpy", "amount_minor": 7, "refunds": 1},
            {"currency": "sgd", "amount_minor": 100, "refunds": 2},
            {"currency": "usd", "amount_minor": 0, "refunds": 1},
        ]

    def test_the_fee_is_shown_with_its_refund(self, world: World, operator: Operator) -> None:
        world.processor.books.fee = Money(65, "usd")
        refund = world.refund("k", amount=100).refund
        shown = operator.done(f"show {refund.id}").out
        assert "processor's fee" in shown
        assert "USD 0.65" in shown
        assert operator.json(f"show {refund.id}")["processor_fee"] == {
            "amount": 65,
            "currency": "usd",
        }

    def test_the_same_column_is_given_once(self, world: World, operator: Operator) -> None:
        world.refund("k", amount=100, metadata={"order": "7"})
        ended = operator.done("export --since 7d --metadata order --metadata order")
        assert ended.out.splitlines()[0].count("metadata.order") == 1

    def test_a_refund_that_others_made_before_has_its_time_from_the_processor(
        self, world: World, operator: Operator
    ) -> None:
        world.processor.refund_in_dashboard("charge-1", 500)
        world.refund("k", amount=100)
        sources = {row["source"]: row for row in rows(operator.done("export --since 7d").out)}
        assert sources["processor"]["report_status"] == "due"
        assert sources["processor"]["refunded_at"] == "2023-11-14T22:13:20.000Z"

    @pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1"])
    def test_no_text_is_a_formula(self, world: World, operator: Operator, formula: str) -> None:
        world.refund("k", amount=100, reason=formula)
        (row,) = rows(operator.done("export --since 7d").out)
        assert row["reason"] == f"'{formula}"

    def test_a_text_with_everything_in_it_stays_one_cell(
        self, world: World, operator: Operator
    ) -> None:
        world.refund("k", amount=100, reason='a "b", c\nd')
        assert rows(operator.done("export --since 7d").out)[0]["reason"] == 'a "b", c[U+000A]d'

    def test_from_one_moment_to_another(self, world: World, operator: Operator) -> None:
        made = []
        for number in range(3):
            made.append(world.refund(f"k{number}", amount=100).refund.id)
            world.clock.advance(40 * DAY_MS)
        shown = operator.json("export --since 2023-12-01 --until 2024-01-31T00:00:00+08:00")
        assert [one["refund"] for one in shown] == [made[1]]
        assert shown[0]["amount_minor"] == 100
        assert shown[0]["failure"] is None
        assert len(rows(operator.done("export --since 365d").out)) == 3
        # The first moment belongs to it, the last does not
        exact = "2023-11-14T22:13:20Z"
        assert len(operator.json(f"export --since {exact}")) == 3
        assert operator.json(f"export --since 2023-01-01 --until {exact}") == []

    def test_into_a_file(self, world: World, operator: Operator, tmp_path: Path) -> None:
        world.refund("k", amount=100)
        file = tmp_path / "refunds.csv"
        ended = operator.json(f"export --since 7d --output {file}")
        assert (ended["refunds"], ended["file"]) == (1, str(file))
        assert len(rows(file.read_text())) == 1

    def test_a_span_that_ends_before_it_begins(self, operator: Operator) -> None:
        ended = operator("export --since 1d --until 2d")
        assert (ended.exit_code, ended.out) == (Exit.MISUSED, "")


class TestRepublish:
    @pytest.fixture(autouse=True)
    def no_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: None)

    def owed(self, operator: Operator) -> dict[str, int]:
        return {name: row.owed.from_seq for name, row in operator.backlog.rows.items()}

    def test_what_happened_since_is_owed_from_its_first_line_on(
        self, world: World, operator: Operator
    ) -> None:
        # Given a refund of yesterday that was reported today, one of today, and an old one
        old = world.refund("old", amount=100).refund.id
        world.report(old)
        world.clock.advance(10 * DAY_MS)
        yesterday = world.refund("yesterday", amount=100).refund.id
        world.clock.advance(DAY_MS)
        world.report(yesterday)
        today = world.refund("today", amount=100).refund.id
        lines = [one.after for one in world.stored("yesterday").history]
        # When what happened in the last twelve hours is published again
        assert operator.json("events republish --since 12h") == {"dry_run": False, "refunds": 2}
        # Then it is owed from then on, and no more of it
        assert self.owed(operator) == {yesterday: lines.index("report:reported") + 1, today: 1}
        assert old not in operator.backlog.rows

    def test_a_dry_run_only_counts(self, world: World, operator: Operator) -> None:
        world.refund("k", amount=100)
        assert operator.json("events republish --since 1h --dry-run") == {
            "dry_run": True,
            "refunds": 1,
        }
        assert operator.backlog.rows == {}

    def test_what_is_told_to_nobody_is_not_owed(self, world: World, operator: Operator) -> None:
        # Given a refund older than our first sight, which no event ever told of
        world.processor.refund_in_dashboard("charge-1", 500)
        world.clock.advance(2 * DAY_MS)
        ours = world.refund("k", amount=100).refund.id
        operator.done("events republish --since 1h")
        assert list(self.owed(operator)) == [ours]

    def test_of_refunds_made_long_before(self, world: World, operator: Operator) -> None:
        refund_id = world.refund("k", amount=100).refund.id
        world.clock.advance(60 * DAY_MS)
        world.report(refund_id)
        assert operator.json("events republish --since 1h")["refunds"] == 0
        line = "events republish --since 1h --made-since 90d"
        assert operator.json(line)["refunds"] == 1

    def test_a_ledger_that_is_away(self, world: World, operator: Operator) -> None:
        world.refund("k", amount=100)
        operator.backlog.is_away = True
        assert operator("events republish --since 1h").exit_code == Exit.UNREACHABLE


def test_nothing_but_the_result_is_written_to_stdout(world: World, operator: Operator) -> None:
    world.refund("k", amount=100)
    told: Any = operator.done("export --since 7d")
    assert told.out.splitlines()[0].startswith("refund,status,amount_minor")
    assert told.err == "SGD 1.00 succeeded: 1 refund\n"
