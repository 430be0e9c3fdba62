from dataclasses import replace

import pytest

from refunds.payment import (
    Payment,
    PaymentKey,
    follow,
    learn_foreign,
    no_longer_foreign,
    payment_key_of,
)
from refunds.refund import BEFORE_ADOPTION, Refund, report_transition, transition
from refunds.state_machine import Event, ReportEvent, State
from tests.contract.ledger.examples import a_payment, a_refund, why

WHY = why("test")


def held(payment: Payment, *refunds: Refund) -> Payment:
    for refund in refunds:
        payment = follow(payment, None, refund)
    return payment


def test_a_payment_is_its_processors_charge() -> None:
    refund = a_refund(processor_payment_id="charge_1")
    assert payment_key_of(refund) == PaymentKey("hitpay", "charge_1")


def test_an_accepted_refund_holds_its_amount_and_takes_the_slot() -> None:
    refund = a_refund(amount=2500)
    payment = held(a_payment(captured=9999), refund)
    assert (payment.held, payment.refundable, payment.slot) == (2500, 7499, refund.id)
    assert (payment.moved, payment.refunded, payment.status) == (0, 0, "succeeded")


def test_a_scheduled_refund_holds_its_amount_without_the_slot() -> None:
    payment = held(a_payment(captured=9999), a_refund(Event.ACCEPT_SCHEDULED, amount=2500))
    assert (payment.held, payment.slot) == (2500, None)


def test_success_moves_what_was_held_and_frees_the_slot() -> None:
    before = a_refund(amount=2500)
    after = transition(before, Event.SUCCEED, WHY, processor_refund_id="hp_1")
    after = report_transition(after, ReportEvent.OWE, WHY)
    payment = follow(held(a_payment(captured=9999), before), before, after)
    assert (payment.held, payment.moved, payment.slot) == (2500, 2500, None)
    assert payment.bound_amount == 2500
    assert (payment.report_due_count, payment.report_due_amount, payment.booked) == (1, 2500, 0)
    assert payment.status == "partially_refunded"
    reported = report_transition(after, ReportEvent.CONFIRM, WHY)
    payment = follow(payment, after, reported)
    assert (payment.report_due_count, payment.report_due_amount, payment.booked) == (0, 0, 2500)


@pytest.mark.parametrize("event", [Event.REJECT, Event.ABORT])
def test_certainty_that_nothing_moved_gives_the_amount_and_the_slot_back(event: Event) -> None:
    before = a_refund()
    start = held(a_payment(), before)
    after = transition(before, event, WHY)
    payment = follow(start, before, after)
    assert (payment.held, payment.slot) == (0, None)
    assert follow(payment, after, after) == payment


def test_an_aborted_refund_that_starts_again_holds_its_amount_again() -> None:
    first = a_refund()
    aborted = transition(first, Event.ABORT, WHY)
    again = transition(aborted, Event.START, WHY)
    payment = follow(follow(held(a_payment(), first), first, aborted), aborted, again)
    assert (payment.held, payment.slot) == (first.amount, first.id)


def test_a_timeout_gives_nothing_back() -> None:
    before = a_refund()
    start = held(a_payment(), before)
    lost = transition(before, Event.LOSE, WHY)
    doubtful = transition(lost, Event.ESCALATE, WHY)
    payment = follow(follow(start, before, lost), lost, doubtful)
    assert (payment.held, payment.slot) == (before.amount, before.id)


def test_a_bound_pending_refund_holds_its_amount_without_the_slot() -> None:
    before = a_refund()
    after = transition(before, Event.PEND, WHY, processor_refund_id="hp_1")
    payment = follow(held(a_payment(), before), before, after)
    assert (payment.held, payment.slot) == (before.amount, None)


def test_a_bound_review_does_not_block_the_payment() -> None:
    lost = transition(a_refund(), Event.LOSE, WHY)
    payment = held(a_payment(), lost)
    doubtful = transition(lost, Event.ESCALATE, WHY, processor_refund_id="hp_1")
    assert follow(payment, lost, doubtful).slot is None


def test_scheduled_refunds_wait_in_order_and_a_deferred_one_stays_first() -> None:
    first, second = (a_refund(Event.ACCEPT_SCHEDULED, amount=n) for n in (1, 2))
    payment = held(a_payment(), first, second)
    assert payment.waiting == (first.id, second.id)
    started = transition(first, Event.START, WHY)
    payment = follow(payment, first, started)
    assert payment.waiting == (second.id,)
    payment = follow(payment, started, transition(started, Event.DEFER, WHY))
    assert payment.waiting == (first.id, second.id)
    payment = follow(payment, second, transition(second, Event.CANCEL, WHY))
    assert payment.waiting == (first.id,)


def test_a_failure_without_evidence_is_remembered_until_a_movement_contradicts_it() -> None:
    lost = transition(a_refund(amount=7), Event.LOSE, WHY)
    failed = transition(lost, Event.FAIL, WHY)
    payment = follow(held(a_payment(), lost), lost, failed)
    assert payment.doubtful == (failed.id,)
    found = a_refund(
        Event.IMPORT_SUCCEEDED, amount=7, processor_refund_id="hp_1", contradicts=failed.id
    )
    assert held(payment, found).doubtful == ()


def test_a_failure_that_the_processor_shows_is_not_doubtful() -> None:
    pending = transition(a_refund(), Event.PEND, WHY, processor_refund_id="hp_1")
    failed = transition(pending, Event.FAIL, WHY)
    assert follow(held(a_payment(), pending), pending, failed).doubtful == ()


def test_another_refund_leaves_the_slot_to_its_holder() -> None:
    holder = a_refund(amount=100)
    payment = held(a_payment(), holder, a_refund(Event.ACCEPT_SCHEDULED, amount=100))
    assert payment.slot == holder.id
    payment = held(payment, a_refund(Event.IMPORT_SUCCEEDED, amount=100, processor_refund_id="x"))
    assert payment.slot == holder.id


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


def test_a_report_that_failed_is_neither_due_nor_booked() -> None:
    refund = a_refund(Event.IMPORT_SUCCEEDED, processor_refund_id="hp_1")
    due = report_transition(refund, ReportEvent.OWE, WHY)
    failed = report_transition(due, ReportEvent.GIVE_UP, WHY)
    payment = follow(held(a_payment(), due), due, failed)
    assert (payment.report_due_count, payment.report_due_amount, payment.booked) == (0, 0, 0)
    assert payment.report_failed_amount == refund.amount
    replayed = report_transition(failed, ReportEvent.REPLAY, WHY)
    assert follow(payment, failed, replayed).report_due_amount == refund.amount


def test_two_views_of_foreign_refunds_count_once_and_are_never_lowered() -> None:
    payment = learn_foreign(a_payment(captured=1000), in_book=300, on_charge=200)
    assert (payment.foreign, payment.refundable, payment.refunded) == (300, 700, 300)
    payment = learn_foreign(payment, in_book=100, on_charge=400)
    assert (payment.foreign_in_book, payment.foreign_on_charge, payment.foreign) == (300, 400, 400)
    assert learn_foreign(payment, in_book=-5, on_charge=0) == payment


def test_what_remains_is_never_negative() -> None:
    payment = replace(a_payment(captured=1000), held=900, foreign_in_book=200)
    assert payment.refundable == 0
    assert replace(payment, moved=900).status == "refunded"


@pytest.mark.parametrize("state", State)
def test_an_unchanged_refund_changes_nothing(state: State) -> None:
    refund = replace(a_refund(), state=state)
    payment = held(a_payment(), refund)
    assert follow(payment, refund, refund) == payment
