"""Updates the ledger from a charge that was just read.

::

    a processor refund of ours    ─▶ our refund follows it (``follow_refund.py``)
    an unclaimed processor refund ─▶ others made it: it is imported as an external refund
    only a sum                    ─▶ it reduces the refundable balance, as long as it is shown

Called wherever a charge is read: before a refund, by settling, for a webhook, by the sweep and
before Stripe is told.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.evidence import is_made_by, is_too_old
from refund_bridge.domain.external_refund import Import, is_importable
from refund_bridge.domain.listed_refunds import (
    are_all_bound,
    beside_of,
    bound_amount,
    ids_fit,
    is_listed_otherwise,
    listed_in,
    moved_amount,
    snapshot_of,
    with_sums,
)
from refund_bridge.domain.payment import Payment, PaymentKey, follow, learn_arrival, revision_after
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import (
    Claim,
    Commit,
    Ledger,
    LedgerConflictError,
    PaymentWrite,
    RefundWrite,
)
from refund_bridge.ports.processor import ChargeNotFoundError, Processor
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.ports.sweeps import SweepLog
from refund_bridge.refunding.claims import claims_of
from refund_bridge.refunding.follow_refund import FollowRefund, tell_failed_report
from refund_bridge.refunding.payment_links import PaymentLinks, link_of, linked
from refund_bridge.refunding.provider_errors import UNAVAILABLE_RETRY_AFTER_S, asking_processor

# A transaction takes at most 100 writes, and an import is two of them.
IMPORTS_PER_COMMIT: Final = 40
# Refunds that others made shortly before this stage began: they may not have told Stripe of them.
SINCE_MARGIN_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Learnt:
    """The result of learning from a charge: the payment, and what was found on the charge.

    Attributes:
        stored: the payment as it is in the ledger; ``None`` if it is not there yet.
        current: the payment as it should be: with its link and with what others refunded.
        imports: the external refunds that were found now.
        followed: whether a refund of the ledger changed because of what the charge shows.
        snapshot: the processor refund ids that are listed but belong to no refund here (failed
            ones, for example); ``None`` if the charge was not read or lists nothing readable.
    """

    stored: Payment | None
    current: Payment
    imports: tuple[Refund, ...]
    snapshot: tuple[str, ...] | None
    followed: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    """What the ledger has of a payment and of the processor refunds that its charge lists.

    Attributes:
        owners: the refund that each listed processor refund belongs to, by the listed id. A payment
            may list a processor refund by another id than the one that answered our instruction;
            then the refund is found by the instruction's id that the list shows.
        let_go: the refund that each processor refund belonged to, until a person unbound it.
        unlisted: our refunds that moved money and that the payment's list at the processor does not
            name; ``None`` if the index of our refunds is not up to date: the next check tells.
    """

    payment: Payment | None
    owners: Mapping[str, Refund]
    let_go: Mapping[str, str]
    unlisted: Sequence[Refund] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnFromCharge:
    """Brings the ledger's payment and refunds up to date with a payment snapshot.

    While the payment's slot is taken nothing is imported: a processor refund that looks unclaimed
    may be the result of the refund that has the slot.

    Attributes:
        refunds: reads the refunds of those ids.
        every_refund: reads all refunds of the payment; the newest may be missing.
    """

    ledger: Ledger
    refunds: Callable[[Sequence[str]], Mapping[str, Refund]]
    every_refund: Callable[[PaymentKey], Sequence[Refund]]
    sweeps: SweepLog
    processors: Mapping[str, Processor]
    follow: FollowRefund
    links: PaymentLinks
    clock: Clock
    telemetry: Telemetry
    stage: str

    def __call__(
        self, seen: PaymentSnapshot, deadline: Deadline, *, sending: str | None = None
    ) -> Learnt:
        """Update the refunds that are known and import the others; durable on return.

        ``sending`` is the id of the refund that is about to be sent; a processor refund that its
        own instruction made before is not imported. The caller writes the sums of ``current``.

        Raises:
            ClaimConflictError, LedgerConflictError: something changed meanwhile; learn again.
            LedgerUnavailableError: a write may or may not be durable; learning again is safe.
            ProcessorUnavailableError: the charge had to be read once more, and could not be.
        """
        held = self._held(seen)
        followed = self.follow.all_listed(seen, held.owners, deadline)
        if followed:
            held = self._held(seen)
        seen, held = self._read_again(seen, held, deadline)
        if self._ask_for_failed(seen, held, deadline):
            followed, held = True, self._held(seen)
        learnt = self._plan(seen, held, sending)
        return replace(self._carry_out(learnt, held, seen), followed=followed)

    def look(self, seen: PaymentSnapshot) -> Learnt:
        """Show the payment as it would be after importing; nothing is written.

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
        shown_by = {
            processor_refund.id: processor_refund.instruction_id
            for processor_refund in listed_in(seen)
            if processor_refund.instruction_id is not None and processor_refund.id not in claimed
        }
        asked = {*claimed.values(), *shown_by.values()}
        refunds = self.refunds(sorted(asked)) if asked else {}
        owners, let_go = {}, {}
        for processor_refund_id, refund_id in claimed.items():
            refund = refunds.get(refund_id)
            if refund is not None and refund.processor_refund_id == processor_refund_id:
                owners[processor_refund_id] = refund
            else:
                let_go[processor_refund_id] = refund_id
        for processor_refund_id, refund_id in shown_by.items():
            refund = refunds.get(refund_id)
            if refund is not None and is_listed_otherwise(refund, seen.key, listed):
                owners[processor_refund_id] = refund
        return _Held(payment, owners, let_go, self._unlisted(payment, seen, owners))

    def _unlisted(
        self, payment: Payment | None, seen: PaymentSnapshot, owners: Mapping[str, Refund]
    ) -> Sequence[Refund] | None:
        """See ``_Held.unlisted``; empty while the slot is taken, since nothing is imported then."""
        if payment is None or payment.slot is not None:
            return ()
        if seen.charge is None or seen.charge.processor_refunds is None:
            return ()
        if are_all_bound(payment, owners.values()):
            return ()
        listed = {processor_refund.id for processor_refund in seen.charge.processor_refunds}
        refunds = self.every_refund(payment.key)
        if not are_all_bound(payment, refunds):
            return None
        return [
            one
            for one in refunds
            if bound_amount(one) and one.late_failure_at_ms is None
            if one.processor_refund_id not in listed
        ]

    # --- what others made -------------------------------------------------------------------------

    def _read_again(
        self, seen: PaymentSnapshot, held: _Held, deadline: Deadline
    ) -> tuple[PaymentSnapshot, _Held]:
        """Read the charge once more if a refund of ours may have moved money after it was read.

        From the older charge, one of our own refunds could be taken for an external one. If the
        payment in the ledger changes during this read as well, ``LedgerConflictError`` is raised
        and the caller learns again.
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

    def _ask_for_failed(self, seen: PaymentSnapshot, held: _Held, deadline: Deadline) -> bool:
        """Whether a refund of ours that had failed, or was taken back, moved after all.

        That is followed, durably. Asked where the charge lists what is nobody's: it may be what
        such a refund moved, by another id than ours has.
        """
        payment = held.payment
        if payment is None or payment.slot is not None:
            return False
        listed = {one.id for one in listed_in(seen)}
        nobodys = (
            one.id not in held.owners and one.instruction_id is None
            for one in listed_in(seen)
            if is_importable(one, payment.currency)
        )
        if not any(nobodys):
            return False
        failed = [
            one
            for one in self.every_refund(payment.key)
            if one.is_ours and (one.state is State.FAILED or one.late_failure_at_ms is not None)
            if one.processor_refund_id is not None and one.processor_refund_id not in listed
        ]
        with asking_processor():
            followed = [self.follow.again(one, deadline) for one in failed]
        return any(followed)

    def _plan(self, seen: PaymentSnapshot, held: _Held, sending: str | None) -> Learnt:
        stored, owners = held.payment, held.owners
        current = self._first_seen(seen) if stored is None else linked(stored, seen)
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
        """The payment as it is first written to the ledger."""
        return Payment(
            key=seen.key,
            payment_record=seen.payment_record,
            currency=seen.currency,
            captured=seen.captured,
        )

    def _contradicted(
        self, payment: Payment, processor_refund: ProcessorRefund, taken: set[str]
    ) -> str | None:
        """The failed refund that may have made this processor refund after all, if any.

        Only refunds are considered that failed without evidence (``Payment.doubtful``).
        """
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
            # Clocks and time zones differ by hours at most.
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
            # The alarm comes first: if the process dies between the two, somebody was told.
            self._alarm(refund)
        self.ledger.commit(
            Commit(
                refunds=[RefundWrite(None, refund) for refund in imports],
                payments=[PaymentWrite(stored, after), *self.links.released(seen)],
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
        tell_failed_report(refund, self.telemetry)


def _may_be_older(seen: PaymentSnapshot, held: _Held, payment: Payment) -> bool:
    """Whether a refund of ours may have moved money after the charge was read."""
    if seen.charge is None or payment.slot is not None:
        return False
    if seen.charge.processor_refunds is None:
        return payment.moved > payment.taken_back
    return bool(held.unlisted) and not ids_fit(seen.charge, held.owners, held.unlisted or ())
