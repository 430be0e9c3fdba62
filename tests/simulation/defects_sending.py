"""Defects planted in reserving, in sending, and in recording the outcome."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from refund_bridge.domain import outcome
from refund_bridge.domain.errors import OutcomeUnknownError
from refund_bridge.domain.instruction import Outcome, Rejected, Unknown
from refund_bridge.domain.payment import Payment, follow, payment_key_of
from refund_bridge.domain.payment_reference import payment_named_by
from refund_bridge.domain.payment_snapshot import LocatedPayment
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import (
    Commit,
    LedgerConflictError,
    LedgerUnavailableError,
    PaymentWrite,
    RefundWrite,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding import execute, reserve
from refund_bridge.refunding import record_outcome as record
from refund_bridge.refunding.claims import claims_of
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.execute import ExecuteRefund
from refund_bridge.refunding.record_outcome import Recorder, Stored
from refund_bridge.refunding.reserve import Reservation
from refund_bridge.refunding.send import place
from tests.simulation.planting import defect


@defect(caught_at=17)
def no_reservation() -> Iterator[None]:
    """The amount is checked, but not reserved."""

    def left(payment: Payment, already_held: int) -> int:
        return max(0, payment.captured - already_held * 0)

    with patch.object(Payment, "refundable_beside", left):
        yield


@defect(caught_at=1)
def dual_write() -> Iterator[None]:
    """The outcome is written in two steps: the refund first, its payment afterwards."""

    def write(self: Recorder, current: Stored, after: Refund) -> Stored:
        payment = follow(current.payment, current.refund, after)
        claims = claims_of(after) if current.refund.processor_refund_id is None else ()
        self.ledger.commit(Commit(refunds=[RefundWrite(current.refund, after)], claims=claims))
        stored = replace(after, revision=current.refund.revision + 1)
        if payment == current.payment:
            return Stored(stored, payment)
        self.ledger.commit(Commit(payments=[PaymentWrite(current.payment, payment)]))
        return Stored(stored, replace(payment, revision=current.payment.revision + 1))

    with patch.object(Recorder, "write", write):
        yield


@defect(caught_at=5)
def retry_on_timeout() -> Iterator[None]:
    """The instruction is sent again when no answer comes."""
    send = ExecuteRefund._send

    def twice(self: ExecuteRefund, *arguments: Any) -> Outcome:
        first = send(self, *arguments)
        return send(self, *arguments) if isinstance(first, Unknown) else first

    with patch.object(ExecuteRefund, "_send", twice):
        yield


@defect(caught_at=27)
def new_attempt_after_unknown() -> Iterator[None]:
    """If a caller repeats a refund of unknown outcome, it is sent again."""
    found = ExecuteRefund._found

    def again(self: ExecuteRefund, refund: Refund) -> execute.Answer:
        if refund.state is State.UNKNOWN:
            stored, deadline = self.recorder.read(refund.id), Deadline.after(self.clock, 24_000)
            key = payment_key_of(refund)
            located = self.locator.locate(payment_named_by(refund.request), key, deadline)
            done = self._move_money(stored, located, deadline, "caller")
            return execute.Answer(refund=done.refund, payment=done.payment, replayed=False)
        return found(self, refund)

    with patch.object(ExecuteRefund, "_found", again):
        yield


@defect(caught_at=61)
def lease_not_checked() -> Iterator[None]:
    """The refund is sent even if its lease is nearly over."""

    def send(self: ExecuteRefund, refund: Refund, _: LocatedPayment, deadline: Deadline) -> Outcome:
        return place(self.processors[refund.processor], refund, deadline)

    with patch.object(ExecuteRefund, "_send", send):
        yield


@defect(caught_at=2)
def lease_too_short() -> Iterator[None]:
    """Settling takes over while the call may still be sending."""
    attempt = Reservation._attempt

    def short(self: Reservation, *arguments: Any) -> dict[str, Any]:
        facts = attempt(self, *arguments)
        until_ms = facts["started_at_ms"] + 5_000
        return {**facts, "lease_until_ms": until_ms, "next_check_ms": until_ms}

    with patch.object(Reservation, "_attempt", short), patch.object(execute, "SEND_MS_MAX", 0):
        yield


@defect(caught_at=52)
def released_twice() -> Iterator[None]:
    """An aborted refund releases its amount, and again when it is started again."""

    def twice(payment: Payment, before: Refund | None, after: Refund) -> Payment:
        done = follow(payment, before, after)
        if before is not None and before.state is State.ABORTED:
            return replace(done, held=done.held - after.amount)
        return done

    with patch.object(reserve, "follow", twice):
        yield


@defect(caught_at=18)
def failed_on_timeout() -> Iterator[None]:
    """A missing answer counts as a refusal."""
    send = ExecuteRefund._send

    def sure(self: ExecuteRefund, *arguments: Any) -> Outcome:
        answer = send(self, *arguments)
        return Rejected("timed out", 504) if isinstance(answer, Unknown) else answer

    with patch.object(ExecuteRefund, "_send", sure):
        yield


@defect(caught_at=5)
def slot_not_held_in_unknown() -> Iterator[None]:
    """The next refund may be sent while the result of the last one is unknown."""

    def free(payment: Payment, before: Refund | None, after: Refund) -> Payment:
        done = follow(payment, before, after)
        return replace(done, slot=None) if after.state is State.UNKNOWN else done

    with patch.object(record, "follow", free):
        yield


@defect(caught_at=226)
def sent_before_the_intent() -> Iterator[None]:
    """The instruction is sent before the intent is written."""
    commit = Reservation._commit

    def hasty(self: Reservation, command: CreateRefund, *rest: Any) -> Stored:
        try:
            return commit(self, command, *rest)
        except OutcomeUnknownError:
            # The defect assumes that the write succeeded though its reply was lost.
            _, after, adoption, _ = rest
            return Stored(replace(after, revision=1), adoption.current)

    with patch.object(Reservation, "_commit", hasty):
        yield


@defect(caught_at=29)
def late_answer_overwrites() -> Iterator[None]:
    """The answer to our own call overwrites what settling found meanwhile."""

    def outcome_anyway(
        self: Recorder, sent: Stored, answer: Outcome, actor: str, *_until: object
    ) -> Stored:
        current = sent
        for _ in range(5):
            now_ms = self.clock.now_ms()
            after = outcome.after_outcome(sent.refund, answer, at_ms=now_ms, actor=actor)
            try:
                return self.write(current, replace(after, revision=current.refund.revision))
            except LedgerConflictError:
                current = self.read(sent.refund.id)
            except LedgerUnavailableError:
                break
        return current

    with patch.object(Recorder, "outcome", outcome_anyway):
        yield


@defect(caught_at=12)
def error_told_without_a_second_look() -> Iterator[None]:
    """A call answers that nothing moved, though another call with its key has begun meanwhile."""

    def reserve_once(
        self: ExecuteRefund, command: CreateRefund, known: Any, deadline: Deadline
    ) -> tuple[Stored, LocatedPayment]:
        located = self._locate(command, known.payment, deadline)
        return self.reservation.reserve(command, known.refund, located, deadline), located

    with patch.object(ExecuteRefund, "_reserve", reserve_once):
        yield
