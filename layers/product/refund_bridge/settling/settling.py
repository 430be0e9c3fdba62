"""What every part of settling shares: ports, times, and how a look's result is written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from refund_bridge.domain.backoff import backoff_steps
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ANSWER_LENGTH_MAX, ProviderAnswer, with_answer
from refund_bridge.domain.state_machine import CreditNoteState, Event, ReportState, State
from refund_bridge.domain.transitions import Why, transition
from refund_bridge.ports.ledger import ClaimConflictError, Ledger
from refund_bridge.ports.processor import Processor, ProviderUnavailableError
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Telemetry
from refund_bridge.refunding.execute import ExecuteRefund
from refund_bridge.refunding.follow_refund import FollowRefund
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.record_outcome import Recorder, Stored
from refund_bridge.refunding.wake_reporter import ring_if_owed
from refund_bridge.reporting.credit_note import IssueCreditNote
from refund_bridge.reporting.look_at_sums import LookAtSums

ACTOR: Final = "settle_refunds"
# A day, in steps of the settle interval (a minute).
REVIEW_STEPS: Final = 24 * 60
HOLD_LOOK_UPS_MIN: Final = 3
NOT_SET_UP: Final = "its processor is not set up here any more"
OTHER_ACCOUNT: Final = "it was sent to another account, or under another form of key"


class AfterHold(StrEnum):
    """What becomes of a refund of which no processor refund was found for the whole hold."""

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
        hold_ms: how long after an attempt its instruction may still arrive; the late-arrival bound.
        after_hold: what a person wants done when the hold ends without a processor refund.
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
class Settling:
    """What settling works with.

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
    follow: FollowRefund
    look_at_sums: LookAtSums
    accounts: Mapping[str, str]
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry
    settings: SettleSettings
    on_request: bool = False
    credit_notes: IssueCreditNote | None = None

    def out_of_reach(self, refund: Refund) -> str | None:
        """Why nothing can be asked about it, and so nothing is concluded; ``None``: it can.

        Instructions of former releases do not say to which account they went.
        """
        if refund.processor not in self.processors:
            return NOT_SET_UP
        if refund.account in (None, self.accounts.get(refund.processor)):
            return None
        self.telemetry.note(
            "sent_to_another_account", refund_id=refund.id, processor=refund.processor
        )
        return OTHER_ACCOUNT

    def is_late(self, refund: Refund) -> bool:
        """Whether its instruction can arrive no more."""
        return self.clock.now_ms() >= refund.last_sent_at_ms + self.settings.hold_ms

    def escalate(self, stored: Stored, reason: str, evidence: Mapping[str, Any]) -> Settled:
        """Call a person, durably; one that is called already is not called again."""
        refund = stored.refund
        if refund.state is State.REVIEW:
            return self.hold(stored, reason, looked_up=1)
        now_ms = self.clock.now_ms()
        why = self.why(reason, **evidence)
        self.telemetry.note("refund_needs_review", refund_id=refund.id, reason=reason)
        next_check_ms = now_ms + REVIEW_STEPS * self.settings.step_ms
        return self.move_on(
            stored, transition(refund, Event.ESCALATE, why, next_check_ms=next_check_ms, looks=0)
        )

    def move_on(self, stored: Stored, after: Refund) -> Settled:
        """Write the refund's next state, and wake the reporter if that owes a report."""
        if after.report.state is ReportState.FAILED:
            # First the alarm: whoever dies between the two leaves a report nobody is told of.
            reason = after.report.last_error
            self.telemetry.note("report_failed", refund_id=after.id, reason=reason)
        try:
            moved = self.recorder.write(stored, replace(after, looks=0, look_ups=0))
        except ClaimConflictError:
            # Another refund was bound to it a moment ago; the next look-up will see that.
            return Settled.HELD
        ring_if_owed(moved.refund, self.doorbell, self.telemetry)
        return Settled.MOVED_ON

    def hold(
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
            # A review that is bound only waits for its processor refund's end, as a pending refund
            # does.
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

    def heard(self, stored: Stored, error: ProviderUnavailableError) -> Stored:
        """With what the processor answered, if it was asked: kept beside what is concluded."""
        if not error.was_asked:
            return stored
        refund, at_ms = stored.refund, self.clock.now_ms()
        answer = ProviderAnswer(attempt=refund.attempt, at_ms=at_ms, said=error.reason)
        kept = replace(refund, answers=with_answer(refund.answers, answer))
        return replace(stored, refund=kept)

    def why(self, cause: str, **evidence: Any) -> Why:
        """What the history says of a step that settling takes now."""
        return Why(at_ms=self.clock.now_ms(), cause=cause, actor=ACTOR, evidence=evidence)


def no_look_up(error: ProviderUnavailableError) -> str:
    """What ``refundctl`` shows of a look that the processor did not answer."""
    return f"no look-up: {words_of(error)}"


def words_of(error: ProviderUnavailableError) -> str:
    """What the processor said, as long as a refund's line of it may be."""
    return error.reason[:ANSWER_LENGTH_MAX]


def is_owed_to_stripe(refund: Refund) -> bool:
    """Whether its report is due, or the credit note that follows one."""
    return refund.report.state is ReportState.DUE or refund.credit_note.state is CreditNoteState.DUE
