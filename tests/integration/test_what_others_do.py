"""Others refund at HitPay and report to Stripe, on the deployed template: in the end sums agree."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployed.polling import wait_for
from local.http_client import RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from tests.integration.background import Item, ledger_items
from tests.integration.colleague import Colleague, sums
from tests.integration.test_webhook import swept

PAID = 10_000
# Long enough for others' time to report, for settling, and for reporting.
SOON = 120
EIGHT_HOURS_S = 8 * 3600


@pytest.fixture
def colleague(hasty_stack: RunningStack) -> Colleague:
    return Colleague(hasty_stack)


@pytest.fixture
def hitpay(hasty_stack: RunningStack) -> Iterator[Callable[..., None]]:
    """Changes how HitPay behaves, for as long as the test lasts."""
    yield hasty_stack.control.set_hitpay
    hasty_stack.control.set_hitpay(clock_offset_seconds=0, charge_refund_ids="same")


def paid(stack: RunningStack, name: str, **more: Any) -> DemoPayment:
    payment = DemoPayment(f"others_{name}", PAID, **more)
    stack.control.seed(seed_of(payment))
    return payment


def refunds_of(stack: RunningStack, payment: DemoPayment) -> list[Item]:
    """What the ledger has of a payment."""
    return [
        refund
        for refund in ledger_items(stack, "refund")
        if refund["processor_payment_id"] == payment.charge_id
    ]


def ends(stack: RunningStack, payment: DemoPayment, *states: str) -> None:
    """Wait until the payment's refunds are in these states, and owe nothing to Stripe."""

    def seen() -> bool:
        found = refunds_of(stack, payment)
        owing = [one for one in found if one["report"]["state"] in ("due", "failed")]
        return sorted(one["state"] for one in found) == sorted(states) and not owing

    wait_for(seen, f"{states}, Stripe owed nothing", at_most=SOON)


def test_by_a_clock_that_is_hours_behind_both_refunds_are_told_once(
    hasty_stack: RunningStack,
    hasty_api: RefundApiClient,
    colleague: Colleague,
    hitpay: Callable[..., None],
) -> None:
    # Given a HitPay whose clock is eight hours behind, and a refund in its dashboard
    hitpay(clock_offset_seconds=-EIGHT_HOURS_S)
    payment = paid(hasty_stack, "two_clocks")
    colleague.refund(payment, 3000)
    # When our first refund of the payment is made, and its answer is lost
    hasty_stack.control.add_fault(
        "hitpay", "refund.create", "commit_then_reset", match=payment.charge_id
    )
    hasty_api.create_refund("others-two-clocks", payment_record=payment.record_id, amount=2000)
    # Then Stripe hears of both
    ends(hasty_stack, payment, "succeeded", "succeeded")
    assert [int(one * 100) for one in sums(hasty_stack, payment)] == [5000, 5000]


@pytest.mark.parametrize("reference", ["a ticket", "HitPay's id"])
def test_what_a_colleague_refunds_and_books_is_told_once(
    hasty_stack: RunningStack, hasty_api: RefundApiClient, colleague: Colleague, reference: str
) -> None:
    # Given a refund in HitPay's dashboard that the same colleague has booked at Stripe
    payment = paid(hasty_stack, f"reference_{len(reference)}")
    made = colleague.refund(payment, 3000)
    colleague.book(payment, 3000, "ticket-4711" if reference == "a ticket" else made)
    # When it is seen here, and more is refunded
    swept(hasty_stack)
    key = f"others-{payment.name}"
    assert hasty_api.create_refund(key, payment_record=payment.record_id).body["amount"] == 7000
    # Then Stripe shows what HitPay shows
    ends(hasty_stack, payment, "succeeded", "succeeded")
    assert [int(one * 100) for one in sums(hasty_stack, payment)] == [PAID, PAID]


def test_a_refund_with_two_ids_at_hitpay_is_told_once(
    hasty_stack: RunningStack, hasty_api: RefundApiClient, hitpay: Callable[..., None]
) -> None:
    # Given a HitPay whose charges list refunds under ids of their own
    hitpay(charge_refund_ids="own")
    payment = paid(hasty_stack, "two_ids")
    # When a part is refunded, and seen again by the sweep
    hasty_api.create_refund("others-two-ids", payment_record=payment.record_id, amount=3000)
    ends(hasty_stack, payment, "succeeded")
    swept(hasty_stack)
    # Then it is one refund, and the rest can be refunded
    rest = hasty_api.create_refund("others-two-ids-rest", payment_record=payment.record_id)
    assert rest.body["amount"] == 7000
    ends(hasty_stack, payment, "succeeded", "succeeded")
    assert [int(one * 100) for one in sums(hasty_stack, payment)] == [PAID, PAID]


def test_a_failed_refund_that_moved_after_all_is_told_and_never_paid_twice(
    hasty_stack: RunningStack, hasty_api: RefundApiClient
) -> None:
    # Given a refund that HitPay calls failed
    payment = paid(hasty_stack, "after_all", on_charge={"refunds_come_back": "pending"})
    asked = {"payment_record": payment.record_id}
    first = hasty_api.create_refund("others-after-all", **asked, amount=3000)
    processor_refund_id = first.body["processor_refund_id"]
    hasty_stack.control.set_refund_status(processor_refund_id, "failed")
    ends(hasty_stack, payment, "failed")
    # When it succeeds after all, and everything is asked for
    hasty_stack.control.set_refund_status(processor_refund_id, "succeeded")
    rest = hasty_api.create_refund("others-after-all-rest", **asked)
    # Then only the rest is sent
    assert rest.body["amount"] == 7000
    hasty_stack.control.set_refund_status(rest.body["processor_refund_id"], "succeeded")
    ends(hasty_stack, payment, "succeeded", "succeeded")
    assert [int(one * 100) for one in sums(hasty_stack, payment)] == [PAID, PAID]
