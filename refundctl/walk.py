"""Reads the ledger by time: refunds that are open, however old, and refunds made since a moment.

The indexes, which lag behind, give the ids; each refund is then read from the table itself.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import DUE_SHARDS, Ledger
from refund_bridge.ports.listing import Listing, OfMonth, OfPayment, Position, Selection
from refundctl.facts import is_stuck

PLACES_PER_QUERY = 100
# At most this many refunds of each shard are read, those due first: 8,000 in all.
OPEN_PER_SHARD = 1000
# Of a shard that has more, this many of them are read from the other end: those due last.
LAST_PER_SHARD = 50
# The processor's clock dates external refunds, and it may be ahead of ours.
AHEAD_MS = 86_400_000
# Later than any refund.
LAST_MS = 253_402_300_800_000


def open_refunds(ledger: Ledger, listing: Listing) -> list[Refund]:
    """The refunds that are not at their end, oldest first.

    Each has a time of its next check, and stands in the index of these times. So does a refund that
    the processor took back, until a person has handled it. Refunds that have ended also stand there
    for some weeks, since a processor may take one back; they are left out.
    """
    ids, _ = due_ids(ledger, OPEN_PER_SHARD)
    stuck = (one for one in listing.refunds(ids).values() if is_stuck(one))
    return sorted(stuck, key=lambda one: (one.created_at_ms, one.id))


class DueRows(Protocol):
    """The part of `ports.ledger.Ledger` that reads the index of next checks."""

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        """As in `ports.ledger.Ledger`."""


def due_ids(ledger: DueRows, per_shard: int) -> tuple[list[str], bool]:
    """The ids in the index of next checks, and whether these are all.

    At most ``per_shard`` of each shard: those due first. If a shard has more, some of them are from
    its other end, where the refunds stand that only a person can act on.
    """
    ids: dict[str, None] = {}
    is_all = True
    for shard in range(DUE_SHARDS):
        due = ledger.due(shard, before_ms=LAST_MS, limit=per_shard + 1)
        if len(due) > per_shard:
            is_all = False
            last = ledger.due(shard, before_ms=LAST_MS, limit=LAST_PER_SHARD, newest_first=True)
            due = [*due[: per_shard - LAST_PER_SHARD], *last]
        ids |= dict.fromkeys(due)
    return list(ids), is_all


def made_between(
    listing: Listing, since_ms: int, until_ms: int, status: str | None = None
) -> Iterator[list[Refund]]:
    """The refunds created between two moments, newest first, some at a time."""
    for month in months(since_ms, until_ms):
        selection = OfMonth(month, status)
        yield from selected(listing, selection, since_ms=since_ms, until_ms=until_ms)


def of_payment(listing: Listing, key: PaymentKey) -> list[Refund]:
    """All refunds of a payment, newest first."""
    return [refund for some in selected(listing, OfPayment(key)) for refund in some]


def selected(
    listing: Listing, selection: Selection, *, since_ms: int = 0, until_ms: int = LAST_MS
) -> Iterator[list[Refund]]:
    """The selected refunds, newest first, some at a time."""
    # A position without a refund's id stands before all refunds of its moment.
    after, before = Position(since_ms), Position(until_ms)
    while True:
        places = listing.newest(selection, after=after, before=before, limit=PLACES_PER_QUERY)
        yield _read(listing, [place.refund_id for place in places])
        if len(places) < PLACES_PER_QUERY:
            return
        before = places[-1]


def months(since_ms: int, until_ms: int) -> Iterator[str]:
    """The months of UTC between two moments, newest first."""
    if until_ms <= since_ms:
        return
    (year, month), first = _month(until_ms), _month(since_ms)
    while (year, month) >= first:
        yield f"{year:04d}-{month:02d}"
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)


def _month(at_ms: int) -> tuple[int, int]:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return moment.year, moment.month


def _read(listing: Listing, ids: Sequence[str]) -> list[Refund]:
    stored = listing.refunds(ids) if ids else {}
    return [stored[refund_id] for refund_id in ids if refund_id in stored]
