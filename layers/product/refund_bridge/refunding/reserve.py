"""Step 3: reserve the amount, take the payment's slot and write the intent, in one transaction.

A scheduled refund reserves its amount when it is accepted, waits for its turn without the slot, and
takes the slot when it is executed.

This step combines the ledger's payment with what Stripe and the processor have just shown. It uses
optimistic locking: it computes from the payment as read and writes only over that same revision, so
of two refunds that race for one payment only one is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from refund_bridge.domain.errors import (
    AmountRefusedError,
    AttemptsSpentError,
    OutcomeUnknownError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotRefundableError,
    RateLimitedError,
    RefundAmountExceededError,
)
from refund_bridge.domain.money import AmountNotRepresentableError, Money, require_representable
from refund_bridge.domain.outcome import report_at_birth
from refund_bridge.domain.payment import Payment, follow, payment_key_of, revision_after
from refund_bridge.domain.payment_snapshot import LocatedPayment
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import PUBLIC_STATUS, Event, State
from refund_bridge.domain.transitions import Why, born, transition
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    Ledger,
    LedgerConflictError,
    LedgerUnavailableError,
    PaymentWrite,
    PayoutCount,
    PayoutsReachedError,
    RecordClaim,
    RefundWrite,
)
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.learn_from_charge import LearnFromCharge, Learnt
from refund_bridge.refunding.payment_links import PaymentLinks, link_of
from refund_bridge.refunding.record_outcome import Stored

# Losing this many races in a row means that the payment is busy, and the caller is told so.
RESERVE_ATTEMPTS: Final = 8
BUSY_RETRY_AFTER_S: Final = 2
# The most attempts that moved nothing; the limit keeps a refund's history bounded.
ATTEMPTS_MAX: Final = 100
# How many scheduled refunds may await their turn on one payment.
WAITING_MAX: Final = 100
# Settling checks a refund this long after its lease; until then only its own call may write.
SKEW_MS: Final = 5_000
_DAY_S: Final = 86_400


class TakenByAnotherCallError(Exception):
    """Another call with the same key has reserved, or finished, this refund in the meantime.

    Attributes:
        refund: as the other call left it.
    """

    def __init__(self, refund: Refund) -> None:
        super().__init__(refund.id)
        self.refund = refund


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Reserves refunds against payments.

    Attributes:
        accounts: by processor name, the account that its instructions are sent to and the form of
            key that they carry.
        payout_day_max: the most that all payouts in one currency may sum up to on one UTC day, in
            minor units; 0 where no payouts are made.
    """

    ledger: Ledger
    learn: LearnFromCharge
    links: PaymentLinks
    accounts: Mapping[str, str]
    clock: Clock
    telemetry: Telemetry
    lease_ms: int
    payout_day_max: int = 0

    def reserve(
        self,
        command: CreateRefund,
        before: Refund | None,
        located: LocatedPayment,
        deadline: Deadline,
    ) -> Stored:
        """Reserve the amount and write the intent; on return both are durable.

        First the ledger learns what the charge shows, so that external refunds and changes of our
        own refunds count against the refundable balance. ``before`` is the refund if it exists
        already: either it was aborted, and the same amount is reserved again, or it was scheduled
        and is now executed. The returned refund is ``submitting`` and has the payment's slot. Only
        a new scheduled refund is ``requested`` instead, without the slot.

        Raises:
            PaymentBusyError, PaymentLinkConflictError, PaymentNotRefundableError,
            RefundAmountExceededError, AmountRefusedError: nothing was written for this refund.
            RateLimitedError: the day's limit for payouts is reached; nothing was written.
            TakenByAnotherCallError: another call has this key now.
            OutcomeUnknownError: the ledger did not say whether the intent was written.
            LedgerUnavailableError: the ledger could not be read; nothing was written.
        """
        _require_same_payment(before, located)
        _require_attempts_left(before)
        for _ in range(RESERVE_ATTEMPTS):
            try:
                learnt = self.learn(located.seen, deadline, sending=command.refund_id)
                before = self._still_ours(command, before) if learnt.followed else before
                if learnt.stored is not None:
                    require_link(learnt.current, located)
                    self._require_turn(learnt.stored, command, before)
                amount = self._amount(command, before, learnt.current)
                after = self._intent(command, before, located, amount, learnt.snapshot)
                return self._commit(command, before, after, learnt, located)
            except ClaimConflictError as error:
                if not isinstance(error.claim, RecordClaim):
                    # Another call has imported the same processor refund meanwhile.
                    before = self._still_ours(command, before)
                    continue
                if (mended := self.links.mended(located.seen)) is not None:
                    located = replace(located, seen=mended)
                    continue
                raise PaymentLinkConflictError(
                    "The Payment Record is linked to another charge.",
                    details={
                        "payment_record": located.seen.payment_record,
                        "charge": located.key.charge_id,
                    },
                ) from error
            except PayoutsReachedError as error:
                raise self._day_reached(error.count) from error
            except LedgerConflictError:
                before = self._still_ours(command, before)
        raise PaymentBusyError(
            "The payment is too busy; repeat with the same key.",
            details={"blocking_refund": None},
            retry_after_s=BUSY_RETRY_AFTER_S,
        )

    def _commit(
        self,
        command: CreateRefund,
        before: Refund | None,
        after: Refund,
        learnt: Learnt,
        located: LocatedPayment,
    ) -> Stored:
        stored, reserved = learnt.stored, follow(learnt.current, before, after)
        write = Commit(
            refunds=(RefundWrite(before, after),),
            payments=(PaymentWrite(stored, reserved), *self.links.released(located.seen)),
            claims=link_of(stored, reserved, located.seen),
            payouts=self._counted(before, after),
        )
        try:
            self.ledger.commit(write)
        except LedgerUnavailableError as error:
            return self._read_back(command, error)
        return Stored(
            replace(after, revision=revision_after(before)),
            replace(reserved, revision=revision_after(stored)),
        )

    def _counted(self, before: Refund | None, after: Refund) -> tuple[PayoutCount, ...]:
        """What this refund adds to the day's payouts: its amount, once a day if reserved again.

        A scheduled payout is counted on the day on which it was accepted, not when it is executed.
        """
        if not after.request.is_unlinked or (before is not None and before.holds_headroom):
            return ()
        day = _day_of(after.updated_at_ms)
        if before is not None and _day_of(before.started_at_ms or before.created_at_ms) == day:
            return ()
        count = PayoutCount(
            day=day, currency=after.currency, amount=after.amount, at_most=self.payout_day_max
        )
        return (count,)

    def _day_reached(self, count: PayoutCount) -> RateLimitedError:
        return RateLimitedError(
            f"With it the payouts of {count.day} would exceed {count.at_most}.",
            retry_after_s=_DAY_S - self.clock.now_ms() // 1000 % _DAY_S,
        )

    def _read_back(self, command: CreateRefund, error: LedgerUnavailableError) -> Stored:
        """Return our own write, if it was applied and only the reply was lost."""
        try:
            refund = self.ledger.refund(command.refund_id)
            if refund is not None and refund.token == command.token:
                payment = self.ledger.payment(payment_key_of(refund))
                if payment is not None and refund.state in (State.SUBMITTING, State.REQUESTED):
                    return Stored(refund, payment)
        except LedgerUnavailableError:
            self.telemetry.note("intent_not_read_back", refund_id=command.refund_id)
        raise OutcomeUnknownError(
            "The ledger did not confirm the refund; repeat with the same key."
        ) from error

    def _amount(self, command: CreateRefund, before: Refund | None, payment: Payment) -> int:
        """The amount to reserve, in minor units; once decided it never changes."""
        fixed = before.amount if before is not None else command.request.amount
        already_held = before.amount if before is not None and before.holds_headroom else 0
        left = payment.refundable_beside(already_held)
        amount = left if fixed is None else fixed
        facts = {
            "original_amount": payment.captured,
            "already_refunded": payment.captured - left,
            "remaining_refundable": left,
            "requested_refund": fixed,
        }
        if left <= 0 and before is None:
            raise PaymentNotRefundableError("Nothing is left to refund.", details=facts)
        if amount > left:
            raise RefundAmountExceededError(
                "The amount exceeds what remains refundable.", details=facts
            )
        try:
            require_representable(Money(amount, payment.currency))
        except AmountNotRepresentableError as error:
            raise AmountRefusedError(str(error), details=facts) from error
        return amount

    def _intent(
        self,
        command: CreateRefund,
        before: Refund | None,
        located: LocatedPayment,
        amount: int,
        snapshot: tuple[str, ...] | None,
    ) -> Refund:
        now_ms = self.clock.now_ms()
        why = Why(
            at_ms=now_ms,
            cause="reserved",
            actor=command.actor,
            evidence={"amount": amount, "currency": located.seen.currency},
        )
        if before is not None:
            attempt = self._attempt(command, before.attempt + 1, now_ms, snapshot, before.processor)
            request = before.request.remembering(command.request)
            return transition(before, Event.START, why, failure=None, request=request, **attempt)
        new = Refund(
            id=command.refund_id,
            request=command.request,
            source=command.source,
            state=State.SUBMITTING,
            processor=located.key.processor,
            processor_payment_id=located.key.charge_id,
            payment_record=located.report_to,
            payment_intent=located.payment_intent,
            invoice=located.invoice,
            report=report_at_birth(located.key),
            amount=amount,
            currency=located.seen.currency,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            idempotency_key=command.idempotency_key,
        )
        if command.request.refund_type is RefundType.SCHEDULED:
            waiting = replace(new, token=command.token, next_check_ms=now_ms)
            return born(waiting, Event.ACCEPT_SCHEDULED, why)
        attempt = self._attempt(command, 1, now_ms, snapshot, located.key.processor)
        return born(replace(new, **attempt), Event.ACCEPT_INSTANT, why)

    def _attempt(
        self,
        command: CreateRefund,
        number: int,
        now_ms: int,
        snapshot: tuple[str, ...] | None,
        processor: str,
    ) -> dict[str, Any]:
        """The facts of one attempt to move money."""
        lease_until_ms = now_ms + self.lease_ms
        return {
            "attempt": number,
            "token": command.token,
            "lease_until_ms": lease_until_ms,
            "started_at_ms": now_ms,
            "snapshot": snapshot,
            "account": self.accounts.get(processor),
            "refused_since_ms": None,
            "next_check_ms": lease_until_ms + SKEW_MS,
            "look_ups": 0,
        }

    def _require_turn(self, payment: Payment, command: CreateRefund, before: Refund | None) -> None:
        """Raise ``PaymentBusyError`` if the slot is taken, or too many scheduled refunds wait."""
        if before is None and command.request.refund_type is RefundType.SCHEDULED:
            if len(payment.waiting) >= WAITING_MAX:
                raise PaymentBusyError(
                    "Too many scheduled refunds of this payment are waiting.",
                    details={"blocking_refund": None},
                    retry_after_s=BUSY_RETRY_AFTER_S,
                )
            return
        if payment.slot is None or payment.slot == command.refund_id:
            return
        blocking = self.ledger.refund(payment.slot)
        raise PaymentBusyError(
            "Another refund of this payment may be moving money.",
            details={
                "blocking_refund": {
                    "id": payment.slot,
                    "status": PUBLIC_STATUS[blocking.state] if blocking else "pending",
                }
            },
            retry_after_s=BUSY_RETRY_AFTER_S,
        )

    def _still_ours(self, command: CreateRefund, before: Refund | None) -> Refund | None:
        """The refund to start from again after a lost race; raises if another call changed it."""
        current = self.ledger.refund(command.refund_id)
        if current is not None and (before is None or current.revision != before.revision):
            raise TakenByAnotherCallError(current)
        return before


