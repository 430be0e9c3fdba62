"""Reads one payment: what was captured, what was refunded, what is still refundable.

It is named by its Payment Record, by its PaymentIntent or, if Stripe took it, by its charge.

A payment that the ledger knows is read from the ledger alone. Any other is read at Stripe and at
the processor, as before its first refund, but nothing is written: external refunds count in its
sums, and are imported only when the payment gets into the ledger. If somebody asks again a moment
later, the answer is the same (``recent_looks``).
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

# The prefixes of Stripe's charge ids; the second is for payments other than by card.
_CHARGES: Final = ("ch_", "py_")
_INTENTS: Final = "pi_"


@dataclass(frozen=True, slots=True)
class PaymentRead:
    """A payment and its newest refunds."""

    payment: Payment
    newest: Page


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPayment:
    """Reads payments by their ids at Stripe."""

    ledger: Ledger
    list_refunds: ListRefunds
    locator: PaymentLocator
    learn: LearnFromCharge
    look_once: LookOnce

    def __call__(self, named: str, deadline: Deadline) -> PaymentRead:
        """The payment of a ``pr_…``, ``pi_…`` or ``ch_…``. ``deadline`` bounds all provider calls.

        Raises:
            RefundBridgeError: the contract's errors, if Stripe and the processor are asked.
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
            # Claim and payment were written in one transaction, so this read is inconsistent.
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
            seen = stored  # it was refunded after it was read
        # There are refunds if the ledger knows the charge, but not its link to this record.
        return PaymentRead(seen, self.list_refunds.newest_of(seen.key))

    def _look(self, kind: ReferenceType, named: str, deadline: Deadline) -> Payment:
        # The charge is always read, whatever the setting: what it shows is what is needed here.
        reference, always = PaymentReference(kind=kind, id=named), VerifyCharge.ALWAYS
        located = self.locator.locate(reference, None, deadline, verify=always)
        learnt = self.learn.look(located.seen)
        if learnt.stored is not None:
            require_link(learnt.current, located)
        return learnt.current
