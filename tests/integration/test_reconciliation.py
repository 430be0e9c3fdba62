"""Tests the reconciliation itself: it finds each planted difference, and none if sides agree."""

import copy
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from local.simulators.records import MadeRefund, RecordedReport
from local.simulators.seeding import DemoPayment
from tests.integration.reconciliation import Sides, differences

PAYMENT = DemoPayment("reconciled", 10_000)


def refund(name: str, amount: int, state: str = "succeeded") -> dict[str, Any]:
    bound = {"processor_refund_id": f"hp_{name}"} if state == "succeeded" else {}
    return {
        "id": f"rfd_{name}",
        "state": state,
        "amount": Decimal(amount),
        "currency": "sgd",
        "processor_payment_id": PAYMENT.charge_id,
        "payment_record": PAYMENT.record_id,
        "report": {"state": "reported" if state == "succeeded" else "not_due"},
        **bound,
    }


def processor_refund(name: str, amount: str) -> MadeRefund:
    return MadeRefund(
        id=f"hp_{name}",
        payment_id=PAYMENT.charge_id,
        amount=Decimal(amount),
        currency="sgd",
        status="succeeded",
        made_in="api",
    )


def report(name: str, amount: int) -> RecordedReport:
    return RecordedReport(
        payment_record=PAYMENT.record_id,
        refund_reference=f"hp_{name}",
        amount=amount,
        currency="sgd",
        refunded_at=1,
        initiated_at=1,
        metadata={},
        idempotency_key=f"rfd_{name}:0",
        livemode=False,
        accepted_at=1,
        seeded=False,
    )


def agreeing() -> Sides:
    """Sides that agree: two refunds of one amount that happened, and one that did not."""
    sums = dict.fromkeys(("moved", "held", "booked", "bound_amount"), Decimal(5000))
    return Sides(
        refunds=[refund("one", 2500), refund("two", 2500), refund("three", 100, "failed")],
        payments=[{"charge_id": PAYMENT.charge_id, "waiting": [], **sums}],
        processor_refunds=[processor_refund("one", "25.00"), processor_refund("two", "25.00")],
        reports=[report("one", 2500), report("two", 2500)],
        paid=[PAYMENT],
        answered={"rfd_one": "succeeded", "rfd_two": "succeeded", "rfd_three": "failed"},
    )


def changed(sides: Sides, side: str, number: int, **facts: Any) -> Sides:
    """The sides with some facts of one refund or payment of the ledger changed."""
    items: Any = copy.deepcopy(getattr(sides, side))
    items[number].update(facts)
    return _with(sides, side, items)


def without(sides: Sides, side: str, number: int) -> Sides:
    """The sides with one thing missing on one of them."""
    items: list[Any] = list(getattr(sides, side))
    del items[number]
    return _with(sides, side, items)


def _with(sides: Sides, side: str, items: Any) -> Sides:
    return replace(sides, **{side: items})


def test_sides_that_agree_differ_in_nothing() -> None:
    assert differences(agreeing()) == []


PLANTED: dict[str, tuple[Callable[[Sides], Sides], str]] = {
    "a double processor refund": (
        lambda s: replace(
            s, processor_refunds=[*s.processor_refunds, processor_refund("again", "25.00")]
        ),
        "which no refund has",
    ),
    "a lost refund": (
        lambda s: without(s, "processor_refunds", 1),
        "HitPay has no refund 'hp_two'",
    ),
    "one processor refund for two refunds": (
        lambda s: changed(s, "refunds", 1, processor_refund_id="hp_one"),
        "shares hp_one",
    ),
    "another amount": (
        lambda s: replace(
            s, processor_refunds=[processor_refund("one", "25.01"), s.processor_refunds[1]]
        ),
        "HitPay shows",
    ),
    "another payment": (
        lambda s: changed(s, "refunds", 0, processor_payment_id="elsewhere"),
        "'elsewhere'",
    ),
    "a processor refund that is not final": (
        lambda s: replace(
            s,
            processor_refunds=[
                replace(s.processor_refunds[0], status="pending"),
                s.processor_refunds[1],
            ],
        ),
        "'pending'",
    ),
    "a failure that moved money": (
        lambda s: changed(s, "refunds", 1, state="failed"),
        "rfd_two is failed and bound to hp_two",
    ),
    "an unreported success": (lambda s: without(s, "reports", 0), "told 0 times of rfd_one"),
    "a report that the ledger still owes": (
        lambda s: changed(s, "refunds", 0, report={"state": "due"}),
        "rfd_one owes a report",
    ),
    "a report made twice": (
        lambda s: replace(s, reports=[*s.reports, report("two", 2500)]),
        "told 2 times of rfd_two",
    ),
    "a report of another amount": (
        lambda s: replace(s, reports=[report("one", 2600), s.reports[1]]),
        "Stripe was told ('pr_reconciled', 2600, 'sgd')",
    ),
    "a report of what no refund is": (
        lambda s: replace(s, reports=[*s.reports, report("stranger", 1)]),
        "which no success has",
    ),
    "an over-refunded charge": (
        lambda s: replace(
            s, processor_refunds=[*s.processor_refunds, processor_refund("third", "50.01")]
        ),
        "HitPay moved 100.01 of 100",
    ),
    "a book that shows another sum": (lambda s: without(s, "reports", 1), "Stripe's book shows"),
    "an amount not given back": (
        lambda s: changed(s, "payments", 0, held=Decimal(5100)),
        "held is 5100",
    ),
    "a slot not given back": (
        lambda s: changed(s, "payments", 0, slot="rfd_three"),
        "still busy",
    ),
    "a payment that the ledger lost": (
        lambda s: without(s, "payments", 0),
        "the ledger does not know the payment",
    ),
    "an unfinished refund": (
        lambda s: changed(s, "refunds", 2, state="unknown"),
        "rfd_three is still unknown",
    ),
    "a refund in review": (
        lambda s: changed(s, "refunds", 2, state="review"),
        "rfd_three is still review",
    ),
    "a caller told a success that is none": (
        lambda s: replace(s, answered={**s.answered, "rfd_three": "succeeded"}),
        "a caller was told succeeded of rfd_three",
    ),
    "a caller told of a refund that is not there": (
        lambda s: replace(s, answered={**s.answered, "rfd_gone": "succeeded"}),
        "rfd_gone, which is None",
    ),
    "a refund that nobody was told of": (
        lambda s: replace(s, answered={"rfd_one": "succeeded", "rfd_two": "succeeded"}),
        "rfd_three was never told",
    ),
}


@pytest.mark.parametrize(("plant", "said"), PLANTED.values(), ids=PLANTED)
def test_a_planted_difference_is_found(plant: Callable[[Sides], Sides], said: str) -> None:
    found = differences(plant(agreeing()))
    assert any(said in difference for difference in found), found
