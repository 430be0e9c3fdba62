"""Accounts for refunds that others made: in the processor's dashboard, or before this product.

A movement that the processor lists and no refund here claims is imported as a refund of its own, so
that headroom, listings and Stripe's book count it once and for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from refunds.imports import Import, is_importable
from refunds.link import Sighting
from refunds.outcome import claims_of
from refunds.payment import Payment, follow, learn_foreign, no_longer_foreign
from refunds.ports import (
    Claim,
    Clock,
    Commit,
    Ledger,
    Movement,
    PaymentWrite,
    RecordClaim,
    RefundWrite,
    Trail,
)
from refunds.refund import Refund

# A transaction takes at most 100 writes, and an import is two of them.
IMPORTS_PER_COMMIT: Final = 40


@dataclass(frozen=True, slots=True)
class Adoption:
    """What has to be written so that every readable movement on a charge is accounted for.

    Attributes:
        stored: the payment as it is in the ledger; ``None`` if it is not there yet.
        base: the same, or the payment as it will start.
        imports: the refunds to write.
        current: the payment as it will be after the imports, with what others refunded.
        snapshot: processor refund ids that are listed but stand for no refund here (failed ones,
            say); ``None`` if the charge was not read or lists nothing readable.
    """

    stored: Payment | None
    base: Payment
    imports: tuple[Refund, ...]
    current: Payment
    snapshot: tuple[str, ...] | None


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
        current = payment or self._first_seen(seen)
        if current.slot is not None:
            return Adoption(
                stored=payment, base=current, imports=(), current=current, snapshot=None
            )
        unclaimed = [movement for movement in listed if movement.id not in claimed]
        importing = Import(
            stage=self.stage,
            key=seen.key,
            payment_record=seen.record.id,
            first_seen_ms=None if payment is None else payment.first_seen_ms,
            now_ms=self.clock.now_ms(),
        )
        imports = tuple(
            importing.refund_of(movement, contradicts=self._contradicted(current, movement))
            for movement in unclaimed
            if is_importable(movement, current.currency)
        )
        base = current
        for refund in imports:
            current = _with_import(current, refund)
        return Adoption(
            stored=payment,
            base=base,
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
            stored = self._write(stored, stored or adoption.base, some, seen)
        revision = 0 if stored is None else stored.revision
        current = replace(adoption.current, revision=revision)
        return replace(adoption, stored=stored, imports=(), current=current)

    def _first_seen(self, seen: Sighting) -> Payment:
        """The payment as it starts in the ledger."""
        return Payment(
            key=seen.key,
            payment_record=seen.record.id,
            currency=seen.record.currency,
            captured=seen.record.captured,
            first_seen_ms=self.clock.now_ms(),
        )

    def _contradicted(self, payment: Payment, movement: Movement) -> str | None:
        """The refund that failed without evidence and may be this movement after all, if any."""
        for refund_id in payment.doubtful:
            failed = self.ledger.refund(refund_id)
            if failed is not None and failed.amount == movement.money.amount:
                self.trail.note("movement_contradicts", movement=movement.id, failed=failed.id)
                return failed.id
        return None

    def _write(
        self, stored: Payment | None, base: Payment, imports: Sequence[Refund], seen: Sighting
    ) -> Payment:
        claims: list[Claim] = []
        if stored is None:
            claims.append(RecordClaim(seen.record.id, seen.key))
        after = base
        for refund in imports:
            after = _with_import(after, refund)
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
            in_book=record.amount_refunded
            - payment.booked
            - payment.report_due_amount
            - payment.report_failed_amount,
            on_charge=_unlisted(payment, seen),
        )


def _with_import(payment: Payment, refund: Refund) -> Payment:
    return no_longer_foreign(follow(payment, None, refund), refund)


def _unlisted(payment: Payment, seen: Sighting) -> int:
    """What the charge shows as refunded that cannot be imported, since it lists nothing readable.

    A pending refund of ours is not in the processor's sum, so only what succeeded is ours there.
    """
    if seen.charge is None or seen.charge.movements is not None:
        return 0
    return seen.charge.refunded - payment.moved


def _snapshot(
    unclaimed: Sequence[Movement], imports: Sequence[Refund], seen: Sighting
) -> tuple[str, ...] | None:
    if seen.charge is None or seen.charge.movements is None:
        return None
    imported = {refund.processor_refund_id for refund in imports}
    return tuple(movement.id for movement in unclaimed if movement.id not in imported)
