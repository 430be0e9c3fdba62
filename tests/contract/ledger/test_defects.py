"""Commits that no ledger writes, whatever it holds: defects of the code that made them."""

from dataclasses import replace

import pytest

from refund_bridge.adapters.dynamodb.checks import ItemTooLargeError, LedgerDefectError
from refund_bridge.domain.refund import Entry
from refund_bridge.domain.state_machine import Event, IllegalTransitionError, State
from refund_bridge.ports.ledger import Commit, Ledger, PaymentWrite, RefundWrite
from tests.contract.ledger.examples import a_line, a_payment, a_refund, a_request, keep, write


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (Event.ACCEPT_INSTANT, State.REVIEW),
        (Event.ACCEPT_SCHEDULED, State.SUCCEEDED),
        (Event.IMPORT_SUCCEEDED, State.FAILED),
        (Event.IMPORT_PENDING, State.SUBMITTING),
    ],
)
def test_a_step_outside_the_table_is_a_defect(ledger: Ledger, event: Event, state: State) -> None:
    first = keep(ledger, a_refund(event))
    with pytest.raises(IllegalTransitionError):
        write(ledger, first, replace(first, state=state))
    assert ledger.refund(first.id) == first


@pytest.mark.parametrize(
    "state", [State.REJECTED, State.ABORTED, State.UNKNOWN, State.FAILED, State.REVIEW]
)
def test_no_refund_is_born_in_a_state_without_a_birth(ledger: Ledger, state: State) -> None:
    refund = replace(a_refund(), state=state)
    with pytest.raises(IllegalTransitionError):
        write(ledger, None, refund)
    assert ledger.refund(refund.id) is None


@pytest.mark.parametrize(
    "fact",
    [{"amount": 1}, {"currency": "usd"}, {"processor_payment_id": "x"}, {"processor": "other"}],
)
def test_what_money_moves_where_never_changes(ledger: Ledger, fact: dict[str, object]) -> None:
    first = keep(ledger, a_refund())
    with pytest.raises(LedgerDefectError):
        write(ledger, first, replace(first, **fact))  # type: ignore[arg-type]
    assert ledger.refund(first.id) == first


def test_history_is_never_rewritten_or_shortened(ledger: Ledger) -> None:
    refund = a_refund()
    first = keep(ledger, replace(refund, history=(*refund.history, a_line(refund))))
    rewritten = (replace(first.history[0], cause="else"), *first.history[1:])
    histories: tuple[tuple[Entry, ...], ...] = ((), first.history[:1], rewritten)
    for history in histories:
        with pytest.raises(LedgerDefectError):
            write(ledger, first, replace(first, history=history))
    assert ledger.refund(first.id) == first


def test_a_refund_is_only_written_with_its_own_payment(ledger: Ledger) -> None:
    refund, payment = a_refund(), a_payment()
    with pytest.raises(LedgerDefectError):
        ledger.commit(
            Commit(refunds=(RefundWrite(None, refund),), payments=(PaymentWrite(None, payment),))
        )
    assert ledger.refund(refund.id) is None
    assert ledger.payment(payment.key) is None


def test_one_item_is_written_once_in_a_commit(ledger: Ledger) -> None:
    refund = a_refund()
    with pytest.raises(LedgerDefectError):
        ledger.commit(Commit(refunds=(RefundWrite(None, refund), RefundWrite(None, refund))))
    assert ledger.refund(refund.id) is None


def test_a_commit_is_bounded(ledger: Ledger) -> None:
    writes = [RefundWrite(None, a_refund()) for _ in range(101)]
    with pytest.raises(LedgerDefectError):
        ledger.commit(Commit(refunds=writes))
    ledger.commit(Commit(refunds=writes[:100]))
    assert ledger.refund(writes[99].after.id) is not None


@pytest.mark.parametrize("amount", [1.0, 25.5, float("nan")])
def test_a_float_is_stored_nowhere(ledger: Ledger, amount: float) -> None:
    first = keep(ledger, a_refund())
    floats = (
        replace(a_refund(), amount=amount),  # type: ignore[arg-type]
        replace(a_refund(), request=a_request(amount=amount)),
        replace(a_refund(), history=(a_line(first, amount=amount),)),
        replace(a_refund(), history=(a_line(first, amounts=[{"amount": amount}]),)),
    )
    for refund in floats:
        with pytest.raises(TypeError):
            write(ledger, None, refund)
        assert ledger.refund(refund.id) is None
    with pytest.raises(TypeError):
        write(ledger, first, replace(first, next_check_ms=amount))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ledger.commit(Commit(payments=(PaymentWrite(None, a_payment(captured=amount)),)))
    assert ledger.refund(first.id) == first


def test_evidence_is_bounded(ledger: Ledger) -> None:
    first = keep(ledger, a_refund())
    small, large = a_line(first, text="é" * 1000), a_line(first, text="é" * 1025)
    with pytest.raises(ItemTooLargeError):
        write(ledger, first, replace(first, history=(*first.history, large)))
    write(ledger, first, replace(first, history=(*first.history, small)))


def test_an_item_is_bounded_before_money_is_asked_to_move(ledger: Ledger) -> None:
    plain = a_refund()
    lines = [a_line(plain, text="x" * 2000)] * 51
    with pytest.raises(ItemTooLargeError):
        keep(ledger, replace(plain, history=(*plain.history, *lines)))
    assert ledger.refund(plain.id) is None


def test_an_item_is_not_bounded_once_money_may_have_moved(ledger: Ledger) -> None:
    first = keep(ledger, a_refund())
    lines = [a_line(first, text="x" * 2000)] * 51
    write(ledger, first, replace(first, history=(*first.history, *lines)))
    second = ledger.refund(first.id)
    assert second is not None
    assert len(second.history) == 52
