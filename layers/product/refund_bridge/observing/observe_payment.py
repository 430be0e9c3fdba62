"""Reads one payment at the processor again, and updates the ledger with what it shows.

This is for what happens without us: a refund in the processor's dashboard, a pending refund that
ends, a success that is taken back. Called by the sweep and for a webhook, which is only a hint.

::

    linked in the ledger       ─▶ read Stripe's record and the charge; the link stays
    not linked, has a PaymentIntent's id
                               ─▶ if that leads to a record that names this charge: link it now;
                                  else keep it without a record: its reports fail, a person decides
    not linked, has none       ─▶ ignored, unless the ledger knows the payment
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
# A merchant's own reference that is Stripe's id. https://docs.stripe.com/api/payment_intents
_PAYMENT_INTENT: Final = re.compile(r"pi_[A-Za-z0-9_]{1,250}", re.ASCII)
_UNAVAILABLE: Final = (ProcessorUnavailableError, StripeUnavailableError)


class Observed(StrEnum):
    """The result of observing a payment."""

    LEARNT = "learnt"
    NOT_FOUND = "not_found"
    NOTHING_REFUNDED = "nothing_refunded"
    NO_TRACE_OF_STRIPE = "no_trace_of_stripe"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservePayment:
    """Updates the ledger's payment with what its charge shows now."""

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

        Calling it twice, late or out of order does no harm: nothing is imported twice.

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
            # Linked only now: reports that failed because there was no link become due.
            learnt = self.learn(seen, deadline)
        kept = self.learn.keep(learnt, seen)
        if kept is not None:
            self._compare(kept, seen, deadline)
        return Observed.LEARNT

    def _compare(self, payment: Payment, seen: PaymentSnapshot, deadline: Deadline) -> None:
        """Check the sums if Stripe's sum differs from what is reported and no report is due."""
        record = payment.payment_record
        if record is None or seen.in_book is None or payment.report_due_count:
            return
        if not payment.is_out_of_step:
            return
        try:
            self.look_at_sums(payment, record, deadline)
        except (RefundBridgeError, LedgerConflictError) as error:
            # A later check is scheduled anyway.
            self.telemetry.note(
                "sums_not_read", charge=payment.key.charge_id, error=type(error).__name__
            )

    def _tell_unlisted(self, charge: Charge, payment: Payment | None) -> None:
        """Log if others refunded an amount that the charge does not list: it cannot be imported.

        All that is reserved counts as ours, because a refund that we still count as in flight may
        have completed: webhooks can arrive before the HTTP answer.
        """
        amount = charge.refunded - (0 if payment is None else payment.held - payment.taken_back)
        if amount > 0:
            self.telemetry.note("refunds_not_listed", charge=charge.id, amount=amount)

    # --- which record books it? -----------------------------------------------------------------

    def _linked(
        self, payment: Payment, payment_record: str, deadline: Deadline
    ) -> PaymentSnapshot | Observed:
        """Read a payment whose record the ledger knows; the link stays if Stripe disagrees."""
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
        """Read a payment for which the ledger has no Payment Record; find one by its reference."""
        charge = self._charge(key, deadline)
        if charge is None:
            return Observed.NOT_FOUND
        if payment is None and not charge.refunded and not charge.processor_refunds:
            return Observed.NOTHING_REFUNDED
        if charge.id != key.charge_id:
            # The ledger uses the processor's own spelling of a payment's id.
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
        """The snapshot by the PaymentIntent in ``reference``, if its record names this charge."""
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
        """Read the payment at the processor of ``key`` that Stripe's object of that id leads to."""
        # A record may also name payments of other processors.
        reference = PaymentReference(kind=kind, id=name, processor=key.processor)
        # The charge is always read, whatever the setting: what it shows is what is needed here.
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
        """Make the refund due now, if it would be due only later."""
        stored = self.recorder.read(refund_id)
        refund, now_ms = stored.refund, self.clock.now_ms()
        if refund.next_check_ms is not None and refund.next_check_ms > now_ms:
            try:
                self.recorder.write(stored, replace(refund, next_check_ms=now_ms))
            except LedgerConflictError:
                self.telemetry.note("not_hurried", refund_id=refund_id)
