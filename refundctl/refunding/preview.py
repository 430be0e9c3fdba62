"""The payment that a wish leads to, as Stripe and the processor show it now."""

from dataclasses import dataclass

from refund_bridge.domain.errors import PaymentNotRefundableError, RefundAmountExceededError
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.payment_snapshot import LocatedPayment
from refund_bridge.domain.refund_request import ReferenceType
from refundctl.facts import money
from refundctl.refunding.wish import Wish
from refundctl.world import Deployment, World


@dataclass(frozen=True)
class Preview:
    """Which amount of which payment would be refunded.

    Attributes:
        payment: the payment with external refunds included; nothing of it is written.
        amount: minor units.
        deployment: the deployment that would refund it.
    """

    wish: Wish
    located: LocatedPayment
    payment: Payment
    amount: int
    deployment: Deployment

    @property
    def facts(self) -> dict[str, str]:
        """The preview in words."""
        payment, currency = self.payment, self.payment.currency
        return {
            "deployment": str(self.deployment),
            "payment record": self.located.report_to or "",
            "PaymentIntent": self.located.payment_intent or "",
            "invoice": self.located.invoice or "",
            "charge": f"{payment.key.charge_id} ({payment.key.processor})",
            "captured": money(payment.captured, currency),
            "refunded": money(payment.refunded, currency),
            "in flight": money(self.in_flight, currency),
            "left": money(payment.refundable, currency),
            "to be refunded": money(self.amount, currency),
            "left afterwards": money(payment.refundable - self.amount, currency),
        }

    @property
    def in_flight(self) -> int:
        """What is reserved for refunds that have not succeeded yet, minor units."""
        return self.payment.held - self.payment.moved

    def require_room(self) -> None:
        """Refuse an amount that is more than the payment's refundable balance.

        Raises:
            PaymentNotRefundableError, RefundAmountExceededError: as the interface would answer.
        """
        left, currency = self.payment.refundable, self.payment.currency
        if left == 0:
            raise PaymentNotRefundableError("Nothing is left to refund of this payment.")
        if self.amount > left:
            raise RefundAmountExceededError(
                f"{money(self.amount, currency)} is more than the {money(left, currency)} that "
                "are left."
            )


def preview(world: World, wish: Wish) -> Preview:
    """Read the payment at Stripe and at the processor; nothing is written.

    Raises:
        RefundBridgeError: the payment cannot be refunded as named, or Stripe or the processor gave
            no answer; the error that the interface would answer with.
        LedgerUnavailableError: the ledger could not be read.
    """
    claimed = None
    if wish.kind is ReferenceType.PAYMENT_RECORD:
        claimed = world.ledger.payment_of_record(wish.payment)
    located = world.locator.locate(wish.reference, claimed, world.deadline())
    payment = world.learn.look(located.seen).current
    return Preview(wish, located, payment, wish.amount or payment.refundable, world.deployment)
