"""Reads one payment: what was captured, what went back, what may still be refunded.

It is named by its Payment Record, by its PaymentIntent or, if Stripe took it, by its charge.

A payment that the ledger knows is answered from the ledger alone. Any other is looked at, at Stripe
and at the processor, as it would be for its first refund, and no payment is written: what others
have refunded counts in its sums, but becomes refunds with ids only when the ledger meets the
payment. Whoever asks again a moment later is told the same (``recent_looks``).
"""

from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_reference import PaymentReference
from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.ports.ledger import Ledger, LedgerUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.reading.listing import ListRefunds, Page
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.locate_payment import PaymentLocator, VerifyCharge
from refund_bridge.refunding.recent_looks import Looked, LookOnce, first_sight
from refund_bridge.refunding.reserve import require_link

# How the ids of Stripe's charges begin; the second are of payments other than by card.
_CHARGES: Final = ("ch_", "py_")
_INTENTS: Final = "pi_"


@dataclass(frozen=True, slots=True)
class PaymentRead:
    """A payment and its newest refunds."""

    payment: Payment
    newest: Page


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPayment:
    """Reads payments by what Stripe calls them."""

    ledger: Ledger
    list_refunds: ListRefunds
    locator: PaymentLocator
    learn: LearnFromCharge
    look_once: LookOnce

    def __call__(self, named: str, deadline: Deadline) -> PaymentRead:
        """The payment of a ``pr_…``, ``pi_…`` or ``ch_…``. ``deadline`` bounds all provider calls.

        Raises:
            RefundBridgeError: the contract's errors, where Stripe and the processor are asked.
            LedgerUnavailableError: the ledger could not be read.
        """
        if named.startswith(_INTENTS):
            return self._first_sight(ReferenceType.PAYMENT_INTENT, named, deadline)
        if named.startswith(_CHARGES):
            key = PaymentKey(STRIPE, named)
            known = self.ledger.payment(key)
            if known is None:
                return self._first_sight(ReferenceType.CHARGE, named, deadline)
            return PaymentRead(known, self.list_refunds.newest_of(key))
        return self._of_record(named, deadline)

    def _of_record(self, payment_record: str, deadline: Deadline) -> PaymentRead:
        key = self.ledger.payment_of_record(payment_record)
        if key is None:
            return self._first_sight(ReferenceType.PAYMENT_RECORD, payment_record, deadline)
        payment = self.ledger.payment(key)
        if payment is None:
            # Both were written in one transaction, so this is no answer.
            raise LedgerUnavailableError(f"the ledger does not show {payment_record} whole")
        return PaymentRead(payment, self.list_refunds.newest_of(key))

    def _first_sight(self, kind: ReferenceType, named: str, deadline: Deadline) -> PaymentRead:
        looked = self.look_once(
            first_sight(named),
            lambda: Looked(payment=self._look(kind, named, deadline)),
            deadline,
        )
        if looked.payment is None:
            raise LedgerUnavailableError(f"what was seen of {named} cannot be read")
        seen = looked.payment
        stored = self.ledger.payment(seen.key)
        if stored is not None and stored.revision > seen.revision:
            seen = stored  # it was refunded since it was looked at
        # Refunds are there if the charge is known, and this record has not been linked to it.
        return PaymentRead(seen, self.list_refunds.newest_of(seen.key))

    def _look(self, kind: ReferenceType, named: str, deadline: Deadline) -> Payment:
        # Whatever is read before refunds are sent: this is for the sake of what the charge shows.
        reference, always = PaymentReference(kind=kind, id=named), VerifyCharge.ALWAYS
        located = self.locator.locate(reference, None, deadline, verify=always)
        learnt = self.learn.look(located.seen)
        if learnt.stored is not None:
            require_link(learnt.current, located)
        return learnt.current
