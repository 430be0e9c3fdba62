"""Updates refunds of the ledger with what their processor shows of them now.

::

    its processor refund   ─▶ has it ended, been taken back, or moved money after all?
    its instruction alone  ─▶ we thought that it moved nothing: bind it to what it moved
    its payment's record   ─▶ found since the import: Stripe must be told of the refund

If the processor contradicts what it said earlier, the change is made only after a second read, by
id, shows the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import can_stand_for, stands_for
from refund_bridge.domain.listed_refunds import listed_in
from refund_bridge.domain.outcome import after_news, booked_by, news_of, of_its_payment
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FREED, ReportState
from refund_bridge.ports.ledger import ClaimConflictError, Ledger
from refund_bridge.ports.processor import (
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.refunding.look_up import found_by_key, processor_refund_of
from refund_bridge.refunding.record_outcome import Recorder
from refund_bridge.refunding.wake_reporter import ring_if_owed

ACTOR: Final = "observe"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRefund:
    """Writes to a refund what its processor shows of it now."""

    ledger: Ledger
    processors: Mapping[str, Processor]
    recorder: Recorder
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry

    def all_listed(
        self, seen: PaymentSnapshot, owners: Mapping[str, Refund], deadline: Deadline
    ) -> bool:
        """Update the refunds of everything that the charge lists; whether anything was written.

        ``owners`` are the refunds that processor refunds belong to, by the processor refund's id.
        What was written is durable on return.

        Raises:
            LedgerConflictError, LedgerUnavailableError: as ``__call__``.
        """
        followed = [
            self(owner, processor_refund, deadline)
            or self._give_record(owner, processor_refund, seen)
            for processor_refund in listed_in(seen)
            if (owner := owners.get(processor_refund.id)) is not None
            and owner.processor_refund_id == processor_refund.id
        ]
        followed += self._instructions(seen, owners, deadline)
        return any(followed)

    def __call__(
        self, refund: Refund, processor_refund: ProcessorRefund, deadline: Deadline
    ) -> bool:
        """Update the refund from its processor refund; whether anything was written, durably.

        Raises:
            LedgerConflictError, LedgerUnavailableError: something changed meanwhile, or a write
                may or may not be durable; calling again is safe.
        """
        if not stands_for(processor_refund, refund):
            self.telemetry.note("movement_disagrees", refund_id=refund.id)
            return False
        news = news_of(refund, processor_refund)
        if news is None:
            return False
        if news.contradicts and not self._is_confirmed(refund, processor_refund, deadline):
            return False
        stored = self.recorder.read(refund.id)
        linked = of_its_payment(stored.refund, stored.payment)
        if news_of(linked, processor_refund) is not news:
            return True  # another call has just written it
        at_ms = self.clock.now_ms()
        after = after_news(linked, processor_refund, at_ms=at_ms, cause="observed", actor=ACTOR)
        if news.contradicts:
            self.telemetry.note(f"refund_{news}", refund_id=refund.id, movement=processor_refund.id)
        reports = after.report.state is not stored.refund.report.state
        if reports:
            tell_failed_report(after, self.telemetry)
        try:
            written = self.recorder.write(stored, after)
        except ClaimConflictError:
            # It was imported before the processor showed whose it is, and is told once, as that.
            return False
        if reports:
            ring_if_owed(written.refund, self.doorbell, self.telemetry)
        return True

    def instruction(
        self, refund: Refund, listed: ProcessorRefund | None, deadline: Deadline
    ) -> bool:
        """Bind a refund, thought to have moved nothing, to what its instruction moved after all.

        ``listed`` is what its payment lists under its instruction, if it was read. Returns whether
        anything was written, durably.

        Raises:
            LedgerConflictError, LedgerUnavailableError: as ``__call__``.
            ProviderUnavailableError: the processor did not say what became of the instruction.
        """
        processor, processor_refund = self.processors.get(refund.processor), listed
        if processor is None or refund.state not in FREED or refund.processor_refund_id is not None:
            return False
        if processor.capabilities.keeps_keys:
            # By the id that the processor answers instructions with; payments may list another id.
            processor_refund = next(iter(found_by_key(processor, refund, deadline) or ()), listed)
        if (
            processor_refund is None
            or processor_refund.status is not ProcessorRefundStatus.SUCCEEDED
        ):
            return False
        if not can_stand_for(processor_refund, refund):
            return False
        bound = replace(refund, processor_refund_id=processor_refund.id)
        return self(bound, processor_refund, deadline)

    def again(self, refund: Refund, deadline: Deadline) -> bool:
        """Ask the processor what became of the refund, and follow it; as ``__call__``.

        It is asked for by its processor refund's id, or by its instruction if it has none.

        Raises:
            LedgerConflictError, LedgerUnavailableError: as ``__call__``.
            ProviderUnavailableError: the processor did not answer.
        """
        processor, bound_to = self.processors.get(refund.processor), refund.processor_refund_id
        if bound_to is None:
            return self.instruction(refund, None, deadline)
        if processor is None:
            return False
        try:
            shown = processor_refund_of(processor, bound_to, refund.refunded_payment, deadline)
        except UnreadableAnswerError:
            return False  # the processor shows refunds in no form that can be read
        return shown is not None and self(refund, shown, deadline)

    def _instructions(
        self, seen: PaymentSnapshot, owners: Mapping[str, Refund], deadline: Deadline
    ) -> Iterator[bool]:
        """Bind refunds, thought to have moved nothing, whose instruction the charge lists."""
        for processor_refund in listed_in(seen):
            if processor_refund.id in owners or processor_refund.instruction_id is None:
                continue
            refund = self.ledger.refund(processor_refund.instruction_id)
            try:
                if refund is not None and self.instruction(refund, processor_refund, deadline):
                    yield True
            except ProviderUnavailableError as error:
                self._not_confirmed(processor_refund.instruction_id, error)

    def _is_confirmed(
        self, refund: Refund, processor_refund: ProcessorRefund, deadline: Deadline
    ) -> bool:
        """Whether a second read, by the processor refund's id, shows the same."""
        processor = self.processors.get(refund.processor)
        if processor is None:
            return False
        try:
            again = processor_refund_of(
                processor, processor_refund.id, refund.refunded_payment, deadline
            )
        except ProviderUnavailableError as error:
            self._not_confirmed(refund.id, error)
            return False
        return (
            again is not None
            and again.status is processor_refund.status
            and again.money == processor_refund.money
        )

    def _not_confirmed(self, refund_id: str, error: ProviderUnavailableError) -> None:
        self.telemetry.note("no_second_look", refund_id=refund_id, reason=type(error).__name__)

    def _give_record(
        self, refund: Refund, processor_refund: ProcessorRefund, seen: PaymentSnapshot
    ) -> bool:
        """Give the refund the record that its payment has got since it was imported."""
        if refund.payment_record is not None:
            return False
        if seen.payment_record is None:
            # Logged at every check: it waits for a person.
            tell_failed_report(refund, self.telemetry)
            return False
        stored = self.recorder.read(refund.id)
        record = stored.payment.payment_record
        if record is None or stored.refund.payment_record is not None:
            return False
        at_ms = self.clock.now_ms()
        after = booked_by(stored.refund, record, processor_refund, at_ms=at_ms, actor=ACTOR)
        self.recorder.write(stored, after)
        return True


def tell_failed_report(refund: Refund, telemetry: Telemetry) -> None:
    """Log that Stripe could not be told of a refund, and why."""
    report = refund.report
    if report.state is ReportState.FAILED and refund.late_failure_at_ms is None:
        telemetry.note("report_failed", refund_id=refund.id, reason=report.last_error)
