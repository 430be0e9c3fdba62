"""A charge's list of refunds beside ours: whose may each of them be, and what do others' add up to?

A ``charge`` here lists amounts by id; ``ours`` are refunds bound to ids, listed or not.
"""

from dataclasses import replace
from typing import Any

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
    are_all_bound,
    beside_of,
    bound_amount,
    ids_fit,
    is_listed_otherwise,
    moved_amount,
    with_sums,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import Event
from refund_bridge.domain.transitions import transition
from tests.contract.ledger.examples import NOW, a_payment, a_refund, why

FAILED, PENDING, SUCCEEDED = (
    ProcessorRefundStatus.FAILED,
    ProcessorRefundStatus.PENDING,
    ProcessorRefundStatus.SUCCEEDED,
)


def charge(
    *listed: tuple[str, int] | tuple[str, int, ProcessorRefundStatus],
    refunded: int = 0,
    **facts: Any,
) -> Charge:
    plain = Charge(
        id="c",
        status=ChargeStatus.REFUNDABLE,
        processor_status="succeeded",
        money=Money(9999, "sgd"),
        refunded=refunded,
        processor_refunds=tuple(
            ProcessorRefund(
                id=one,
                payment_id="c",
                money=Money(amount, "sgd"),
                status=status[0] if status else SUCCEEDED,
            )
            for one, amount, *status in listed
        ),
    )
    return replace(plain, **facts)


def seen(shown: Charge | None) -> PaymentSnapshot:
    return PaymentSnapshot(
        key=PaymentKey("hitpay", "c"),
        payment_record="pr_1",
        currency="sgd",
        captured=9999,
        in_book=None,
        charge=shown,
    )


def bound(event: Event, amount: int, processor_refund_id: str | None = "ours") -> Refund:
    sent = a_refund(amount=amount)
    return transition(sent, event, why("test"), processor_refund_id=processor_refund_id)


def moved(amount: int, processor_refund_id: str = "ours") -> Refund:
    return bound(Event.SUCCEED, amount, processor_refund_id)


def pending(amount: int, processor_refund_id: str = "ours") -> Refund:
    return bound(Event.PEND, amount, processor_refund_id)


def failed(amount: int) -> Refund:
    return transition(pending(amount), Event.FAIL, why("test"))


def taken_back(amount: int) -> Refund:
    return replace(moved(amount), late_failure_at_ms=NOW)


@pytest.mark.parametrize(
    ("refund", "is_bound", "has_moved"),
    [
        (moved(2500), 2500, 2500),
        (taken_back(2500), 2500, 2500),
        (pending(2500), 2500, 0),
        (failed(2500), 0, 0),
        (bound(Event.LOSE, 2500, None), 0, 0),
    ],
)
def test_what_a_refund_has_bound_and_moved(refund: Refund, is_bound: int, has_moved: int) -> None:
    assert bound_amount(refund) == is_bound
    assert moved_amount(refund) == has_moved
    # A payment with no more than that has no other bound refund
    assert are_all_bound(a_payment(bound_amount=is_bound), [refund])
    assert not are_all_bound(a_payment(bound_amount=is_bound + 1), [refund])


class TestListedOtherwise:
    """The payment may list a refund of ours by another id than its instruction was answered."""

    HERE = PaymentKey("hitpay", "c")

    def test_ours_is_the_listed_one_only_on_its_payment_and_if_its_own_id_is_not_listed(
        self,
    ) -> None:
        refund = replace(moved(2500), processor_payment_id="c", processor="hitpay")
        assert is_listed_otherwise(refund, self.HERE, ["listed-1"])
        # Its own id is listed too, so these are two
        assert not is_listed_otherwise(refund, self.HERE, ["listed-1", "ours"])
        assert not is_listed_otherwise(refund, PaymentKey("hitpay", "d"), ["listed-1"])
        unbound = replace(refund, processor_refund_id=None)
        assert not is_listed_otherwise(unbound, self.HERE, ["listed-1"])

    @pytest.mark.parametrize(
        ("shown", "ours", "expected"),
        [
            (charge(("listed-1", 2500)), moved(2500), True),
            (charge(("listed-1", 2500)), moved(2501), False),
            (charge(("ours", 2500)), moved(2500), False),
            (charge(("listed-1", 2500)), failed(2500), False),
            (charge(processor_refunds=None), moved(2500), True),
        ],
    )
    def test_one_of_ours_of_that_amount_may_be_the_listed_one_unless_its_own_id_is_listed(
        self, shown: Charge, ours: Refund, expected: bool
    ) -> None:
        assert any_listed_otherwise(Money(2500, "sgd"), shown, [ours]) is expected


