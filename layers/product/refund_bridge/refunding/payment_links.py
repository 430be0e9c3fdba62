"""Which Payment Record books a payment, as far as the ledger goes: claimed, given, taken away.

A Payment Record belongs to one payment. A link under which no money moved may have been a mistake,
and gives way to what Stripe's metadata say later.
"""

from dataclasses import dataclass, replace

from refund_bridge.domain.payment import Payment
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.ports.ledger import Ledger, PaymentWrite, RecordClaim
from refund_bridge.ports.runtime import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLinks:
    """Lets a record go from a payment under which no money moved to the one that it books."""

    ledger: Ledger
    telemetry: Telemetry

    def mended(self, seen: PaymentSnapshot) -> PaymentSnapshot | None:
        """What was seen, whose record may take the place of a link under which no money moved.

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
        """The payment that loses its record to the one that was seen, if there is one.

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
    """The claim on a Payment Record that the payment gets by this write, if it gets one."""
    record = after.payment_record
    if record is None or (stored is not None and stored.payment_record == record):
        return ()
    return (RecordClaim(record, after.key, seen.instead_of),)


def linked(stored: Payment, seen: PaymentSnapshot) -> Payment:
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
