"""Computes the refund's next state from the processor's answer. Pure, and the only such place.

A refund that is not final is due for settling at once (``next_check_ms``): the next run takes it.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import TAKEN_BACK, Failure, Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.report import Report, ReportCause, ReportParameters
from refund_bridge.domain.state_machine import Event, ReportEvent, ReportState, State
from refund_bridge.domain.transitions import Why, noted, report_transition, transition

# The reporter is woken at once and is usually done within seconds; checking earlier is pointless.
RING_CHECK_MS: Final = 15_000
# A doorbell counts as unheard after a settle interval. A check that is planned up to then is kept,
# because to change its time would cost two more writes to the index of what is due.
RING_CHECK_MS_MAX: Final = 75_000
ABORTED_CODE: Final = "processor_unavailable"
ABORTED_MESSAGE: Final = "The processor could not be asked; nothing was executed."
# The cause of a history entry: the processor shows a success again that it had taken back.
RESTORED: Final = "restored"
# A reason in a history entry is cut to this length: people read it, and entries are bounded.
REASON_MAX: Final = 300


def after_outcome(refund: Refund, outcome: Outcome, *, at_ms: int, actor: str) -> Refund:
    """The refund after the answer to its own call; unchanged if the answer tells nothing new.

    If the answer comes after settling has moved the refund to ``unknown`` or ``review``, it is
    still the best evidence, so it moves the refund on from there.
    """
    match outcome:
        case Accepted(processor_refund):
            return after_processor_refund(
                refund, processor_refund, at_ms=at_ms, cause="accepted", actor=actor
            )
        case Rejected() | Aborted() if refund.repeats:
            # The instruction was sent again meanwhile; a refusal of the first one does not tell
            # whether the second one was executed.
            return refund
        case Rejected(message, status, code, details):
            failure = Failure(
                code=code or "refund_rejected", message=message, status=status, details=details
            )
            event = Event.REJECT if refund.state is State.SUBMITTING else Event.FAIL
            return _without_processor_refund(refund, event, failure, _why(at_ms, "rejected", actor))
        case Aborted(reason, retry_after_s):
            failure = Failure(
                code=ABORTED_CODE, message=ABORTED_MESSAGE, retry_after_s=retry_after_s
            )
            event, why = (
                _abort_event(refund),
                _why(at_ms, "aborted", actor, {"reason": reason[:REASON_MAX]}),
            )
            return _without_processor_refund(refund, event, failure, why)
        case Unknown(reason):
            if refund.state is not State.SUBMITTING:
                return refund
            why = _why(at_ms, "no_usable_answer", actor, {"reason": reason[:REASON_MAX]})
            return transition(
                refund,
                Event.LOSE,
                why,
                lease_until_ms=None,
                next_check_ms=at_ms,
                looks=0,
            )


def after_processor_refund(
    refund: Refund, processor_refund: ProcessorRefund, *, at_ms: int, cause: str, actor: str
) -> Refund:
    """The refund bound to ``processor_refund``, in the state that the processor refund is in.

    "Succeeded" and "Stripe must be told" are set together, with the report's parameters frozen. The
    refund's earlier state does not matter: the money has moved. If the answer to the sending call
    itself shows a failure, the refund is first kept as pending: the next check decides.
    """
    why = _why(at_ms, cause, actor, evidence_of(processor_refund))
    bound: dict[str, Any] = {
        "processor_refund_id": processor_refund.id,
        "lease_until_ms": None,
        "looks": 0,
        "fee": processor_refund.fee or _fee_known_of(refund, processor_refund),
    }
    if processor_refund.status is ProcessorRefundStatus.SUCCEEDED:
        succeeded = transition(
            refund, Event.SUCCEED, why, failure=None, next_check_ms=None, **bound
        )
        return owing_report(
            succeeded, processor_refund, why, standing_check_ms=refund.next_check_ms
        )
    if (
        processor_refund.status is ProcessorRefundStatus.FAILED
        and refund.state is not State.SUBMITTING
    ):
        failure = Failure(
            code=processor_refund.failure_code or "refund_failed",
            message=processor_refund.failure_message
            or f"The processor shows the refund as {processor_refund.processor_status}.",
        )
        return transition(refund, Event.FAIL, why, failure=failure, next_check_ms=None, **bound)
    if refund.state in (State.PENDING, State.REVIEW):
        # A bound refund in review waits for its processor refund's end, as a pending one does.
        return replace(refund, next_check_ms=at_ms, **bound)
    return transition(refund, Event.PEND, why, next_check_ms=at_ms, **bound)


def _fee_known_of(refund: Refund, processor_refund: ProcessorRefund) -> Money | None:
    """The fee of this processor refund that is stored already, for answers that leave it out."""
    return refund.fee if refund.processor_refund_id == processor_refund.id else None


class News(StrEnum):
    """What is new in a processor refund, compared with the refund in the ledger."""

    ENDED = "ended"
    TAKEN_BACK = "taken_back"
    RESTORED = "restored"
    MOVED_AFTER_ALL = "moved_after_all"

    @property
    def contradicts(self) -> bool:
        """Whether the processor said otherwise before, so that one check is not enough."""
        return self is not News.ENDED


def news_of(refund: Refund, processor_refund: ProcessorRefund) -> News | None:
    """What is new in a processor refund that is bound to the refund or shows its instruction."""
    match refund.state, processor_refund.status:
        case (
            State.PENDING | State.REVIEW,
            ProcessorRefundStatus.SUCCEEDED | ProcessorRefundStatus.FAILED,
        ):
            return News.ENDED
        case State.SUCCEEDED, ProcessorRefundStatus.FAILED if refund.late_failure_at_ms is None:
            return News.TAKEN_BACK
        case State.SUCCEEDED, ProcessorRefundStatus.SUCCEEDED if (
            refund.late_failure_at_ms is not None
        ):
            return News.RESTORED
        case State.FAILED | State.REJECTED | State.ABORTED, ProcessorRefundStatus.SUCCEEDED:
            return News.MOVED_AFTER_ALL
        case _:
            return None


def after_news(
    refund: Refund, processor_refund: ProcessorRefund, *, at_ms: int, cause: str, actor: str
) -> Refund:
    """The refund after what ``news_of`` found; only if it found something."""
    match news_of(refund, processor_refund):
        case News.TAKEN_BACK:
            return taken_back(refund, processor_refund, at_ms=at_ms, actor=actor)
        case News.RESTORED:
            return restored(refund, processor_refund, at_ms=at_ms, actor=actor)
        case _:
            return after_processor_refund(
                refund, processor_refund, at_ms=at_ms, cause=cause, actor=actor
            )


def taken_back(
    refund: Refund, processor_refund: ProcessorRefund, *, at_ms: int, actor: str
) -> Refund:
    """Mark a succeeded refund as taken back: the processor shows it as failed now.

    A report to Stripe cannot be undone, so the refund stays ``succeeded`` and its amount stays
    reserved: whether to refund again is a person's decision. A report that was never sent is
    canceled.
    """
    why = _why(at_ms, TAKEN_BACK, actor, evidence_of(processor_refund))
    report = refund.report
    unsent = report.state in (ReportState.DUE, ReportState.FAILED) and not report.was_sent
    seen = noted(refund, why)
    if unsent:
        seen = report_transition(refund, ReportEvent.CANCEL, why, cause=None)
    return replace(seen, late_failure_at_ms=at_ms, handled_at_ms=None)


def restored(
    refund: Refund, processor_refund: ProcessorRefund, *, at_ms: int, actor: str
) -> Refund:
    """Mark a refund as succeeded again that the processor had taken back.

    If its report was canceled or waived meanwhile, it becomes due again.
    """
    why = _why(at_ms, RESTORED, actor, evidence_of(processor_refund))
    seen = replace(noted(refund, why), late_failure_at_ms=None, handled_at_ms=None)
    report = seen.report
    is_owed = report.state is ReportState.NOT_DUE and not seen.is_before_adoption
    return owing_report(seen, processor_refund, why) if is_owed else seen


def owing_report(
    refund: Refund,
    processor_refund: ProcessorRefund,
    why: Why,
    *,
    standing_check_ms: int | None = None,
) -> Refund:
    """The succeeded refund with its report due.

    There are exceptions. If the refund has no Payment Record, its report fails, so that a person
    finds the record; but an unlinked refund that names no record is unchanged. For a payment that
    Stripe itself took nothing is reported: settling only checks the refund later.

    For a refund of ours the caller rings after writing it. For an external refund settling rings
    later, because others may still report it themselves.

    ``standing_check_ms`` is when settling was going to check the refund before it succeeded; that
    time is kept if it is right to find out whether the doorbell was heard.
    """
    if refund.is_stripes_own:
        return replace(refund, next_check_ms=why.at_ms + RING_CHECK_MS)
    if refund.payment_record is None:
        return refund if refund.request.is_unlinked else _not_linked(refund, why)
    before, rings_ms = refund.report, why.at_ms if refund.is_ours else None
    frozen = before.parameters
    if frozen is None or frozen.payment_record != refund.payment_record:
        frozen = report_parameters(refund, processor_refund, at_ms=why.at_ms)
    # Earlier attempts to tell Stripe stay counted: if there were any, the reference alone decides.
    asked = Report(
        attempts=before.attempts,
        epoch=before.epoch + int(before.was_sent),
        answers=before.answers,
    )
    owing = report_transition(
        replace(refund, report=replace(asked, parameters=frozen)),
        ReportEvent.OWE,
        replace(why, evidence={}),
        last_ring_ms=rings_ms,
    )
    if not refund.is_ours:
        return replace(owing, next_check_ms=why.at_ms)
    return replace(owing, next_check_ms=_ring_check_ms(standing_check_ms, why.at_ms))


def report_at_birth(key: PaymentKey) -> Report:
    """The report of a new refund of that payment; if Stripe took the payment, none is ever due."""
    return Report(cause=ReportCause.STRIPES_OWN) if key.is_stripes_own else Report()


def _ring_check_ms(standing_ms: int | None, at_ms: int) -> int:
    soonest_ms, latest_ms = at_ms + RING_CHECK_MS, at_ms + RING_CHECK_MS_MAX
    if standing_ms is not None and soonest_ms <= standing_ms <= latest_ms:
        return standing_ms
    return soonest_ms


def of_its_payment(refund: Refund, payment: Payment) -> Refund:
    """The refund with the Payment Record that its payment has now.

    The payment may have got its record after the refund was imported, or another record while the
    refund was thought to have moved nothing.
    """
    if refund.payment_record == payment.payment_record:
        return refund
    return replace(refund, payment_record=payment.payment_record)


def booked_by(
    refund: Refund,
    payment_record: str,
    processor_refund: ProcessorRefund,
    *,
    at_ms: int,
    actor: str,
) -> Refund:
    """The refund with its Payment Record, which has become known only now.

    If its report failed because there was no record, the report is due from now on.
    """
    linked = replace(refund, payment_record=payment_record, updated_at_ms=at_ms)
    if refund.report.state is not ReportState.FAILED or refund.late_failure_at_ms is not None:
        return linked
    why = _why(at_ms, "link_found", actor, {"payment_record": payment_record})
    owing = report_transition(
        linked,
        ReportEvent.REPLAY,
        why,
        cause=None,
        parameters=report_parameters(linked, processor_refund, at_ms=at_ms),
        last_error=None,
        last_ring_ms=None,
    )
    return replace(owing, next_check_ms=at_ms)


def _not_linked(refund: Refund, why: Why) -> Refund:
    owing = report_transition(refund, ReportEvent.OWE, replace(why, evidence={}))
    not_linked = replace(why, cause=ReportCause.NOT_LINKED, evidence={})
    return report_transition(
        owing,
        ReportEvent.GIVE_UP,
        not_linked,
        cause=ReportCause.NOT_LINKED,
        last_error=ReportCause.NOT_LINKED.value,
    )


def report_parameters(
    refund: Refund, processor_refund: ProcessorRefund, *, at_ms: int
) -> ReportParameters:
    """What Stripe will be told; times in Unix seconds, the refund never before its initiation."""
    if refund.payment_record is None:
        raise ValueError(f"{refund.id} is booked by no Payment Record")
    moved_at_ms = processor_refund.refunded_at_ms or processor_refund.created_at_ms or at_ms
    initiated_at_s = (refund.started_at_ms or moved_at_ms) // 1000
    return ReportParameters(
        payment_record=refund.payment_record,
        amount=refund.amount,
        currency=refund.currency,
        refund_reference=processor_refund.id,
        initiated_at_s=initiated_at_s,
        refunded_at_s=max(initiated_at_s, moved_at_ms // 1000),
    )


def evidence_of(processor_refund: ProcessorRefund) -> dict[str, Any]:
    """What the history keeps of a processor refund: ids, amounts, statuses and times only."""
    return {
        "processor_refund_id": processor_refund.id,
        "amount": processor_refund.money.amount,
        "currency": processor_refund.money.currency,
        "processor_status": processor_refund.processor_status,
        "refunded_at_ms": processor_refund.refunded_at_ms,
        "created_at_ms": processor_refund.created_at_ms,
    }


def _without_processor_refund(refund: Refund, event: Event, failure: Failure, why: Why) -> Refund:
    evidence = {**why.evidence, "code": failure.code, "status": failure.status}
    is_over = event is not Event.DEFER
    return transition(
        refund,
        event,
        replace(why, evidence=evidence),
        failure=failure if is_over else None,
        lease_until_ms=None,
        next_check_ms=None if is_over else why.at_ms,
    )


def _abort_event(refund: Refund) -> Event:
    if refund.state is not State.SUBMITTING:
        return Event.FAIL
    return Event.DEFER if refund.request.refund_type is RefundType.SCHEDULED else Event.ABORT


def _why(at_ms: int, cause: str, actor: str, evidence: Mapping[str, Any] | None = None) -> Why:
    return Why(at_ms=at_ms, cause=cause, actor=actor, evidence=evidence or {})
