"""Both count what a day's payouts come to in the write that reserves each, and exceed no day."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from refund_bridge.adapters.dynamodb.checks import LedgerDefectError
from refund_bridge.adapters.dynamodb.keys import payouts_key
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import (
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    PayoutCount,
    PayoutsReachedError,
    RecordClaim,
    RefundWrite,
)
from tests.contract.ledger.conftest import Table
from tests.contract.ledger.examples import a_payment, a_refund_of, unique


@pytest.fixture
def day() -> str:
    return unique("2026-11-28")


def count(day: str, amount: int, *, currency: str = "usd", at_most: int = 1000) -> PayoutCount:
    return PayoutCount(day=day, currency=currency, amount=amount, at_most=at_most)


def pay_out(ledger: Ledger, *counts: PayoutCount) -> Refund:
    """Reserve a payout that counts as much."""
    payment = a_payment()
    refund = a_refund_of(payment)
    ledger.commit(
        Commit(
            refunds=(RefundWrite(None, refund),),
            payments=(PaymentWrite(None, payment),),
            payouts=counts,
        )
    )
    return refund


def refused(ledger: Ledger, *counts: PayoutCount) -> bool:
    try:
        pay_out(ledger, *counts)
    except PayoutsReachedError as error:
        return error.count in counts
    return False


def test_a_day_takes_what_is_allowed_and_no_more(ledger: Ledger, day: str) -> None:
    assert not refused(ledger, count(day, 600))
    assert refused(ledger, count(day, 401))
    assert not refused(ledger, count(day, 400))
    assert refused(ledger, count(day, 1))


def test_more_than_a_day_takes_is_refused_at_once(ledger: Ledger, day: str) -> None:
    assert refused(ledger, count(day, 1001))
    assert not refused(ledger, count(day, 1000))


def test_each_day_and_each_currency_has_its_own(ledger: Ledger, day: str) -> None:
    assert not refused(ledger, count(day, 1000))
    assert not refused(ledger, count(day, 1000, currency="sgd"))
    assert not refused(ledger, count(f"{day}-2", 1000))


def test_what_is_refused_leaves_no_refund(ledger: Ledger, day: str) -> None:
    payment = a_payment()
    refund = a_refund_of(payment)
    over = Commit(
        refunds=(RefundWrite(None, refund),),
        payments=(PaymentWrite(None, payment),),
        claims=(RecordClaim(unique("pr"), payment.key),),
        payouts=(count(day, 1000),),
    )
    pay_out(ledger, count(day, 1))
    with pytest.raises(PayoutsReachedError):
        ledger.commit(over)
    assert ledger.refund(refund.id) is None
    assert ledger.payment(payment.key) is None


def test_a_reservation_that_loses_a_race_counts_nothing(ledger: Ledger, day: str) -> None:
    # Given a payment that somebody else has changed
    payment: Payment = a_payment()
    ledger.commit(Commit(payments=(PaymentWrite(None, payment),)))
    late = Commit(
        refunds=(RefundWrite(None, a_refund_of(payment)),),
        payments=(PaymentWrite(None, payment),),
        payouts=(count(day, 1000),),
    )
    with pytest.raises(LedgerConflictError) as lost:
        ledger.commit(late)
    assert not isinstance(lost.value, PayoutsReachedError)
    # Then the whole day is left
    assert not refused(ledger, count(day, 1000))
    # And where both are wrong, the race is told, since what comes after it may be another commit
    with pytest.raises(LedgerConflictError) as both:
        ledger.commit(late)
    assert not isinstance(both.value, PayoutsReachedError)


def test_a_claim_that_is_anothers_counts_nothing(ledger: Ledger, day: str) -> None:
    record = unique("pr")
    ledger.commit(Commit(claims=(RecordClaim(record, PaymentKey("hitpay", unique("c"))),)))
    payment = a_payment()
    with pytest.raises(LedgerConflictError):
        ledger.commit(
            Commit(
                refunds=(RefundWrite(None, a_refund_of(payment)),),
                payments=(PaymentWrite(None, payment),),
                claims=(RecordClaim(record, payment.key),),
                payouts=(count(day, 1000),),
            )
        )
    assert not refused(ledger, count(day, 1000))


def test_of_many_at_once_no_more_than_fit_are_taken(ledger: Ledger, day: str) -> None:
    def one(_: int) -> bool:
        for _ in range(50):
            try:
                return not refused(ledger, count(day, 100))
            except LedgerConflictError:
                continue  # DynamoDB's own, between two transactions
        raise AssertionError("too busy")

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(one, range(25)))
    assert taken.count(True) == 10


def test_nothing_is_counted_without_its_refund_nor_taken_back(ledger: Ledger, day: str) -> None:
    with pytest.raises(LedgerDefectError):
        ledger.commit(Commit(payouts=(count(day, 100),)))
    with pytest.raises(LedgerDefectError):
        pay_out(ledger, count(day, -100))
    with pytest.raises(LedgerDefectError):
        pay_out(ledger, count(day, 1), count(day, 2))


def test_a_sum_of_the_former_release_goes_on(table: Table, day: str) -> None:
    key = payouts_key(count(day, 0))
    table.put(key | {"asked": 600, "schema_version": 1})
    assert refused(table.ledger(), count(day, 401))
    assert not refused(table.ledger(), count(day, 400))
    assert (table.item(key) or {})["asked"] == 1000
