"""The report of a refund moves on, and is counted on its payment without reading it."""

from dataclasses import replace

import pytest

from refunds.adapters.ledger_checks import LedgerDefectError
from refunds.payment import follow, payment_key_of
from refunds.ports import (
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    RefundWrite,
    ReportStep,
)
from refunds.refund import Refund, report_transition
from refunds.state_machine import ReportEvent
from tests.contract.ledger.examples import a_payment, due_refund, why


def kept(ledger: Ledger) -> Refund:
    """A refund that owes its report, counted on its payment."""
    refund = due_refund()
    payment = replace(a_payment(), key=payment_key_of(refund), waiting=("rfd_other",), held=7)
    ledger.commit(
        Commit(
            refunds=(RefundWrite(None, refund),),
            payments=(PaymentWrite(None, follow(payment, None, refund)),),
        )
    )
    stored = ledger.refund(refund.id)
    assert stored is not None
    return stored


def moved(ledger: Ledger, refund: Refund, event: ReportEvent) -> Refund:
    after = report_transition(refund, event, why("said"))
    ledger.commit(
        Commit(refunds=(RefundWrite(refund, after),), reports=(ReportStep(refund, after),))
    )
    stored = ledger.refund(refund.id)
    assert stored is not None
    return stored


@pytest.mark.parametrize("event", [ReportEvent.CONFIRM, ReportEvent.GIVE_UP])
def test_it_comes_to_the_same_as_following_the_payment(ledger: Ledger, event: ReportEvent) -> None:
    # Given a report that is due
    refund = kept(ledger)
    before = ledger.payment(payment_key_of(refund))
    assert before is not None
    # When it moves on
    after = moved(ledger, refund, event)
    # Then the payment is what reading, following and writing it would have made of it
    expected = replace(follow(before, refund, after), revision=before.revision + 1)
    assert ledger.payment(before.key) == expected


def test_there_and_back_leaves_the_payment_as_it_was(ledger: Ledger) -> None:
    refund = kept(ledger)
    before = ledger.payment(payment_key_of(refund))
    assert before is not None
    failed = moved(ledger, refund, ReportEvent.GIVE_UP)
    moved(ledger, failed, ReportEvent.REPLAY)
    assert ledger.payment(before.key) == replace(before, revision=before.revision + 2)


def test_it_does_not_mind_who_else_has_written_the_payment(ledger: Ledger) -> None:
    refund = kept(ledger)
    payment = ledger.payment(payment_key_of(refund))
    assert payment is not None
    ledger.commit(Commit(payments=(PaymentWrite(payment, replace(payment, foreign_in_book=5)),)))
    moved(ledger, refund, ReportEvent.CONFIRM)
    now = ledger.payment(payment.key)
    assert now is not None
    assert (now.foreign_in_book, now.booked, now.report_due_count) == (5, refund.amount, 0)


def test_whoever_has_read_the_payment_before_must_read_it_again(ledger: Ledger) -> None:
    refund = kept(ledger)
    stale = ledger.payment(payment_key_of(refund))
    assert stale is not None
    moved(ledger, refund, ReportEvent.CONFIRM)
    with pytest.raises(LedgerConflictError):
        ledger.commit(Commit(payments=(PaymentWrite(stale, replace(stale, foreign_in_book=5)),)))


def test_a_refund_that_has_changed_counts_nothing(ledger: Ledger) -> None:
    refund = kept(ledger)
    moved(ledger, refund, ReportEvent.CONFIRM)
    before = ledger.payment(payment_key_of(refund))
    with pytest.raises(LedgerConflictError):
        moved(ledger, refund, ReportEvent.GIVE_UP)
    assert ledger.payment(payment_key_of(refund)) == before


def test_a_payment_that_is_not_there_is_a_conflict(ledger: Ledger) -> None:
    refund = due_refund()
    ledger.commit(Commit(refunds=(RefundWrite(None, refund),)))
    stored = ledger.refund(refund.id)
    assert stored is not None
    with pytest.raises(LedgerConflictError):
        moved(ledger, stored, ReportEvent.CONFIRM)
    assert ledger.refund(refund.id) == stored
    assert ledger.payment(payment_key_of(refund)) is None


def test_a_payment_cannot_be_written_and_counted_on_at_once(ledger: Ledger) -> None:
    refund = kept(ledger)
    payment = ledger.payment(payment_key_of(refund))
    assert payment is not None
    after = report_transition(refund, ReportEvent.CONFIRM, why("said"))
    with pytest.raises(LedgerDefectError):
        ledger.commit(
            Commit(
                refunds=(RefundWrite(refund, after),),
                payments=(PaymentWrite(payment, payment),),
                reports=(ReportStep(refund, after),),
            )
        )


def test_more_than_a_report_cannot_be_counted_this_way(ledger: Ledger) -> None:
    refund = kept(ledger)
    other = replace(refund, processor_refund_id="another")
    with pytest.raises(ValueError, match="more than the report"):
        ledger.commit(
            Commit(refunds=(RefundWrite(refund, other),), reports=(ReportStep(refund, other),))
        )
