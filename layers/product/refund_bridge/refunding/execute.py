"""One refund, from the caller's intention to the doorbell: the whole protocol in reading order.

::

    0 ledger     the refund by its key: known → answered from the ledger, no provider is called
    1 Stripe     the Payment Record                     ┐ side by side once the link is known
    2 processor  the charge                             ┘
    3 ledger     claim the links, hold the amount, take the slot, write the intent (submitting)
    4 processor  move the money: sent once
    5 ledger     outcome, frozen report parameters and "report due" in one write
    6 queue      ring the doorbell

After step 3 the process may die at any moment: the ledger alone completes the work. No path
sends for a refund that has been ``submitting`` unless it is ``aborted``, which is certain to have
moved nothing; but settling repeats an instruction under its key where the processor dedupes by
that.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.errors import (
    IdempotencyKeyReusedError,
    KeyInUseError,
    OutcomeUnknownError,
    ProcessorUnavailableError,
    RefundBridgeError,
)
from refund_bridge.domain.evidence import can_stand_for, is_made_by, stands_for
from refund_bridge.domain.instruction import Aborted, Accepted, Outcome, Unknown
from refund_bridge.domain.outcome import after_processor_refund
from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.payment_reference import payment_named_by
from refund_bridge.domain.payment_snapshot import LocatedPayment
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Known, Ledger, LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.processor import Processor, ProviderUnavailableError, UnreadableAnswerError
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.command import CreateRefund
from refund_bridge.refunding.locate_payment import PaymentLocator
from refund_bridge.refunding.look_up import processor_refund_of
from refund_bridge.refunding.provider_errors import UNAVAILABLE_RETRY_AFTER_S, asking_processor
from refund_bridge.refunding.record_outcome import Recorder, Stored
from refund_bridge.refunding.reserve import Reservation, TakenByAnotherCallError
from refund_bridge.refunding.send import place, sent_with_a_valid_credential
from refund_bridge.refunding.unlinked import locate_unlinked
from refund_bridge.refunding.wake_reporter import ring_if_owed

# The money call may take 2 s to connect and 18 s to answer. With less than this left it is not
# begun: cutting its patience shorter would only make more outcomes unknown.
SEND_MS_MAX: Final = 20_000
SEND_MS_MIN: Final = 12_000
# How long after the providers' budget the outcome may still be written: 24 s + 3 s < 29 s.
RECORD_MS: Final = 3_000
# A call in flight ends within the provider budget; its key is worth trying again soon.
IN_USE_RETRY_AFTER_S: Final = 2


def _allowed() -> None:
    """What may always be sent."""


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
    locator: PaymentLocator
    reservation: Reservation
    recorder: Recorder
    processors: Mapping[str, Processor]
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry
    new_token: Callable[[], str]

    def __call__(
        self, command: CreateRefund, deadline: Deadline, allow: Callable[[], object] = _allowed
    ) -> Answer:
        """Execute the refund, or find what an earlier call with its key has done.

        ``allow`` raises if it may not be sent. It is asked whenever something would be: where the
        key is new, and where what was begun under it is ``aborted``.

        ``deadline`` bounds all provider calls. On return the refund is durable in the state that
        the answer shows; where the outcome could not be recorded, it shows ``submitting``. A
        scheduled refund is accepted here and executed by ``run_scheduled``.

        Raises:
            RefundBridgeError: the contract's errors; see ``errors.py`` for what each promises.
            LedgerUnavailableError: the ledger could not be read or written before sending.
        """
        known = self.ledger.look_up(command.refund_id, _record_id(command.request))
        before = known.refund
        if before is not None:
            require_same_request(before, command)
            if before.state is not State.ABORTED:
                return self._found(before)
        allow()
        try:
            reserved, located = self._reserve(command, known, deadline)
        except TakenByAnotherCallError as taken:
            require_same_request(taken.refund, command)
            return self._found(taken.refund)
        if reserved.refund.state is State.SUBMITTING:
            reserved = self._move_money(reserved, located, deadline, command.actor)
        return Answer(refund=reserved.refund, payment=reserved.payment, replayed=False)

    def run_scheduled(self, stored: Stored, deadline: Deadline, actor: str) -> Stored:
        """Execute a scheduled refund whose turn it is; what it comes to is durable on return.

        Raises:
            RefundBridgeError: nothing was sent; the refund is as it was.
            TakenByAnotherCallError, LedgerUnavailableError: the same, or somebody else has it.
        """
        refund = stored.refund
        command = CreateRefund(
            refund_id=refund.id,
            request=refund.request,
            source=refund.source,
            actor=actor,
            token=self.new_token(),
        )
        located = self._locate(command, payment_key_of(refund), deadline)
        reserved = self.reservation.reserve(command, refund, located, _reading(deadline))
        return self._move_money(reserved, located, deadline, actor)

    def _reserve(
        self, command: CreateRefund, known: Known, deadline: Deadline
    ) -> tuple[Stored, LocatedPayment]:
        """Steps 1 to 3.

        An error here promises that nothing moved under the key, so before it is told the ledger is
        asked once more: another call with the same key may have begun while this one was reading.
        """
        try:
            located = self._locate(command, known.payment, deadline)
            reading = _reading(deadline)
            return self.reservation.reserve(command, known.refund, located, reading), located
        except OutcomeUnknownError:
            raise
        except RefundBridgeError as error:
            refund, before = self.ledger.refund(command.refund_id), known.refund
            if refund is None or (before is not None and refund.revision == before.revision):
                raise
            raise TakenByAnotherCallError(refund) from error

    def _locate(
        self, command: CreateRefund, claimed: PaymentKey | None, deadline: Deadline
    ) -> LocatedPayment:
        """Steps 1 and 2; enough time is left to send."""
        reading = _reading(deadline)
        if command.request.is_unlinked:
            located = locate_unlinked(
                self.locator, command.refund_id, command.request, claimed, reading
            )
        else:
            located = self.locator.locate(payment_named_by(command.request), claimed, reading)
        if located.seen.charge is None:
            self._require_answer(located.key.processor, command.refund_id, reading)
        self._require_time_to_send(deadline)
        return located

    def _require_answer(self, name: str, refund_id: str, deadline: Deadline) -> None:
        """A processor that failed a moment ago is asked by a read first, never by the refund.

        Where payments cannot be read, the key of our instruction can be: nothing has it yet.
        """
        processor = self.processors[name]
        if not (processor.capabilities.keeps_keys and self.locator.in_doubt(name)):
            return
        with asking_processor(), suppress(UnreadableAnswerError):
            processor.find_by_key(refund_id, None, deadline)

    def _move_money(
        self, reserved: Stored, located: LocatedPayment, deadline: Deadline, actor: str
    ) -> Stored:
        """Steps 4 to 6, for a refund whose intent is durable and whose lease is this call's."""
        outcome = self._send(reserved.refund, located, deadline)
        # The caller is waiting behind a gateway that gives up soon after the providers' budget.
        answer_by = replace(deadline, ends_ms=deadline.ends_ms + RECORD_MS)
        recorded = self.recorder.outcome(reserved, outcome, actor, answer_by)
        recorded = self._read_once(recorded, deadline, actor)
        if answer_by.remaining_ms():
            self.ring(recorded.refund)
        return recorded

    def _require_time_to_send(self, deadline: Deadline) -> None:
        if deadline.remaining_ms() < SEND_MS_MIN:
            raise ProcessorUnavailableError(
                "The providers were too slow to begin; nothing was executed.",
                retry_after_s=UNAVAILABLE_RETRY_AFTER_S,
            )

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

    def _send(self, refund: Refund, located: LocatedPayment, deadline: Deadline) -> Outcome:
        """Ask the processor, if the lease still covers the longest that the call may take.

        A payment that shows that this very instruction has moved money, as after the ledger was
        restored, is not asked for it once more. And whatever the ledger holds to be refundable,
        more than the processor itself showed as left a moment ago is never asked for.
        """
        if (made := _made_before(refund, located)) is not None:
            self.telemetry.note("refund_made_before", refund_id=refund.id)
            return made
        return sent_with_a_valid_credential(lambda: self._send_once(refund, located, deadline))

    def _send_once(self, refund: Refund, located: LocatedPayment, deadline: Deadline) -> Outcome:
        charge = located.seen.charge
        if charge is not None and asks_for_more(refund, charge, self.telemetry):
            return Aborted("The processor shows that less is left than the ledger holds.")
        if self.clock.now_ms() + SEND_MS_MAX > (refund.lease_until_ms or 0):
            return Aborted("The lease ran out before the refund was sent.")
        if deadline.remaining_ms() < SEND_MS_MIN:
            return Aborted("The time ran out before the refund was sent.")
        self.telemetry.note("refund_sending", refund_id=refund.id, attempt=refund.attempt)
        return place(self.processors[refund.processor], refund, deadline, listed=_listed(located))

    def _read_once(self, recorded: Stored, deadline: Deadline, actor: str) -> Stored:
        """Ask once, at once, what became of a pending refund; settling asks again later."""
        refund = recorded.refund
        if refund.state is not State.PENDING or refund.processor_refund_id is None:
            return recorded
        try:
            processor_refund = processor_refund_of(
                self.processors[refund.processor],
                refund.processor_refund_id,
                refund.refunded_payment,
                deadline,
            )
            if processor_refund is None or processor_refund.status is ProcessorRefundStatus.PENDING:
                return recorded
            if not stands_for(processor_refund, refund):
                # Settling will see the same, and call a person.
                self.telemetry.note("movement_disagrees", refund_id=refund.id)
                return recorded
            now_ms = self.clock.now_ms()
            after = after_processor_refund(
                refund, processor_refund, at_ms=now_ms, cause="looked_up", actor=actor
            )
            return self.recorder.write(recorded, after)
        except (ProviderUnavailableError, LedgerConflictError, LedgerUnavailableError) as error:
            self.telemetry.note(
                "pending_not_read", refund_id=refund.id, reason=type(error).__name__
            )
            return recorded

    def ring(self, refund: Refund) -> None:
        """Step 6: wake the reporter, if the refund owes a report."""
        ring_if_owed(refund, self.doorbell, self.telemetry)


