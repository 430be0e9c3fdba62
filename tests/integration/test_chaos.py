"""Three calls in ten fail, workers are killed, callers repeat: every refund happens once.

On the hasty stack, whose operator chose `failed` for what HitPay did not show during the hold. So a
refund ends as `failed` with the code `not_executed` only if its order never reached HitPay's books;
were one wrong, the reconciliation would show money that no refund has.
"""

import sys
from collections import Counter
from random import Random
from time import monotonic

import pytest

from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refunds.refund import refund_id_of
from tests.integration.background import Item, causes, ledger_items
from tests.integration.callers import Callers, Intent
from tests.integration.reconciliation import Sides, differences
from tests.integration.storm import storm

SEED = 20_261_122
PAYMENTS = 60
PAID = 10_000
STORM_ROUNDS = 2
CONVERGED_WITHIN_S = 150
# Four refunds of each payment: equal amounts that are easily mixed up, or all that is left.
PLANS: tuple[tuple[dict[str, object], ...], ...] = (
    (
        {"amount": 2500},
        {"amount": 2500},
        {"amount": 1500, "refund_type": "scheduled"},
        {"amount": 3500},
    ),
    (
        {"amount": 2500},
        {"amount": 2500, "refund_type": "scheduled"},
        {"amount": 2500, "refund_type": "scheduled"},
        {"amount": 2500},
    ),
    ({}, {"amount": 4000}, {"refund_type": "scheduled"}, {"amount": 6000}),
)


def intents_of(payments: list[DemoPayment], dice: Random) -> list[Intent]:
    """What is wanted of each payment, all of it mixed."""
    wanted = [
        Intent(f"{payment.name}-{part}", {"payment_record": payment.record_id, **body})
        for number, payment in enumerate(payments)
        for part, body in enumerate(PLANS[number % len(PLANS)])
    ]
    dice.shuffle(wanted)
    return wanted


def sides_of(stack: RunningStack, payments: list[DemoPayment], callers: Callers) -> Sides:
    """What everybody shows of these payments."""
    charges = {payment.charge_id for payment in payments}
    records = {payment.record_id for payment in payments}
    refunds = [
        refund
        for refund in ledger_items(stack, "refund")
        if refund["processor_payment_id"] in charges
    ]
    return Sides(
        refunds=refunds,
        payments=[p for p in ledger_items(stack, "payment") if p["charge_id"] in charges],
        movements=[made for made in stack.control.refunds() if made.payment_id in charges],
        reports=[told for told in stack.control.reports() if told.payment_record in records],
        paid=payments,
        answered=answered(callers, refunds),
    )


def answered(callers: Callers, refunds: list[Item]) -> dict[str, str]:
    """What callers know of each refund.

    One that was aborted, and refused when its key came again because the amount was gone by then,
    is a failed one to its caller.
    """
    kept = {refund["id"] for refund in refunds}
    told = {
        end.refund_id or refund_id_of(key, "local"): "failed"
        if end.status == "refused"
        else end.status
        for key, end in callers.ends.items()
    }
    return {refund_id: status for refund_id, status in told.items() if refund_id in kept}


def is_settled(refund: Item) -> bool:
    """Whether nothing is left to be done for a refund."""
    if refund["state"] == "succeeded":
        return bool(refund["report"]["state"] == "reported")
    return refund["state"] in ("failed", "rejected", "aborted")


def causes_of(sides: Sides) -> Counter[str]:
    """How often refunds went from state to state, by cause."""
    return Counter(cause for refund in sides.refunds for cause in causes(refund))


def summary(sides: Sides, callers: Callers, counted: Counter[str]) -> str:
    """What was seen, for whoever runs it."""
    states = Counter(refund["state"] for refund in sides.refunds)
    return (
        f"  answers {dict(Counter(callers.statuses))}\n"
        f"  ledger {dict(states)}, HitPay {len(sides.movements)}, Stripe {len(sides.reports)}\n"
        f"  causes {dict(counted)}"
    )


def test_hundreds_of_refunds_converge(
    hasty_stack: RunningStack, hasty_api: RefundApiClient, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given payments, and callers who want several refunds of each
    dice = Random(SEED)  # noqa: S311 - repeatable on purpose
    payments = [DemoPayment(f"chaos_{number:03d}", PAID) for number in range(PAYMENTS)]
    hasty_stack.control.seed(seed_of(*payments))
    wanted = intents_of(payments, dice)
    callers = Callers(hasty_api, list(wanted))
    started = monotonic()
    # When they ask in a storm, many of them twice at once, and repeat
    with storm(hasty_stack, dice) as happened:
        for _ in range(STORM_ROUNDS):
            callers.ask_once(impatient=dice.sample(callers.open, len(callers.open) // 5))
        struck = sum(int(str(rule["fired"])) for rule in hasty_stack.control.faults())
        calls = len(hasty_stack.control.calls())
    stormy = monotonic() - started

    # Then, when it is over, everybody is told the end, and nothing is left to be done
    def nothing_is_left() -> bool:
        return all(is_settled(refund) for refund in ledger_items(hasty_stack, "refund"))

    callers.insist(CONVERGED_WITHIN_S, done=nothing_is_left)
    sides = sides_of(hasty_stack, payments, callers)
    counted = causes_of(sides)
    with capsys.disabled():
        sys.stdout.write(
            f"\nchaos: {len(wanted)} keys, {PAYMENTS} payments; {struck} of {calls} calls struck in"
            f" {stormy:.0f} s, {sum(happened.killed.values())} workers killed; converged"
            f" {monotonic() - started - stormy:.0f} s later\n{summary(sides, callers, counted)}\n"
        )
    assert [intent.key for intent in callers.open] == []
    # And ledger, HitPay, Stripe and callers agree about every refund: none double, none lost
    assert differences(sides) == []
    # And it was a storm
    assert struck >= calls // 5
    assert happened.in_flight
    assert len(happened.killed) == 2, happened.killed
    assert {"found", "lease_over", "hold_over", "aborted"} <= counted.keys()
