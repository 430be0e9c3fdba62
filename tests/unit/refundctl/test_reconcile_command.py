"""Every payment is compared on all sides; what differs is listed, and what is only late is not."""

import csv
import time
from dataclasses import replace
from pathlib import Path

import pytest

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.ports.processor import ProviderUnavailableError
from refundctl import comparing
from refundctl.exits import Exit
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator

LATER_MS = 60 * STEP_MS


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, in seconds, instead of waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def agreeing(world: World) -> World:
    """Seven payments, each with a refund that is done."""
    for number in range(7):
        world.pay(f"p{number}")
        refund = world.refund(f"k{number}", record=f"pr_p{number}", amount=100 + number).refund
        world.report(refund.id)
    world.clock.advance(LATER_MS)
    return world


def test_sides_that_agree_end_with_0_and_nothing_listed(
    agreeing: World, operator: Operator, tmp_path: Path
) -> None:
    file = tmp_path / "differences.csv"
    ended = operator.done(f"reconcile --since 7d --csv {file} --json")
    assert ended.value == {
        "payments": 7,
        "compared": 7,
        "open": 0,
        "differences": [],
        "not_compared": {},
        "stopped": None,
    }
    assert file.read_text().count("\n") == 1
    assert "Compared 7 of 7 payments: 0 differences" in ended.err
    assert "No differences" in operator.done("reconcile --since 7d").err


def test_each_difference_is_one_line(agreeing: World, operator: Operator, tmp_path: Path) -> None:
    # Given a dashboard refund that nobody learnt of, and a report that Stripe lost
    made = agreeing.processor.refund_in_dashboard("charge-p3", 250)
    assert isinstance(made, ProcessorRefund)
    lost = agreeing.stripe.books.reports.pop(5)
    agreeing.clock.advance(LATER_MS)
    # Then both are listed, for machines ...
    file = tmp_path / "differences.csv"
    ended = operator(f"reconcile --since 7d --csv {file} --json")
    assert ended.exit_code == Exit.REFUSED
    found = {one["kind"]: one for one in ended.value["differences"]}
    assert set(found) == {"movement_unclaimed", "stripe_lower"}
    assert found["movement_unclaimed"]["processor_refund"] == made.id
    assert found["movement_unclaimed"]["processor"] == 250
    assert found["stripe_lower"]["payment_record"] == lost.parameters.payment_record
    assert (found["stripe_lower"]["ledger"], found["stripe_lower"]["stripe"]) == (105, 0)
    # ... in the file, in the major unit ...
    with file.open(newline="") as lines:
        rows = {row["kind"]: row for row in csv.DictReader(lines)}
    assert rows["movement_unclaimed"]["processor"] == "2.50"
    assert (rows["stripe_lower"]["ledger"], rows["stripe_lower"]["stripe"]) == ("1.05", "0.00")
    # ... and for a person
    assert "SGD 2.50" in operator("reconcile --since 7d").out


def test_payments_of_a_processor_that_is_not_set_up_stop_nothing(
    agreeing: World, operator: Operator
) -> None:
    # Given seven payments of a processor that was taken away since
    agreeing.doors.pop("hitpay")
    # When all are compared
    ended = operator("reconcile --since 7d --json")
    # Then each is named, and nobody is said to give no answer
    assert ended.exit_code == Exit.UNREACHABLE
    assert len(ended.value["not_compared"]) == 7
    assert ended.value["stopped"] is None
    # And nobody can take that for agreement
    assert (ended.value["compared"], ended.value["differences"]) == (0, [])
    told = operator("reconcile --since 7d").err
    assert told.startswith("Compared 0 of 7 payments")
    assert "Nothing could be compared." in told
    assert "No differences" not in told


def test_only_payments_with_a_refund_since_then(agreeing: World, operator: Operator) -> None:
    agreeing.stripe.books.reports.pop()
    agreeing.clock.advance(24 * LATER_MS)
    assert operator.json("reconcile --since 12h")["payments"] == 0
    assert operator("reconcile --since 48h").exit_code == Exit.REFUSED


def test_what_is_on_its_way_is_counted_and_no_difference(world: World, operator: Operator) -> None:
    world.processor.fates.append(RequestLost())
    world.refund("k", amount=100)
    ended = operator.done("reconcile --since 1h --json")
    assert (ended.value["open"], ended.value["differences"]) == (1, [])
    assert operator("reconcile --since 1h --grace 0s").exit_code == Exit.REFUSED