def require_same_request(refund: Refund, command: CreateRefund) -> None:
    """Refuse a key that comes again with another request.

    An event is always executed as scheduled, so between an event and a call, or another event, the
    refund's type is no difference.

    Raises:
        IdempotencyKeyReusedError: the stored request differs.
    """
    stored, asked = refund.request, command.request
    if Source.EVENT in (refund.source, command.source):
        asked = replace(asked, refund_type=stored.refund_type)
    if not stored.is_asked_by(asked):
        raise IdempotencyKeyReusedError(
            "This key was used before with another request; nothing was changed.",
            details={"refund": refund.id},
        )


def _reading(deadline: Deadline) -> Deadline:
    """The time that reading may take, so that enough is left to send."""
    return deadline.at_most(deadline.remaining_ms() - SEND_MS_MIN)


def _record_id(request: RefundRequest) -> str | None:
    if request.reference_type is ReferenceType.PAYMENT_RECORD:
        return request.reference_id
    return request.report_to


def _made_before(refund: Refund, located: LocatedPayment) -> Outcome | None:
    """The outcome that the payment shows of this refund's instruction, if it shows one."""
    charge = located.seen.charge
    listed = (charge.processor_refunds if charge is not None else None) or ()
    made = [
        processor_refund for processor_refund in listed if is_made_by(processor_refund, refund.id)
    ]
    if not made:
        return None
    if len(made) > 1 or not can_stand_for(made[0], refund):
        return Unknown("the payment shows our instruction with another amount, or twice")
    return Accepted(made[0])


def asks_for_more(
    refund: Refund, charge: Charge, telemetry: Telemetry, *, unshown: int = 0
) -> bool:
    """Whether more is asked for than the charge, read a moment ago, shows as left: never sent.

    ``unshown`` is what other refunds of ours reserve and the charge does not show, minor units: the
    processor may move it yet.
    """
    left = charge.left - unshown
    if refund.amount <= left:
        return False
    telemetry.note("guard_tripped", refund_id=refund.id, amount=refund.amount, left=left)
    return True


def _listed(located: LocatedPayment) -> frozenset[str] | None:
    """What the payment listed just before; ``None`` if that was not read."""
    charge = located.seen.charge
    if charge is None or charge.processor_refunds is None:
        return None
    return frozenset(processor_refund.id for processor_refund in charge.processor_refunds)
