"""A person decides whether a refund in ``review`` succeeded or failed; we check the evidence.

::

    it succeeded as X   the processor shows X on this payment and of this amount; X was not there
                        before we sent, and belongs to no other refund
                                                      → bound to X, as settling would have done
    it failed           the late-arrival window is over, and the processor shows no refund that can
                        be ours                       → failed, its amount is released
    despite evidence    what the processor shows cannot be read, or is known to be somebody else's,
                        or the processor has given no answer for long

A refund may be bound to a processor refund of another amount. If a person decides that it failed,
the processor refund is imported as an external refund, with the amount that it moved. Pending and
unknown refunds may be decided, despite evidence, when they have waited for longer than an
instruction can take to arrive.

The evidence is read once to show what the decision would change, and again just before it is
written: either exactly what the person agreed to is written, or nothing. Deciding the same twice
changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from refund_bridge.domain.charge import (
    PROCESSOR_REFUNDS_MAX,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.evidence import alike, can_stand_for, is_too_old, stands_for
from refund_bridge.domain.external_refund import Import, is_importable
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import REASON_MAX, after_processor_refund, evidence_of
from refund_bridge.domain.payment import Payment, follow
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.state_machine import Event, ReportState, State
from refund_bridge.domain.transitions import Why, noted, transition
from refund_bridge.ports.ledger import Ledger, LedgerConflictError
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.record_outcome import Recorder, Stored
from refund_bridge.refunding.wake_reporter import ring_if_owed
from refundctl.deciding.read_evidence import Evidence

CAUSE: Final = "resolved"
FAILURE: Final = Failure(
    code="not_executed", message="It was looked into: the processor did not execute this refund."
)
WRITE_ATTEMPTS: Final = 5
# At most this many ids of processor refunds are named in one sentence or line of history.
NAMED_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class ItSucceeded:
    """The processor's refund of that id is ours.

    Attributes:
        despite_evidence: the processor's answers do not show it in a form that we can read, but the
            person knows it from elsewhere, for example from the processor's dashboard.
    """

    processor_refund_id: str
    reason: str | None = None
    despite_evidence: bool = False


@dataclass(frozen=True, slots=True)
class ItFailed:
    """No money moved, and none will.

    Attributes:
        despite_evidence: the processor lists a refund that could be ours, but the person knows that
            it is somebody else's; or the processor shows nothing that we can read.
    """

    reason: str
    despite_evidence: bool = False


Decision = ItSucceeded | ItFailed


class ResolutionRefusedError(Exception):
    """The decision does not fit the refund or the evidence; nothing was written.

    The error's sentence says why, and what to do instead.

    Attributes:
        processor_refunds: the ids of the processor refunds that contradict the decision.
    """

    def __init__(self, sentence: str, *, processor_refunds: Sequence[ProcessorRefund] = ()) -> None:
        super().__init__(sentence)
        self.processor_refunds = tuple(
            processor_refund.id for processor_refund in processor_refunds
        )


class EvidenceChangedError(Exception):
    """The refund or the evidence changed since it was shown; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a decision would change.

    Attributes:
        before: refund and payment as they are stored.
        after: the refund as it would be; ``before.refund`` if it has been decided so already.
        payment: the payment as it would be.
        processor_refund: the processor refund that the refund would be bound to, if any.
        left_over: processor refunds that can be ours, and would be imported as external refunds.
        imported: the external refund that would stand for the processor refund that this refund was
            bound to until now, if any.
    """

    before: Stored
    after: Refund
    payment: Payment
    processor_refund: ProcessorRefund | None = None
    left_over: tuple[ProcessorRefund, ...] = ()
    imported: Refund | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to write."""
        return self.after == self.before.refund

    @property
    def meaning(self) -> tuple[object, ...]:
        """What a person agrees to: everything except the time of writing."""
        imported = None if self.imported is None else self.imported.id
        return self.after.state, self.after.report.state, self.left_over, imported


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRefund:
    """Weighs a person's decision against the evidence, and writes it.

    Attributes:
        accounts: as in ``Reservation``.
        hold_ms: the late-arrival window: how long after it was sent an instruction may still be
            executed.
        actor: who decides, for the history.
    """

    ledger: Ledger
    processors: Mapping[str, Processor]
    accounts: Mapping[str, str]
    recorder: Recorder
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry
    hold_ms: int
    actor: str

    def weigh(self, refund_id: str, decision: Decision, deadline: Deadline) -> Resolution:
        """What the decision would change; nothing is written.

        Raises:
            ResolutionRefusedError: the decision does not fit.
            RefundNotFoundError: there is no such refund.
            ProviderUnavailableError: the processor could not be asked.
            LedgerUnavailableError: the ledger gave no answer.
        """
        stored = self.recorder.read_named(refund_id)
        if isinstance(decision, ItSucceeded):
            return self._succeeded(stored, decision, deadline)
        return self._failed(stored, decision, deadline)

    def carry_out(
        self, refund_id: str, decision: Decision, agreed: Resolution, deadline: Deadline
    ) -> Resolution:
        """Write the decision, if it still means what ``agreed`` does; durable on return.

        If Stripe must then be told, the reporter is woken; if that fails, settling wakes it later.

        Raises:
            EvidenceChangedError: the decision would now change something else; weigh it again.
            ResolutionRefusedError, RefundNotFoundError, ProviderUnavailableError: as ``weigh``.
            LedgerUnavailableError: it is not known whether it was written; doing it again is safe.
        """
        for _ in range(WRITE_ATTEMPTS):
            now = self.weigh(refund_id, decision, deadline)
            if now.is_done:
                return now
            if now.meaning != agreed.meaning:
                raise EvidenceChangedError(
                    f"The evidence on {refund_id} changed meanwhile; nothing was written."
                )
            try:
                written = self.recorder.write(now.before, now.after, letting_go=now.imported)
            except LedgerConflictError:
                continue
            self._tell(written.refund)
            return replace(now, after=written.refund, payment=written.payment)
        raise EvidenceChangedError(f"{refund_id} keeps changing; nothing was written.")

    # --- it succeeded -----------------------------------------------------------------------------

    def _succeeded(self, stored: Stored, decision: ItSucceeded, deadline: Deadline) -> Resolution:
        refund, asked = stored.refund, decision.processor_refund_id
        if refund.processor_refund_id == asked and refund.state is State.SUCCEEDED:
            return _nothing_to_write(stored)
        evidence = self._evidence(decision)
        self._require_open(refund, evidence)
        if refund.processor_refund_id not in (None, asked):
            raise ResolutionRefusedError(
                f"{refund.id} is bound to {refund.processor_refund_id}. If that is another refund, "
                "say --failed: it is then separated from this one, and imported by itself."
            )
        processor_refund = evidence.processor_refund(refund, asked, deadline)
        if processor_refund is None and not evidence.despite:
            raise ResolutionRefusedError(
                f"{refund.processor} does not show {asked} in a form that can be read. If its "
                "dashboard shows it as this refund, say --despite-evidence."
            )
        if processor_refund is None or (
            evidence.despite and processor_refund.status is ProcessorRefundStatus.PENDING
        ):
            processor_refund = self._as_told(refund, asked)
        self._require_ours(refund, processor_refund)
        if processor_refund.status is ProcessorRefundStatus.PENDING and refund.processor_refund_id:
            return replace(_nothing_to_write(stored), processor_refund=processor_refund)
        return self._bound(stored, processor_refund, decision)

    def _as_told(self, refund: Refund, processor_refund_id: str) -> ProcessorRefund:
        """The processor refund by the person's word, where the processor does not show it."""
        return ProcessorRefund(
            id=processor_refund_id,
            payment_id=refund.refunded_payment or "",
            money=Money(refund.amount, refund.currency),
            status=ProcessorRefundStatus.SUCCEEDED,
            processor_status="told by a person",
        )

    def _require_ours(self, refund: Refund, processor_refund: ProcessorRefund) -> None:
        """Refuse a processor refund that cannot be this refund's, or is known to be another's."""
        shown = f"{refund.processor} shows {processor_refund.id}"
        if not can_stand_for(processor_refund, refund):
            raise ResolutionRefusedError(
                f"{shown} as {processor_refund.money.for_people()} "
                f"of payment {processor_refund.payment_id}; "
                f"{refund.id} is {Money(refund.amount, refund.currency).for_people()} of "
                f"{refund.processor_payment_id}."
            )
        is_bound = processor_refund.id == refund.processor_refund_id
        if processor_refund.instruction_id not in (None, refund.id) and not is_bound:
            raise ResolutionRefusedError(
                f"{shown} under the id of {processor_refund.instruction_id}: it is that refund's."
            )
        claimed = self.ledger.claimed(refund.processor, [processor_refund.id])
        owner = claimed.get(processor_refund.id, refund.id)
        if owner != refund.id:
            raise ResolutionRefusedError(f"{processor_refund.id} belongs to {owner} already.")
        if processor_refund.id in (refund.snapshot or ()):
            raise ResolutionRefusedError(
                f"{processor_refund.id} was on the payment before {refund.id} was sent."
            )
        if refund.snapshot is None and is_too_old(refund, processor_refund):
            raise ResolutionRefusedError(
                f"{processor_refund.id} is older than {refund.id}'s sending."
            )
        if processor_refund.status is ProcessorRefundStatus.FAILED:
            raise ResolutionRefusedError(
                f"{shown} as {processor_refund.processor_status}: it failed."
            )

    def _bound(
        self, stored: Stored, processor_refund: ProcessorRefund, decision: ItSucceeded
    ) -> Resolution:
        now_ms = self.clock.now_ms()
        after = after_processor_refund(
            stored.refund, processor_refund, at_ms=now_ms, cause=CAUSE, actor=self.actor
        )
        if after.state is State.REVIEW:
            # The refund is bound, and followed to its end from now on. Its state does not change,
            # so the history would have no line about it.
            after = noted(after, self._why(evidence_of(processor_refund)))
        if decision.reason:
            after = _with_reason(after, len(stored.refund.history), decision.reason)
        return self._resolution(stored, after, processor_refund=processor_refund)

    # --- it failed --------------------------------------------------------------------------------

    def _failed(self, stored: Stored, decision: ItFailed, deadline: Deadline) -> Resolution:
        refund = stored.refund
        if refund.state is State.FAILED:
            return _nothing_to_write(stored)
        evidence = self._evidence(decision)
        self._require_open(refund, evidence)
        shown = self._bound_to(refund, evidence, deadline)
        other = None if shown is None or stands_for(shown, refund) else shown
        if refund.processor_refund_id is None:
            self._require_no_late_arrival(refund)
        candidates = self._candidates(refund, evidence, deadline) if other is None else ()
        candidates = [one for one in candidates if one.id != refund.processor_refund_id]
        if other is None:
            other = next((one for one in candidates if _is_another(one, refund)), None)
            candidates = [one for one in candidates if one is not other]
        told: dict[str, Any] = {"reason": decision.reason[:REASON_MAX]}
        if evidence.despite:
            told |= {
                "despite": [processor_refund.id for processor_refund in candidates[:NAMED_MAX]]
            }
        why, bound_to = self._why(told), refund.processor_refund_id
        if other is not None:
            why, bound_to = self._why(told | evidence_of(other)), None
        after = transition(
            refund,
            Event.FAIL,
            why,
            failure=FAILURE,
            next_check_ms=None,
            processor_refund_id=bound_to,
        )
        imported = None if other is None else self._imported(stored, other, evidence, deadline)
        return self._resolution(
            stored, after, processor_refund=other, left_over=tuple(candidates), imported=imported
        )

    def _bound_to(
        self, refund: Refund, evidence: Evidence, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The processor refund that the refund is bound to; ``None`` if it moves and moved nothing.

        Refuses to fail a refund if that processor refund really is this refund's.
        """
        bound_to = refund.processor_refund_id
        if bound_to is None:
            return None
        processor_refund = evidence.processor_refund(refund, bound_to, deadline)
        if processor_refund is None and not evidence.despite:
            raise ResolutionRefusedError(
                f"{refund.id} is bound to {bound_to}, which {refund.processor} accepted and does "
                "not show now. If its support confirms that it is gone for good, say "
                "--despite-evidence."
            )
        if processor_refund is None or processor_refund.status is ProcessorRefundStatus.FAILED:
            return None
        waits = processor_refund.status is ProcessorRefundStatus.PENDING and evidence.despite
        if stands_for(processor_refund, refund) and not waits:
            raise ResolutionRefusedError(
                f"{refund.id} is bound to {bound_to}, which {refund.processor} shows as "
                f"{processor_refund.processor_status}; it is followed to its end by itself.",
                processor_refunds=[processor_refund],
            )
        return processor_refund

    def _imported(
        self,
        stored: Stored,
        processor_refund: ProcessorRefund,
        evidence: Evidence,
        deadline: Deadline,
    ) -> Refund | None:
        """The external refund for this processor refund, if it moved money of this payment.

        ``None`` if the payment lists its refunds but not this one: then the list has it under
        another id, or will have it. What reads the list later imports it, once.
        """
        payment = stored.payment
        of_payment = processor_refund.payment_id == (stored.refund.refunded_payment or "")
        if not of_payment or not is_importable(processor_refund, payment.currency):
            return None
        listed = evidence.listed(stored.refund, deadline)
        if listed is not None and processor_refund.id not in {one.id for one in listed}:
            return None
        importing = Import(
            stage=self.recorder.stage,
            key=payment.key,
            payment_record=payment.payment_record,
            since_ms=0,  # our own instruction is bound to it, so it is not older than this service
            now_ms=self.clock.now_ms(),
        )
        return importing.refund_of(processor_refund)

    def _require_no_late_arrival(self, refund: Refund) -> None:
        ends_ms = refund.last_sent_at_ms + self.hold_ms
        if self.clock.now_ms() < ends_ms:
            raise ResolutionRefusedError(
                f"What was sent for {refund.id} may still arrive at {refund.processor} until "
                f"{_utc(ends_ms)}: not found by now does not mean failed. Decide after that."
            )

    def _candidates(
        self, refund: Refund, evidence: Evidence, deadline: Deadline
    ) -> Sequence[ProcessorRefund]:
        """The processor refunds that can be ours; refused if there are any, unless the decision is
        "despite evidence"."""
        shown = evidence.made(refund, deadline)
        if shown is None:
            if evidence.despite:
                return ()
            raise ResolutionRefusedError(
                f"{refund.processor} does not show what became of {refund.id}: there is no "
                "evidence. If its dashboard shows no such refund, say --despite-evidence."
            )
        listed = shown[:PROCESSOR_REFUNDS_MAX]
        claimed = self.ledger.claimed(
            refund.processor, [processor_refund.id for processor_refund in listed]
        )
        candidates = [
            processor_refund
            for processor_refund in alike(refund, listed, claimed)
            if processor_refund.status is not ProcessorRefundStatus.FAILED
            and not (refund.snapshot is None and is_too_old(refund, processor_refund))
        ]
        if candidates and not evidence.despite:
            ids = ", ".join(processor_refund.id for processor_refund in candidates[:NAMED_MAX])
            raise ResolutionRefusedError(
                f"{refund.processor} lists {ids}, with this refund's amount or id, and no refund "
                "here claims it: it can be this one. If it is, say --succeeded with its id; if it "
                "is known to be another, say --despite-evidence.",
                processor_refunds=candidates,
            )
        return candidates

    # --- both -------------------------------------------------------------------------------------

    def _require_open(self, refund: Refund, evidence: Evidence) -> None:
        """Refuse a refund whose result is certain, or that settling still finds out."""
        if refund.state is State.REVIEW:
            return
        may_wait_for_ever = refund.state in (State.UNKNOWN, State.PENDING)
        if may_wait_for_ever and evidence.despite and evidence.waited_long(refund):
            return
        raise ResolutionRefusedError(f"{refund.id} {_NOT_IN_REVIEW[refund.state]}.")

    def _evidence(self, decision: Decision) -> Evidence:
        return Evidence(
            processors=self.processors,
            accounts=self.accounts,
            clock=self.clock,
            hold_ms=self.hold_ms,
            despite=decision.despite_evidence,
        )

    def _resolution(self, stored: Stored, after: Refund, **found: Any) -> Resolution:
        after = replace(after, looks=0, look_ups=0)
        payment = follow(stored.payment, stored.refund, after)
        if (imported := found.get("imported")) is not None:
            payment = follow(payment, None, imported)
        return Resolution(before=stored, after=after, payment=payment, **found)

    def _why(self, evidence: dict[str, Any]) -> Why:
        return Why(at_ms=self.clock.now_ms(), cause=CAUSE, actor=self.actor, evidence=evidence)

    def _tell(self, refund: Refund) -> None:
        self.telemetry.note("refund_resolved", refund_id=refund.id, state=refund.state)
        if refund.report.state is ReportState.FAILED:
            self.telemetry.note(
                "report_failed", refund_id=refund.id, reason=refund.report.last_error
            )
        ring_if_owed(refund, self.doorbell, self.telemetry)


def _is_another(processor_refund: ProcessorRefund, refund: Refund) -> bool:
    """Whether our instruction made the processor refund, but not as we asked for it."""
    return processor_refund.instruction_id == refund.id and not can_stand_for(
        processor_refund, refund
    )


def _with_reason(refund: Refund, line: int, reason: str) -> Refund:
    """The refund with a person's reason added to the evidence of one line of its history."""
    entry = refund.history[line]
    told = replace(entry, evidence={**entry.evidence, "reason": reason[:REASON_MAX]})
    return replace(refund, history=(*refund.history[:line], told, *refund.history[line + 1 :]))


def _nothing_to_write(stored: Stored) -> Resolution:
    return Resolution(before=stored, after=stored.refund, payment=stored.payment)


# Why there is nothing to decide about a refund that is in another state.
_NOT_IN_REVIEW: Final = {
    State.REQUESTED: "has not been sent yet: it is sent by itself when its turn comes, or can be "
    "withdrawn until then",
    State.SUBMITTING: "is being sent, or the call that sent it died: settling finds out by itself",
    State.UNKNOWN: "is looked up by itself until it can no longer be executed late; only then does "
    "a person decide. If its processor has given no answer for twice HoldSeconds, say "
    "--despite-evidence",
    State.PENDING: "is accepted by the processor, and followed to its end by itself. If it has "
    "been pending for longer than HoldSeconds, say --despite-evidence",
    State.SUCCEEDED: "has succeeded, and is bound to its refund at the processor",
    State.REJECTED: "was refused by the processor: it is certain that no money moved",
    State.ABORTED: "was certainly never executed; its key may be used again",
    State.FAILED: "failed. If money moved for it after all, the next look at the payment finds "
    "that: this refund succeeds if the processor shows its id there, else another is imported "
    "that names this one",
}


def _utc(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
