"""A movement that somebody else made, as a refund of its own."""

from dataclasses import replace
from typing import Any

import pytest

from refunds.imports import Import, is_importable, owed_at_first_sight
from refunds.money import Money
from refunds.payment import PaymentKey
from refunds.ports import (
    Movement,
    MovementStatus,
)
from refunds.refund import (
    BEFORE_ADOPTION,
    ReferenceType,
    Refund,
    Source,
    imported_refund_id,
)
from refunds.state_machine import ReportState, State

CHARGE = PaymentKey("hitpay", "charge-1")
NOW = 1_709_251_199_999
SEEN = NOW - 3_600_000


def movement(**facts: Any) -> Movement:
    plain = Movement(
        id="m1",
        payment_id="charge-1",
        money=Money(2500, "sgd"),
        status=MovementStatus.SUCCEEDED,
        processor_status="succeeded",
        created_at_ms=SEEN + 1,
        refunded_at_ms=SEEN + 2,
    )
    return replace(plain, **facts)


class TestImport:
    """The refund that stands for a movement."""

    def of(self, seen: Movement, **facts: Any) -> Refund:
        plain = Import(
            stage="test", key=CHARGE, payment_record="pr_1", first_seen_ms=SEEN, now_ms=NOW
        )
        return replace(plain, **facts).refund_of(seen)

    def test_it_is_bound_and_owes_a_report_for_which_nobody_was_rung(self) -> None:
        refund = self.of(movement())
        assert refund.id == imported_refund_id("hitpay", "m1", "test")
        assert (refund.state, refund.source) == (State.SUCCEEDED, Source.PROCESSOR)
        assert (refund.processor, refund.processor_payment_id) == ("hitpay", "charge-1")
        assert (refund.amount, refund.currency) == (2500, "sgd")
        assert (refund.payment_record, refund.processor_refund_id) == ("pr_1", "m1")
        assert (refund.created_at_ms, refund.updated_at_ms) == (SEEN + 1, NOW)
        assert refund.contradicts is None
        assert (refund.report.state, refund.report.last_ring_ms) == (ReportState.DUE, None)
        assert refund.next_check_ms == NOW

    def test_its_request_is_what_a_caller_would_have_asked_for(self) -> None:
        request = self.of(movement()).request
        assert request.reference_type is ReferenceType.PAYMENT_RECORD
        assert (request.reference_id, request.amount, request.currency) == ("pr_1", 2500, "sgd")
        assert self.of(movement(), payment_record=None).request.reference_id == ""

    def test_its_history_says_who_found_what(self) -> None:
        line = self.of(movement()).history[0]
        assert (line.cause, line.actor, line.at_ms) == ("found_on_charge", "refund-bridge", NOW)
        assert line.evidence["processor_refund_id"] == "m1"

    def test_one_that_is_not_done_is_pending_and_due_at_once(self) -> None:
        refund = self.of(movement(status=MovementStatus.PENDING))
        assert (refund.state, refund.next_check_ms) == (State.PENDING, NOW)
        assert refund.report.state is ReportState.NOT_DUE

    def test_one_that_no_record_books_has_failed_to_be_reported(self) -> None:
        refund = self.of(movement(), payment_record=None)
        assert (refund.report.state, refund.next_check_ms) == (ReportState.FAILED, None)
        assert refund.report.last_error == "payment_not_linked"
        assert [entry.after for entry in refund.history] == [
            "succeeded",
            "report:due",
            "report:failed",
        ]

    @pytest.mark.parametrize(
        ("made", "expected_ms"),
        [
            ({"created_at_ms": None}, SEEN + 2),
            ({"created_at_ms": None, "refunded_at_ms": None}, NOW),
        ],
    )
    def test_without_its_beginning_its_end_counts_and_without_both_the_present(
        self, made: dict[str, Any], expected_ms: int
    ) -> None:
        assert self.of(movement(**made)).created_at_ms == expected_ms

    @pytest.mark.parametrize(
        ("made", "is_old"),
        [
            ({"created_at_ms": SEEN}, True),
            ({"created_at_ms": SEEN + 1}, False),
            ({"created_at_ms": SEEN, "refunded_at_ms": NOW}, True),
            ({"created_at_ms": None, "refunded_at_ms": SEEN}, True),
            ({"created_at_ms": None, "refunded_at_ms": None}, False),
        ],
    )
    def test_what_is_older_than_our_first_sight_is_in_stripes_book(
        self, made: dict[str, Any], is_old: bool
    ) -> None:
        refund = self.of(movement(**made))
        assert (refund.history[0].cause == BEFORE_ADOPTION) is is_old
        assert (refund.report.state is ReportState.NOT_DUE) is is_old

    def test_at_first_sight_everything_is(self) -> None:
        refund = self.of(movement(), first_seen_ms=None)
        assert refund.report.state is ReportState.NOT_DUE
        assert refund.next_check_ms is None

    def test_only_what_moves_money_in_the_payments_currency_is_imported(self) -> None:
        assert is_importable(movement(), "sgd")
        assert is_importable(movement(status=MovementStatus.PENDING), "sgd")
        assert is_importable(movement(money=Money(1, "sgd")), "sgd")
        assert not is_importable(movement(status=MovementStatus.FAILED), "sgd")
        assert not is_importable(movement(money=Money(0, "sgd")), "sgd")
        assert not is_importable(movement(), "myr")


def moved(name: str, amount: int, at_ms: int | None, **facts: Any) -> Movement:
    plain = Movement(
        id=name,
        payment_id="charge-1",
        money=Money(amount, "sgd"),
        status=MovementStatus.SUCCEEDED,
        created_at_ms=at_ms,
    )
    return replace(plain, **facts)


class TestWhatIsOwedAtFirstSight:
    OLD, NEW, NEWEST = moved("old", 500, 10), moved("new", 300, 20), moved("newest", 200, 30)

    @pytest.mark.parametrize(
        ("in_book", "owed"),
        [
            (0, {"new", "newest"}),  # the old one is missing too, but is not ours to tell
            (500, {"new", "newest"}),
            (800, {"newest"}),
            (1000, set()),
            (700, set()),
            (1200, set()),
            (None, {"new", "newest"}),
        ],
    )
    def test_it_is_the_newest_that_make_up_what_is_missing(
        self, in_book: int | None, owed: set[str]
    ) -> None:
        movements = (self.NEWEST, self.OLD, self.NEW)
        assert owed_at_first_sight(movements, in_book, 15) == owed

    def test_a_failed_one_is_never_owed(self) -> None:
        failed = moved("failed", 100, 20, status=MovementStatus.FAILED)
        assert owed_at_first_sight((failed,), 0, 15) == set()

    def test_a_pending_one_cannot_be_booked_yet(self) -> None:
        pending = moved("pending", 100, 20, status=MovementStatus.PENDING)
        assert owed_at_first_sight((self.OLD, pending), 500, 15) == {"pending"}

    def test_one_without_a_time_is_not_ours_to_tell(self) -> None:
        assert owed_at_first_sight((moved("m", 1, None),), 0, 15) == set()

    def test_one_of_the_very_moment_is_older(self) -> None:
        assert owed_at_first_sight((moved("m", 1, 15),), 0, 15) == set()
