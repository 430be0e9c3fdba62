"""Workers are killed at the worst places, three calls in ten fail: every refund happens once.

A colleague refunds in the dashboard meanwhile, and books some of that at Stripe by hand.

First each kind of mishap is made to happen, to a payment of its own; then faults are random.

This runs on the hasty stack, which is set to `failed` for refunds that HitPay did not show during
the late-arrival window. So a refund ends as `failed` with the code `not_executed` only if its
instruction never reached HitPay's books; otherwise the reconciliation would show a processor refund
without a refund.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import pytest

from deployed.polling import NotInTimeError, wait_for
from local.http_client import RefundApiClient
from local.simulators.currency import major
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refund_bridge.domain.refund import refund_id_of
from tests.integration.background import Item, causes, ledger_items
from tests.integration.callers import Callers, Intent
from tests.integration.colleague import Colleague, sums
from tests.integration.reconciliation import Sides, differences
from tests.integration.storm import INSTRUCTION, REPORT, hold_answer, kill_before_the_answer, storm

SEED = 20_261_122
PAYMENTS = 24
# Payments of which a colleague also refunds a part, and reports it under a ticket, under HitPay's
# id or not at all. Their amounts are large enough for that.
SHARED = 6
BY_HAND = 1111
PAID = 10_000
STORM_ROUNDS = 2
# Only what never ends is to take longer. Checks that failed in the storm make the pauses between
# checks a minute each, and three must find nothing before a refund has failed.
CONVERGED_WITHIN_S = 600
# What happens to a payment, and the cause that its refund's history then has.
MISHAPS = {
    "instruction_lost": ["hold_over"],
    "answer_lost": ["no_usable_answer", "found"],
    "not_taken": ["aborted"],
    "reporter_killed": ["accepted"],
    "sender_killed": ["lease_over", "found"],
}
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


def intents_of(
    payments: list[DemoPayment], plans: Sequence[tuple[dict[str, object], ...]]
) -> list[Intent]:
    """What is wanted of each payment."""
    return [
        Intent(f"{payment.name}-{part}", {"payment_record": payment.record_id, **body})
        for number, payment in enumerate(payments)
        for part, body in enumerate(plans[number % len(plans)])
    ]


def sides_of(stack: RunningStack, payments: list[DemoPayment], callers: Callers) -> Sides:
    """What all sides show of these payments."""
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
        processor_refunds=[made for made in stack.control.refunds() if made.payment_id in charges],
        reports=[told for told in stack.control.reports() if told.payment_record in records],
        paid=payments,
        answered=answered(callers, refunds),
    )


def answered(callers: Callers, refunds: list[Item]) -> dict[str, str]:
    """The last status that callers know of each refund.

    A refund may have been aborted, and refused when its key came again, since the amount was not
    refundable any more: for its caller it has failed.
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


def summary(sides: Sides, callers: Callers) -> str:
    """A summary for the person who runs the test."""
    states = Counter(refund["state"] for refund in sides.refunds)
    counted = Counter(cause for refund in sides.refunds for cause in causes(refund))
    return (
        f"  answers {dict(Counter(callers.statuses))}\n"
        f"  ledger {dict(states)}, "
        f"HitPay {len(sides.processor_refunds)}, Stripe {len(sides.reports)}\n"
        f"  causes {dict(counted)}"
    )


