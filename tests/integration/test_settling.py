"""Refunds that a call leaves open are settled in the background, by the schedule, with its role."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import Answer, RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.records import RecordedCall
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from local.workers import kill_worker, worker_pids
from refund_bridge.domain.refund import refund_id_of
from tests.integration.background import causes, ledger_refund
from tests.integration.bus import forbidden, logged

SOON = 90
# The hasty stack's lease and what follows it.
AFTER_THE_LEASE = 180
# The schedule fires every minute.
SCHEDULED = 120


def paid(stack: RunningStack, name: str, **more: Any) -> DemoPayment:
    """A payment of the test's own."""
    payment = DemoPayment(name, 5000, **more)
    stack.control.seed(seed_of(payment))
    return payment


def pending(answer: Answer) -> str:
    """The id of a refund that was accepted without being final."""
    assert (answer.status, answer.body["status"]) == (202, "pending"), answer.text
    return str(answer.body["id"])


def reported(api: RefundApiClient, refund_id: str, at_most: float = SOON) -> dict[str, Any]:
    """The refund, once it has succeeded and Stripe has heard of it."""

    def look() -> dict[str, Any] | None:
        body: dict[str, Any] = api.read_refund(refund_id).body
        is_reported = body["stripe_report"]["status"] == "reported"
        return body if body["status"] == "succeeded" and is_reported else None

    return wait_for(look, f"{refund_id} succeeded and reported", at_most=at_most, every=0.2)


def instructions(stack: RunningStack, payment: DemoPayment) -> list[RecordedCall]:
    """The instructions to HitPay for this payment, in order."""
    return [
        call
        for call in stack.control.calls("hitpay", "refund.create")
        if call.parameters.get("payment_id") == payment.charge_id
    ]


def moved_and_told_once(stack: RunningStack, payment: DemoPayment, amount: int) -> None:
    """HitPay was asked once and moved once, Stripe was told once."""
    (made,) = stack.control.refunds(payment.charge_id)
    (report,) = stack.control.reports(payment.record_id)
    assert (report.amount, report.refund_reference) == (amount, made.id)
    assert len(instructions(stack, payment)) == 1


@pytest.fixture(scope="module", autouse=True)
def unheard(hasty_stack: RunningStack) -> tuple[DemoPayment, Answer]:
    """A refund whose doorbell could not be rung; its lease ends while other tests run."""
    with forbidden(hasty_stack, "sqs:SendMessage", "RefundApi"):
        payment = paid(hasty_stack, "settle_doorbell")
        api = RefundApiClient(hasty_stack.api_url, hasty_stack.api_key)
        return payment, api.create_refund("settle-doorbell", payment_record=payment.record_id)