def _day_of(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()


def require_link(payment: Payment, located: LocatedPayment) -> None:
    """Refuse a charge that the ledger links to another record, or has with another amount.

    Raises:
        PaymentLinkConflictError: the payment has another record, or Stripe shows another amount.
    """
    seen = located.seen
    if payment.payment_record != seen.payment_record:
        raise PaymentLinkConflictError(
            "The charge is linked to another Payment Record.",
            details={
                "charge": located.key.charge_id,
                "linked": payment.payment_record,
                "named": seen.payment_record,
            },
        )
    if (payment.currency, payment.captured) != (seen.currency, seen.captured):
        raise PaymentLinkConflictError(
            "Stripe shows another captured amount than when the payment was first seen.",
            details={
                "payment_record": seen.payment_record,
                "first_seen": payment.captured,
                "captured_amount": seen.captured,
            },
        )


def _require_attempts_left(before: Refund | None) -> None:
    if before is not None and before.attempt >= ATTEMPTS_MAX:
        raise AttemptsSpentError(
            f"The processor could not be asked in {ATTEMPTS_MAX} attempts; use a new key.",
            details={"refund": before.id, "attempts": before.attempt},
        )


def _require_same_payment(before: Refund | None, located: LocatedPayment) -> None:
    """Refuse a refund that now leads to another charge than the one it was first reserved on."""
    if before is not None and payment_key_of(before) != located.key:
        raise PaymentLinkConflictError(
            "The payment leads to another charge than when this refund was first asked for.",
            details={"linked": before.processor_payment_id, "named": located.key.charge_id},
        )
