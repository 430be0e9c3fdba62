"""Listing in memory; tests/contract/ledger runs the same tests on it and on the real one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.listing import (
    FIRST_PLACE,
    LAST_PLACE,
    OfInvoice,
    OfMonth,
    OfPayment,
    OfPaymentIntent,
    Position,
    Selection,
)
from tests.fakes.ledger import MemoryLedger


class MemoryListing:
    """``ports.listing.Listing`` of what a ``MemoryLedger`` holds.

    Attributes:
        index: what the indexes show if they lag behind; ``None`` if they do not.
        round_trips: how many round trips there were.
    """

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self.index: Mapping[str, Refund] | None = None
        self.round_trips = 0

    def lag(self) -> None:
        """From now on, the indexes show nothing new."""
        self.index = dict(self._ledger.refunds)

    def newest(
        self, selection: Selection, *, after: Position, before: Position, limit: int
    ) -> Sequence[Position]:
        places = self._places(selection)
        return sorted((p for p in places if after < p < before), reverse=True)[:limit]

    def oldest(
        self,
        selection: Selection,
        *,
        after: Position = FIRST_PLACE,
        before: Position = LAST_PLACE,
        limit: int,
    ) -> Sequence[Position]:
        return sorted(p for p in self._places(selection) if after < p < before)[:limit]

    def count(self, selection: Selection) -> int:
        return len(self._places(selection))

    def _places(self, selection: Selection) -> list[Position]:
        self.round_trips += 1
        shown = self._ledger.refunds if self.index is None else self.index
        return [
            Position(refund.created_at_ms, refund.id)
            for refund in list(shown.values())
            if _is_selected(refund, selection)
        ]

    def refunds(self, refund_ids: Sequence[str]) -> Mapping[str, Refund]:
        self.round_trips += _chunks(len(refund_ids))
        stored = self._ledger.refunds
        return {one: stored[one] for one in refund_ids if one in stored}

    def payments(self, keys: Sequence[PaymentKey]) -> Mapping[PaymentKey, Payment]:
        self.round_trips += _chunks(len(keys))
        stored = self._ledger.payments
        return {key: stored[key] for key in keys if key in stored}


def _chunks(count: int) -> int:
    return -(-count // 100)


def _is_selected(refund: Refund, selection: Selection) -> bool:
    match selection:
        case OfPayment(key):
            return payment_key_of(refund) == key
        case OfPaymentIntent(payment_intent):
            return refund.payment_intent == payment_intent
        case OfInvoice(invoice):
            return refund.invoice == invoice
        case OfMonth(month, status):
            created = datetime.fromtimestamp(refund.created_at_ms // 1000, tz=UTC)
            return f"{created:%Y-%m}" == month and status in (None, refund.public_status)
