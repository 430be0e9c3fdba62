"""The links between payments and Payment Records in the ledger: set, moved, taken away.

A Payment Record belongs to one payment. A link under which no money moved may have been a mistake.
If Stripe's metadata later name another payment, that one gets the record.
"""

from dataclasses import dataclass, replace

from refund_bridge.domain.payment import Payment
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.ports.ledger import Ledger, PaymentWrite, RecordClaim
from refund_bridge.ports.runtime import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLinks:
    """Handles a Payment Record that the ledger has linked to another payment."""

    ledger: Ledger
    telemetry: Telemetry

    def mended(self, seen: PaymentSnapshot) -> PaymentSnapshot | None:
        """The snapshot, changed so that its payment takes the record from the other payment.

        Called when the claim of the record was refused. ``None``: the other payment keeps it.

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
        """The write that takes the record away from the other payment, if there is one.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        other = None if seen.instead_of is None else self.ledger.payment(seen.instead_of)
        if other is None or other.payment_record != seen.payment_record:
            return []
        return [PaymentWrite(other, replace(other, payment_record=None))]


def link_of(
    stored: Payment | None, after: Payment, seen: PaymentSnapshot
) -> tuple[RecordClaim, ...]:
    """The claim of a Payment Record, if this write gives the payment a new one."""
    record = after.payment_record
    if record is None or (stored is not None and stored.payment_record == record):
        return ()
    return (RecordClaim(record, after.key, seen.instead_of),)


def linked(stored: Payment, seen: PaymentSnapshot) -> Payment:
    """The payment with the snapshot's Payment Record and captured amount, where it may take them.

    A payment without a record takes both. So does one under which no money moved: its old link may
    have been a mistake. Otherwise the record stays; if the snapshot has the same record and the
    charge was read, the payment takes the captured amount, because the charge is certain.
    """
    if seen.payment_record is None:
        return stored
    if stored.payment_record == seen.payment_record:
        is_certain = seen.charge is not None or stored.is_unused
        return replace(stored, captured=seen.captured) if is_certain else stored
    if stored.payment_record is not None and not stored.is_unused:
        return stored
    return replace(stored, payment_record=seen.payment_record, captured=seen.captured)
