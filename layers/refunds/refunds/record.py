"""Step 5: what the processor answered becomes durable, with what it means for the payment."""

from dataclasses import dataclass, replace
from typing import Final

from refunds.adopt import revision_after
from refunds.outcome import after_outcome, claims_of, evidence_of
from refunds.payment import Payment, follow, payment_key_of
from refunds.ports import (
    Accepted,
    ClaimConflictError,
    Clock,
    Commit,
    Ledger,
    LedgerConflictError,
    LedgerUnavailableError,
    Outcome,
    PaymentWrite,
    RefundWrite,
    Trail,
    Unknown,
)
from refunds.refund import Refund, Why, noted
from refunds.state_machine import UNBOUND, State

# All refunds of one payment share its item, and of those that write at once one wins each round.
RECORD_ATTEMPTS: Final = 25


@dataclass(frozen=True, slots=True)
class Stored:
    """A refund and its payment as the ledger holds them."""

    refund: Refund
    payment: Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes refunds together with their payment."""

    ledger: Ledger
    clock: Clock
    trail: Trail

    def outcome(self, sent: Stored, outcome: Outcome, actor: str) -> Stored:
        """Write the answer to a call that moved money, over whatever was written meanwhile.

        Where the ledger cannot be written, what it held before still stands and is returned:
        settling finds out later. An answer is recorded only for the attempt that it belongs to.
        """
        current = sent
        for _ in range(RECORD_ATTEMPTS):
            after = after_outcome(current.refund, outcome, at_ms=self.clock.now_ms(), actor=actor)
            try:
                return self.write(current, after)
            except ClaimConflictError as error:
                # The id in the answer already belongs to another refund, so it is no evidence.
                self.trail.note("movement_already_claimed", refund_id=after.id)
                outcome = Unknown(str(error))
            except LedgerConflictError:
                current = self.read_again(current)
                if not _may_still_learn(current.refund, sent.refund):
                    return self._too_late(current, outcome, actor)
            except LedgerUnavailableError:
                self.trail.note("outcome_not_recorded", refund_id=sent.refund.id)
                try:
                    current = self.read_again(current)
                except LedgerUnavailableError:
                    continue
                if current.refund.state is not State.SUBMITTING:
                    return current
        return current

    def _too_late(self, current: Stored, outcome: Outcome, actor: str) -> Stored:
        """Keep an answer that comes after the refund was settled, as evidence.

        If it shows another movement than the one that the refund was bound to meanwhile, both
        happened: the other one belongs to no refund, and is imported when the charge is next read.
        """
        refund = current.refund
        self.trail.note("outcome_too_late", refund_id=refund.id)
        if not isinstance(outcome, Accepted):
            return current
        movement = outcome.movement
        if movement.id == refund.processor_refund_id:
            return current
        why = Why(
            at_ms=self.clock.now_ms(),
            cause="late_answer",
            actor=actor,
            evidence=evidence_of(movement),
        )
        try:
            return self.write(current, noted(refund, why))
        except (LedgerConflictError, LedgerUnavailableError):
            self.trail.note("late_answer_not_kept", refund_id=refund.id, movement=movement.id)
            return current

    def write(self, current: Stored, after: Refund) -> Stored:
        """Write ``after`` over the refund, its payment and the claim of its movement, all at once.

        Raises:
            ClaimConflictError, LedgerConflictError, LedgerUnavailableError: as ``Ledger.commit``.
        """
        if after == current.refund:
            return current
        payment = follow(current.payment, current.refund, after)
        self.ledger.commit(
            Commit(
                refunds=(RefundWrite(current.refund, after),),
                payments=(PaymentWrite(current.payment, payment),)
                if payment != current.payment
                else (),
                claims=claims_of(after) if _newly_bound(current.refund, after) else (),
            )
        )
        revision = current.payment.revision
        if payment != current.payment:
            revision = revision_after(current.payment)
        return Stored(
            replace(after, revision=revision_after(current.refund)),
            replace(payment, revision=revision),
        )

    def read_again(self, current: Stored) -> Stored:
        """Both as the ledger holds them now."""
        return self.read(current.refund.id)

    def read(self, refund_id: str) -> Stored:
        """The refund and its payment.

        Raises:
            LedgerUnavailableError: there was no answer, or one of them is not there.
        """
        refund = self.ledger.refund(refund_id)
        payment = None if refund is None else self.ledger.payment(payment_key_of(refund))
        if refund is None or payment is None:
            raise LedgerUnavailableError(f"the ledger does not show {refund_id} whole")
        return Stored(refund, payment)


def _newly_bound(before: Refund, after: Refund) -> bool:
    return after.processor_refund_id is not None and before.processor_refund_id is None


def _may_still_learn(current: Refund, sent: Refund) -> bool:
    """Whether an answer to the attempt that was sent still tells something new."""
    return current.attempt == sent.attempt and current.state in UNBOUND
