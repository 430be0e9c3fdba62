"""Move on what is due: find out what became of a refund, ring lost doorbells, run scheduled ones.

Called every minute, by the processor's webhook and on request, for one refund at a time that is
first taken by a conditional write, so that two runs never work on one refund. Whatever a run does
not finish stays due in the ledger.

::

    submitting, lease over ─▶ unknown       the call that sent it died
    unknown, review        ─▶ the processor is asked, by what it can tell (``ports.Dedupe``):
                              by look-up: exactly one movement of the charge can be ours → bound
                              by key: it knows our order → bound; not → handed over once more
                              none → held, for as long as an order may still arrive; else → review
    pending                ─▶ the movement is read; too old, or gone for long → review
    requested              ─▶ executed, if the slot is free and it is the payment's oldest
    succeeded, report due  ─▶ the doorbell is rung (again), if no message seems to be under way
    reported, note due     ─▶ one more attempt at the credit note
    succeeded, failed,
    rejected, aborted      ─▶ after an hour, 1, 7 and 30 days: is it all still so, on all sides?
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final

from refund_bridge.domain.backoff import backoff_steps
from refund_bridge.domain.charge import Charge, Movement, MovementStatus
from refund_bridge.domain.errors import (
    AttemptsSpentError,
    CurrencyMismatchError,
    PaymentLinkConflictError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    RefundAmountExceededError,
    RefundBridgeError,
)
from refund_bridge.domain.evidence import (
    Ambiguous,
    Found,
    KeyNotShown,
    NoneYet,
    Unreadable,
    Verdict,
    of_our_order,
    stands_for,
)
from refund_bridge.domain.instruction import Accepted
from refund_bridge.domain.outcome import after_movement, of_its_payment
from refund_bridge.domain.payment_snapshot import PaymentView
from refund_bridge.domain.refund import (
    ANSWER_LENGTH_MAX,
    FOUND,
    HANDED_OVER_AGAIN,
    Failure,
    ProviderAnswer,
    Refund,
    with_answer,
)
from refund_bridge.domain.state_machine import (
    FINAL,
    FREED,
    CreditNoteState,
    Event,
    ReportState,
    State,
)
from refund_bridge.domain.transitions import Why, noted, transition
from refund_bridge.ports.ledger import ClaimConflictError, Ledger, LedgerConflictError
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.queues import Doorbell, DoorbellError
from refund_bridge.ports.runtime import Clock, Deadline, Trail
from refund_bridge.refunding.execute import SEND_MS_MAX, SEND_MS_MIN, ExecuteRefund, asks_for_more
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.look_up import look_for, movement_of
from refund_bridge.refunding.recent_looks import LOOK_AGAIN_AFTER_MS
from refund_bridge.refunding.record_outcome import Recorder, Stored
from refund_bridge.refunding.reserve import TakenByAnotherCallError
from refund_bridge.refunding.send import place
from refund_bridge.refunding.wake_reporter import ring_if_owed
from refund_bridge.reporting.credit_note import IssueCreditNote, begun
from refund_bridge.reporting.look_at_sums import LookAtSums

ACTOR: Final = "settle_refunds"
# A day, in steps of the settle interval (a minute).
REVIEW_STEPS: Final = 24 * 60
# When what has ended is looked at again, in such steps: what others report later, and what a
# processor takes back or moves after all, is noticed then where no webhook tells of it.
AFTER_STEPS: Final = (60, REVIEW_STEPS, 7 * REVIEW_STEPS, 30 * REVIEW_STEPS)
# No processor's refund is still on its way then; a bank's own takes a week or two.
PENDING_STEPS_MAX: Final = 30 * REVIEW_STEPS
HOLD_LOOK_UPS_MIN: Final = 3
# How often a processor that dedupes by key is asked for an order before it is handed the same one
# again, and how often that is done at most.
REPEAT_LOOKS_MIN: Final = 2
REPEATS_MAX: Final = 3
NOT_SET_UP: Final = "its processor is not set up here any more"
OTHER_ACCOUNT: Final = "it was sent to another account, or under another form of key"
# Between a refusal that a scheduled refund met and what kept it from asking once more.
THEN: Final = "; then "
GONE: Final = "the processor does not show the refund"
UNREADABLE: Final = "its answer cannot be read"
# What waiting seldom mends: a scheduled refund that meets the same of these for a day is canceled.
HOPELESS: Final = (
    AttemptsSpentError,
    CurrencyMismatchError,
    PaymentLinkConflictError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    RefundAmountExceededError,
)


class AfterHold(StrEnum):
    """What becomes of a refund of which no movement was found for the whole hold."""

    REVIEW = "review"
    FAILED = "failed"


class Settled(StrEnum):
    """What one settling came to."""

    NOTHING_DUE = "nothing_due"
    MOVED_ON = "moved_on"
    HELD = "held"
    RUNG = "rung"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleSettings:
    """Times of settling, in milliseconds.

    Attributes:
        step_ms: the settle interval; every backoff is a multiple of it.
        hold_ms: how long after an attempt its order may still arrive; the late-arrival bound.
        after_hold: what a person wants done when the hold ends without a movement.
        take_ms: for how long a taken refund is left to one run.
        unheard_ms: how old a ring must be, if a worker has heard of it, before it is repeated.
        grace_ms: how long whoever made a refund elsewhere may be about to report it themselves.
    """

    step_ms: int
    hold_ms: int
    after_hold: AfterHold
    take_ms: int
    unheard_ms: int
    grace_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefund:
    """Settles one refund.

    Attributes:
        on_request: whether somebody asked for this look. It then counts as none: what it finds is
            as good as any other's, but that nothing is there yet is left to the schedule's looks.
        credit_notes: issues credit notes that are due; ``None``: they wait until it does.
        accounts: as in ``Reservation``.
    """

    ledger: Ledger
    processors: Mapping[str, Processor]
    recorder: Recorder
    execute: ExecuteRefund
    learn: LearnFromCharge
    look_at_sums: LookAtSums
    accounts: Mapping[str, str]
    doorbell: Doorbell
    clock: Clock
    trail: Trail
    settings: SettleSettings
    on_request: bool = False
    credit_notes: IssueCreditNote | None = None

    def __call__(self, refund_id: str, deadline: Deadline) -> Settled:
        """Do what is due for the refund; what it comes to is durable on return.

        Raises:
            LedgerUnavailableError: the ledger gave no answer; the refund stays due.
        """
        now_ms = self.clock.now_ms()
        refund = self.ledger.take_check(
            refund_id, now_ms=now_ms, until_ms=now_ms + self.settings.take_ms
        )
        if refund is None:
            return Settled.NOTHING_DUE
        try:
            return self._settle(self.recorder.read(refund_id), deadline)
        except (LedgerConflictError, TakenByAnotherCallError):
            # Somebody else wrote meanwhile; what is still due then is found by the next run.
            return Settled.HELD

    def look_now(self, refund_id: str, deadline: Deadline) -> None:
        """Ask the processor what became of a refund, though it may not be due, as somebody asks.

        Only where that is not known and no call may still be sending it; at most once in
        ``LOOK_AGAIN_AFTER_MS``, whoever asks. What it finds is durable on return. Neither a
        processor that gives no answer nor somebody else who writes meanwhile is an error.

        Raises:
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored, now_ms = self.recorder.read(refund_id), self.clock.now_ms()
        if not _is_worth_a_look(stored.refund, now_ms):
            return
        try:
            # Of all that ask at once, the one whose write comes first looks.
            asked = self.recorder.write(stored, replace(stored.refund, looked_at_ms=now_ms))
            replace(self, on_request=True)._settle(asked, deadline)
        except LedgerConflictError:
            self.trail.note("look_met_another_write", refund_id=refund_id)

    def _settle(self, stored: Stored, deadline: Deadline) -> Settled:
        match stored.refund.state:
            case State.SUBMITTING:
                return self._take_over(stored, deadline)
            case State.PENDING | State.REVIEW if stored.refund.processor_refund_id:
                return self._follow_up(stored, deadline)
            case State.UNKNOWN | State.REVIEW:
                return self._find_out(stored, deadline)
            case State.REQUESTED:
                return self._run(stored, deadline)
            case State.SUCCEEDED if _is_owed_to_stripe(stored.refund):
                return self._tell_stripe(stored, deadline)
            case _:
                return self._look_after(stored, deadline)

    # --- unknown ----------------------------------------------------------------------------------

    def _take_over(self, stored: Stored, deadline: Deadline) -> Settled:
        """The call that sent it has not written its outcome, and may not after its lease."""
        lease_until_ms = stored.refund.lease_until_ms or 0
        if self.clock.now_ms() < lease_until_ms:
            later = replace(stored.refund, next_check_ms=lease_until_ms)
            self.recorder.write(stored, later)
            return Settled.HELD
        why = self._why("lease_over")
        lost = transition(stored.refund, Event.LOSE, why, lease_until_ms=None, looks=0)
        return self._find_out(self.recorder.write(stored, lost), deadline)

    def _find_out(self, stored: Stored, deadline: Deadline) -> Settled:
        refund = stored.refund
        if (why_not := self._out_of_reach(refund)) is not None:
            return self._not_shown(stored, why_not)
        processor = self.processors[refund.processor]
        learn = partial(self._learn, stored, deadline)
        try:
            verdict = look_for(processor, refund, self.ledger.claimed, deadline, learn=learn)
            is_open = isinstance(verdict, NoneYet | KeyNotShown)
            by_key = processor.capabilities.keeps_keys
            again = by_key and is_open and self._may_repeat(processor, stored, deadline)
        except ChargeNotFoundError:
            return self._not_shown(stored, "the processor does not show the payment")
        except UnreadableAnswerError as error:
            heard, said = self._heard(stored, error), _words(error)
            return self._not_shown(heard, UNREADABLE, said=f": {said}", before=stored)
        except ProviderUnavailableError as error:
            return self._hold(self._heard(stored, error), _no_look_up(error), before=stored)
        self.trail.note("looked_up", refund_id=refund.id, verdict=type(verdict).__name__)
        if again:
            return self._hand_over_again(processor, stored, deadline)
        return self._decide(stored, verdict)

    def _out_of_reach(self, refund: Refund) -> str | None:
        """Why nothing can be asked about it, and so nothing is concluded; ``None``: it can.

        Orders of former releases do not say to which account they went.
        """
        if refund.processor not in self.processors:
            return NOT_SET_UP
        if refund.account in (None, self.accounts.get(refund.processor)):
            return None
        self.trail.note("sent_to_another_account", refund_id=refund.id, processor=refund.processor)
        return OTHER_ACCOUNT

    def _learn(self, stored: Stored, deadline: Deadline, charge: Charge) -> None:
        """What the charge shows of other refunds; this one has the slot, so nothing is imported."""
        payment = stored.payment
        view = PaymentView(
            key=payment.key,
            payment_record=payment.payment_record,
            currency=payment.currency,
            captured=payment.captured,
            in_book=None,
            charge=charge,
        )
        if self.learn(view, deadline).followed:
            # What is decided next was read before: the next run decides on what it is now.
            raise LedgerConflictError(f"a refund beside {stored.refund.id} moved on")

    def _may_repeat(self, processor: Processor, stored: Stored, deadline: Deadline) -> bool:
        """Whether it may be sent again: never where less is left by now than it holds."""
        refund = stored.refund
        return (
            not self.on_request
            and not stored.payment.is_over_refunded
            and refund.state is State.UNKNOWN
            and refund.looks + 1 >= REPEAT_LOOKS_MIN
            and refund.repeats < REPEATS_MAX
            and not self._is_late(refund)
            and deadline.remaining_ms() >= SEND_MS_MIN
            and self._is_left(processor, stored, deadline)
        )

    def _is_left(self, processor: Processor, stored: Stored, deadline: Deadline) -> bool:
        """Whether its payment, where it is shown, has as much left as the order asks for."""
        payment_id = stored.refund.refunded_payment
        if not processor.capabilities.shows_payments or payment_id is None:
            return True
        charge = processor.charge(payment_id, deadline)
        self._learn(stored, deadline, charge)
        taken_back = stored.payment.taken_back
        return not asks_for_more(stored.refund, charge, self.trail, taken_back=taken_back)

    def _hand_over_again(self, processor: Processor, stored: Stored, deadline: Deadline) -> Settled:
        """The same order under the same key; that it is about to be sent is durable before."""
        intent = self.recorder.write(stored, noted(stored.refund, self._why(HANDED_OVER_AGAIN)))
        taken_until_ms = intent.refund.next_check_ms or 0
        too_late = self.clock.now_ms() + SEND_MS_MAX > taken_until_ms
        if too_late or deadline.remaining_ms() < SEND_MS_MIN:
            # Paused in between: another run may soon have this refund.
            return Settled.HELD
        outcome = place(processor, intent.refund, deadline, repeated=True)
        told = type(outcome).__name__.lower()
        self.trail.note("handed_over_again", refund_id=intent.refund.id, outcome=told)
        if isinstance(outcome, Accepted):
            return self._decide(intent, of_our_order(intent.refund, outcome.movement))
        # Whatever else it answers says nothing of the order before this one.
        return self._hold(intent, f"handed over again: {told}")

    def _decide(self, stored: Stored, verdict: Verdict) -> Settled:
        refund = stored.refund
        match verdict:
            case Unreadable():
                return self._not_shown(stored, "the charge lists no refunds")
            case KeyNotShown():
                return self._not_shown(stored, "the processor does not show its keys")
            case Ambiguous(reason, ids):
                return self._escalate(stored, reason, {"movements": list(ids)})
            case NoneYet():
                return self._none_yet(stored)
            case Found(movement):
                cause = FOUND if movement.order_id is None else "found_by_order"
                after = after_movement(
                    refund, movement, at_ms=self.clock.now_ms(), cause=cause, actor=ACTOR
                )
                return self._move_on(stored, after)

    def _not_shown(
        self, stored: Stored, why_not: str, *, said: str = "", before: Stored | None = None
    ) -> Settled:
        """The processor answers, and shows nothing that could tell: after the hold for a person.

        No look-up counts, so this never makes a refund fail, whatever the operator chose. Nor does
        one odd answer call a person: the look before this one met the same, whatever was ``said``.
        """
        refund, told = stored.refund, f"no look-up: {why_not}"
        enough = not self.on_request and refund.looks + 1 >= HOLD_LOOK_UPS_MIN
        if enough and (refund.last_look or "").startswith(told) and self._is_late(refund):
            return self._escalate(before or stored, f"{why_not}{said}", {})
        return self._hold(stored, f"{told}{said}", before=before)

    def _none_yet(self, stored: Stored) -> Settled:
        """Not found yet is not failed: an order may arrive late, and look-ups may lag."""
        refund = stored.refund
        if refund.state is State.REVIEW or not self._hold_is_over(refund):
            return self._hold(stored, "no movement found", looked_up=1)
        if self.settings.after_hold is AfterHold.REVIEW:
            return self._escalate(stored, "no movement found during the hold", {})
        failure = Failure(
            code="not_executed",
            message="The processor shows no such refund, long after it was sent.",
        )
        why = self._why("hold_over", look_ups=refund.look_ups + 1)
        after = transition(refund, Event.FAIL, why, failure=failure, next_check_ms=None)
        self.trail.note("refund_failed_by_hold", refund_id=refund.id)
        return self._move_on(stored, after)

    def _hold_is_over(self, refund: Refund) -> bool:
        """Whether enough look-ups found nothing, this one after the end of the hold."""
        enough = not self.on_request and refund.look_ups + 1 >= HOLD_LOOK_UPS_MIN
        return enough and self._is_late(refund)

    def _is_late(self, refund: Refund) -> bool:
        """Whether its order can arrive no more."""
        return self.clock.now_ms() >= refund.last_sent_at_ms + self.settings.hold_ms

    def _escalate(self, stored: Stored, reason: str, evidence: Mapping[str, Any]) -> Settled:
        refund = stored.refund
        if refund.state is State.REVIEW:
            return self._hold(stored, reason, looked_up=1)
        now_ms = self.clock.now_ms()
        why = self._why(reason, **evidence)
        self.trail.note("refund_needs_review", refund_id=refund.id, reason=reason)
        next_check_ms = now_ms + REVIEW_STEPS * self.settings.step_ms
        return self._move_on(
            stored, transition(refund, Event.ESCALATE, why, next_check_ms=next_check_ms, looks=0)
        )

    # --- pending ----------------------------------------------------------------------------------

    def _follow_up(self, stored: Stored, deadline: Deadline) -> Settled:
        refund, bound_to = stored.refund, stored.refund.processor_refund_id or ""
        if (why_not := self._out_of_reach(refund)) is not None:
            return self._still_pending(stored, why_not)
        processor = self.processors[refund.processor]
        try:
            movement = movement_of(processor, bound_to, refund.refunded_payment, deadline)
        except ProviderUnavailableError as error:
            return self._still_pending(stored, _no_look_up(error), looked_up=0, error=error)
        return self._gone(stored) if movement is None else self._shown(stored, movement)

    def _shown(self, stored: Stored, movement: Movement) -> Settled:
        refund = stored.refund
        if not stands_for(movement, refund):
            shown = {"shown_amount": movement.money.amount, "currency": movement.money.currency}
            return self._escalate(stored, "the processor shows another refund", shown)
        if movement.status is MovementStatus.PENDING:
            return self._still_pending(stored, f"still {movement.processor_status or 'pending'}")
        linked = of_its_payment(refund, stored.payment)
        after = after_movement(
            linked, movement, at_ms=self.clock.now_ms(), cause="looked_up", actor=ACTOR
        )
        return self._move_on(stored, after)

    def _gone(self, stored: Stored) -> Settled:
        """What the processor had accepted it does not show: a look-up that lags, or it is lost."""
        refund = stored.refund
        self.trail.note("pending_movement_gone", refund_id=refund.id)
        times = refund.look_ups if refund.last_look == GONE else 0
        if times + 1 >= HOLD_LOOK_UPS_MIN and self._is_late(refund):
            return self._escalate(stored, GONE, {})
        return self._hold(stored, GONE, looked_up=times + 1 - refund.look_ups)

    def _still_pending(
        self,
        stored: Stored,
        result: str,
        *,
        looked_up: int = 1,
        error: ProviderUnavailableError | None = None,
    ) -> Settled:
        since_ms = stored.refund.entered_at_ms
        is_old = self.clock.now_ms() >= since_ms + PENDING_STEPS_MAX * self.settings.step_ms
        if is_old and stored.refund.state is State.PENDING:
            return self._escalate(stored, f"{result} for too long", {})
        heard = stored if error is None else self._heard(stored, error)
        return self._hold(heard, result, looked_up=looked_up, before=stored)

    # --- scheduled --------------------------------------------------------------------------------

    def _run(self, stored: Stored, deadline: Deadline) -> Settled:
        """Execute it, if it is its turn."""
        refund, payment = stored.refund, stored.payment
        if payment.slot is not None or payment.waiting[:1] != (refund.id,):
            return self._hold(stored, "waiting for its turn", steps=1)
        if refund.processor not in self.processors:
            # A release beside this one may have it set up: what was accepted is not canceled here.
            return self._hold(stored, NOT_SET_UP)
        try:
            done = self.execute.run_scheduled(stored, deadline, ACTOR)
        except HOPELESS as error:
            return self._refused(stored, error)
        except RefundBridgeError as error:
            return self._hold(stored, _beside_refusal(refund, error))
        if done.refund.state is State.REQUESTED:
            return self._hold(done, "deferred")
        return Settled.MOVED_ON

    def _refused(self, stored: Stored, error: RefundBridgeError) -> Settled:
        """It cannot be sent as things are; should they stay so for a day, it is canceled."""
        refund, now_ms, result = stored.refund, self.clock.now_ms(), f"not begun: {error.code}"
        since_ms = refund.refused_since_ms if _refusal_of(refund) == result else None
        if since_ms is None:
            later = replace(refund, refused_since_ms=now_ms)
            return self._hold(replace(stored, refund=later), result, before=stored)
        if now_ms < since_ms + REVIEW_STEPS * self.settings.step_ms:
            return self._hold(stored, result)
        return self._cancel(stored, error)

    def _cancel(self, stored: Stored, error: RefundBridgeError) -> Settled:
        """What was accepted cannot be sent any more, and never was."""
        failure = Failure(code=error.code, message=error.message)
        why = self._why("cannot_be_sent", code=error.code)
        after = transition(stored.refund, Event.CANCEL, why, failure=failure, next_check_ms=None)
        return self._move_on(stored, after)

    # --- what Stripe is owed ----------------------------------------------------------------------

    def _tell_stripe(self, stored: Stored, deadline: Deadline) -> Settled:
        if stored.refund.report.state is ReportState.DUE:
            return self._ring_again(stored)
        return self._issue_credit_note(stored, deadline)

    def _ring_again(self, stored: Stored) -> Settled:
        """Ring, unless a message is under way, or others may be about to report it themselves."""
        refund, now_ms = stored.refund, self.clock.now_ms()
        report, due_at_ms = refund.report, refund.report_due_at_ms or now_ms
        if report.last_ring_ms is None:
            grace_ends_ms = due_at_ms + self.settings.grace_ms
            if not (refund.is_ours or report.forced) and now_ms < grace_ends_ms:
                self.recorder.write(stored, replace(refund, next_check_ms=grace_ends_ms))
                return Settled.HELD
        else:
            age_ms = now_ms - due_at_ms
            self.trail.note(
                "report_delayed", refund_id=refund.id, age_ms=age_ms, reason="not heard of"
            )
            patience_ms = self.settings.unheard_ms if report.attempts else self.settings.step_ms
            if now_ms < report.last_ring_ms + patience_ms:
                return self._hold(stored, "the queue has it")
        try:
            self.doorbell.ring(refund.id)
        except DoorbellError:
            return self._hold(stored, "the doorbell is broken")
        rung = replace(report, last_ring_ms=now_ms, rings=report.rings + 1)
        self.trail.note("rung_again", refund_id=refund.id, rings=rung.rings)
        self._hold(replace(stored, refund=replace(refund, report=rung)), "rung", before=stored)
        return Settled.RUNG

    def _issue_credit_note(self, stored: Stored, deadline: Deadline) -> Settled:
        if self.credit_notes is None:
            return self._hold(stored, "credit notes are off", steps=REVIEW_STEPS)
        attempt = self.recorder.write(stored, begun(stored.refund))
        has_ended = self.credit_notes(attempt.refund, deadline)
        return Settled.MOVED_ON if has_ended else Settled.HELD

    # --- afterwards -------------------------------------------------------------------------------

    def _look_after(self, stored: Stored, deadline: Deadline) -> Settled:
        """Is it all still so? What a look finds is written by whoever looks."""
        refund, record = stored.refund, stored.payment.payment_record
        if self._out_of_reach(refund) is not None:
            return self._next_look(stored, soon=False)
        processor = self.processors[refund.processor]
        looked, unread = None, None
        try:
            if record is not None:
                looked = self.look_at_sums(stored.payment, record, deadline)
        except RefundBridgeError as error:
            # Stripe or the charge cannot be read; the refund itself may be.
            unread = error
        try:
            if looked is None or not looked.followed(refund):
                followed = self._follow_late(processor, refund, deadline)
                if followed:
                    return Settled.MOVED_ON
        except ProviderUnavailableError as error:
            told = f"not looked after: {_words(error)}"
            return self._hold(self._heard(stored, error), told, before=stored)
        if unread is not None:
            return self._hold(stored, f"not looked after: {unread.code}")
        soon = looked is not None and looked.again
        return self._next_look(self.recorder.read(refund.id), soon=soon)

    def _follow_late(self, processor: Processor, refund: Refund, deadline: Deadline) -> bool:
        """Let it follow what became of its movement; whether something was written, durably."""
        bound_to, payment_id = refund.processor_refund_id, refund.refunded_payment
        if bound_to is None:
            return self.learn.follow_order(refund, None, deadline)
        try:
            movement = movement_of(processor, bound_to, payment_id, deadline)
        except UnreadableAnswerError:
            return False  # it shows refunds in no form that can be read: there is none to follow
        return movement is not None and self.learn.follow(refund, movement, deadline)

    def _next_look(self, stored: Stored, *, soon: bool) -> Settled:
        refund, now_ms, step_ms = stored.refund, self.clock.now_ms(), self.settings.step_ms
        rests = refund.state in FINAL | FREED
        if not rests or _is_owed_to_stripe(refund):
            return Settled.MOVED_ON
        since_ms = refund.history[-1].at_ms if refund.history else refund.entered_at_ms
        looks = (since_ms + steps * step_ms for steps in AFTER_STEPS)
        next_ms = next((at_ms for at_ms in looks if at_ms > now_ms), None)
        after = replace(refund, looks=0, next_check_ms=now_ms + step_ms if soon else next_ms)
        self.recorder.write(stored, after)
        return Settled.HELD

    # --- all --------------------------------------------------------------------------------------

    def _move_on(self, stored: Stored, after: Refund) -> Settled:
        if after.report.state is ReportState.FAILED:
            # First the alarm: whoever dies between the two leaves a report nobody is told of.
            reason = after.report.last_error
            self.trail.note("report_failed", refund_id=after.id, reason=reason)
        try:
            moved = self.recorder.write(stored, replace(after, looks=0, look_ups=0))
        except ClaimConflictError:
            # Another refund was bound to it a moment ago; the next look-up will see that.
            return Settled.HELD
        ring_if_owed(moved.refund, self.doorbell, self.trail)
        return Settled.MOVED_ON

    def _hold(
        self,
        stored: Stored,
        result: str,
        *,
        looked_up: int = 0,
        steps: int | None = None,
        before: Stored | None = None,
    ) -> Settled:
        """Look again later, each time a little later; ``looked_up`` more looks told something."""
        if self.on_request:
            return Settled.HELD
        refund = stored.refund
        if steps is None:
            # A review that is bound only waits for its movement's end, as a pending refund does.
            review = refund.state is State.REVIEW and refund.processor_refund_id is None
            steps = REVIEW_STEPS if review else backoff_steps(refund.looks)
        after = replace(
            refund,
            looks=refund.looks + 1,
            look_ups=refund.look_ups + looked_up,
            last_look=result,
            next_check_ms=self.clock.now_ms() + steps * self.settings.step_ms,
        )
        self.recorder.write(before or stored, after)
        return Settled.HELD

    def _heard(self, stored: Stored, error: ProviderUnavailableError) -> Stored:
        """With what the processor answered, if it was asked: kept beside what is concluded."""
        if not error.was_asked:
            return stored
        refund, at_ms = stored.refund, self.clock.now_ms()
        answer = ProviderAnswer(attempt=refund.attempt, at_ms=at_ms, said=error.reason)
        kept = replace(refund, answers=with_answer(refund.answers, answer))
        return replace(stored, refund=kept)

    def _why(self, cause: str, **evidence: Any) -> Why:
        return Why(at_ms=self.clock.now_ms(), cause=cause, actor=ACTOR, evidence=evidence)


