"""Compares what was just read of a payment with what the ledger holds of it, in both directions.

::

    a processor refund of ours   ─▶ did its refund end, was it taken back, did it move after all?
    a processor refund of nobody ─▶ somebody else made it: imported as a refund of its own
    only a sum                   ─▶ counts against what may be refunded, as long as it is shown

Called wherever a charge is read: before a refund, by settling, for a webhook, by the sweep and
before Stripe is told. What contradicts the processor's earlier word is believed after a second look
by id.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.evidence import can_stand_for, is_made_by, is_too_old, stands_for
from refund_bridge.domain.external_refund import Import, is_importable
from refund_bridge.domain.listed_refunds import (
    beside_of,
    bound_amount,
    ids_fit,
    is_listed_otherwise,
    listed_in,
    moved_amount,
    snapshot_of,
    with_sums,
)
from refund_bridge.domain.outcome import after_news, booked_by, news_of, of_its_payment
from refund_bridge.domain.payment import Payment, PaymentKey, follow, learn_arrival, revision_after
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import FREED, ReportState
from refund_bridge.ports.ledger import (
    Claim,
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    RecordClaim,
    RefundWrite,
)
from refund_bridge.ports.processor import ChargeNotFoundError, Processor, ProviderUnavailableError
from refund_bridge.ports.queues import Doorbell
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.ports.sweeps import SweepLog
from refund_bridge.refunding.claims import claims_of
from refund_bridge.refunding.look_up import found_by_key, processor_refund_of
from refund_bridge.refunding.provider_errors import UNAVAILABLE_RETRY_AFTER_S, asking_processor
from refund_bridge.refunding.record_outcome import Recorder
from refund_bridge.refunding.wake_reporter import ring_if_owed

ACTOR: Final = "observe"
# A transaction takes at most 100 writes, and an import is two of them.
IMPORTS_PER_COMMIT: Final = 40
# What others made shortly before this stage began may not have been told to Stripe by them.
SINCE_MARGIN_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Learnt:
    """A payment as the ledger holds it after everything readable on its charge is accounted for.

    Attributes:
        stored: the payment as it is in the ledger; ``None`` if it is not there yet.
        current: the payment as it should be: with its link and with what others refunded.
        imports: the refunds that stand for what others made and was found now.
        followed: whether a refund that is known moved on by it.
        snapshot: processor refund ids that are listed but stand for no refund here (failed ones,
            say); ``None`` if the charge was not read or lists nothing readable.
    """

    stored: Payment | None
    current: Payment
    imports: tuple[Refund, ...]
    snapshot: tuple[str, ...] | None
    followed: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    """What the ledger holds of a payment and of what its charge lists.

    Attributes:
        owners: the refund that each processor refund belongs to, by the processor refund's id. Its
            payment may list it by another id than its instruction was answered with, and show whose
            instruction it is.
        let_go: the refund that each processor refund belonged to, until a person let it go.
        unlisted: our refunds that the processor has, and that its list of the payment does not
            name; ``None``: the index of our refunds is behind, and the next look tells.
    """

    payment: Payment | None
    owners: Mapping[str, Refund]
    let_go: Mapping[str, str]
    unlisted: Sequence[Refund] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnFromCharge:
    """Brings the ledger's view of a payment up to what was just read.

    While the payment's slot is taken nothing is imported: what the charge lists may be the very
    processor refund that is not bound yet.

    Attributes:
        refunds: the refunds of those ids, as they are now.
        every_refund: all refunds of the payment, as they are now; the newest may be missing.
    """

    ledger: Ledger
    refunds: Callable[[Sequence[str]], Mapping[str, Refund]]
    every_refund: Callable[[PaymentKey], Sequence[Refund]]
    sweeps: SweepLog
    processors: Mapping[str, Processor]
    recorder: Recorder
    doorbell: Doorbell
    clock: Clock
    telemetry: Telemetry
    stage: str

    def __call__(
        self, seen: PaymentSnapshot, deadline: Deadline, *, sending: str | None = None
    ) -> Learnt:
        """Let the refunds that are known follow, and import the others; durable on return.

        ``sending`` is the refund that is about to be sent: what its own instruction has moved
        before is nobody else's. The sums and the link of ``current`` are left to whoever writes the
            payment.

        Raises:
            ClaimConflictError, LedgerConflictError: something changed meanwhile; learn again.
            LedgerUnavailableError: a write may or may not be durable; learning again is safe.
            ProcessorUnavailableError: the charge had to be read once more, and could not be.
        """
        held = self._held(seen)
        followed = [
            self._follow(owner, processor_refund, seen, deadline)
            for processor_refund in listed_in(seen)
            if (owner := held.owners.get(processor_refund.id)) is not None
            and owner.processor_refund_id == processor_refund.id
        ]
        followed += self._follow_instructions(seen, held, deadline)
        if any(followed):
            held = self._held(seen)
        seen, held = self._read_again(seen, held, deadline)
        learnt = self._plan(seen, held, sending)
        return replace(self._carry_out(learnt, held, seen), followed=any(followed))

    def look(self, seen: PaymentSnapshot) -> Learnt:
        """The payment as it would be after importing; nothing is written.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        learnt = self._plan(seen, self._held(seen), None)
        current = learnt.current
        for refund in learnt.imports:
            current = follow(current, None, refund)
        return replace(learnt, current=current)

    def _held(self, seen: PaymentSnapshot) -> _Held:
        listed = [processor_refund.id for processor_refund in listed_in(seen)]
        payment, claimed = self.ledger.payment_and_claims(seen.key, listed)
        ordered = {
            processor_refund.id: processor_refund.instruction_id
            for processor_refund in listed_in(seen)
            if processor_refund.instruction_id is not None and processor_refund.id not in claimed
        }
        asked = {*claimed.values(), *ordered.values()}
        refunds = self.refunds(sorted(asked)) if asked else {}
        owners, let_go = {}, {}
        for processor_refund_id, refund_id in claimed.items():
            refund = refunds.get(refund_id)
            if refund is not None and refund.processor_refund_id == processor_refund_id:
                owners[processor_refund_id] = refund
            else:
                let_go[processor_refund_id] = refund_id
        for processor_refund_id, refund_id in ordered.items():
            refund = refunds.get(refund_id)
            if refund is not None and is_listed_otherwise(refund, seen.key, listed):
                owners[processor_refund_id] = refund
        return _Held(payment, owners, let_go, self._unlisted(payment, seen, owners))

    def _unlisted(
        self, payment: Payment | None, seen: PaymentSnapshot, owners: Mapping[str, Refund]
    ) -> Sequence[Refund] | None:
        """As in ``_Held``; none while the slot is taken, since nothing is concluded then."""
        if payment is None or payment.slot is not None:
            return ()
        if seen.charge is None or seen.charge.processor_refunds is None:
            return ()
        if sum(bound_amount(refund) for refund in owners.values()) >= payment.bound_amount:
            return ()
        listed = {processor_refund.id for processor_refund in seen.charge.processor_refunds}
        refunds = self.every_refund(payment.key)
        if sum(bound_amount(one) for one in refunds) < payment.bound_amount:
            return None
        return [
            one
            for one in refunds
            if bound_amount(one) and one.late_failure_at_ms is None
            if one.processor_refund_id not in listed
        ]

    # --- the refunds that are known ---------------------------------------------------------------

    def _follow(
        self,
        refund: Refund,
        processor_refund: ProcessorRefund,
        seen: PaymentSnapshot,
        deadline: Deadline,
    ) -> bool:
        return self.follow(refund, processor_refund, deadline) or self._give_record(
            refund, processor_refund, seen
        )

    def follow(self, refund: Refund, processor_refund: ProcessorRefund, deadline: Deadline) -> bool:
        """Let the refund follow its processor refund; whether something was written, durably.

        Raises:
            LedgerConflictError, LedgerUnavailableError: as ``__call__``.
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
            return True  # somebody else has learnt it a moment ago
        at_ms = self.clock.now_ms()
        after = after_news(linked, processor_refund, at_ms=at_ms, cause="observed", actor=ACTOR)
        if news.contradicts:
            self.telemetry.note(f"refund_{news}", refund_id=refund.id, movement=processor_refund.id)
        reports = after.report.state is not stored.refund.report.state
        if reports:
            self._alarm_if_failed(after)
        written = self.recorder.write(stored, after)
        if reports:
            ring_if_owed(written.refund, self.doorbell, self.telemetry)
        return True

    def _follow_instructions(
        self, seen: PaymentSnapshot, held: _Held, deadline: Deadline
    ) -> Iterator[bool]:
        """What shows the instruction of a refund that was thought to have moved nothing."""
        for processor_refund in listed_in(seen):
            if processor_refund.id in held.owners or processor_refund.instruction_id is None:
                continue
            refund = self.ledger.refund(processor_refund.instruction_id)
            try:
                if refund is not None and self.follow_instruction(
                    refund, processor_refund, deadline
                ):
                    yield True
            except ProviderUnavailableError as error:
                self._not_confirmed(processor_refund.instruction_id, error)

    def follow_instruction(
        self, refund: Refund, listed: ProcessorRefund | None, deadline: Deadline
    ) -> bool:
        """Let a refund that was thought to have moved nothing follow what its instruction moved.

        ``listed`` is what its payment lists under its instruction, if it was read. Whether
        something was written, durably.

        Raises:
            LedgerConflictError, LedgerUnavailableError: as ``__call__``.
            ProviderUnavailableError: the processor did not say what became of the instruction.
        """
        processor, processor_refund = self.processors.get(refund.processor), listed
        if processor is None or refund.state not in FREED or refund.processor_refund_id is not None:
            return False
        if processor.capabilities.keeps_keys:
            # Under the id that instructions are answered with; payments may list others.
            processor_refund = next(iter(found_by_key(processor, refund, deadline) or ()), listed)
        if (
            processor_refund is None
            or processor_refund.status is not ProcessorRefundStatus.SUCCEEDED
        ):
            return False
        if not can_stand_for(processor_refund, refund):
            return False
        bound = replace(refund, processor_refund_id=processor_refund.id)
        return self.follow(bound, processor_refund, deadline)

    def _is_confirmed(
        self, refund: Refund, processor_refund: ProcessorRefund, deadline: Deadline
    ) -> bool:
        """Whether a second look, by its id, shows the same."""
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
            self._alarm_if_failed(refund)  # again with every look: it waits for a person
            return False
        stored = self.recorder.read(refund.id)
        record = stored.payment.payment_record
        if record is None or stored.refund.payment_record is not None:
            return False
        at_ms = self.clock.now_ms()
        after = booked_by(stored.refund, record, processor_refund, at_ms=at_ms, actor=ACTOR)
        self.recorder.write(stored, after)
        return True

    # --- what others made -------------------------------------------------------------------------

    def _read_again(
        self, seen: PaymentSnapshot, held: _Held, deadline: Deadline
    ) -> tuple[PaymentSnapshot, _Held]:
        """The charge once more, where what it shows of others may be taken for what is ours.

        So it may where a refund of ours moved after the charge was read. What is read now is newer
        than all that the ledger held, or the payment has changed, and is learnt once more.
        """
        processor, payment = self.processors.get(seen.key.processor), held.payment
        if processor is None or payment is None or not _may_be_older(seen, held, payment):
            return seen, held
        try:
            with asking_processor():
                charge = processor.charge(seen.key.charge_id, deadline)
        except ChargeNotFoundError as error:
            raise ProcessorUnavailableError(
                "The processor shows the payment no more; nothing was executed. Repeat with the "
                "same key.",
                retry_after_s=UNAVAILABLE_RETRY_AFTER_S,
            ) from error
        newer = replace(seen, charge=charge)
        again = self._held(newer)
        if again.payment != payment:
            raise LedgerConflictError(f"payment {seen.key.charge_id} changed while it was read")
        return newer, again

    def _plan(self, seen: PaymentSnapshot, held: _Held, sending: str | None) -> Learnt:
        stored, owners = held.payment, held.owners
        current = self._first_seen(seen) if stored is None else _linked(stored, seen)
        if seen.charge is not None:
            current = learn_arrival(current, seen.charge.arrival)
        if current.slot is not None:
            return Learnt(stored=stored, current=current, imports=(), snapshot=None)
        if held.unlisted is None or not self._is_all_named(seen, owners, held.unlisted):
            beside = beside_of(seen, owners, held.unlisted or ())
            current = with_sums(current, seen, beside=beside)
            return Learnt(stored=stored, current=current, imports=(), snapshot=None)
        unclaimed = [
            processor_refund
            for processor_refund in listed_in(seen)
            if processor_refund.id not in owners and not is_made_by(processor_refund, sending)
        ]
        imports = tuple(self._imports(current, unclaimed, seen))
        return Learnt(
            stored=stored,
            current=with_sums(current, seen),
            imports=imports,
            snapshot=snapshot_of(unclaimed, imports, seen),
        )

    def _imports(
        self, payment: Payment, unclaimed: Sequence[ProcessorRefund], seen: PaymentSnapshot
    ) -> Iterator[Refund]:
        importable = [one for one in unclaimed if is_importable(one, payment.currency)]
        if not importable:
            return
        now_ms = self.clock.now_ms()
        sweep = self.sweeps.sweep(payment.key.processor, begin_ms=now_ms - SINCE_MARGIN_MS)
        importing = Import(
            stage=self.stage,
            key=payment.key,
            payment_record=payment.payment_record,
            payment_intent=None if seen.charge is None else seen.charge.payment_intent,
            since_ms=sweep.since_ms,
            now_ms=now_ms,
        )
        contradicted: set[str] = set()
        for processor_refund in importable:
            contradicts = self._contradicted(payment, processor_refund, contradicted)
            if contradicts is not None:
                contradicted.add(contradicts)
            yield importing.refund_of(processor_refund, contradicts=contradicts)

    def _is_all_named(
        self, seen: PaymentSnapshot, owners: Mapping[str, Refund], unlisted: Sequence[Refund]
    ) -> bool:
        if seen.charge is None or not unlisted or ids_fit(seen.charge, owners, unlisted):
            return True
        amount = sum(moved_amount(one) for one in unlisted)
        self.telemetry.note("ids_do_not_fit", charge=seen.charge.id, amount=amount)
        return False

    def _first_seen(self, seen: PaymentSnapshot) -> Payment:
        """The payment as it starts in the ledger."""
        return Payment(
            key=seen.key,
            payment_record=seen.payment_record,
            currency=seen.currency,
            captured=seen.captured,
        )

    def _contradicted(
        self, payment: Payment, processor_refund: ProcessorRefund, taken: set[str]
    ) -> str | None:
        """The refund that failed without evidence and may have moved this after all, if any."""
        if processor_refund.instruction_id is not None:
            return (
                processor_refund.instruction_id
                if processor_refund.instruction_id in payment.doubtful
                else None
            )
        for refund_id in payment.doubtful:
            failed = self.ledger.refund(refund_id)
            if (
                failed is None
                or refund_id in taken
                or failed.amount != processor_refund.money.amount
            ):
                continue
            # Clocks and zones differ, by hours at most.
            if not is_too_old(failed, processor_refund, tolerance_ms=SINCE_MARGIN_MS):
                return refund_id
        return None

    # --- writing ----------------------------------------------------------------------------------

    def _carry_out(self, learnt: Learnt, held: _Held, seen: PaymentSnapshot) -> Learnt:
        """Write the imports, and the link of a payment that had none."""
        stored, current = learnt.stored, learnt.current
        for start in range(0, len(learnt.imports), IMPORTS_PER_COMMIT):
            some = learnt.imports[start : start + IMPORTS_PER_COMMIT]
            claims = [
                replace(claim, instead_of=held.let_go.get(claim.processor_refund_id))
                for refund in some
                for claim in claims_of(refund)
            ]
            stored = current = self._write(stored, current, seen, some, claims)
        if stored is not None and stored.payment_record != current.payment_record:
            stored = current = self._write(stored, current, seen)
        return replace(learnt, stored=stored, current=current)

    def keep(self, learnt: Learnt, seen: PaymentSnapshot) -> Payment | None:
        """Write the sums of a payment that is in the ledger, if they have changed.

        Raises:
            LedgerConflictError, LedgerUnavailableError: as ``__call__``.
        """
        if learnt.stored is None or learnt.stored == learnt.current:
            return learnt.stored
        return self._write(learnt.stored, learnt.current, seen)

    def mended(self, seen: PaymentSnapshot) -> PaymentSnapshot | None:
        """The view whose record may take the place of a link under which no money moved.

        For when the record's claim was refused. ``None``: the other link holds.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        record = seen.payment_record
        holder = None if record is None else self.ledger.payment_of_record(record)
        if holder is None or holder == seen.key or seen.instead_of is not None:
            return None
        other = self.ledger.payment(holder)
        if other is not None and other.payment_record == record and not other.is_unused:
            return None
        self.telemetry.note("link_mended", payment_record=record, charge=seen.key.charge_id)
        return replace(seen, instead_of=holder)

    def released(self, seen: PaymentSnapshot) -> list[PaymentWrite]:
        """The payment that loses its record to the one in view, if there is one.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        other = None if seen.instead_of is None else self.ledger.payment(seen.instead_of)
        if other is None or other.payment_record != seen.payment_record:
            return []
        return [PaymentWrite(other, replace(other, payment_record=None))]

    def _write(
        self,
        stored: Payment | None,
        current: Payment,
        seen: PaymentSnapshot,
        imports: Sequence[Refund] = (),
        claims: Sequence[Claim] = (),
    ) -> Payment:
        after = current
        for refund in imports:
            after = follow(after, None, refund)
            # First the alarms: whoever dies between the two leaves what nobody is told of.
            self._alarm(refund)
        self.ledger.commit(
            Commit(
                refunds=[RefundWrite(None, refund) for refund in imports],
                payments=[PaymentWrite(stored, after), *self.released(seen)],
                claims=[*claims, *link_of(stored, after, seen)],
            )
        )
        for refund in imports:
            self._tell(refund)
        if imports and after.is_over_refunded:
            self.telemetry.note("over_refunded", charge=after.key.charge_id)
        return replace(after, revision=revision_after(stored))

    def _tell(self, refund: Refund) -> None:
        self.telemetry.note(
            "refund_imported",
            refund_id=refund.id,
            amount=refund.amount,
            currency=refund.currency,
            adopted=refund.is_before_adoption,
        )

    def _alarm(self, refund: Refund) -> None:
        if refund.contradicts is not None:
            processor_refund, failed = refund.processor_refund_id, refund.contradicts
            self.telemetry.note("movement_contradicts", movement=processor_refund, failed=failed)
        self._alarm_if_failed(refund)

    def _alarm_if_failed(self, refund: Refund) -> None:
        report = refund.report
        if report.state is ReportState.FAILED and refund.late_failure_at_ms is None:
            self.telemetry.note("report_failed", refund_id=refund.id, reason=report.last_error)


def _may_be_older(seen: PaymentSnapshot, held: _Held, payment: Payment) -> bool:
    """Whether a refund of ours that the charge does not show may have moved since."""
    if seen.charge is None or payment.slot is not None:
        return False
    if seen.charge.processor_refunds is None:
        return payment.moved > payment.taken_back
    return bool(held.unlisted) and not ids_fit(seen.charge, held.owners, held.unlisted or ())


def link_of(
    stored: Payment | None, after: Payment, seen: PaymentSnapshot
) -> tuple[RecordClaim, ...]:
    """The claim on a Payment Record that the payment gets by this write, if it gets one."""
    record = after.payment_record
    if record is None or (stored is not None and stored.payment_record == record):
        return ()
    return (RecordClaim(record, after.key, seen.instead_of),)


def _linked(stored: Payment, seen: PaymentSnapshot) -> Payment:
    """The payment with the Payment Record that books it, if that is known or mended only now.

    A link under which no money moved, and what was captured by it, may have been a mistake. What
    the charge shows is captured, whatever Stripe alone showed at first.
    """
    if seen.payment_record is None:
        return stored
    if stored.payment_record == seen.payment_record:
        is_certain = seen.charge is not None or stored.is_unused
        return replace(stored, captured=seen.captured) if is_certain else stored
    if stored.payment_record is not None and not stored.is_unused:
        return stored
    return replace(stored, payment_record=seen.payment_record, captured=seen.captured)
