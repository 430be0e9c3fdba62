"""Callers who refund one payment after the other, while a test does other things."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from urllib3.exceptions import HTTPError

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.background import Item, ledger_items
from tests.integration.reconciliation import Sides, differences

CALLERS = 4
PACE_SECONDS = 0.2
# Errors that callers may get while a provider accepts no key of ours: nothing was executed, and the
# same idempotency key may be tried again.
NOT_NOW = frozenset({"processor_unavailable", "stripe_unavailable"})


@dataclass
class RefundStream:
    """The answers to the callers so far.

    Attributes:
        done: the refund's id for every refunded payment, by the payment's name.
        told: how often each answer was given: `201`, `503 processor_unavailable` and so on.
    """

    payments: Sequence[DemoPayment]
    done: dict[str, str] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)

    def go_on(self, refunds: int, *, at_most: float = 90) -> None:
        """Wait until that many more payments have been refunded."""
        goal = len(self.done) + refunds
        wait_for(lambda: len(self.done) >= goal, f"{refunds} more refunds", at_most=at_most)

    def refusals(self) -> set[str]:
        """Every answer that was not a refund."""
        return {told for told in self.told if not told.startswith("20")}


@contextmanager
def refunding(
    stack: RunningStack, api: RefundApiClient, payments: Sequence[DemoPayment]
) -> Iterator[RefundStream]:
    """Refund payments while the body runs; at the end every started refund is finished."""
    stream, over, lock = RefundStream(payments), threading.Event(), threading.Lock()
    left = iter(payments)

    def call_on() -> None:
        while not over.is_set():
            with lock:
                payment = next(left)
            while payment.name not in stream.done:
                over.wait(PACE_SECONDS)
                ask(payment)

    def ask(payment: DemoPayment) -> None:
        try:
            answer = api.create_refund(payment.name, payment_record=payment.record_id)
        except HTTPError as error:
            stream.told[type(error).__name__] += 1
            return
        code = "" if answer.status < 300 else f" {answer.body['error']['code']}"
        with lock:
            stream.told[f"{answer.status}{code}"] += 1
            if answer.status in (200, 201) and answer.body["status"] == "succeeded":
                stream.done[payment.name] = str(answer.body["id"])

    callers = [threading.Thread(target=call_on) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield stream
    finally:
        over.set()
        for caller in callers:
            caller.join()


def wait_until_all_is_reported(stack: RunningStack, stream: RefundStream) -> None:
    """Wait for the last report, and check that nothing was lost, doubled or left over."""
    begun = [payment for payment in stream.payments if payment.name in stream.done]
    wait_for(
        lambda: all(one["report"]["state"] == "reported" for one in _refunds(stack, begun)),
        "every refund reported",
        at_most=120,
        every=1,
    )
    charges = {payment.charge_id for payment in begun}
    records = {payment.record_id for payment in begun}
    sides = Sides(
        refunds=_refunds(stack, begun),
        payments=[one for one in ledger_items(stack, "payment") if one["charge_id"] in charges],
        processor_refunds=[made for made in stack.control.refunds() if made.payment_id in charges],
        reports=[told for told in stack.control.reports() if told.payment_record in records],
        paid=begun,
        answered=dict.fromkeys(stream.done.values(), "succeeded"),
    )
    assert len(sides.processor_refunds) == len(sides.reports) == len(begun)
    assert differences(sides) == []


def _refunds(stack: RunningStack, payments: Sequence[DemoPayment]) -> list[Item]:
    charges = {payment.charge_id for payment in payments}
    return [
        refund
        for refund in ledger_items(stack, "refund")
        if refund["processor_payment_id"] in charges
    ]