@pytest.mark.parametrize(
    ("shown", "owned", "unlisted", "fits"),
    [
        # Ours is not listed, and not in the sum: it was read before ours moved
        (charge(), [], moved(2500), True),
        (charge(processor_refunds=None), [], moved(2500), True),
        (charge(("listed-1", 1000), refunded=1000), [], moved(2500), True),
        # Ours is not listed, but the sum may include it
        (charge(("a", 1000), ("b", 1500), refunded=2500), [], moved(2500), False),
        (charge(("a", 1000), ("b", 1499), refunded=2499), [], moved(2500), True),
        (charge(("a", 1), refunded=1), [], moved(1), False),
        (charge(("a", 2), refunded=2), [], moved(1), False),
        # Another of ours is listed as it is bound, and explains the sum
        (charge(("b", 4000), refunded=4000), [moved(4000, "b")], moved(2500), True),
        (charge(("b", 2500), refunded=2500), [moved(2500, "b")], moved(2500), True),
        (charge(("b", 4000), refunded=6500), [moved(4000, "b")], moved(2500), False),
        # Ours is pending, so no sum has it; only a listed one of its amount may be it
        (charge(("a", 4000), refunded=4000), [], pending(2500), True),
        (charge(("a", 2500, PENDING)), [], pending(2500), False),
        (charge(("b", 2500, PENDING)), [pending(2500, "b")], pending(2500), True),
    ],
)
def test_the_ids_fit_if_neither_sum_nor_list_may_have_ours_by_another_id(
    shown: Charge, owned: list[Refund], unlisted: Refund, fits: bool
) -> None:
    owners = {str(one.processor_refund_id): one for one in owned}
    assert ids_fit(shown, owners, [unlisted]) is fits


@pytest.mark.parametrize(
    ("shown", "unlisted", "beside"),
    [
        (None, [moved(2500)], Beside(moved=0, pending=0)),
        (charge(), [moved(2500)], Beside(moved=0, pending=0)),
        # As many as ours of an amount may be ours; what is more is others'
        (charge(("a", 2500)), [moved(2500)], Beside(moved=0, pending=0)),
        (charge(("a", 2500), ("b", 2500)), [moved(2500)], Beside(moved=2500, pending=0)),
        (
            charge(("a", 2500), ("b", 2500), ("c", 2500)),
            [moved(2500), moved(2500, "ours too")],
            Beside(moved=2500, pending=0),
        ),
        (charge(("a", 1000), ("b", 1500)), [moved(2500)], Beside(moved=2500, pending=0)),
        # Ours has not moved yet, so what has moved is not ours
        (charge(("a", 2500)), [pending(2500)], Beside(moved=2500, pending=0)),
        # What is listed as ours, and what failed, is nothing of others'; what follows it is
        (
            charge(("owned", 4000), ("x", 700, FAILED), ("a", 1000), ("b", 300, PENDING)),
            [moved(2500)],
            Beside(moved=1000, pending=300),
        ),
        (
            charge(("a", 200, PENDING), ("b", 300, PENDING), ("c", 1000), ("d", 50)),
            [],
            Beside(moved=1050, pending=500),
        ),
    ],
)
def test_the_least_that_others_refunded_is_what_cannot_be_ours(
    shown: Charge | None, unlisted: list[Refund], beside: Beside
) -> None:
    assert beside_of(seen(shown), {"owned": moved(4000, "owned")}, unlisted) == beside


@pytest.mark.parametrize(
    ("shown", "beside", "others"),
    [
        # Nothing readable is listed: what the sum shows beyond what of ours is not taken back
        (charge(refunded=3200, processor_refunds=None), None, 1200),
        (charge(refunded=1900, processor_refunds=None), None, 0),
        # Listed refunds are imported one by one
        (charge(refunded=3200), None, 0),
        # It cannot be told which are ours: at least what the sum shows, and what cannot be ours
        (charge(refunded=3200), Beside(moved=700, pending=0), 1200),
        (charge(refunded=3200), Beside(moved=1700, pending=0), 1700),
        (charge(refunded=3200), Beside(moved=700, pending=40), 1240),
    ],
)
def test_what_others_refunded_is_a_sum_where_it_cannot_be_told_one_by_one(
    shown: Charge, beside: Beside | None, others: int
) -> None:
    payment = a_payment(captured=9999, held=2500, moved=2500, taken_back=500)
    after = with_sums(payment, seen(shown), beside=beside)
    assert after == replace(payment, foreign_on_charge=others)


def test_a_charge_that_was_not_read_says_nothing_of_others() -> None:
    payment = a_payment(captured=9999, foreign_on_charge=300)
    assert with_sums(payment, seen(None)) == payment
