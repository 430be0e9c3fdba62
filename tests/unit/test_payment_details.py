"""The limits of one payment's arithmetic."""

from dataclasses import replace

import pytest

from refunds.payment import (
    Payment,
    PaymentKey,
    SlotTakenError,
    follow,
    learn_foreign,
    no_longer_foreign,
)
from refunds.refund import report_transition, transition
from refunds.state_machine import Event, ReportEvent, State
from tests.contract.ledger.examples import a_payment, a_refund, why

WHY = why("test")


def test_a_new_payment_has_nothing_but_what_was_captured() -> None:
    key = PaymentKey("hitpay", "charge-1")
    payment = Payment(key=key, payment_record="pr_1", currency="sgd", captured=9999)
    assert payment == Payment(
        key=key,
        payment_record="pr_1",
        currency="sgd",
        captured=9999,
        held=0,
        moved=0,
        foreign_in_book=0,
        foreign_on_charge=0,
        slot=None,
        waiting=(),
        doubtful=(),
        bound_amount=0,
        booked=0,
        report_due_count=0,
        report_due_amount=0,
        report_failed_amount=0,
        first_seen_ms=0,
        revision=0,
        schema_version=1,
    )


def test_the_last_cent_is_refundable_and_makes_the_payment_refunded() -> None:
    payment = replace(a_payment(captured=1000), held=999, moved=999)
    assert (payment.refundable, payment.status) == (1, "partially_refunded")
    assert replace(payment, held=1000, moved=1000).status == "refunded"
    assert replace(payment, moved=1).status == "partially_refunded"


def test_a_refund_may_have_what_it_holds_itself() -> None:
    payment = replace(a_payment(captured=1000), held=800, foreign_in_book=100)
    assert payment.refundable_beside(300) == 400


def test_two_unbound_movements_are_never_stored() -> None:
    payment = follow(a_payment(), None, a_refund())
    other = a_refund()
    with pytest.raises(SlotTakenError, match=f"{payment.slot} has the slot that {other.id} needs"):
        follow(payment, None, other)


def test_one_that_keeps_its_slot_is_no_second_one() -> None:
    refund = a_refund()
    payment = follow(a_payment(), None, refund)
    lost = transition(refund, Event.LOSE, WHY)
    assert follow(payment, refund, lost).slot == refund.id


def test_a_deferred_refund_goes_before_those_that_came_later() -> None:
    first = a_refund(Event.ACCEPT_SCHEDULED, amount=1)
    second = a_refund(Event.ACCEPT_SCHEDULED, amount=1)
    payment = follow(follow(a_payment(), None, first), None, second)
    started = transition(first, Event.START, WHY)
    payment = follow(payment, first, started)
    payment = follow(payment, started, transition(started, Event.DEFER, WHY))
    assert payment.waiting == (first.id, second.id)
    # And one that only waits stays where it is
    assert follow(payment, second, second).waiting == (first.id, second.id)


def test_of_failures_without_evidence_the_fifty_youngest_are_remembered() -> None:
    payment, failed = a_payment(captured=1_000_000), []
    for _ in range(51):
        lost = transition(a_refund(amount=1), Event.LOSE, WHY)
        payment = follow(payment, None, lost)
        gone = transition(lost, Event.FAIL, WHY)
        payment = follow(payment, lost, gone)
        failed.append(gone.id)
    assert payment.doubtful == tuple(failed[1:])


@pytest.mark.parametrize("state", [State.SUBMITTING, State.UNKNOWN, State.REVIEW])
def test_only_a_failure_without_a_movement_is_doubtful(state: State) -> None:
    before = replace(a_refund(amount=1), state=state)
    payment = follow(a_payment(), None, before)
    failed = replace(before, state=State.FAILED)
    assert follow(payment, before, failed).doubtful == (failed.id,)
    assert follow(payment, before, replace(failed, processor_refund_id="m1")).doubtful == ()
    assert follow(payment, before, replace(before, state=State.REJECTED)).doubtful == ()


def test_a_bound_refund_counts_as_bound_once_until_it_fails() -> None:
    refund = a_refund(amount=2500)
    pending = transition(refund, Event.PEND, WHY, processor_refund_id="m1")
    payment = follow(follow(a_payment(), None, refund), refund, pending)
    assert payment.bound_amount == 2500
    succeeded = transition(pending, Event.SUCCEED, WHY)
    assert follow(payment, pending, succeeded).bound_amount == 2500
    failed = transition(pending, Event.FAIL, WHY)
    assert follow(payment, pending, failed).bound_amount == 0


def test_a_failed_report_that_is_redriven_has_not_failed_any_more() -> None:
    refund = a_refund(Event.IMPORT_SUCCEEDED, amount=2500, processor_refund_id="m1")
    due = report_transition(refund, ReportEvent.OWE, WHY)
    failed = report_transition(due, ReportEvent.GIVE_UP, WHY)
    payment = follow(follow(a_payment(), None, due), due, failed)
    assert payment.report_failed_amount == 2500
    replayed = report_transition(failed, ReportEvent.REPLAY, WHY)
    assert follow(payment, failed, replayed).report_failed_amount == 0


def test_a_scheduled_refund_that_is_canceled_is_not_doubtful() -> None:
    waiting = a_refund(Event.ACCEPT_SCHEDULED, amount=1)
    payment = follow(a_payment(), None, waiting)
    canceled = transition(waiting, Event.CANCEL, WHY)
    assert follow(payment, waiting, canceled).doubtful == ()


def test_an_import_contradicts_one_failure_and_leaves_the_others() -> None:
    payment = replace(a_payment(), doubtful=("rfd_a", "rfd_b"))
    imported = a_refund(Event.IMPORT_SUCCEEDED, processor_refund_id="m1", contradicts="rfd_a")
    assert follow(payment, None, imported).doubtful == ("rfd_b",)


def test_what_gets_a_refund_of_its_own_is_taken_off_each_sum_where_it_was() -> None:
    known = learn_foreign(a_payment(), in_book=500, on_charge=700)
    # One from after our first sight was never in Stripe's sum
    imported = a_refund(Event.IMPORT_SUCCEEDED, amount=600, processor_refund_id="m1")
    after = no_longer_foreign(known, imported)
    assert (after.foreign_in_book, after.foreign_on_charge) == (500, 100)
    # And no sum goes below nothing
    assert no_longer_foreign(after, imported).foreign_on_charge == 0
