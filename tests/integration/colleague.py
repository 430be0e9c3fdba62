"""A colleague who works in the providers' dashboards, beside the service."""

import time
from contextlib import suppress
from decimal import Decimal

import stripe

from local.simulators.currency import major
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack

TRIES = 20


class Colleague:
    """Refunds in HitPay's dashboard, and reports to Stripe by hand."""

    def __init__(self, stack: RunningStack) -> None:
        self._control = stack.control
        providers = stack.providers
        self._stripe = stripe.StripeClient(
            providers.stripe_key, base_addresses={"api": providers.stripe_url}
        )

    def refund(self, payment: DemoPayment, amount: int) -> str:
        """Refund in HitPay's dashboard, minor units; the id that HitPay shows."""
        return self._control.dashboard_refund(
            payment.charge_id, f"{major(amount, payment.currency):.2f}"
        )

    def book(self, payment: DemoPayment, amount: int, reference: str) -> None:
        """Report a refund to the Payment Record, minor units, under a reference of one's own.

        If Stripe does not answer with success, its record is read before the report is repeated.
        """
        for _ in range(TRIES):
            with suppress(stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError):
                self._report(payment, amount, reference)
            if reference in self._told(payment):
                return
        raise AssertionError(f"Stripe could not be told of {reference} in {TRIES} tries")

    def _report(self, payment: DemoPayment, amount: int, reference: str) -> None:
        now_s = int(time.time())
        self._stripe.v1.payment_records.report_refund(
            payment.record_id,
            {
                "outcome": "refunded",
                "amount": {"value": amount, "currency": payment.currency},
                "initiated_at": now_s,
                "processor_details": {"type": "custom", "custom": {"refund_reference": reference}},
                "refunded": {"refunded_at": now_s},
            },
        )

    def _told(self, payment: DemoPayment) -> list[str]:
        return [one.refund_reference for one in self._control.reports(payment.record_id)]


def sums(stack: RunningStack, payment: DemoPayment) -> tuple[Decimal, Decimal]:
    """The sums that HitPay and Stripe show as refunded of a payment, major units."""
    made = stack.control.refunds(payment.charge_id)
    told = stack.control.reports(payment.record_id)
    moved = sum((one.amount for one in made if one.status == "succeeded"), Decimal(0))
    return moved, major(sum(one.amount for one in told), payment.currency)
