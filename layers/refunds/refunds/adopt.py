"""Accounts for refunds that others made: in the processor's dashboard, or before this product.

A movement that the processor lists and no refund here claims is imported as a refund of its own, so
that headroom, listings and Stripe's book count it once and for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from refunds.evidence import is_made_by
from refunds.imports import Import, is_importable, owed_at_first_sight
from refunds.link import PaymentView
from refunds.outcome import claims_of
from refunds.payment import (
    Payment,
    follow,
    learn_arrival,
    learn_foreign,
    no_longer_foreign,
    revision_after,
)
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
from refunds.state_machine import ReportState

# A transaction takes at most 100 writes, and an import is two of them.
IMPORTS_PER_COMMIT: Final = 40


@dataclass(frozen=True, slots=True)
class Adoption:
    """What has to be written so that every readable movement on a charge is accounted for.

    Attributes:
        stored: the payment as it is in the ledger; ``None`` if it is not there yet.
        base: the same, or the payment as it will start; linked to its record in either case.
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

    def plan(
        self, view: PaymentView, *, since_ms: int | None = None, ordering: str | None = None
    ) -> Adoption:
        """The payment as it is now, and what would have to be imported; one look at the ledger.

        What a payment lists when it is first seen is taken to be in Stripe's book already; but with
        ``since_ms`` (Unix milliseconds) not what was made after it and Stripe does not show.
        ``ordering`` is the refund that is about to be sent: what its own order has moved before is
        nobody else's.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        listed = view.charge.movements or () if view.charge is not None else ()
        stored, claimed = self.ledger.payment_and_claims(
            view.key, [movement.id for movement in listed]
        )
        current = self._first_seen(view) if stored is None else _linked(stored, view)
        if view.charge is not None:
            current = learn_arrival(current, view.charge.arrival)
        if current.slot is not None:
            return Adoption(stored=stored, base=current, imports=(), current=current, snapshot=None)
        unclaimed = [
            movement
            for movement in listed
            if movement.id not in claimed and not is_made_by(movement, ordering)
        ]
        is_first = stored is None and since_ms is not None
        importing = Import(
            stage=self.stage,
            key=view.key,
            payment_record=current.payment_record,
            first_seen_ms=None if stored is None else stored.first_seen_ms,
            now_ms=self.clock.now_ms(),
            owed=owed_at_first_sight(unclaimed, view.in_book, since_ms or 0)
            if is_first
            else frozenset(),
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
            stored=stored,
            base=base,
            imports=imports,
            current=self._with_foreign(current, view),
            snapshot=_snapshot(unclaimed, imports, view),
        )

    def carry_out(self, adoption: Adoption) -> Adoption:
        """Write the imports, and the link of a payment that had none.

        On return they are durable, and the result has nothing left to write.

        Raises:
            ClaimConflictError, LedgerConflictError: something changed meanwhile; plan again.
            LedgerUnavailableError: an import may or may not be durable; planning again is safe.
        """
        stored, base = adoption.stored, adoption.base
        for start in range(0, len(adoption.imports), IMPORTS_PER_COMMIT):
            some = adoption.imports[start : start + IMPORTS_PER_COMMIT]
            stored = base = self._write(stored, base, some)
        if stored is not None and stored.payment_record != base.payment_record:
            stored = self._write(stored, base, ())
        revision = 0 if stored is None else stored.revision
        current = replace(adoption.current, revision=revision)
        return replace(adoption, stored=stored, imports=(), current=current)

    def _first_seen(self, view: PaymentView) -> Payment:
        """The payment as it starts in the ledger."""
        return Payment(
            key=view.key,
            payment_record=view.payment_record,
            currency=view.currency,
            captured=view.captured,
            first_seen_ms=self.clock.now_ms(),
        )

    def _contradicted(self, payment: Payment, movement: Movement) -> str | None:
        """The refund that failed without evidence and may be this movement after all, if any."""
        if movement.order_id is not None:
            return movement.order_id if movement.order_id in payment.doubtful else None
        for refund_id in payment.doubtful:
            failed = self.ledger.refund(refund_id)
            if failed is not None and failed.amount == movement.money.amount:
                return failed.id
        return None

    def _write(self, stored: Payment | None, base: Payment, imports: Sequence[Refund]) -> Payment:
        claims: list[Claim] = []
        if base.payment_record and (stored is None or stored.payment_record is None):
            claims.append(RecordClaim(base.payment_record, base.key))
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
            self._tell(refund)
        return replace(after, revision=revision_after(stored))

    def _tell(self, refund: Refund) -> None:
        self.trail.note(
            "refund_imported",
            refund_id=refund.id,
            amount=refund.amount,
            currency=refund.currency,
            adopted=refund.is_adopted,
        )
        if refund.contradicts is not None:
            movement, failed = refund.processor_refund_id, refund.contradicts
            self.trail.note("movement_contradicts", movement=movement, failed=failed)
        if refund.report.state is ReportState.FAILED:
            reason = refund.report.last_error
            self.trail.note("report_failed", refund_id=refund.id, reason=reason)

    def _with_foreign(self, payment: Payment, view: PaymentView) -> Payment:
        """The payment with what others refunded that no refund here stands for."""
        if view.in_book is not None and view.in_book < payment.booked:
            self.trail.note(
                "stripe_shows_less_than_ledger",
                payment_record=payment.payment_record,
                booked=payment.booked,
                amount_refunded=view.in_book,
            )
        return learn_foreign(payment, in_book=view.in_book, on_charge=_unlisted(payment, view))


def _with_import(payment: Payment, refund: Refund) -> Payment:
    return no_longer_foreign(follow(payment, None, refund), refund)


def _linked(stored: Payment, view: PaymentView) -> Payment:
    """The payment with the Payment Record that books it, if that has become known only now."""
    if stored.payment_record is not None or view.payment_record is None:
        return stored
    return replace(stored, payment_record=view.payment_record)


def _unlisted(payment: Payment, view: PaymentView) -> int:
    """What the charge shows as refunded that cannot be imported, since it lists nothing readable.

    A pending refund of ours is not in the processor's sum, so only what succeeded is ours there.
    """
    if view.charge is None or view.charge.movements is not None:
        return 0
    return view.charge.refunded - payment.moved


def _snapshot(
    unclaimed: Sequence[Movement], imports: Sequence[Refund], view: PaymentView
) -> tuple[str, ...] | None:
    if view.charge is None or view.charge.movements is None:
        return None
    imported = {refund.processor_refund_id for refund in imports}
    return tuple(movement.id for movement in unclaimed if movement.id not in imported)
