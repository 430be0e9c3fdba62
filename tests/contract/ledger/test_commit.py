from dataclasses import replace

import pytest

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import transition
from refund_bridge.ports.ledger import (
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    RefundWrite,
)
from tests.contract.ledger.conftest import Subject
from tests.contract.ledger.examples import (
    NOW,
    a_full_refund,
    a_line,
    a_payment,
    a_refund,
    a_refund_of,
    keep,
    stored,
    unique,
    why,
    write,
)


def test_what_was_never_written_is_not_there(ledger: Ledger) -> None:
    assert ledger.refund(unique("rfd")) is None
    assert ledger.payment(PaymentKey("hitpay", unique("charge"))) is None
    assert ledger.payment_of_record(unique("pr")) is None


@pytest.mark.parametrize("refund", [a_refund(), a_full_refund()], ids=["few facts", "all facts"])
def test_a_new_refund_is_read_back_at_once_as_it_was_written(
    ledger: Ledger, refund: Refund
) -> None:
    refund = replace(refund, id=unique("rfd"))
    write(ledger, None, refund)
    assert ledger.refund(refund.id) == stored(refund, 1)


def test_a_new_payment_is_read_back_at_once_as_it_was_written(ledger: Ledger) -> None:
    payment = a_payment(
        held=5,
        moved=4,
        foreign_in_book=3,
        foreign_on_charge=2,
        slot="rfd_1",
        booked=1,
        arrival=Arrival(3, 5),
    )
    bare = a_payment(payment_record=None)
    ledger.commit(Commit(payments=(PaymentWrite(None, payment), PaymentWrite(None, bare))))
    assert ledger.payment(payment.key) == replace(payment, revision=1)
    assert ledger.payment(bare.key) == replace(bare, revision=1)


def test_charge_ids_may_hold_any_character(ledger: Ledger) -> None:
    payment = a_payment(key=PaymentKey("hitpay", unique("charge") + "#é/ #"))
    ledger.commit(Commit(payments=(PaymentWrite(None, payment),)))
    assert ledger.payment(payment.key) == replace(payment, revision=1)


def test_the_ledger_counts_the_revisions_whatever_the_caller_says(ledger: Ledger) -> None:
    first = keep(ledger, a_refund(revision=70))
    assert first.revision == 1
    write(ledger, first, replace(first, next_check_ms=NOW, revision=70))
    second = ledger.refund(first.id)
    assert second == stored(replace(first, next_check_ms=NOW), 2)


def test_facts_come_and_go(ledger: Ledger) -> None:
    full = a_full_refund()
    first = keep(ledger, full)
    bare = replace(
        first,
        lease_until_ms=None,
        snapshot=None,
        failure=None,
        report=replace(first.report, parameters=None, last_error=None),
        next_check_ms=None,
    )
    write(ledger, first, bare)
    second = ledger.refund(first.id)
    assert second == stored(bare, 2)
    write(ledger, second, replace(full, history=bare.history))
    assert ledger.refund(first.id) == stored(full, 3)


def test_what_is_the_same_before_and_after_is_not_written(ledger: Ledger) -> None:
    # Given commits that say of a refund and of a payment what the ledger does not hold
    first, payment = keep(ledger, a_refund()), a_payment()
    ledger.commit(Commit(payments=(PaymentWrite(None, payment),)))
    kept = replace(payment, revision=1)
    before, paid = replace(first, last_look="never stored"), replace(kept, foreign_on_charge=7)
    # When they change something else
    after = replace(before, next_check_ms=NOW)
    ledger.commit(Commit(refunds=(RefundWrite(before, after),)))
    ledger.commit(Commit(payments=(PaymentWrite(paid, replace(paid, held=1)),)))
    # Then only that is changed
    assert ledger.refund(first.id) == stored(replace(first, next_check_ms=NOW), 2)
    assert ledger.payment(payment.key) == replace(kept, held=1, revision=2)


def test_an_empty_snapshot_is_not_a_missing_one(ledger: Ledger) -> None:
    assert keep(ledger, a_refund(snapshot=())).snapshot == ()
    assert keep(ledger, a_refund(snapshot=None)).snapshot is None