def test_many_refunds_converge_whatever_befalls_them(
    hasty_stack: RunningStack, hasty_api: RefundApiClient, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given payments, and callers who want several refunds of each
    dice = Random(SEED)  # noqa: S311 - repeatable on purpose
    chosen = {name: DemoPayment(f"chaos_{name}", PAID) for name in MISHAPS}
    payments = [DemoPayment(f"chaos_{number:03d}", PAID) for number in range(PAYMENTS)]
    shared = [DemoPayment(f"chaos_shared_{number}", 2 * PAID) for number in range(SHARED)]
    hasty_stack.control.seed(seed_of(*chosen.values(), *payments, *shared))
    wanted = intents_of(payments, PLANS) + intents_of(shared, PLANS[:2])
    dice.shuffle(wanted)
    callers = Callers(hasty_api, [])
    # When each mishap befalls a payment, and most workers are killed while others use them
    mishaps_befall(hasty_stack, chosen, callers, wanted[: len(wanted) // 2])
    # And all the others ask in a storm, many of them twice at once, and repeat
    callers.open += wanted[len(wanted) // 2 :]
    with storm(hasty_stack, dice), ThreadPoolExecutor(1) as desk:
        by_hand = desk.submit(refund_by_hand, Colleague(hasty_stack), shared)
        for _ in range(STORM_ROUNDS):
            callers.ask_once(impatient=dice.sample(callers.open, len(callers.open) // 5))
        by_hand.result()
        struck = sum(int(str(rule["fired"])) for rule in hasty_stack.control.faults())

    # Then, when it is over, everybody is told the end, and nothing is left to be done
    def nothing_is_left() -> bool:
        return all(is_settled(refund) for refund in ledger_items(hasty_stack, "refund"))

    callers.insist(CONVERGED_WITHIN_S, done=nothing_is_left)
    sides = sides_of(hasty_stack, [*chosen.values(), *payments], callers)
    with capsys.disabled():
        sys.stdout.write(f"\nchaos: {struck} calls struck\n{summary(sides, callers)}\n")
    waited_for = {intent.body["payment_record"] for intent in callers.open}
    waiting = [one for one in (*chosen.values(), *payments, *shared) if one.record_id in waited_for]
    assert [shown_of(hasty_stack, payment) for payment in waiting] == []
    # And ledger, HitPay, Stripe and callers agree about every refund: none double, none lost
    assert differences(sides) == []
    # And where a colleague refunded, too, HitPay and Stripe come to show one sum
    for number, payment in enumerate(shared):
        try:
            agrees = partial(sums_agree, hasty_stack, payment, books_a_ticket=number % 3 == 2)
            wait_for(agrees, payment.name, at_most=CONVERGED_WITHIN_S)
        except NotInTimeError:
            pytest.fail(shown_of(hasty_stack, payment))
    # And what was made to happen is what happened
    assert struck
    for name, expected in MISHAPS.items():
        refund = refund_of(sides, chosen[name])
        seen = dict.fromkeys(one for one in causes(refund) if one in expected)
        assert list(seen) == expected, (name, refund)
    assert refund_of(sides, chosen["reporter_killed"])["report"]["attempts"] > 1


def sums_agree(stack: RunningStack, payment: DemoPayment, *, books_a_ticket: bool) -> bool:
    """Whether HitPay and Stripe show one sum, or the ledger has noticed how much they differ.

    A ticket may be booked later than the time that others have to report: the service has told
    Stripe by then, and leaves the difference to a person.
    """
    moved, told = sums(stack, payment)
    assert moved >= major(BY_HAND, "sgd")
    if books_a_ticket and told - moved == major(BY_HAND, "sgd"):
        items = ledger_items(stack, "payment")
        (item,) = [one for one in items if one["charge_id"] == payment.charge_id]
        return bool(item["unexplained"] == BY_HAND)
    return moved == told


def shown_of(stack: RunningStack, payment: DemoPayment) -> str:
    """What every side shows of a payment, for the person who reads why this test failed."""
    items = [*ledger_items(stack, "payment"), *ledger_items(stack, "refund")]
    refunds = [one for one in stack.control.refunds() if one.payment_id == payment.charge_id]
    reports = stack.control.reports(payment.record_id)
    ours = [
        one
        for one in items
        if payment.charge_id in (one.get("charge_id"), one.get("processor_payment_id"))
    ]
    return "\n".join(map(repr, [payment.name, *refunds, *reports, *ours]))


def refund_by_hand(colleague: Colleague, payments: list[DemoPayment]) -> None:
    """What a colleague does in both dashboards, payment by payment."""
    for number, payment in enumerate(payments):
        made = colleague.refund(payment, BY_HAND)
        if number % 3:
            colleague.book(payment, BY_HAND, made if number % 3 == 1 else f"ticket-{number}")


def mishaps_befall(
    stack: RunningStack,
    chosen: Mapping[str, DemoPayment],
    callers: Callers,
    bystanders: list[Intent],
) -> None:
    """Make each kind of mishap happen, one after the other, so that none disturbs another."""
    befall = stack.control.add_fault
    for name, fault, more in (
        ("instruction_lost", "lost_request", {}),
        ("answer_lost", "commit_then_reset", {}),
        ("not_taken", "status", {"status": 429}),
    ):
        befall("hitpay", "refund.create", fault, match=chosen[name].charge_id, **more)
    hold_answer(stack, REPORT, chosen["reporter_killed"].record_id)
    hold_answer(stack, INSTRUCTION, chosen["sender_killed"].charge_id)
    intents = {
        name: Intent(f"chaos-{name}", {"payment_record": payment.record_id})
        for name, payment in chosen.items()
    }
    last = intents.pop("sender_killed")
    callers.open += intents.values()
    callers.ask_once()
    kill_before_the_answer(stack, REPORT, chosen["reporter_killed"].record_id)
    callers.open += [last, *bystanders]
    with ThreadPoolExecutor(1) as killer:
        killing = killer.submit(
            kill_before_the_answer, stack, INSTRUCTION, chosen["sender_killed"].charge_id
        )
        callers.ask_once()
        killing.result()


def refund_of(sides: Sides, payment: DemoPayment) -> Item:
    """The one refund of a payment."""
    (refund,) = [one for one in sides.refunds if one["processor_payment_id"] == payment.charge_id]
    return dict(refund)
