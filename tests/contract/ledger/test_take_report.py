from dataclasses import replace

import pytest

from refunds.ports import Commit, Ledger, LedgerConflictError, RefundWrite
from refunds.refund import Refund, report_transition
from refunds.state_machine import ReportEvent
from tests.contract.ledger.examples import NOW, a_full_refund, a_refund, due_refund, unique, why


def keep(ledger: Ledger, refund: Refund) -> Refund:
    ledger.commit(Commit(refunds=(RefundWrite(None, refund),)))
    kept = ledger.refund(refund.id)
    assert kept is not None
    return kept


def take(ledger: Ledger, refund: Refund, now_ms: int) -> Refund | None:
    return ledger.take_report(refund.id, now_ms=now_ms, lease_until_ms=now_ms + 100)


def test_a_due_report_is_taken_with_a_lease(ledger: Ledger) -> None:
    first = keep(ledger, due_refund())
    taken = take(ledger, first, NOW)
    report = replace(first.report, lease_until_ms=NOW + 100, attempts=1)
    assert taken == replace(first, report=report, revision=2)
    assert ledger.refund(first.id) == taken


def test_nothing_else_of_the_refund_changes(ledger: Ledger) -> None:
    first = keep(ledger, a_full_refund())
    taken = take(ledger, first, NOW + 1_000_000)
    assert taken is not None
    report = replace(first.report, lease_until_ms=NOW + 1_000_100, attempts=3)
    assert taken == replace(first, report=report, revision=2)


def test_a_live_lease_is_respected_until_its_end(ledger: Ledger) -> None:
    first = keep(ledger, due_refund())
    taken = take(ledger, first, NOW)
    assert take(ledger, first, NOW) is None
    assert take(ledger, first, NOW + 99) is None
    assert ledger.refund(first.id) == taken
    again = take(ledger, first, NOW + 100)
    assert again is not None
    assert (again.report.attempts, again.revision) == (2, 3)
    assert again.report.lease_until_ms == NOW + 200


def test_only_a_due_report_is_taken(ledger: Ledger) -> None:
    not_due = keep(ledger, a_refund())
    assert take(ledger, not_due, NOW) is None
    due = keep(ledger, due_refund())
    for event in (ReportEvent.CONFIRM, ReportEvent.GIVE_UP):
        after = report_transition(due, event, why("said"))
        other = keep(ledger, replace(after, id=unique("rfd")))
        assert take(ledger, other, NOW) is None
        assert ledger.refund(other.id) == other
    assert ledger.refund(not_due.id) == not_due


def test_what_is_not_there_is_not_made(ledger: Ledger) -> None:
    refund = due_refund()
    assert take(ledger, refund, NOW) is None
    assert ledger.refund(refund.id) is None


def test_taking_invalidates_what_was_read_before(ledger: Ledger) -> None:
    first = keep(ledger, due_refund())
    assert take(ledger, first, NOW) is not None
    after = report_transition(first, ReportEvent.CONFIRM, why("said"))
    with pytest.raises(LedgerConflictError):
        ledger.commit(Commit(refunds=(RefundWrite(first, after),)))