def test_evidence_keeps_its_kinds(ledger: Ledger) -> None:
    refund = a_refund()
    evidence = {"id": "hp_1", "n": 10**20, "no": None, "yes": True, "all": [1, {"a": []}]}
    line = replace(a_line(refund), evidence=evidence)
    kept = keep(ledger, replace(refund, history=(*refund.history, line)))
    assert kept.history[-1].evidence == evidence
    assert kept.history[-1].evidence["yes"] is True


def test_a_commit_of_nothing_is_done(ledger: Ledger) -> None:
    ledger.commit(Commit())


def test_a_refund_is_created_once(ledger: Ledger) -> None:
    first = keep(ledger, a_refund())
    other = replace(first, amount=1)
    with pytest.raises(LedgerConflictError):
        write(ledger, None, other)
    assert ledger.refund(first.id) == first


def test_a_stale_refund_is_not_written(ledger: Ledger) -> None:
    first = keep(ledger, a_refund())
    write(ledger, first, replace(first, next_check_ms=1))
    with pytest.raises(LedgerConflictError):
        write(ledger, first, replace(first, next_check_ms=2))
    assert ledger.refund(first.id) == stored(replace(first, next_check_ms=1), 2)


def test_a_stale_payment_is_not_written(ledger: Ledger) -> None:
    new = a_payment()
    ledger.commit(Commit(payments=(PaymentWrite(None, new),)))
    first = replace(new, revision=1)
    ledger.commit(Commit(payments=(PaymentWrite(first, replace(first, held=1)),)))
    for before in (None, first, replace(first, revision=3)):
        with pytest.raises(LedgerConflictError):
            ledger.commit(Commit(payments=(PaymentWrite(before, replace(first, held=2)),)))
    assert ledger.payment(new.key) == replace(new, held=1, revision=2)


def test_what_does_not_exist_cannot_be_changed(ledger: Ledger) -> None:
    refund, payment = stored(a_refund(), 1), a_payment(revision=1)
    with pytest.raises(LedgerConflictError):
        write(ledger, refund, replace(refund, next_check_ms=1))
    with pytest.raises(LedgerConflictError):
        ledger.commit(Commit(payments=(PaymentWrite(payment, payment),)))
    assert ledger.refund(refund.id) is None
    assert ledger.payment(payment.key) is None


def test_the_stored_state_must_be_one_that_the_new_state_may_follow(subject: Subject) -> None:
    first = keep(subject.ledger, a_refund())
    after = transition(first, Event.LOSE, why("timeout"))
    subject.overwrite_state(first.id, State.REJECTED)
    with pytest.raises(LedgerConflictError):
        write(subject.ledger, first, after)
    subject.overwrite_state(first.id, State.UNKNOWN)
    write(subject.ledger, first, after)
    assert subject.ledger.refund(first.id) == stored(after, 2)


def test_history_is_appended_to(ledger: Ledger) -> None:
    first = keep(ledger, a_refund())
    lines = (a_line(first, processor_refund="hp_1"), a_line(first, processor_refund="hp_2"))
    write(ledger, first, replace(first, history=(*first.history, *lines)))
    second = ledger.refund(first.id)
    assert second is not None
    assert second.history == (*first.history, *lines)


def test_all_is_written_or_nothing(ledger: Ledger) -> None:
    kept = a_payment()
    ledger.commit(Commit(payments=(PaymentWrite(None, kept),)))
    refund, fresh = a_refund_of(kept), a_payment()
    with pytest.raises(LedgerConflictError):
        ledger.commit(
            Commit(
                refunds=(RefundWrite(None, refund),),
                payments=(PaymentWrite(None, fresh), PaymentWrite(None, kept)),
            )
        )
    assert ledger.refund(refund.id) is None
    assert ledger.payment(fresh.key) is None
    stale = replace(kept, revision=1)
    ledger.commit(
        Commit(
            refunds=(RefundWrite(None, refund),),
            payments=(PaymentWrite(None, fresh), PaymentWrite(stale, replace(kept, held=7))),
        )
    )
    assert ledger.refund(refund.id) == stored(refund, 1)
    assert ledger.payment(fresh.key) == replace(fresh, revision=1)
    assert ledger.payment(kept.key) == replace(kept, held=7, revision=2)