def _no_look_up(error: ProviderUnavailableError) -> str:
    return f"no look-up: {_words(error)}"


def _words(error: ProviderUnavailableError) -> str:
    return error.reason[:ANSWER_LENGTH_MAX]


def _refusal_of(refund: Refund) -> str:
    """The refusal that its last looks met, whatever kept some of them from asking again."""
    return (refund.last_look or "").partition(THEN)[0]


def _beside_refusal(refund: Refund, error: RefundBridgeError) -> str:
    """What kept a scheduled refund from its turn, behind the refusal that it met before.

    That a provider cannot be asked for a while is no sign that it would not refuse any more.
    """
    result, refusal = f"not begun: {error.code}", _refusal_of(refund)
    was_refused = refusal in {f"not begun: {kind.code}" for kind in HOPELESS}
    return f"{refusal}{THEN}{error.code}" if was_refused else result


def _is_owed_to_stripe(refund: Refund) -> bool:
    """Whether its report is due, or the credit note that follows one."""
    return refund.report.state is ReportState.DUE or refund.credit_note.state is CreditNoteState.DUE


def _is_worth_a_look(refund: Refund, now_ms: int) -> bool:
    """Whether the processor may know more of it, and was not asked on request a moment ago."""
    is_open = refund.state in (State.UNKNOWN, State.PENDING, State.REVIEW)
    is_abandoned = refund.state is State.SUBMITTING and now_ms >= (refund.lease_until_ms or 0)
    looked_at_ms = refund.looked_at_ms
    # The clocks of two workers differ, in either direction.
    is_fresh = looked_at_ms is not None and abs(now_ms - looked_at_ms) < LOOK_AGAIN_AFTER_MS
    return (is_open or is_abandoned) and not is_fresh
