"""One refund, from the caller's intention to the doorbell: the whole protocol in reading order.

::

    0 ledger     the refund by its key: known → answered from the ledger, no provider is called
    1 Stripe     the Payment Record                     ┐ side by side once the link is known
    2 processor  the charge                             ┘
    3 ledger     claim the links, hold the amount, take the slot, write the intent (submitting)
    4 processor  move the money: sent once
    5 ledger     outcome, frozen report parameters and "report due" in one write
    6 queue      ring the doorbell

After step 3 the process may die at any instruction: the ledger alone completes the work. No path
sends for a refund that has been ``submitting`` unless it is ``aborted``, which is certain to have
moved nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from refunds.adopt import revision_after
from refunds.errors import IdempotencyKeyReusedError, KeyInUseError, ProcessorUnavailableError
from refunds.link import UNAVAILABLE_RETRY_AFTER_S, LinkResolver
from refunds.money import Money
from refunds.outcome import after_movement, after_outcome, claims_of
from refunds.payment import Payment, follow, payment_key_of
from refunds.ports import (
    Aborted,
    ClaimConflictError,
    Clock,
    Commit,
    Deadline,
    Doorbell,
    DoorbellError,
    Ledger,
    LedgerConflictError,
    LedgerUnavailableError,
    MovementStatus,
    Outcome,
    PaymentWrite,
    Processor,
    ProviderUnavailableError,
    RefundOrder,
    RefundWrite,
    Trail,
    Unknown,
)
from refunds.refund import ReferenceType, Refund
from refunds.reserve import CreateRefund, Reservation, Reserved, TakenByAnotherCallError
from refunds.state_machine import ReportState, State

# The money call may take 2 s to connect and 18 s to answer. With less than this left it is not
# begun: cutting its patience shorter would only make more outcomes unknown.
SEND_MS_MAX: Final = 20_000
SEND_MS_MIN: Final = 12_000
# A call in flight ends within the provider budget; its key is worth trying again soon.
IN_USE_RETRY_AFTER_S: Final = 2
RECORD_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A refund as the ledger holds it, and how this call came by it.

    Attributes:
        payment: its payment; ``None`` if it could not be read any more.
        replayed: whether this call only found what an earlier one had done.
    """

    refund: Refund
    payment: Payment | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRefund:
    """Makes a refund happen once, or says truthfully how far it got."""

    ledger: Ledger
    resolver: LinkResolver
    reservation: Reservation
    processors: Mapping[str, Processor]
    doorbell: Doorbell
    clock: Clock
    trail: Trail

    def __call__(self, command: CreateRefund, deadline: Deadline) -> Answer:
        """Execute the refund, or find what an earlier call with its key has done.

        ``deadline`` bounds all provider calls. On return the refund is durable in the state that
        the answer shows; where the outcome could not be recorded, it shows ``submitting``.

        Raises:
            RefundBridgeError: the contract's errors; see ``errors.py`` for what each promises.
            LedgerUnavailableError: the ledger could not be read or written before sending.
        """
        record_id = _record_id(command)
        known = self.ledger.look_up(command.refund_id, record_id)
        before = known.refund
        if before is not None:
            require_same_request(before, command)
            if before.state is not State.ABORTED:
                return self._found(before)
        reading = deadline.at_most(deadline.remaining_ms() - SEND_MS_MIN)
        seen = self.resolver.sight(command.request, known.payment, reading)
        if deadline.remaining_ms() < SEND_MS_MIN:
            raise ProcessorUnavailableError(
                "The providers were too slow to begin; nothing was executed.",
                retry_after_s=UNAVAILABLE_RETRY_AFTER_S,
            )
        try:
            reserved = self.reservation.reserve(command, before, seen)
        except TakenByAnotherCallError as taken:
            require_same_request(taken.refund, command)
            return self._found(taken.refund)
        outcome = self._send(reserved.refund, deadline)
        recorded = self._record(reserved, outcome, command.actor)
        recorded = self._read_once(recorded, deadline, command.actor)
        self._ring(recorded.refund)
        return Answer(refund=recorded.refund, payment=recorded.payment, replayed=False)

    def _found(self, refund: Refund) -> Answer:
        """The answer that the ledger alone gives."""
        now_ms = self.clock.now_ms()
        if refund.state is State.SUBMITTING and now_ms < (refund.lease_until_ms or 0):
            raise KeyInUseError(
                "This refund is being executed right now; repeat with the same key.",
                details={"outcome": "unknown", "refund": refund.id},
                retry_after_s=IN_USE_RETRY_AFTER_S,
            )
        payment = self.ledger.payment(payment_key_of(refund))
        return Answer(refund=refund, payment=payment, replayed=True)

    def _send(self, refund: Refund, deadline: Deadline) -> Outcome:
        """Ask the processor, if the lease still covers the longest that the call may take."""
        if self.clock.now_ms() + SEND_MS_MAX > (refund.lease_until_ms or 0):
            return Aborted("The lease ran out before the refund was sent.")
        if deadline.remaining_ms() < SEND_MS_MIN:
            return Aborted("The time ran out before the refund was sent.")
        self.trail.note("refund_sending", refund_id=refund.id, attempt=refund.attempt)
        outcome = self.processors[refund.processor].refund(_order(refund), deadline)
        self.trail.note(
            "refund_answered", refund_id=refund.id, outcome=type(outcome).__name__.lower()
        )
        return outcome

    def _record(self, reserved: Reserved, outcome: Outcome, actor: str) -> Reserved:
        """Write the outcome; where the ledger cannot, what was written before still stands."""
        sent = current = reserved
        for _ in range(RECORD_ATTEMPTS):
            after = after_outcome(current.refund, outcome, at_ms=self.clock.now_ms(), actor=actor)
            try:
                return self._write(current, after)
            except ClaimConflictError as error:
                # The id in the answer already belongs to another refund, so it is no evidence.
                self.trail.note("movement_already_claimed", refund_id=after.id)
                outcome = Unknown(str(error))
            except LedgerConflictError:
                current = self._read_again(current)
                if current.refund.attempt != sent.refund.attempt or _is_settled(current.refund):
                    self.trail.note("outcome_too_late", refund_id=sent.refund.id)
                    return current
            except LedgerUnavailableError:
                self.trail.note("outcome_not_recorded", refund_id=sent.refund.id)
                try:
                    current = self._read_again(current)
                except LedgerUnavailableError:
                    continue
                if current.refund.state is not State.SUBMITTING:
                    return current
        return current

    def _read_once(self, recorded: Reserved, deadline: Deadline, actor: str) -> Reserved:
        """Ask once, at once, what became of a pending movement; settling asks again later."""
        refund = recorded.refund
        if refund.state is not State.PENDING or refund.processor_refund_id is None:
            return recorded
        try:
            movement = self.processors[refund.processor].movement(
                refund.processor_refund_id, deadline
            )
            if movement is None or movement.status is MovementStatus.PENDING:
                return recorded
            after = after_movement(
                refund, movement, at_ms=self.clock.now_ms(), cause="looked_up", actor=actor
            )
            return self._write(recorded, after)
        except (ProviderUnavailableError, LedgerConflictError, LedgerUnavailableError) as error:
            self.trail.note("pending_not_read", refund_id=refund.id, reason=type(error).__name__)
            return recorded

    def _write(self, current: Reserved, after: Refund) -> Reserved:
        if after is current.refund:
            return current
        payment = follow(current.payment, current.refund, after)
        self.ledger.commit(
            Commit(
                refunds=(RefundWrite(current.refund, after),),
                payments=(PaymentWrite(current.payment, payment),),
                claims=claims_of(after),
            )
        )
        return Reserved(
            replace(after, revision=revision_after(current.refund)),
            replace(payment, revision=revision_after(current.payment)),
        )

    def _read_again(self, current: Reserved) -> Reserved:
        refund = self.ledger.refund(current.refund.id)
        payment = self.ledger.payment(current.payment.key)
        if refund is None or payment is None:
            raise LedgerUnavailableError("the ledger does not show what it made durable")
        return Reserved(refund, payment)

    def _ring(self, refund: Refund) -> None:
        if refund.report.state is not ReportState.DUE:
            return
        try:
            self.doorbell.ring(refund.id)
        except DoorbellError:
            # The report stays due in the ledger, and a due row is rung for again.
            self.trail.note("doorbell_lost", refund_id=refund.id)


def require_same_request(refund: Refund, command: CreateRefund) -> None:
    """Refuse a key that comes again with another request.

    Raises:
        IdempotencyKeyReusedError: the stored request differs.
    """
    if refund.request != command.request:
        raise IdempotencyKeyReusedError(
            "This key was used before with another request; nothing was changed.",
            details={"refund": refund.id},
        )


def _record_id(command: CreateRefund) -> str | None:
    request = command.request
    is_record = request.reference_type is ReferenceType.PAYMENT_RECORD
    return request.reference_id if is_record else None


def _order(refund: Refund) -> RefundOrder:
    return RefundOrder(
        refund_id=refund.id,
        payment_id=refund.processor_payment_id,
        money=Money(refund.amount, refund.currency),
        reason=refund.request.reason,
        metadata=refund.request.metadata,
    )


def _is_settled(refund: Refund) -> bool:
    return refund.state not in (State.SUBMITTING, State.UNKNOWN, State.REVIEW)
