"""Which of the refunds that a payment lists are ours, if it may list ours by other ids, or late."""

from dataclasses import replace

import pytest

from refund_bridge.domain.charge import (
    Charge,
    ChargeStatus,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.listed_refunds import (
    Beside,
    any_listed_otherwise,
    beside_of,
    bound_amount,
    ids_fit,
    is_listed_otherwise,
    moved_amount,
    with_sums,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from tests.contract.ledger.examples import a_payment, a_refund

KEY = PaymentKey("hitpay", "charge-1")
SUCCEEDED, PENDING, FAILED = ProcessorRefundStatus


def ours(name: str | None, amount: int, state: State = State.SUCCEEDED) -> Refund:
    """A refund of ours in that state, bound to the processor refund of that id."""
    asked = a_refund(amount=amount, processor_payment_id=KEY.charge_id)
    return replace(asked, state=state, processor_refund_id=name)


def listed(name: str, amount: int, status: ProcessorRefundStatus = SUCCEEDED) -> ProcessorRefund:
    return ProcessorRefund(
        id=name, payment_id=KEY.charge_id, money=Money(amount, "sgd"), status=status
    )


def charge(*shown: ProcessorRefund, refunded: int, lists: bool = True) -> Charge:
    """A payment of SGD 99.99 that shows so much as refunded."""
    return Charge(
        id=KEY.charge_id,
        status=ChargeStatus.REFUNDABLE,
        processor_status="succeeded",
        money=Money(9999, "sgd"),
        refunded=refunded,
        processor_refunds=shown if lists else None,
    )


def seen(of: Charge) -> PaymentSnapshot:
    return PaymentSnapshot(
        key=KEY, payment_record="pr_1", currency="sgd", captured=9999, in_book=None, charge=of
    )


class TestAnotherId:
    """The list shows our instruction under an id that our refund is not bound to."""

    def test_it_is_our_refund_if_the_payment_does_not_list_the_one_that_it_is_bound_to(
        self,
    ) -> None:
        refund = ours("answered", 1000)
        assert is_listed_otherwise(refund, KEY, ["listed"])
        # Else there are two processor refunds, and ours was bound to somebody else's
        assert not is_listed_otherwise(refund, KEY, ["listed", "answered"])

    def test_it_is_not_our_refund_if_that_is_of_another_payment_or_not_bound(self) -> None:
        other = PaymentKey("hitpay", "charge-2")
        assert not is_listed_otherwise(ours("answered", 1000), other, ["listed"])
        unbound = ours(None, 1000, State.UNKNOWN)
        assert payment_key_of(unbound) == KEY
        assert not is_listed_otherwise(unbound, KEY, ["listed"])

    def test_any_of_ours_of_that_amount_that_is_not_listed_may_be_the_listed_one(self) -> None:
        refunds = [ours("answered", 1000), ours("failed", 500, State.FAILED)]
        shown = charge(listed("listed", 1000), refunded=1000)
        assert any_listed_otherwise(Money(1000, "sgd"), shown, refunds)
        assert not any_listed_otherwise(Money(500, "sgd"), shown, refunds)
        both = charge(listed("listed", 1000), listed("answered", 1000), refunded=2000)
        assert not any_listed_otherwise(Money(1000, "sgd"), both, refunds)

    def test_where_nothing_is_listed_none_of_ours_is(self) -> None:
        unread = charge(refunded=1000, lists=False)
        assert any_listed_otherwise(Money(1000, "sgd"), unread, [ours("answered", 1000)])
        assert ids_fit(unread, {}, [ours("answered", 1001)])


class TestIdsFit:
    """Ours are listed by the ids that they are bound to, or the list is only late."""

    OWNED = ours("owned", 1000)
    LISTED = listed("owned", 1000)

    def fit(self, shown: Charge, *unlisted: Refund) -> bool:
        return ids_fit(shown, {"owned": self.OWNED}, unlisted)

    @pytest.mark.parametrize("amount", [500, 1000])
    def test_a_list_and_a_sum_that_both_lack_one_of_ours_are_late(self, amount: int) -> None:
        # Given one of ours, of the amount of a listed one or of another
        assert self.fit(charge(self.LISTED, refunded=1000), ours("late", amount))

    @pytest.mark.parametrize("amount", [1, 500])
    def test_a_sum_with_one_of_ours_that_the_list_lacks_does_not_fit(self, amount: int) -> None:
        assert not self.fit(charge(self.LISTED, refunded=1000 + amount), ours("late", amount))

    def test_an_unknown_one_with_the_amount_of_one_of_ours_does_not_fit(self) -> None:
        # Given ours, which is not listed, and one of its amount that is not in the sum yet
        shown = charge(self.LISTED, listed("unknown", 500, PENDING), refunded=1000)
        assert not self.fit(shown, ours("late", 500))
        assert self.fit(shown, ours("late", 501))

    def test_a_pending_one_of_ours_is_in_no_sum(self) -> None:
        shown = charge(self.LISTED, refunded=1000)
        assert self.fit(shown, ours("late", 500, State.PENDING))


class TestBeside:
    """The least that others refunded, where the list may name ours by other ids."""

    def test_what_is_ours_or_failed_or_may_be_ours_is_not_theirs(self) -> None:
        # Given a list with ours, a failed one, two of the amount of ours that is not listed, and
        # two more
        shown = charge(
            listed("owned", 1000),
            listed("failed", 700, FAILED),
            listed("perhaps ours", 500),
            listed("theirs", 500),
            listed("also theirs", 300),
            listed("pending", 200, PENDING),
            refunded=2300,
        )
        # Then one of the two may be ours, and the rest is theirs
        beside = beside_of(seen(shown), {"owned": ours("owned", 1000)}, [ours("answered", 500)])
        assert beside == Beside(moved=800, pending=200)

    @pytest.mark.parametrize(("moved", "others"), [(300, 800 + 200), (900, 900 + 200)])
    def test_the_sum_or_the_list_counts_whichever_shows_more(self, moved: int, others: int) -> None:
        payment = a_payment(moved=1000)
        shown = seen(charge(refunded=1800))
        after = with_sums(payment, shown, beside=Beside(moved, pending=200))
        assert after == replace(payment, foreign_on_charge=others)


def test_what_was_taken_back_is_in_no_sum_of_the_processors() -> None:
    # Given 10.00 of ours, of which 4.00 were taken back, and a sum without a list
    payment = a_payment(moved=1000, taken_back=400)
    after = with_sums(payment, seen(charge(refunded=900, lists=False)))
    # Then what is beyond the other 6.00 is somebody else's
    assert after == replace(payment, foreign_on_charge=300)


@pytest.mark.parametrize(
    ("refund", "bound", "moved"),
    [
        (ours("id", 1000), 1000, 1000),
        (ours("id", 1000, State.PENDING), 1000, 0),
        (ours("id", 1000, State.FAILED), 0, 0),
        (ours(None, 1000, State.UNKNOWN), 0, 0),
    ],
    ids=["succeeded", "pending", "failed", "not bound"],
)
def test_what_is_bound_has_perhaps_not_moved(refund: Refund, bound: int, moved: int) -> None:
    assert (bound_amount(refund), moved_amount(refund)) == (bound, moved)
