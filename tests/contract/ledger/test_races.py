"""Fifty at once: the conditions decide, and exactly one is let through."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

from refund_bridge.ports.ledger import (
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    ProcessorRefundClaim,
    RecordClaim,
    RefundWrite,
)
from tests.contract.ledger.examples import NOW, a_payment, a_refund, a_refund_of, stored, unique

AT_ONCE = 50


def won(calls: Sequence[Callable[[], object]]) -> list[int]:
    """Which of these succeeded, started together; the others lost to a conflict."""
    together = Barrier(len(calls))

    def call(one: Callable[[], object]) -> bool:
        together.wait()
        try:
            return one() is not False
        except LedgerConflictError:
            return False

    with ThreadPoolExecutor(len(calls)) as threads:
        return [n for n, success in enumerate(threads.map(call, calls)) if success]


def committing(ledger: Ledger, commit: Commit) -> Callable[[], object]:
    return lambda: ledger.commit(commit)


def test_one_of_fifty_equal_refunds_is_created(ledger: Ledger) -> None:
    new = Commit(refunds=(RefundWrite(None, a_refund()),))
    assert len(won([committing(ledger, new)] * AT_ONCE)) == 1


def test_one_of_fifty_writes_over_one_revision_is_kept(ledger: Ledger) -> None:
    refund = a_refund()
    ledger.commit(Commit(refunds=(RefundWrite(None, refund),)))
    before = stored(refund, 1)
    after = [replace(before, next_check_ms=n + 1) for n in range(AT_ONCE)]
    commits = [Commit(refunds=(RefundWrite(before, one),)) for one in after]
    (winner,) = won([committing(ledger, commit) for commit in commits])
    assert ledger.refund(refund.id) == stored(after[winner], 2)


def test_one_of_fifty_reservations_on_one_revision_of_a_payment_is_kept(ledger: Ledger) -> None:
    payment = a_payment()
    ledger.commit(Commit(payments=(PaymentWrite(None, payment),)))
    before = replace(payment, revision=1)
    refunds = [a_refund_of(payment) for _ in range(AT_ONCE)]
    commits = [
        Commit(
            refunds=(RefundWrite(None, one),),
            payments=(PaymentWrite(before, replace(before, held=one.amount, slot=one.id)),),
            claims=(RecordClaim(payment.payment_record or "", payment.key),),
        )
        for one in refunds
    ]
    (winner,) = won([committing(ledger, commit) for commit in commits])
    kept = [n for n, one in enumerate(refunds) if ledger.refund(one.id) is not None]
    assert kept == [winner]
    after = ledger.payment(payment.key)
    assert after == replace(before, held=2500, slot=refunds[winner].id, revision=2)


def test_reading_again_and_deciding_again_gets_everybody_through_once(ledger: Ledger) -> None:
    payment = a_payment(captured=10**6)
    ledger.commit(Commit(payments=(PaymentWrite(None, payment),)))

    def reserve() -> None:
        before = ledger.payment(payment.key)
        assert before is not None
        after = replace(before, held=before.held + 100)
        ledger.commit(Commit(payments=(PaymentWrite(before, after),)))

    def reserve_in_the_end() -> None:
        for _ in range(1000):
            try:
                reserve()
                break
            except LedgerConflictError:
                continue

    assert len(won([reserve_in_the_end] * 10)) == 10
    after = ledger.payment(payment.key)
    assert after == replace(payment, held=1000, revision=11)


def test_one_of_fifty_holders_gets_the_claim(ledger: Ledger) -> None:
    processor_refund = unique("hp")
    claims = [
        ProcessorRefundClaim("hitpay", processor_refund, unique("rfd")) for _ in range(AT_ONCE)
    ]
    (winner,) = won([committing(ledger, Commit(claims=(claim,))) for claim in claims])
    assert ledger.claimed("hitpay", [processor_refund]) == {
        processor_refund: claims[winner].refund_id
    }


def test_one_holder_may_claim_fifty_times_at_once(ledger: Ledger) -> None:
    claim = ProcessorRefundClaim("hitpay", unique("hp"), unique("rfd"))
    assert len(won([committing(ledger, Commit(claims=(claim,)))] * AT_ONCE)) == AT_ONCE


def test_one_of_fifty_runs_takes_the_check(ledger: Ledger) -> None:
    refund = a_refund(next_check_ms=NOW)
    ledger.commit(Commit(refunds=(RefundWrite(None, refund),)))

    def take() -> bool:
        return ledger.take_check(refund.id, now_ms=NOW, until_ms=NOW + 1) is not None

    assert len(won([take] * AT_ONCE)) == 1
