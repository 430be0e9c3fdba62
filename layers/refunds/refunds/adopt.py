"""Accounts for refunds that others made: in the processor's dashboard, or before this product.

A movement that the processor lists and no refund here claims is imported as a refund of its own, so
that headroom, listings and Stripe's book count it once and for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from refunds.link import Sighting
from refunds.outcome import claims_of, evidence_of, owing_report
from refunds.payment import Payment, follow, learn_foreign
from refunds.ports import (
    Claim,
    Clock,
    Commit,
    Ledger,
    Movement,
    MovementStatus,
    PaymentWrite,
    RecordClaim,
    RefundWrite,
    Trail,
)
from refunds.refund import (
    ReferenceType,
    Refund,
    RefundRequest,
    Source,
    Why,
    born,
    imported_refund_id,
)
from refunds.state_machine import Event, State

# A transaction takes at most 100 writes, and an import is two of them.
IMPORTS_PER_COMMIT: Final = 40
ACTOR: Final = "refund-bridge"


@dataclass(frozen=True, slots=True)
class Adoption:
    """What has to be written so that every readable movement on a charge is accounted for.

    Attributes:
        stored: the payment as it is in the ledger; ``None`` if it is not there yet.
        imports: the refunds to write.
        current: the payment as it will be after the imports, with what others refunded.
        snapshot: processor refund ids that are listed but stand for no refund here (failed ones,
            say); ``None`` if the charge was not read or lists nothing readable.
    """

    stored: Payment | None
    imports: tuple[Refund, ...]
    current: Payment
    snapshot: tuple[str, ...] | None


def first_seen(seen: Sighting) -> Payment:
    """The payment as it starts in the ledger."""
    return Payment(
        key=seen.key,
        payment_record=seen.record.id,
        currency=seen.record.currency,
        captured=seen.record.captured,
    )


def revision_after(before: Refund | Payment | None) -> int:
    """The revision that the ledger gives to what replaces ``before``."""
    return 1 if before is None else before.revision + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopter:
    """Brings the ledger's view of a payment up to what was just read.

    While the payment's slot is taken nothing is imported: what the charge lists may be the very
    movement that is not bound yet.
    """

    ledger: Ledger
    clock: Clock
    trail: Trail
    stage: str

    def plan(self, seen: Sighting) -> Adoption:
        """The payment as it is now, and what would have to be imported; one look at the ledger.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        listed = seen.charge.movements or () if seen.charge is not None else ()
        payment, claimed = self.ledger.payment_and_claims(
            seen.key, [movement.id for movement in listed]
        )
        current = payment or first_seen(seen)
        if current.slot is not None:
            return Adoption(stored=payment, imports=(), current=current, snapshot=None)
        unclaimed = [movement for movement in listed if movement.id not in claimed]
        imports = tuple(
            self._imported(movement, seen, payment)
            for movement in unclaimed
            if _is_importable(movement, current)
        )
        for refund in imports:
            current = follow(current, None, refund)
        return Adoption(
            stored=payment,
            imports=imports,
            current=self._with_foreign(current, seen),
            snapshot=_snapshot(unclaimed, imports, seen),
        )

    def carry_out(self, adoption: Adoption, seen: Sighting) -> Adoption:
        """Write the imports; on return they are durable, and the result has none left.

        Raises:
            ClaimConflictError, LedgerConflictError: something changed meanwhile; plan again.
            LedgerUnavailableError: an import may or may not be durable; planning again is safe.
        """
        stored = adoption.stored
        for start in range(0, len(adoption.imports), IMPORTS_PER_COMMIT):
            some = adoption.imports[start : start + IMPORTS_PER_COMMIT]
            stored = self._write(stored, some, seen)
        revision = 0 if stored is None else stored.revision
        current = replace(adoption.current, revision=revision)
        return replace(adoption, stored=stored, imports=(), current=current)

    def _imported(self, movement: Movement, seen: Sighting, payment: Payment | None) -> Refund:
        now_ms = self.clock.now_ms()
        before_adoption = payment is None
        why = Why(
            at_ms=now_ms,
            cause="before_adoption" if before_adoption else "found_on_charge",
            actor=ACTOR,
            evidence=evidence_of(movement),
        )
        refund = Refund(
            id=imported_refund_id(seen.key.processor, movement.id, self.stage),
            request=RefundRequest(
                reference_type=ReferenceType.PAYMENT_RECORD,
                reference_id=seen.record.id,
                amount=movement.money.amount,
                currency=movement.money.currency,
            ),
            source=Source.PROCESSOR,
            state=State.SUCCEEDED,
            processor=seen.key.processor,
            processor_payment_id=seen.key.charge_id,
            payment_record=seen.record.id,
            payment_intent=None,
            invoice=None,
            amount=movement.money.amount,
            currency=movement.money.currency,
            created_at_ms=movement.created_at_ms or movement.refunded_at_ms or now_ms,
            updated_at_ms=now_ms,
            processor_refund_id=movement.id,
            contradicts=None if payment is None else self._contradicted(payment, movement),
        )
        if refund.contradicts is not None:
            self.trail.note("movement_contradicts", refund_id=refund.id, failed=refund.contradicts)
        if movement.status is MovementStatus.PENDING:
            return replace(born(refund, Event.IMPORT_PENDING, why), next_check_ms=now_ms)
        succeeded = born(refund, Event.IMPORT_SUCCEEDED, why)
        if before_adoption:
            return succeeded
        # Due at once for settling: nobody has rung for it yet.
        return replace(owing_report(succeeded, movement, why), next_check_ms=now_ms)

    def _contradicted(self, payment: Payment, movement: Movement) -> str | None:
        """The refund that failed without evidence and may be this movement after all, if any."""
        for refund_id in payment.doubtful:
            failed = self.ledger.refund(refund_id)
            if failed is not None and failed.amount == movement.money.amount:
                return failed.id
        return None

    def _write(self, stored: Payment | None, imports: Sequence[Refund], seen: Sighting) -> Payment:
        claims: list[Claim] = []
        if stored is None:
            claims.append(RecordClaim(seen.record.id, seen.key))
        after = stored or first_seen(seen)
        for refund in imports:
            after = follow(after, None, refund)
            claims.extend(claims_of(refund))
        self.ledger.commit(
            Commit(
                refunds=[RefundWrite(None, refund) for refund in imports],
                payments=[PaymentWrite(stored, after)],
                claims=claims,
            )
        )
        for refund in imports:
            self.trail.note("refund_imported", refund_id=refund.id, amount=refund.amount)
        return replace(after, revision=revision_after(stored))

    def _with_foreign(self, payment: Payment, seen: Sighting) -> Payment:
        """The payment with what others refunded that no refund here stands for."""
        record = seen.record
        if record.amount_refunded < payment.booked:
            self.trail.note(
                "stripe_shows_less_than_ledger",
                payment_record=record.id,
                booked=payment.booked,
                amount_refunded=record.amount_refunded,
            )
        return learn_foreign(
            payment,
            in_book=record.amount_refunded - payment.booked - payment.report_due_amount,
            on_charge=0 if seen.charge is None else seen.charge.refunded - payment.bound_amount,
        )


def _snapshot(
    unclaimed: Sequence[Movement], imports: Sequence[Refund], seen: Sighting
) -> tuple[str, ...] | None:
    if seen.charge is None or seen.charge.movements is None:
        return None
    imported = {refund.processor_refund_id for refund in imports}
    return tuple(movement.id for movement in unclaimed if movement.id not in imported)


def _is_importable(movement: Movement, payment: Payment) -> bool:
    return (
        movement.status is not MovementStatus.FAILED
        and movement.money.amount > 0
        and movement.money.currency == payment.currency
    )
