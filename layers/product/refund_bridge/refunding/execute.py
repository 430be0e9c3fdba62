"""One refund, from the caller's request to the doorbell: the whole protocol in reading order.

::

    0 ledger     find the refund by its key: if known, answer from the ledger, call no provider
    1 Stripe     read the Payment Record                ┐ side by side once the link is known
    2 processor  read the charge                        ┘
    3 ledger     claim the links, reserve the amount, take the slot, write the intent (submitting)
    4 processor  move the money: sent once
    5 ledger     write the outcome, the frozen report parameters and "report due" in one write
    6 queue      ring the doorbell

After step 3 the process may die at any point: the ledger has all that is needed to complete the
work. A refund that has been ``submitting`` is sent again only if it is ``aborted``, because then it
is certain that no money moved. The one exception: where the processor dedupes by key, settling
repeats an instruction under its key.
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

# The call that moves money may take 2 s to connect and 18 s to answer. It is not begun with less
# than the minimum left: a shorter timeout would only make more outcomes unknown.
SEND_MS_MAX: Final = 20_000
SEND_MS_MIN: Final = 12_000
# How long after the providers' budget the outcome may still be written: 24 s + 3 s < 29 s.
RECORD_MS: Final = 3_000
# A call in flight ends within the providers' budget, so the caller may soon repeat the key.
IN_USE_RETRY_AFTER_S: Final = 2


def _allowed() -> None:
    """Allow every refund to be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A refund as the ledger has it, and whether this call or an earlier one made it.

    Attributes:
        payment: its payment; ``None`` if the ledger has none.
        replayed: whether this call only found what an earlier one had done.
    """

    refund: Refund
    payment: Payment | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRefund:
    """Makes a refund once, or tells how far it got."""

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

        ``allow`` raises if the refund may not be sent. It is called before anything is sent: where
        the key is new, and where the refund of this key is ``aborted``.

        ``deadline`` bounds all provider calls. On return the ledger has the refund in the state
        that the answer shows; if the outcome could not be written, that state is ``submitting``. A
        scheduled refund is only accepted here; ``run_scheduled`` executes it.

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
        """Execute a scheduled refund whose turn it is; on return its result is durable.

        Raises:
            RefundBridgeError: nothing was sent; the refund is as it was.
            TakenByAnotherCallError, LedgerUnavailableError: the same, or another call has it.
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

        An error here promises the caller that no money moved under the key. So before it is raised
        the ledger is read once more: another call with the same key may have begun meanwhile.
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
        """After a recent failure of the processor, probe it with a read before sending money.

        This is for a payment whose charge was not read. The probe asks for the refund with our
        key, which no refund has yet. It is skipped where the processor keeps no keys.
        """
        processor = self.processors[name]
        if not (processor.capabilities.keeps_keys and self.locator.in_doubt(name)):
            return
        with asking_processor(), suppress(UnreadableAnswerError):
            processor.find_by_key(refund_id, None, deadline)

    def _move_money(
        self, reserved: Stored, located: LocatedPayment, deadline: Deadline, actor: str
    ) -> Stored:
        """Steps 4 to 6, for a refund whose intent is durable; this call has its lease."""
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
        """The answer for a key that the ledger knows; no provider is called."""
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
        """Send the instruction, if the lease still covers the longest that the call may take.

        It is not sent if the payment shows that this instruction has moved money already, as after
        the ledger was restored. And never more is sent than the processor itself has just shown as
        left, even if the ledger's refundable balance is higher.
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
        """Check a pending refund at the processor once, right away; settling checks it later."""
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
                # Settling will see the same and ask for a person.
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

    Events are always executed as scheduled refunds. So if one of the two requests came by an event,
    a different refund type is no difference.

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
    """The deadline for reading: after it, enough time is left to send."""
    return deadline.at_most(deadline.remaining_ms() - SEND_MS_MIN)


def _record_id(request: RefundRequest) -> str | None:
    if request.reference_type is ReferenceType.PAYMENT_RECORD:
        return request.reference_id
    return request.report_to


def _made_before(refund: Refund, located: LocatedPayment) -> Outcome | None:
    """The outcome of this refund's instruction, if the payment already shows a refund of it."""
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
    """Whether the refund is more than the charge, read a moment ago, shows as left.

    Such a refund is never sent. ``unshown`` (minor units) is what other refunds of ours reserve and
    the charge does not show: it is not left, because the processor may still move it.
    """
    left = charge.left - unshown
    if refund.amount <= left:
        return False
    telemetry.note("guard_tripped", refund_id=refund.id, amount=refund.amount, left=left)
    return True


def _listed(located: LocatedPayment) -> frozenset[str] | None:
    """The ids of the refunds that the payment listed just before; ``None`` if not read."""
    charge = located.seen.charge
    if charge is None or charge.processor_refunds is None:
        return None
    return frozenset(processor_refund.id for processor_refund in charge.processor_refunds)
