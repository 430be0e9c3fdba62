"""What Stripe's book and the charge show beside the refunds that the ledger has."""

from dataclasses import replace

from refunds.payment import (
    follow,
    learn_foreign,
    no_longer_foreign,
)
from refunds.refund import BEFORE_ADOPTION, Refund, report_transition, transition
from refunds.state_machine import Event, ReportEvent
from tests.contract.ledger.examples import a_payment, a_refund, why
from tests.unit.test_payment import held

WHY = why("test")


def adopted(imported: Refund) -> Refund:
    """The import, made when its payment was first seen."""
    entry = replace(imported.history[0], cause=BEFORE_ADOPTION)
    return replace(imported, history=(entry, *imported.history[1:]))


def test_what_is_pending_when_we_come_is_booked_until_it_fails() -> None:
    pending = adopted(a_refund(Event.IMPORT_PENDING, amount=300, processor_refund_id="hp_1"))
    payment = held(a_payment(captured=300), pending)
    assert payment.booked == 300
    assert follow(payment, pending, transition(pending, Event.FAIL, WHY)).booked == 0


def test_what_was_known_as_a_sum_only_is_counted_once_when_it_gets_a_refund() -> None:
    known = learn_foreign(a_payment(captured=9999), in_book=3000, on_charge=3000)
    imported = adopted(a_refund(Event.IMPORT_SUCCEEDED, amount=3000, processor_refund_id="hp_1"))
    payment = no_longer_foreign(held(known, imported), imported)
    assert (payment.foreign, payment.held, payment.refundable) == (0, 3000, 6999)


def test_what_was_refunded_before_we_came_is_booked_already() -> None:
    imported = adopted(a_refund(Event.IMPORT_SUCCEEDED, amount=300, processor_refund_id="hp_1"))
    payment = held(a_payment(captured=300), imported)
    assert (payment.booked, payment.moved, payment.held) == (300, 300, 300)
    assert (payment.status, payment.refundable) == ("refunded", 0)


def test_two_views_of_foreign_refunds_count_once_and_are_never_lowered() -> None:
    payment = learn_foreign(a_payment(captured=1000), in_book=300, on_charge=200)
    assert (payment.foreign, payment.refundable, payment.refunded) == (300, 700, 300)
    payment = learn_foreign(payment, in_book=100, on_charge=400)
    assert (payment.foreign_in_book, payment.foreign_on_charge, payment.foreign) == (300, 400, 400)
    assert learn_foreign(payment, in_book=-5, on_charge=0) == payment


def test_a_report_that_failed_is_neither_due_nor_booked() -> None:
    refund = a_refund(Event.IMPORT_SUCCEEDED, processor_refund_id="hp_1")
    due = report_transition(refund, ReportEvent.OWE, WHY)
    failed = report_transition(due, ReportEvent.GIVE_UP, WHY)
    payment = follow(held(a_payment(), due), due, failed)
    assert (payment.report_due_count, payment.report_due_amount, payment.booked) == (0, 0, 0)
    assert payment.report_failed_amount == refund.amount
    replayed = report_transition(failed, ReportEvent.REPLAY, WHY)
    payment = follow(payment, failed, replayed)
    assert (payment.report_due_amount, payment.report_failed_amount) == (refund.amount, 0)


def test_what_gets_a_refund_of_its_own_is_taken_off_each_sum_where_it_was() -> None:
    known = learn_foreign(a_payment(), in_book=500, on_charge=700)
    # One from after our first sight was never in Stripe's sum
    imported = a_refund(Event.IMPORT_SUCCEEDED, amount=600, processor_refund_id="m1")
    after = no_longer_foreign(known, imported)
    assert (after.foreign_in_book, after.foreign_on_charge) == (500, 100)
    # And no sum goes below nothing
    assert no_longer_foreign(after, imported).foreign_on_charge == 0
