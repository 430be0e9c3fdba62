"""Payments to refund: as many as a measurement needs, at both providers, each with its own name."""

from dataclasses import dataclass

from local.simulators.client import SimulatorControl
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment

AMOUNT = 9_999
PART = 1_000
AT_ONCE = 500


@dataclass(frozen=True)
class Payments:
    """Payments of SGD 99.99 with a PaymentIntent and an Invoice; each refund takes SGD 10.00."""

    payments: tuple[DemoPayment, ...]

    def ids(self, by: str) -> list[str]:
        """The ids by which a caller names the payments."""
        named = {
            "payment_record": lambda payment: payment.record_id,
            "payment_intent": lambda payment: payment.intent_id,
            "invoice": lambda payment: payment.invoice_id,
        }
        return [named[by](payment) for payment in self.payments]


def seeded(control: SimulatorControl, prefix: str, count: int) -> Payments:
    """Put new payments into both simulators."""
    payments = tuple(
        DemoPayment(f"{prefix}_{number:06d}", AMOUNT, has_intent=True, has_invoice=True)
        for number in range(count)
    )
    for start in range(0, count, AT_ONCE):
        control.seed(seed_of(*payments[start : start + AT_ONCE]))
    return Payments(payments)
