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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from refunds.adopt import Adopter
from refunds.errors import (
    ProcessorUnavailableError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refunds.evidence import stands_for
from refunds.execute import ExecuteRefund
from refunds.link import LinkResolver, PaymentView, VerifyCharge
from refunds.outcome import after_movement, booked_by, of_its_payment, taken_back
from refunds.payment import Payment, PaymentKey
from refunds.ports import (
    Charge,
    ChargeNotFoundError,
    Clock,
    Deadline,
    Ledger,
    LedgerConflictError,
    Movement,
    MovementStatus,
    Processor,
    SweepLog,
    Trail,
)
from refunds.provider_errors import asking_processor
from refunds.record import Recorder, Stored
from refunds.refund import ReferenceType, Refund, RefundRequest
from refunds.settle import SettleRefund
from refunds.state_machine import ReportState, State

ACTOR: Final = "observe"
ATTEMPTS: Final = 5
# A webhook may come before the first sweep, and its refund was made a little earlier still.
SINCE_MARGIN_MS: Final = 24 * 60 * 60 * 1000
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
    sweeps: SweepLog
    resolver: LinkResolver
    adopter: Adopter
    recorder: Recorder
    settle: SettleRefund
    execute: ExecuteRefund
    clock: Clock
    trail: Trail

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
            self.trail.note("payment_observed", charge=key.charge_id, observed=observed)
            return observed
        raise LedgerConflictError(f"{key.charge_id} is too busy to be observed")

    def _learn(self, key: PaymentKey, deadline: Deadline) -> Observed:
        payment = self.ledger.payment(key)
        if payment is not None and payment.payment_record is not None:
            view = self._linked(payment, payment.payment_record, deadline)
        else:
            view = self._found(key, payment, deadline)
        if isinstance(view, Observed):
            return view
        movements = view.charge.movements if view.charge is not None else None
        if movements is None and view.charge is not None:
            self._tell_unlisted(view.charge, payment)
        owners = self._owners(key, movements or ())
        for movement in movements or ():
            if movement.id in owners:
                self._apply(owners[movement.id], movement, view, payment)
        since_ms = self._since_ms(key.processor) if payment is None else None
        adoption = self.adopter.plan(view, since_ms=since_ms)
        self.adopter.carry_out(adoption)
        for refund in adoption.imports:
            self.execute.ring(refund)
        if payment is not None and payment.payment_record is None and view.payment_record:
            # Linked only now: what failed to be reported for want of the link is owed.
            return self._learn(key, deadline)
        return Observed.LEARNT

    def _tell_unlisted(self, charge: Charge, payment: Payment | None) -> None:
        """Say if others refunded what the charge does not list, so that it cannot be imported.

        What is held and not done yet may be done already: a webhook can be faster than an answer.
        """
        amount = charge.refunded - (0 if payment is None else payment.held)
        if amount > 0:
            self.trail.note("refunds_not_listed", charge=charge.id, amount=amount)

    # --- which record books it? -----------------------------------------------------------------

    def _linked(
        self, payment: Payment, payment_record: str, deadline: Deadline
    ) -> PaymentView | Observed:
        """A payment whose record the ledger knows, whatever Stripe's metadata say by now."""
        try:
            return self._sight(
                _by(ReferenceType.PAYMENT_RECORD, payment_record, payment.key),
                payment.key,
                deadline,
            )
        except _UNAVAILABLE:
            raise
        except RefundBridgeError as error:
            self.trail.note("link_disagrees", charge=payment.key.charge_id, code=error.code)
        charge = self._charge(payment.key, deadline)
        if charge is None:
            return Observed.NOT_FOUND
        return PaymentView(
            key=payment.key,
            payment_record=payment_record,
            currency=payment.currency,
            captured=payment.captured,
            in_book=None,
            charge=charge,
        )

    def _found(
        self, key: PaymentKey, payment: Payment | None, deadline: Deadline
    ) -> PaymentView | Observed:
        """A payment that nobody has asked us to refund."""
        charge = self._charge(key, deadline)
        if charge is None:
            return Observed.NOT_FOUND
        if payment is None and not charge.refunded and not charge.movements:
            return Observed.NOTHING_REFUNDED
        if charge.id != key.charge_id:
            # The ledger knows a payment by the processor's own spelling of its id.
            return self._learn(replace(key, charge_id=charge.id), deadline)
        with asking_processor():
            reference = self._processor(key).reference_of(charge, deadline)
        if payment is None and not _PAYMENT_INTENT.fullmatch(reference or ""):
            return Observed.NO_TRACE_OF_STRIPE
        return self._traced(key, reference or "", deadline) or PaymentView(
            key=key,
            payment_record=None,
            currency=charge.money.currency,
            captured=charge.money.amount,
            in_book=None,
            charge=charge,
        )

    def _traced(self, key: PaymentKey, reference: str, deadline: Deadline) -> PaymentView | None:
        """The payment by the trace that it has of Stripe, if a record there names this charge."""
        if not _PAYMENT_INTENT.fullmatch(reference):
            return None
        try:
            view = self._sight(_by(ReferenceType.PAYMENT_INTENT, reference, key), None, deadline)
        except _UNAVAILABLE:
            raise
        except RefundBridgeError as error:
            self.trail.note("trace_leads_nowhere", charge=key.charge_id, code=error.code)
            return None
        if view.key != key:
            self.trail.note("trace_leads_elsewhere", charge=key.charge_id, to=view.key.charge_id)
            return None
        return view

    def _sight(
        self, request: RefundRequest, claimed: PaymentKey | None, deadline: Deadline
    ) -> PaymentView:
        # Whatever is read before refunds are sent: this is for the sake of what the charge shows.
        reader = replace(self.resolver, verify_charge=VerifyCharge.ALWAYS)
        return reader.sight(request, claimed, deadline).view

    def _charge(self, key: PaymentKey, deadline: Deadline) -> Charge | None:
        try:
            with asking_processor():
                return self._processor(key).charge(key.charge_id, deadline)
        except ChargeNotFoundError:
            return None

    def _processor(self, key: PaymentKey) -> Processor:
        return self.resolver.processor(key.processor)

    def _since_ms(self, processor: str) -> int:
        """What was made before then is older than this service."""
        begin_ms = self.clock.now_ms() - SINCE_MARGIN_MS
        return self.sweeps.sweep(processor, begin_ms=begin_ms).since_ms

    # --- what has become of the refunds that are known --------------------------------------------

    def _owners(self, key: PaymentKey, movements: tuple[Movement, ...]) -> Mapping[str, str]:
        return self.ledger.claimed(key.processor, [movement.id for movement in movements])

    def _apply(
        self, refund_id: str, movement: Movement, view: PaymentView, before: Payment | None
    ) -> None:
        """Let the refund that owns the movement follow it to its end.

        ``before`` is the payment as it was before ``view`` was read.
        """
        stored = self.recorder.read(refund_id)
        refund, now_ms = stored.refund, self.clock.now_ms()
        is_final = movement.status is not MovementStatus.PENDING
        if not stands_for(movement, refund):
            self.trail.note("movement_disagrees", refund_id=refund_id)
        elif refund.state in (State.PENDING, State.REVIEW) and is_final:
            linked = of_its_payment(refund, stored.payment)
            after = after_movement(linked, movement, at_ms=now_ms, cause="observed", actor=ACTOR)
            self._write(stored, after)
        elif (
            refund.state is State.SUCCEEDED
            and movement.status is MovementStatus.FAILED
            and refund.late_failure_at_ms is None
        ):
            self.trail.note("refund_taken_back", refund_id=refund_id)
            self._write(stored, taken_back(refund, movement, at_ms=now_ms, actor=ACTOR))
        elif refund.state is State.FAILED and movement.status is MovementStatus.SUCCEEDED:
            # The processor had said that it failed: its amount is free again, and may be sent.
            self.trail.note("movement_contradicts", movement=movement.id, failed=refund_id)
        elif refund.payment_record is None and before is not None:
            self._book(stored, movement, view, before)

    def _book(self, stored: Stored, movement: Movement, view: PaymentView, before: Payment) -> None:
        """Give the refund the record that its payment has got since it was imported.

        Somebody may have booked it by hand meanwhile, so it is owed only if Stripe shows nothing
        at all, or just what was in its book for sure before it was asked.
        """
        record = stored.payment.payment_record
        if record is None:
            # Whoever wrote it may have died before it was alarmed; and it waits for a person.
            self._tell_if_failed(stored.refund)
        if record is None or view.in_book is None:
            return
        sure = before.booked + before.foreign_in_book
        if view.in_book not in (0, sure):
            # What another report explains can be told when that has ended, by the next look.
            if not sure < view.in_book <= sure + before.report_due_amount:
                self.trail.note("link_found_but_booked", refund_id=stored.refund.id)
            return
        at_ms = self.clock.now_ms()
        after = booked_by(stored.refund, record, movement, at_ms=at_ms, actor=ACTOR)
        self._write(stored, after)

    def _write(self, stored: Stored, after: Refund) -> None:
        written = self.recorder.write(stored, after)
        report = written.refund.report
        if report.state is stored.refund.report.state:
            return
        self.execute.ring(written.refund)
        self._tell_if_failed(written.refund)

    def _tell_if_failed(self, refund: Refund) -> None:
        report = refund.report
        if report.state is ReportState.FAILED and refund.late_failure_at_ms is None:
            self.trail.note("report_failed", refund_id=refund.id, reason=report.last_error)

    def _hurry(self, refund_id: str) -> None:
        """Make the refund due now; while its own call may still write, nothing but that."""
        stored = self.recorder.read(refund_id)
        refund, now_ms = stored.refund, self.clock.now_ms()
        if refund.next_check_ms is not None and refund.next_check_ms > now_ms:
            try:
                self.recorder.write(stored, replace(refund, next_check_ms=now_ms))
            except LedgerConflictError:
                self.trail.note("not_hurried", refund_id=refund_id)


def _by(kind: ReferenceType, reference_id: str, key: PaymentKey) -> RefundRequest:
    """What would be asked for the payment; a record may name others, too."""
    return RefundRequest(reference_type=kind, reference_id=reference_id, processor=key.processor)
