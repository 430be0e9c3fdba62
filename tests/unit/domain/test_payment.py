"""One payment's arithmetic: what is held, who has the slot, who waits, what is doubtful."""

from dataclasses import replace

import pytest

from refund_bridge.domain.payment import Payment, PaymentKey, SlotTakenError, follow, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import Event, ReportEvent, State
from refund_bridge.domain.transitions import report_transition, transition
from tests.contract.ledger.examples import a_payment, a_refund, why

WHY = why("test")


def held(payment: Payment, *refunds: Refund) -> Payment:
    for refund in refunds:
        payment = follow(payment, None, refund)
    return payment


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
        before_adoption=0,
        taken_back=0,
        report_lease_until_ms=None,
        unexplained=None,
        accepted_excess=0,
        revision=0,
        schema_version=1,
    )


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


def test_a_failure_without_evidence_is_remembered_until_a_processor_refund_contradicts_it() -> None:
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


def test_what_remains_is_never_negative() -> None:
    payment = replace(a_payment(captured=1000), held=900, foreign_in_book=200)
    assert payment.refundable == 0
    assert replace(payment, moved=900).status == "refunded"


@pytest.mark.parametrize("state", State)
def test_an_unchanged_refund_changes_nothing(state: State) -> None:
    refund = replace(a_refund(), state=state)
    payment = held(a_payment(), refund)
    assert follow(payment, refund, refund) == payment


def test_scheduled_refunds_wait_in_order_and_a_deferred_one_stays_first() -> None:
    first, second = (a_refund(Event.ACCEPT_SCHEDULED, amount=n) for n in (1, 2))
    payment = held(a_payment(), first, second)
    assert payment.waiting == (first.id, second.id)
    started = transition(first, Event.START, WHY)
    payment = follow(payment, first, started)
    assert payment.waiting == (second.id,)
    payment = follow(payment, started, transition(started, Event.DEFER, WHY))
    assert payment.waiting == (first.id, second.id)
    # And one that only waits stays where it is
    assert follow(payment, second, second).waiting == (first.id, second.id)
    payment = follow(payment, second, transition(second, Event.CANCEL, WHY))
    assert payment.waiting == (first.id,)


def test_the_last_cent_is_refundable_and_makes_the_payment_refunded() -> None:
    payment = replace(a_payment(captured=1000), held=999, moved=999)
    assert (payment.refundable, payment.status) == (1, "partially_refunded")
    assert replace(payment, held=1000, moved=1000).status == "refunded"
    assert replace(payment, moved=1).status == "partially_refunded"


@pytest.mark.parametrize(
    ("held", "in_book", "is_over"),
    [(1000, 0, False), (800, 200, False), (800, 201, True), (0, 1001, True)],
)
def test_what_is_held_and_what_others_refunded_may_be_more_than_was_paid(
    held: int, in_book: int, is_over: bool
) -> None:
    payment = replace(a_payment(captured=1000), held=held, foreign_in_book=in_book)
    assert payment.is_over_refunded is is_over


def test_a_refund_may_have_what_it_holds_itself() -> None:
    payment = replace(a_payment(captured=1000), held=800, foreign_in_book=100)
    assert payment.refundable_beside(300) == 400


def test_two_unbound_processor_refunds_are_never_stored() -> None:
    payment = follow(a_payment(), None, a_refund())
    other = a_refund()
    with pytest.raises(SlotTakenError, match=f"{payment.slot} has the slot that {other.id} needs"):
        follow(payment, None, other)


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
def test_only_a_failure_without_a_processor_refund_is_doubtful(state: State) -> None:
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


def test_a_scheduled_refund_that_is_canceled_is_not_doubtful() -> None:
    waiting = a_refund(Event.ACCEPT_SCHEDULED, amount=1)
    payment = follow(a_payment(), None, waiting)
    canceled = transition(waiting, Event.CANCEL, WHY)
    assert follow(payment, waiting, canceled).doubtful == ()


def test_an_import_contradicts_one_failure_and_leaves_the_others() -> None:
    payment = replace(a_payment(), doubtful=("rfd_a", "rfd_b"))
    imported = a_refund(Event.IMPORT_SUCCEEDED, processor_refund_id="m1", contradicts="rfd_a")
    assert follow(payment, None, imported).doubtful == ("rfd_b",)