def test_a_refund_that_hitpay_never_shows_fails_after_the_hold_and_frees_its_amount(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a HitPay that never gets the instruction
    payment = paid(hasty_stack, "settle_lost")
    hasty_stack.control.add_fault(
        "hitpay", "refund.create", "lost_request", match=payment.charge_id
    )
    refund_id = pending(hasty_api.create_refund("settle-lost", payment_record=payment.record_id))
    # When nothing is found for the whole hold, the operator having chosen "failed" for that
    body = wait_for(
        lambda: (
            found
            if (found := hasty_api.read_refund(refund_id).body)["status"] == "failed"
            else None
        ),
        "the refund failed",
        at_most=SOON,
    )
    # Then it says so, is spent, and another refund may have the amount
    assert body["failure"]["code"] == "not_executed"
    assert ledger_refund(hasty_stack, refund_id)["history"][-1]["evidence"]["look_ups"] >= 3
    again = hasty_api.create_refund("settle-lost-2", payment_record=payment.record_id)
    assert (again.status, again.body["amount"]) == (201, 5000), again.text


def test_a_crash_after_the_instruction_is_settled(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a refund that HitPay has executed and not yet answered
    payment = paid(hasty_stack, "settle_crash")
    hasty_stack.control.add_fault(
        "hitpay", "refund.create", "commit_then_timeout", match=payment.charge_id
    )
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(
            hasty_api.create_refund, "settle-crash", payment_record=payment.record_id, amount=1200
        )
        wait_for(
            lambda: [one for one in instructions(hasty_stack, payment) if one.processed],
            "HitPay has executed it",
            at_most=SOON,
        )
        # When every worker of the function is killed
        function = hasty_stack.outputs["RefundApiFunctionName"]
        killed = [kill_worker(pid) for pid in worker_pids(hasty_stack.emulator, function)]
        assert any(killed)
        assert call.result().status >= 500
    # Then a repeat waits for the attempt, which could still be alive, and is told no end of it
    again = hasty_api.create_refund("settle-crash", payment_record=payment.record_id, amount=1200)
    assert again.status in (202, 409), again.text
    if again.status == 409:
        assert again.body["error"]["code"] == "idempotency_key_in_use"
    refund_id = refund_id_of("settle-crash", "local")
    # And then it is found, bound and reported
    reported(hasty_api, refund_id, at_most=AFTER_THE_LEASE)
    assert causes(ledger_refund(hasty_stack, refund_id))[:3] == ["reserved", "lease_over", "found"]
    moved_and_told_once(hasty_stack, payment, 1200)
    final = hasty_api.create_refund("settle-crash", payment_record=payment.record_id, amount=1200)
    assert (final.status, final.body["status"]) == (200, "succeeded")


def test_scheduled_refunds_are_executed_in_order_behind_a_busy_one(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a refund that HitPay takes seconds to answer
    payment = paid(hasty_stack, "settle_scheduled")
    hasty_stack.control.add_fault(
        "hitpay", "refund.create", "commit_then_timeout", match=payment.charge_id, seconds=6
    )
    with ThreadPoolExecutor(1) as caller:
        busy = caller.submit(
            hasty_api.create_refund, "settle-busy", payment_record=payment.record_id, amount=1000
        )
        wait_for(
            lambda: instructions(hasty_stack, payment), "the instruction at HitPay", at_most=SOON
        )
        # When two more are asked for, to be executed in the background
        waiting = [
            pending(
                hasty_api.create_refund(
                    f"settle-scheduled-{amount}",
                    payment_record=payment.record_id,
                    amount=amount,
                    refund_type="scheduled",
                )
            )
            for amount in (300, 200)
        ]
        assert busy.result().status == 201
    # Then they are executed, each once and in the order in which they were accepted
    for refund_id in waiting:
        reported(hasty_api, refund_id)
    sent = instructions(hasty_stack, payment)
    assert [one.parameters["amount"] for one in sent] == ["10.00", "3.00", "2.00"]
    # And none before HitPay has answered the one before
    for before, after in pairwise(sent):
        assert after.monotonic_ms >= before.monotonic_ms + before.duration_ms
    assert len(hasty_stack.control.refunds(payment.charge_id)) == 3


def test_a_refund_that_hitpay_holds_back_is_reported_once_it_is_final(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a PayNow refund, which HitPay accepts and does not finish
    payment = paid(
        hasty_stack,
        "settle_paynow",
        payment_method="paynow_online",
        on_charge={"refunds_come_back": "pending"},
    )
    refund_id = pending(
        hasty_api.create_refund("settle-paynow", payment_record=payment.record_id, amount=700)
    )
    # When settling has looked at it more than once
    wait_for(
        lambda: ledger_refund(hasty_stack, refund_id).get("looks", 0) >= 2,
        "two look-ups",
        at_most=SOON,
    )
    # Then Stripe has not been told of anything
    assert ledger_refund(hasty_stack, refund_id)["state"] == "pending"
    assert hasty_stack.control.reports(payment.record_id) == []
    # And when the wallet has got the money
    (made,) = hasty_stack.control.refunds(payment.charge_id)
    hasty_stack.control.set_refund_status(made.id, "succeeded")
    # Then it is succeeded, and Stripe hears of it once
    assert reported(hasty_api, refund_id)["processor_refund_id"] == made.id
    moved_and_told_once(hasty_stack, payment, 700)


def test_a_lost_doorbell_is_rung_again(
    unheard: tuple[DemoPayment, Answer], hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a doorbell that could not be rung
    payment, answer = unheard
    assert (answer.status, answer.body["status"]) == (201, "succeeded"), answer.text
    # Then the ledger still knows that the report is due, and rings again
    reported(hasty_api, answer.body["id"], at_most=AFTER_THE_LEASE)
    assert ledger_refund(hasty_stack, answer.body["id"])["report"]["rings"] >= 1
    moved_and_told_once(hasty_stack, payment, 5000)


def test_the_schedule_itself_starts_settling_through_the_alias(hasty_stack: RunningStack) -> None:
    # Given a stack on which nobody has started settling by hand but once
    # When a minute has passed, then somebody else has
    wait_for(lambda: len(settling_runs(hasty_stack)) > 1, "a scheduled run", at_most=SCHEDULED)
    # And it is the alias that the schedule names
    scheduler = hasty_stack.client("scheduler")
    targets = [schedule["Target"]["Arn"] for schedule in scheduler.list_schedules()["Schedules"]]
    function = hasty_stack.outputs["SettleRefundsFunctionName"]
    assert any(target.endswith(f":function:{function}:live") for target in targets)


def settling_runs(stack: RunningStack) -> set[str]:
    """The requests that have settled something or found nothing to settle, by their ids."""
    lines = map(json.loads, logged(stack, "SettleRefunds", "settle_run"))
    return {line["function_request_id"] for line in lines if "function_request_id" in line}
