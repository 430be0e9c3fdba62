"""Re-read one payment of the processor, and let the ledger learn what it shows.

For what happens without us: a refund in the processor's dashboard, a pending one that ends, a
success that is taken back. Called for a webhook, which is only a hint, and by the sweep.

::

    linked in the ledger      ─▶ Stripe's record and the charge are read: the link is what it was
    not, a trace of Stripe    ─▶ the trace leads to a record that names this charge: linked now;
                                 else kept without a record, its reports failed for a person to see
    not, no trace of Stripe   ─▶ not our business
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from refund_bridge.domain.charge import Charge
from refund_bridge.domain.errors import (
    ProcessorUnavailableError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_reference import PaymentReference
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.ports.ledger import ClaimConflictError, Ledger, LedgerConflictError, RecordClaim
from refund_bridge.ports.processor import ChargeNotFoundError, Processor
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.locate_payment import PaymentLocator, VerifyCharge
from refund_bridge.refunding.payment_links import PaymentLinks
from refund_bridge.refunding.provider_errors import asking_processor
from refund_bridge.refunding.record_outcome import Recorder
from refund_bridge.reporting.look_at_sums import LookAtSums
from refund_bridge.settling.settle import SettleRefund

ATTEMPTS: Final = 5
# A merchant's own reference that can only be Stripe's. https://docs.stripe.com/api/payment_intents
_PAYMENT_INTENT: Final = re.compile(r"pi_[A-Za-z0-9_]{1,250}", re.ASCII)
_UNAVAILABLE: Final = (ProcessorUnavailableError, StripeUnavailableError)


class Observed(StrEnum):
    """What looking at a payment came to."""

    LEARNT = "learnt"
    NOT_FOUND = "not_found"
    NOTHING_REFUNDED = "nothing_refunded"
    NO_TRACE_OF_STRIPE = "no_trace_of_stripe"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservePayment:
    """Brings what the ledger knows of one payment up to what its charge shows now."""

    ledger: Ledger
    locator: PaymentLocator
    learn: LearnFromCharge
    links: PaymentLinks
    look_at_sums: LookAtSums
    recorder: Recorder
    settle: SettleRefund
    clock: Clock
    telemetry: Telemetry

    def __call__(self, key: PaymentKey, deadline: Deadline) -> Observed:
        """Learn all that the charge shows; what was learnt is durable on return.

        Doing it twice, late or out of order learns nothing twice.

        Raises:
            PaymentNotLinkedError: its processor is not set up here.
            ProcessorUnavailableError, StripeUnavailableError: they could not be read now.
            LedgerUnavailableError: the ledger gave no answer.
            LedgerConflictError: the payment is too busy; observe it again.
        """
        payment = self.ledger.payment(key)
        if payment is not None and payment.slot is not None:
            self._hurry(payment.slot)
            self.settle(payment.slot, deadline)
        for _ in range(ATTEMPTS):
            try:
                observed = self._learn(key, deadline)
            except LedgerConflictError:
                continue
            self.telemetry.note("payment_observed", charge=key.charge_id, observed=observed)
            return observed
        raise LedgerConflictError(f"{key.charge_id} is too busy to be observed")

    def _learn(self, key: PaymentKey, deadline: Deadline) -> Observed:
        payment = self.ledger.payment(key)
        if payment is not None and payment.payment_record is not None:
            seen = self._linked(payment, payment.payment_record, deadline)
        else:
            seen = self._found(key, payment, deadline)
        if isinstance(seen, Observed):
            return seen
        if seen.charge is not None and seen.charge.processor_refunds is None:
            self._tell_unlisted(seen.charge, payment)
        try:
            learnt = self.learn(seen, deadline)
        except ClaimConflictError as error:
            mended = self.links.mended(seen) if isinstance(error.claim, RecordClaim) else None
            if mended is None:
                raise
            learnt = self.learn(mended, deadline)
        if payment is not None and payment.payment_record is None and seen.payment_record:
            # Linked only now: what failed to be reported for want of the link is owed.
            learnt = self.learn(seen, deadline)
        kept = self.learn.keep(learnt, seen)
        if kept is not None:
            self._compare(kept, seen, deadline)
        return Observed.LEARNT

    def _compare(self, payment: Payment, seen: PaymentSnapshot, deadline: Deadline) -> None:
        """Look at the sums, where Stripe's is not what is reported and no report is due anyway."""
        record = payment.payment_record
        if record is None or seen.in_book is None or payment.report_due_count:
            return
        if not payment.is_out_of_step:
            return
        try:
            self.look_at_sums(payment, record, deadline)
        except (RefundBridgeError, LedgerConflictError) as error:
            # The next look comes by itself.
            self.telemetry.note(
                "sums_not_read", charge=payment.key.charge_id, error=type(error).__name__
            )

    def _tell_unlisted(self, charge: Charge, payment: Payment | None) -> None:
        """Say if others refunded what the charge does not list, so that it cannot be imported.

        What is held and not done yet may be done already: a webhook can be faster than an answer.
        """
        amount = charge.refunded - (0 if payment is None else payment.held - payment.taken_back)
        if amount > 0:
            self.telemetry.note("refunds_not_listed", charge=charge.id, amount=amount)

    # --- which record books it? -----------------------------------------------------------------

    def _linked(
        self, payment: Payment, payment_record: str, deadline: Deadline
    ) -> PaymentSnapshot | Observed:
        """A payment whose record the ledger knows, whatever Stripe's metadata say by now."""
        try:
            return self._locate(
                ReferenceType.PAYMENT_RECORD, payment_record, payment.key, payment.key, deadline
            )
        except _UNAVAILABLE:
            raise
        except RefundBridgeError as error:
            self.telemetry.note("link_disagrees", charge=payment.key.charge_id, code=error.code)
        charge = self._charge(payment.key, deadline)
        if charge is None:
            return Observed.NOT_FOUND
        return PaymentSnapshot(
            key=payment.key,
            payment_record=payment_record,
            currency=payment.currency,
            captured=payment.captured,
            in_book=None,
            charge=charge,
        )

    def _found(
        self, key: PaymentKey, payment: Payment | None, deadline: Deadline
    ) -> PaymentSnapshot | Observed:
        """A payment that nobody has asked us to refund."""
        charge = self._charge(key, deadline)
        if charge is None:
            return Observed.NOT_FOUND
        if payment is None and not charge.refunded and not charge.processor_refunds:
            return Observed.NOTHING_REFUNDED
        if charge.id != key.charge_id:
            # The ledger knows a payment by the processor's own spelling of its id.
            return self._learn(replace(key, charge_id=charge.id), deadline)
        with asking_processor():
            reference = self._processor(key).reference_of(charge, deadline)
        if payment is None and not _PAYMENT_INTENT.fullmatch(reference or ""):
            return Observed.NO_TRACE_OF_STRIPE
        return self._traced(key, reference or "", deadline) or PaymentSnapshot(
            key=key,
            payment_record=None,
            currency=charge.money.currency,
            captured=charge.money.amount,
            in_book=None,
            charge=charge,
        )

    def _traced(
        self, key: PaymentKey, reference: str, deadline: Deadline
    ) -> PaymentSnapshot | None:
        """The payment by the trace that it has of Stripe, if a record there names this charge."""
        if not _PAYMENT_INTENT.fullmatch(reference):
            return None
        try:
            seen = self._locate(ReferenceType.PAYMENT_INTENT, reference, key, None, deadline)
        except _UNAVAILABLE:
            raise
        except RefundBridgeError as error:
            self.telemetry.note("trace_leads_nowhere", charge=key.charge_id, code=error.code)
            return None
        if seen.key != key:
            self.telemetry.note(
                "trace_leads_elsewhere", charge=key.charge_id, to=seen.key.charge_id
            )
            return None
        return seen

    def _locate(
        self,
        kind: ReferenceType,
        name: str,
        key: PaymentKey,
        claimed: PaymentKey | None,
        deadline: Deadline,
    ) -> PaymentSnapshot:
        """What Stripe's object of that name books at the processor of ``key``, with its charge."""
        # A record may name payments of other processors, too.
        reference = PaymentReference(kind=kind, id=name, processor=key.processor)
        # Whatever is read before refunds are sent: this is for the sake of what the charge shows.
        always = VerifyCharge.ALWAYS
        return self.locator.locate(reference, claimed, deadline, verify=always).seen

    def _charge(self, key: PaymentKey, deadline: Deadline) -> Charge | None:
        try:
            with asking_processor():
                return self._processor(key).charge(key.charge_id, deadline)
        except ChargeNotFoundError:
            return None

    def _processor(self, key: PaymentKey) -> Processor:
        return self.locator.processor(key.processor)

    def _hurry(self, refund_id: str) -> None:
        """Make the refund due now; while its own call may still write, nothing but that."""
        stored = self.recorder.read(refund_id)
        refund, now_ms = stored.refund, self.clock.now_ms()
        if refund.next_check_ms is not None and refund.next_check_ms > now_ms:
            try:
                self.recorder.write(stored, replace(refund, next_check_ms=now_ms))
            except LedgerConflictError:
                self.telemetry.note("not_hurried", refund_id=refund_id)
