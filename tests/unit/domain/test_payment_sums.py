"""What Stripe is told of a payment, and what others refunded that is known as a sum only."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.payment import Payment, follow, learn_foreign, recounted
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import BEFORE_ADOPTION, ReportCause
from refund_bridge.domain.state_machine import Event, ReportEvent
from refund_bridge.domain.transitions import report_transition, transition
from tests.contract.ledger.examples import NOW, a_payment, a_refund, why
from tests.unit.domain.test_payment import held

WHY = why("test")


def old(imported: Refund) -> Refund:
    """The import of a processor refund from before this service."""
    entry = replace(imported.history[0], cause=BEFORE_ADOPTION)
    report = replace(imported.report, cause=ReportCause.BEFORE_ADOPTION)
    return replace(imported, history=(entry, *imported.history[1:]), report=report)


def an_import(**facts: object) -> Refund:
    return a_refund(Event.IMPORT_SUCCEEDED, processor_refund_id="hp_1", **facts)


def test_what_is_older_than_this_service_is_held_and_nobody_says_that_it_is_booked() -> None:
    payment = held(a_payment(captured=300), old(an_import(amount=300)))
    assert (payment.booked, payment.before_adoption) == (0, 300)
    assert (payment.moved, payment.held) == (300, 300)
    assert (payment.status, payment.refundable) == ("refunded", 0)


def test_once_it_is_known_to_be_at_stripe_it_is_booked() -> None:
    before = old(an_import(amount=300))
    known = report_transition(before, ReportEvent.CONFIRM, WHY, cause=ReportCause.BY_SUMS)
    payment = follow(held(a_payment(captured=300), before), before, known)
    assert (payment.booked, payment.before_adoption) == (300, 0)


def test_what_was_pending_is_never_older_than_this_service() -> None:
    pending = old(a_refund(Event.IMPORT_PENDING, amount=300, processor_refund_id="hp_1"))
    payment = held(a_payment(captured=300), pending)
    assert payment.before_adoption == 0
    after = follow(payment, pending, transition(pending, Event.FAIL, WHY))
    assert (after.before_adoption, after.held) == (0, 0)


def test_what_a_former_release_counted_as_booked_is_counted_anew() -> None:
    # Given a payment whose import of old was counted as booked
    imported = old(an_import(amount=300))
    right = held(a_payment(captured=999), imported)
    former = replace(right, booked=300, before_adoption=0)
    # Then it is counted as it is
    assert recounted(former, [imported]) == right


def test_what_the_processor_took_back_is_counted_anew_as_well() -> None:
    # Given a refund that the processor took back
    back = replace(an_import(amount=300), late_failure_at_ms=NOW)
    right = held(a_payment(captured=999), back, an_import(amount=20))
    assert right.taken_back == 300
    # When its payment does not say so, then it is counted as it is
    assert recounted(replace(right, taken_back=0), [back, an_import(amount=20)]) == right


def test_refunds_that_were_not_read_at_one_moment_are_not_counted() -> None:
    payment = held(a_payment(captured=999), an_import(amount=300))
    assert recounted(payment, []) is None
    assert recounted(payment, [an_import(amount=299)]) is None


def test_a_report_that_failed_is_neither_due_nor_booked() -> None:
    refund = an_import()
    due = report_transition(refund, ReportEvent.OWE, WHY)
    failed = report_transition(due, ReportEvent.GIVE_UP, WHY)
    payment = follow(held(a_payment(), due), due, failed)
    assert (payment.report_due_count, payment.report_due_amount, payment.booked) == (0, 0, 0)
    assert payment.report_failed_amount == refund.amount
    replayed = report_transition(failed, ReportEvent.REPLAY, WHY)
    payment = follow(payment, failed, replayed)
    assert (payment.report_due_amount, payment.report_failed_amount) == (refund.amount, 0)


class TestSums:
    """What is known as a sum only counts as long as it is shown."""

    def test_the_charges_sum_counts_and_falls_with_it(self) -> None:
        payment = learn_foreign(a_payment(captured=1000), in_book=300, on_charge=200)
        assert (payment.foreign, payment.refundable, payment.refunded) == (200, 800, 200)
        assert learn_foreign(payment, in_book=0, on_charge=50).foreign == 50
        assert learn_foreign(payment, in_book=0, on_charge=-5).foreign == 0

    def test_where_the_charge_can_be_read_nothing_of_stripes_counts(self) -> None:
        known = learn_foreign(a_payment(captured=1000), in_book=300, on_charge=None)
        assert known.foreign == 300
        assert learn_foreign(known, in_book=300, on_charge=0).foreign == 0

    def test_what_was_surely_somebody_elses_still_is_when_ours_are_due(self) -> None:
        known = learn_foreign(a_payment(captured=1000), in_book=300, on_charge=None)
        due = replace(known, report_due_amount=200)
        assert learn_foreign(due, in_book=300, on_charge=None).foreign == 300
        # But once Stripe's sum turns out to be ours, it is nobody else's
        assert learn_foreign(replace(known, booked=300), in_book=300, on_charge=None).foreign == 0

    def test_where_nothing_was_read_nothing_changes(self) -> None:
        known = learn_foreign(a_payment(captured=1000), in_book=None, on_charge=200)
        assert learn_foreign(known, in_book=None, on_charge=None) == known

    @pytest.mark.parametrize(
        "ours",
        [
            {"booked": 100},
            {"report_due_amount": 100},
            {"report_failed_amount": 100},
            {"before_adoption": 100},
            {"accepted_excess": 100},
        ],
        ids=lambda ours: next(iter(ours)),
    )
    def test_of_stripes_sum_what_may_be_ours_is_not_somebody_elses(
        self, ours: dict[str, Any]
    ) -> None:
        payment: Payment = replace(a_payment(captured=1000), **ours)
        assert learn_foreign(payment, in_book=300, on_charge=None).foreign_in_book == 200


class TestStep:
    """Whether Stripe shows what is reported."""

    @pytest.mark.parametrize(
        ("in_book", "gap"), [(449, -1), (450, 0), (451, 1)], ids=["less", "just that", "more"]
    )
    @pytest.mark.parametrize("on_charge", [None, 0], ids=["not read", "read"])
    def test_stripe_shows_what_is_booked_and_what_a_person_accepted_or_is_out_of_step(
        self, in_book: int, gap: int, on_charge: int | None
    ) -> None:
        payment = replace(a_payment(captured=1000), booked=400, accepted_excess=50)
        seen = learn_foreign(payment, in_book=in_book, on_charge=on_charge)
        assert seen.unexplained == gap
        assert seen.is_out_of_step is (gap != 0)

    def test_without_its_record_or_before_that_was_read_nobody_says_so(self) -> None:
        unread = a_payment()
        assert (unread.unexplained, unread.is_out_of_step) == (None, False)
        # Given a payment out of step, when its record is taken from it
        seen = learn_foreign(unread, in_book=300, on_charge=0)
        assert seen.is_out_of_step
        assert not replace(seen, payment_record=None).is_out_of_step
