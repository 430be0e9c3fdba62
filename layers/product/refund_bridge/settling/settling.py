"""What every part of settling shares: ports, times, and how a check's result is written."""

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
    """The next state if no processor refund was found during the whole late-arrival window."""

    REVIEW = "review"
    FAILED = "failed"


class Settled(StrEnum):
    """The result of settling one refund; ``held``: it is retried later."""

    NOTHING_DUE = "nothing_due"
    MOVED_ON = "moved_on"
    HELD = "held"
    RUNG = "rung"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleSettings:
    """Times of settling, in milliseconds.

    Attributes:
        step_ms: the settle interval; every backoff is a multiple of it.
        hold_ms: the late-arrival window: how long after an attempt its instruction may still be
            executed.
        after_hold: the operator's choice for a refund that is not found in that window.
        take_ms: for how long only the run that took a refund may work on it.
        unheard_ms: once a worker has tried to report, how old a ring must be to be repeated.
        grace_ms: how long others may take to report an external refund themselves.
    """

    step_ms: int
    hold_ms: int
    after_hold: AfterHold
    take_ms: int
    unheard_ms: int
    grace_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """The ports, settings and helpers of settling.

    Attributes:
        on_request: whether a caller asked for this check. What it finds is written as usual. If it
            finds nothing, it is not counted; only the scheduled checks decide then.
        credit_notes: issues credit notes that are due; ``None``: they stay due.
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
        """Why the processor cannot be asked about this refund; ``None``: it can be asked.

        Refunds of former releases do not say to which account they went; they can be asked about.
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
        """Whether the late-arrival window is over: its instruction is not executed any more."""
        return self.clock.now_ms() >= refund.last_sent_at_ms + self.settings.hold_ms

    def escalate(self, stored: Stored, reason: str, evidence: Mapping[str, Any]) -> Settled:
        """Put the refund in review, durably, so that a person decides; once there, retry later."""
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
        """Write the refund's next state, and wake the reporter if a report is due then."""
        if after.report.state is ReportState.FAILED:
            # The alarm comes first: if the process dies between the two, somebody was told.
            reason = after.report.last_error
            self.telemetry.note("report_failed", refund_id=after.id, reason=reason)
        try:
            moved = self.recorder.write(stored, replace(after, looks=0, look_ups=0))
        except ClaimConflictError:
            # Another refund was bound to the same processor refund; the next check will see that.
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
        """Retry later, after ever longer pauses; count ``looked_up`` more conclusive checks."""
        if self.on_request:
            return Settled.HELD
        refund = stored.refund
        if steps is None:
            # A bound refund in review waits for its processor refund's end, as a pending one does.
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
        """The refund with the processor's answer kept in it, if the processor was asked."""
        if not error.was_asked:
            return stored
        refund, at_ms = stored.refund, self.clock.now_ms()
        answer = ProviderAnswer(attempt=refund.attempt, at_ms=at_ms, said=error.reason)
        kept = replace(refund, answers=with_answer(refund.answers, answer))
        return replace(stored, refund=kept)

    def why(self, cause: str, **evidence: Any) -> Why:
        """The history entry's reason for a step that settling takes now."""
        return Why(at_ms=self.clock.now_ms(), cause=cause, actor=ACTOR, evidence=evidence)


def no_look_up(error: ProviderUnavailableError) -> str:
    """What ``refundctl`` shows for a check that got no usable answer from the processor."""
    return f"no look-up: {words_of(error)}"


def words_of(error: ProviderUnavailableError) -> str:
    """What the processor said, cut to the length that a refund may keep."""
    return error.reason[:ANSWER_LENGTH_MAX]


def is_owed_to_stripe(refund: Refund) -> bool:
    """Whether the refund's report is due, or its credit note."""
    return refund.report.state is ReportState.DUE or refund.credit_note.state is CreditNoteState.DUE
