"""Re-read one payment of the processor, and let the ledger learn what it shows.

For what happens without us: a refund in the processor's dashboard, a pending one that ends, a
success that is taken back. Called for a webhook, which is only a hint, and by the sweep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from refunds.adopt import Adopter
from refunds.evidence import stands_for
from refunds.execute import ExecuteRefund
from refunds.link import LinkResolver, VerifyCharge
from refunds.outcome import after_movement, taken_back
from refunds.payment import PaymentKey
from refunds.ports import (
    Clock,
    Deadline,
    Ledger,
    LedgerConflictError,
    Movement,
    MovementStatus,
    Trail,
)
from refunds.record import Recorder, Stored
from refunds.refund import ReferenceType, Refund, RefundRequest
from refunds.settle import SettleRefund
from refunds.state_machine import ReportState, State

ACTOR: Final = "observe"
ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservePayment:
    """Brings what the ledger knows of one payment up to what its charge shows now."""

    ledger: Ledger
    resolver: LinkResolver
    adopter: Adopter
    recorder: Recorder
    settle: SettleRefund
    execute: ExecuteRefund
    clock: Clock
    trail: Trail

    def __call__(self, key: PaymentKey, deadline: Deadline) -> None:
        """Learn all that the charge shows; what was learnt is durable on return.

        Doing it twice, late or out of order learns nothing twice.

        Raises:
            RefundBridgeError: Stripe or the processor could not be read, or disagree.
            LedgerUnavailableError: the ledger gave no answer.
            LedgerConflictError: the payment is too busy; observe it again.
        """
        payment = self.ledger.payment(key)
        if payment is None or payment.payment_record is None:
            return
        if payment.slot is not None:
            self._hurry(payment.slot)
            self.settle(payment.slot, deadline)
        for _ in range(ATTEMPTS):
            try:
                self._learn(key, deadline)
            except LedgerConflictError:
                continue
            return
        raise LedgerConflictError(f"{key.charge_id} is too busy to be observed")

    def _learn(self, key: PaymentKey, deadline: Deadline) -> None:
        payment = self.ledger.payment(key)
        if payment is None or payment.payment_record is None:
            return
        request = RefundRequest(
            reference_type=ReferenceType.PAYMENT_RECORD, reference_id=payment.payment_record
        )
        # Whatever is read before refunds are sent: this is for the sake of what the charge shows.
        reader = replace(self.resolver, verify_charge=VerifyCharge.ALWAYS)
        seen = reader.sight(request, key, deadline)
        movements = seen.charge.movements if seen.charge is not None else None
        owners = self._owners(key, movements or ())
        for movement in movements or ():
            if movement.id in owners:
                self._apply(owners[movement.id], movement)
        adoption = self.adopter.plan(seen)
        self.adopter.carry_out(adoption, seen)
        for refund in adoption.imports:
            self.execute.ring(refund)

    def _owners(self, key: PaymentKey, movements: tuple[Movement, ...]) -> Mapping[str, str]:
        return self.ledger.claimed(key.processor, [movement.id for movement in movements])

    def _apply(self, refund_id: str, movement: Movement) -> None:
        """Let the refund that owns the movement follow it to its end."""
        stored = self.recorder.read(refund_id)
        refund, now_ms = stored.refund, self.clock.now_ms()
        is_final = movement.status is not MovementStatus.PENDING
        if not stands_for(movement, refund):
            self.trail.note("movement_disagrees", refund_id=refund_id)
        elif refund.state in (State.PENDING, State.REVIEW) and is_final:
            after = after_movement(refund, movement, at_ms=now_ms, cause="observed", actor=ACTOR)
            self._write(stored, after)
        elif (
            refund.state is State.SUCCEEDED
            and movement.status is MovementStatus.FAILED
            and refund.late_failure_at_ms is None
        ):
            self.trail.note("refund_taken_back", refund_id=refund_id)
            self._write(stored, taken_back(refund, movement, at_ms=now_ms, actor=ACTOR))

    def _write(self, stored: Stored, after: Refund) -> None:
        written = self.recorder.write(stored, after)
        newly_due = stored.refund.report.state is not ReportState.DUE
        if newly_due:
            self.execute.ring(written.refund)

    def _hurry(self, refund_id: str) -> None:
        """Make the refund due now; while its own call may still write, nothing but that."""
        stored = self.recorder.read(refund_id)
        refund, now_ms = stored.refund, self.clock.now_ms()
        if refund.next_check_ms is not None and refund.next_check_ms > now_ms:
            try:
                self.recorder.write(stored, replace(refund, next_check_ms=now_ms))
            except LedgerConflictError:
                self.trail.note("not_hurried", refund_id=refund_id)
