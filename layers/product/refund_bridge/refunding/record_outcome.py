"""Step 5: write the processor's answer to the ledger, together with the refund's payment."""

from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.external_refund import Import
from refund_bridge.domain.instruction import Accepted, Outcome, Unknown
from refund_bridge.domain.outcome import after_outcome, evidence_of
from refund_bridge.domain.payment import (
    Payment,
    SlotTakenError,
    follow,
    payment_key_of,
    revision_after,
)
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FREED, PUBLIC_STATUS, UNBOUND, State
from refund_bridge.domain.transitions import Why, noted
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    Ledger,
    LedgerConflictError,
    LedgerUnavailableError,
    PaymentWrite,
    RefundWrite,
)
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.claims import claims_of

# All refunds of one payment write its item; of several that write at once, one wins each round.
RECORD_ATTEMPTS: Final = 25
# When the sums are checked, if Stripe showed another sum than what is reported.
SUMS_CHECK_MS: Final = 60_000
# When a refund that ended without moving money is checked for the first time.
ENDED_CHECK_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A refund and its payment as the ledger has them."""

    refund: Refund
    payment: Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes refunds together with their payment."""

    ledger: Ledger
    clock: Clock
    telemetry: Telemetry
    stage: str

    def outcome(self, sent: Stored, outcome: Outcome, actor: str, until: Deadline) -> Stored:
        """Write the answer to the call that moves money, also if others wrote meanwhile.

        If the ledger cannot be written by ``until``, the refund stays as it was and is returned so;
        settling finds out later. An answer is recorded only for its own attempt.
        """
        current = sent
        for attempt in range(RECORD_ATTEMPTS):
            if attempt and not until.remaining_ms():
                break
            after = after_outcome(current.refund, outcome, at_ms=self.clock.now_ms(), actor=actor)
            try:
                return self.write(current, after)
            except ClaimConflictError as error:
                # The id in the answer already belongs to another refund, so it is no evidence.
                self.telemetry.note("movement_already_claimed", refund_id=after.id)
                outcome = Unknown(str(error))
            except LedgerConflictError:
                self._tell_unrecorded("outcome_met_another_write", sent.refund, outcome)
            except LedgerUnavailableError:
                self._tell_unrecorded("outcome_not_recorded", sent.refund, outcome)
            try:
                current = self.read(sent.refund.id)
            except LedgerUnavailableError:
                continue
            if self._is_recorded(current.refund, outcome):
                return current
            if not _may_still_learn(current.refund, sent.refund, outcome):
                return self._too_late(current, outcome, actor)
        return current

    def _tell_unrecorded(self, event: str, sent: Refund, outcome: Outcome) -> None:
        # Only this log line has the answer and the refund's id: ``refund_moved`` is not out yet.
        told = type(outcome).__name__.lower()
        self.telemetry.note(event, refund_id=sent.id, outcome=told)

    @staticmethod
    def _is_recorded(refund: Refund, outcome: Outcome) -> bool:
        """Whether our own write was applied, and only its reply was lost."""
        return (
            isinstance(outcome, Accepted)
            and refund.processor_refund_id == outcome.processor_refund.id
        )

    def _too_late(self, current: Stored, outcome: Outcome, actor: str) -> Stored:
        """Keep an answer that comes after the refund was settled.

        The answer may show another processor refund than the one that the refund was bound to
        meanwhile. Then both were made. The one in the answer is imported as a refund of its own, in
        the same transaction that notes the evidence, so that neither is lost.
        """
        refund = current.refund
        self.telemetry.note("outcome_too_late", refund_id=refund.id)
        if not isinstance(outcome, Accepted):
            return current
        processor_refund = outcome.processor_refund
        if processor_refund.status is ProcessorRefundStatus.FAILED:
            return current
        why = Why(
            at_ms=self.clock.now_ms(),
            cause="late_answer",
            actor=actor,
            evidence=evidence_of(processor_refund),
        )
        after = noted(refund, why)
        importing = Import(
            stage=self.stage,
            key=current.payment.key,
            payment_record=refund.payment_record,
            since_ms=0,  # our own call made it, so it is not older than this service
            now_ms=why.at_ms,
        )
        failed = refund.id if refund.state is State.FAILED else None
        if failed is not None:
            self.telemetry.note("movement_contradicts", movement=processor_refund.id, failed=failed)
        other = importing.refund_of(processor_refund, contradicts=failed)
        payment = follow(follow(current.payment, refund, after), None, other)
        try:
            self.ledger.commit(
                Commit(
                    refunds=(RefundWrite(refund, after), RefundWrite(None, other)),
                    payments=(PaymentWrite(current.payment, payment),),
                    claims=claims_of(other),
                )
            )
        except (LedgerConflictError, LedgerUnavailableError):
            # The charge still lists it: it is imported when the charge is read next.
            self.telemetry.note(
                "late_answer_not_kept", refund_id=refund.id, movement=processor_refund.id
            )
            return current
        return self.read(refund.id)

    def write(self, current: Stored, after: Refund, *, letting_go: Refund | None = None) -> Stored:
        """Write the refund, its payment and the claim of its processor refund in one transaction.

        ``letting_go`` is a new refund that takes over the processor refund of this one.

        Raises:
            ClaimConflictError, LedgerConflictError, LedgerUnavailableError: as ``Ledger.commit``.
        """
        if after == current.refund:
            return current
        has_moved = after.state is not current.refund.state
        if has_moved and after.next_check_ms is None and (wait_ms := _wait_ms(current, after)):
            after = replace(after, next_check_ms=self.clock.now_ms() + wait_ms)
        try:
            payment = follow(current.payment, current.refund, after)
        except SlotTakenError as error:
            # The payment was read after the refund; in between the refund has freed its slot.
            raise LedgerConflictError(f"refund {after.id} has changed") from error
        refunds = [RefundWrite(current.refund, after)]
        claims = claims_of(after) if _newly_bound(current.refund, after) else ()
        if letting_go is not None:
            payment = follow(payment, None, letting_go)
            refunds.append(RefundWrite(None, letting_go))
            claims = tuple(replace(one, instead_of=after.id) for one in claims_of(letting_go))
        self.ledger.commit(
            Commit(
                refunds=refunds,
                payments=(PaymentWrite(current.payment, payment),)
                if payment != current.payment
                else (),
                claims=claims,
            )
        )
        if after.state is not current.refund.state:
            self._tell_move(current.refund.state, after)
        if payment.is_over_refunded and not current.payment.is_over_refunded:
            self.telemetry.note("over_refunded", refund_id=after.id, charge=payment.key.charge_id)
        revision = current.payment.revision
        if payment != current.payment:
            revision = revision_after(current.payment)
        return Stored(
            replace(after, revision=revision_after(current.refund)),
            replace(payment, revision=revision),
        )

    def _tell_move(self, before: State, refund: Refund) -> None:
        self.telemetry.note(
            "refund_moved",
            refund_id=refund.id,
            before=before,
            after=refund.state,
            outcome=PUBLIC_STATUS[refund.state],
            processor=refund.processor,
            amount=refund.amount,
            currency=refund.currency,
        )

    def read(self, refund_id: str) -> Stored:
        """The refund and its payment.

        Raises:
            LedgerUnavailableError: there was no answer, or one of the two is missing.
        """
        refund = self.ledger.refund(refund_id)
        if refund is None:
            raise _not_whole(refund_id)
        return self.with_payment(refund)

    def read_named(self, refund_id: str) -> Stored:
        """The refund that a person names, and its payment.

        Raises:
            RefundNotFoundError: there is no such refund.
            LedgerUnavailableError: as ``read``.
        """
        return self.with_payment(refund_named(self.ledger, refund_id))

    def with_payment(self, refund: Refund) -> Stored:
        """A refund that was just read or taken, and its payment; raises as ``read``."""
        payment = self.ledger.payment(payment_key_of(refund))
        if payment is None:
            raise _not_whole(refund.id)
        return Stored(refund, payment)