def test_a_difference_that_is_gone_when_one_looks_again_is_none(
    agreeing: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a report that Stripe shows a moment later than the ledger
    late = agreeing.stripe.books.reports.pop()
    original = agreeing.stripe.payment_record
    asked: list[str] = []

    def shows_later(name: str, deadline: object) -> object:
        asked.append(name)
        if asked.count(name) == 2 and late not in agreeing.stripe.books.reports:
            agreeing.stripe.books.reports.append(late)
        return original(name, deadline)  # type: ignore[arg-type]

    monkeypatch.setattr(agreeing.stripe, "payment_record", shows_later)
    assert operator.json("reconcile --since 7d")["differences"] == []


def test_a_payment_that_changes_while_it_is_read_is_read_again(
    agreeing: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = agreeing.ledger.payment
    reads: list[PaymentKey] = []

    def busy(key: PaymentKey) -> Payment | None:
        reads.append(key)
        payment = original(key)
        if payment is not None and reads.count(key) == 2:
            agreeing.ledger.payments[key] = replace(payment, revision=payment.revision + 1)
            return original(key)
        return payment

    monkeypatch.setattr(agreeing.ledger, "payment", busy)
    operator.done("reconcile --since 7d")
    assert len(reads) == 7 * 4


class TestBeyondTheLedger:
    def test_a_refunded_charge_with_a_trace_of_stripe_that_the_ledger_lacks(
        self, agreeing: World, operator: Operator
    ) -> None:
        # Given a charge that names a PaymentIntent, one that does not, one that was not refunded
        for name in ("traced", "stranger", "quiet"):
            agreeing.pay(name)
            agreeing.processor.references[f"charge-{name}"] = f"pi_{name}"
        agreeing.processor.references["charge-stranger"] = "order-1"
        agreeing.processor.refund_in_dashboard("charge-traced", 4000)
        agreeing.processor.refund_in_dashboard("charge-stranger", 4000)
        ended = operator("reconcile --since 7d --json")
        assert ended.exit_code == Exit.REFUSED
        (one,) = ended.value["differences"]
        assert (one["kind"], one["charge"], one["processor"]) == (
            "charge_unknown",
            "charge-traced",
            4000,
        )
        # And one may choose not to look
        assert operator.json("reconcile --since 7d --charges 0")["differences"] == []

    def test_only_so_many_of_the_newest_are_looked_at(
        self, agreeing: World, operator: Operator
    ) -> None:
        agreeing.processor.page_size = 2
        agreeing.processor.references["charge-old"] = "pi_old"
        charges = agreeing.processor.books.charges
        agreeing.pay("old")
        agreeing.processor.refund_in_dashboard("charge-old", 4000)
        agreeing.processor.books.charges = {"charge-old": charges.pop("charge-old"), **charges}
        assert operator.json("reconcile --since 7d --charges 6")["differences"] == []
        assert operator("reconcile --since 7d --charges 9").exit_code == Exit.REFUSED


class TestTrouble:
    def test_a_provider_that_is_busy_is_asked_again_when_it_wishes(
        self,
        agreeing: World,
        operator: Operator,
        waited: list[float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        original = agreeing.stripe.payment_record
        refusals = [ProviderUnavailableError("429", retry_after_s=7)] * 2

        def busy(name: str, deadline: object) -> object:
            if refusals:
                raise refusals.pop()
            return original(name, deadline)  # type: ignore[arg-type]

        monkeypatch.setattr(agreeing.stripe, "payment_record", busy)
        operator.done("reconcile --since 7d")
        assert waited.count(7) == 2

    def test_a_provider_that_is_away_stops_it(
        self, agreeing: World, operator: Operator, waited: list[float]
    ) -> None:
        agreeing.processor.is_down = True
        ended = operator("reconcile --since 7d --json")
        assert ended.exit_code == Exit.UNREACHABLE
        assert ended.value["stopped"] == "hitpay: no whole answer"
        assert len(ended.value["not_compared"]) == comparing.SILENT_MAX
        assert "Stopped" in ended.err

    def test_one_payment_that_cannot_be_read_stops_nothing_else(
        self, agreeing: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = agreeing.processor.charge

        def unreadable(name: str, deadline: object) -> object:
            if name == "charge-p2":
                raise ProviderUnavailableError("not an object")
            return original(name, deadline)  # type: ignore[arg-type]

        monkeypatch.setattr(agreeing.processor, "charge", unreadable)
        ended = operator("reconcile --since 7d --charges 0 --json")
        assert ended.exit_code == Exit.UNREACHABLE
        assert ended.value["not_compared"] == {"charge-p2": "not an object"}
        assert "charge-p2" in ended.err

    def test_a_difference_is_told_even_if_not_all_could_be_compared(
        self, agreeing: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agreeing.stripe.books.reports.pop(0)
        original = agreeing.processor.charge

        def unreadable(name: str, deadline: object) -> object:
            if name == "charge-p6":
                raise ProviderUnavailableError("not an object")
            return original(name, deadline)  # type: ignore[arg-type]

        monkeypatch.setattr(agreeing.processor, "charge", unreadable)
        assert operator("reconcile --since 7d --charges 0").exit_code == Exit.REFUSED

    def test_what_is_missing_at_a_provider_is_a_difference(
        self, agreeing: World, operator: Operator
    ) -> None:
        del agreeing.processor.books.charges["charge-p0"]
        del agreeing.stripe.books.records["pr_p1"]
        found = operator("reconcile --since 7d --json").value["differences"]
        kinds = {one["kind"]: one["payment_record"] for one in found}
        assert kinds == {"charge_missing": "pr_p0", "record_missing": "pr_p1"}