def refund_named(ledger: Ledger, refund_id: str) -> Refund:
    """The refund that a person names.

    Raises:
        RefundNotFoundError: there is no such refund.
        LedgerUnavailableError: the ledger gave no answer.
    """
    refund = ledger.refund(refund_id)
    if refund is None:
        raise RefundNotFoundError(f"There is no refund {refund_id}.")
    return refund


def _not_whole(refund_id: str) -> LedgerUnavailableError:
    return LedgerUnavailableError(f"the ledger does not show {refund_id} whole")


def _wait_ms(current: Stored, after: Refund) -> int | None:
    """How long to wait before the payment is checked again, if nothing else is due.

    There are three reasons to check again. If Stripe's sum is not ours, others may have told Stripe
    something. While a refund's outcome was not known nothing was imported: if it moved nothing,
    what the charge showed meanwhile was made by others. And a processor may still execute a refund
    that it has turned down, if the refund was ever sent.
    """
    if current.payment.is_out_of_step:
        return SUMS_CHECK_MS
    never_sent = after.attempt == 0 and after.processor_refund_id is None
    if after.state not in FREED or never_sent:
        return None
    was_unknown = current.refund.state in (State.UNKNOWN, State.REVIEW)
    return SUMS_CHECK_MS if was_unknown else ENDED_CHECK_MS


def _newly_bound(before: Refund, after: Refund) -> bool:
    return after.processor_refund_id not in (None, before.processor_refund_id)


def _may_still_learn(current: Refund, sent: Refund, outcome: Outcome) -> bool:
    """Whether the answer to the attempt that was sent still tells something new.

    An answer that money moved is new even for a refund that meanwhile ended without moving any.
    """
    if current.attempt != sent.attempt or current.processor_refund_id is not None:
        return False
    moved = (
        isinstance(outcome, Accepted)
        and outcome.processor_refund.status is ProcessorRefundStatus.SUCCEEDED
    )
    return current.state in UNBOUND or (moved and current.state in FREED)
