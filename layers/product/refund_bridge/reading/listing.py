"""Lists refunds, newest first, a page at a time.

An index says which refunds there may be, and each is then read from the ledger itself. So a page
has refunds as they are now, and none whose status has changed since. The index keeps refunds of one
payment, PaymentIntent or Invoice together. A list of all refunds, or of one status, is put together
from months, so it spans at most ``SPAN_MS``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Final

from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import STRIPE, Refund
from refund_bridge.ports.ledger import Ledger, LedgerUnavailableError
from refund_bridge.ports.listing import (
    FIRST_PLACE,
    LAST_MS,
    LAST_PLACE,
    Listing,
    OfInvoice,
    OfMonth,
    OfPayment,
    OfPaymentIntent,
    Position,
    Selection,
)
from refund_bridge.ports.runtime import Clock

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 10
SPAN_DAYS: Final = 366
DAY_MS: Final = 86_400_000
SPAN_MS: Final = SPAN_DAYS * DAY_MS
# The limits of a list by a property that no index has.
PICKED_SPAN_DAYS: Final = 31
PICKED_READS_MAX: Final = 50
# An external refund is dated by the processor's clock, which may be ahead of ours.
AHEAD_MS: Final = DAY_MS
# The largest page, and one refund more, which tells whether another page follows.
PLACES_PER_QUERY: Final = LIMIT_MAX + 1
# The most reads; each reads at most 101 refunds. A second one is needed only if the index shows
# refunds whose status has changed since.
READS_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a caller wants to see; at most one of the first four is set.

    ``payment_intent`` and ``invoice`` mean the payment to which they led, with all of its refunds.

    Attributes:
        charge: the charge of a payment that Stripe itself took.
        statuses: the current statuses to show; empty: all.
        amount: minor units; this and the next three must be equal to the refund's.
        created_after_ms: Unix milliseconds, excluded.
        created_before_ms: Unix milliseconds, excluded.
        starting_after: id of the refund after which the page begins: the last of the page before.
        ending_before: id of the refund before which the page ends: the first of the page after.
            Not beside ``starting_after``.
    """

    payment_record: str | None = None
    payment_intent: str | None = None
    invoice: str | None = None
    charge: str | None = None
    statuses: tuple[str, ...] = ()
    amount: int | None = None
    currency: str | None = None
    processor: str | None = None
    reason: str | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    limit: int = LIMIT_DEFAULT
    starting_after: str | None = None
    ending_before: str | None = None

    @property
    def is_of_one(self) -> bool:
        """Whether it is the list of one payment, PaymentIntent or Invoice."""
        return {self.payment_record, self.payment_intent, self.invoice, self.charge} != {None}

    @property
    def is_picked_out(self) -> bool:
        """Whether it filters by a property that no index has, so refunds are read to filter."""
        picked = (self.amount, self.currency, self.processor, self.reason)
        return picked != (None, None, None, None)

    def selects(self, refund: Refund) -> bool:
        """Whether the filters accept the refund as it is now; its payment is not compared."""
        return (
            (not self.statuses or refund.public_status in self.statuses)
            and self.amount in (None, refund.amount)
            and self.currency in (None, refund.currency)
            and self.processor in (None, refund.processor)
            and self.reason in (None, refund.request.reason)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Refunds as they are now, newest first, with their payments.

    Attributes:
        has_more: whether at least one refund follows the last; for a page that ends at a cursor,
            whether one comes before the first.
        ends_at_cursor: whether the caller named the refund that comes after the page.
    """

    refunds: Sequence[Refund]
    payments: Mapping[PaymentKey, Payment]
    has_more: bool
    ends_at_cursor: bool = False


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a listing between two places, both excluded."""

    after: Position
    before: Position


_ALL: Final = _Window(FIRST_PLACE, LAST_PLACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRefunds:
    """Lists refunds; writes nothing and reads only the ledger."""

    ledger: Ledger
    listing: Listing
    clock: Clock

    def __call__(self, query: ListQuery) -> Page:
        """Read the page that the query asks for.

        A page of one payment takes at most 6 round trips, one of a PaymentIntent or Invoice two
        more; any other one takes one more for each month and status that it reads (at most 14
        months), and 20 more only if the status of a thousand refunds is changing at this moment. A
        filter that no index has is applied to at most ``PICKED_READS_MAX`` times 100 refunds.

        Raises:
            InvalidRequestError: the cursor names no refund of this list, the span is too wide, or
                it has more refunds than may be searched.
            LedgerUnavailableError: the ledger could not be read, or its index is far behind.
        """
        window = self._window(query)
        keys = self._payments_named(query)
        if query.starting_after is not None:
            cursor = self._cursor(keys, "starting_after", query.starting_after)
            window = replace(window, before=min(window.before, cursor))
        if query.ending_before is not None:
            cursor = self._cursor(keys, "ending_before", query.ending_before)
            window = replace(window, after=max(window.after, cursor))
        return self._page(_selections(query, keys, window), window, query)

    def newest_of(self, key: PaymentKey) -> Page:
        """The newest ``LIMIT_MAX`` refunds of a payment, in at most four round trips.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        return self._page([[OfPayment(key)]], _ALL, ListQuery(limit=LIMIT_MAX))

    def _payments_named(self, query: ListQuery) -> Collection[PaymentKey] | None:
        """The payments that the query's reference leads to, as far as the ledger knows.

        ``None``: it has no reference. Every refund that was asked for by a reference stores it.
        """
        if query.payment_record is not None:
            key = self.ledger.payment_of_record(query.payment_record)
            return () if key is None else (key,)
        if query.charge is not None:
            return (PaymentKey(STRIPE, query.charge),)
        selection: Selection
        if query.payment_intent is not None:
            selection = OfPaymentIntent(query.payment_intent)
        elif query.invoice is not None:
            selection = OfInvoice(query.invoice)
        else:
            return None
        places = self.listing.newest(
            selection, after=FIRST_PLACE, before=LAST_PLACE, limit=LIMIT_MAX
        )
        asked = self.listing.refunds([place.refund_id for place in places]) if places else {}
        return dict.fromkeys(map(payment_key_of, asked.values()))

    def _window(self, query: ListQuery) -> _Window:
        after_ms, before_ms = query.created_after_ms, query.created_before_ms
        if query.is_of_one:
            after = _ALL.after if after_ms is None else _place(after_ms + 1)
            return _Window(after, _ALL.before if before_ms is None else _place(before_ms))
        now_ms = self.clock.now_ms()
        last_ms = now_ms + AHEAD_MS
        before_ms = last_ms if before_ms is None else min(before_ms, last_ms)
        end_ms = min(before_ms, now_ms)
        start_ms = end_ms - SPAN_MS if after_ms is None else after_ms
        days = PICKED_SPAN_DAYS if query.is_picked_out else SPAN_DAYS
        if query.is_picked_out and after_ms is None:
            raise _refused(
                "created_after", f"must be given, at most {days} days before created_before, or now"
            )
        if end_ms - start_ms > days * DAY_MS:
            raise _refused(
                "created_after", f"is more than {days} days before created_before, or now"
            )
        return _Window(_place(start_ms + 1), _place(before_ms))

    def _cursor(
        self, keys: Collection[PaymentKey] | None, parameter: str, refund_id: str
    ) -> Position:
        """The place of the refund after which the page begins, or before which it ends.

        Its status is not compared: it may have changed since the page before.
        """
        refund = self.ledger.refund(refund_id)
        if refund is None:
            raise _refused(parameter, "names no refund")
        if keys is not None and payment_key_of(refund) not in keys:
            raise _refused(parameter, "names a refund that is not of this list")
        return Position(refund.created_at_ms, refund.id)

    def _page(
        self, selections: Sequence[Sequence[Selection]], window: _Window, query: ListQuery
    ) -> Page:
        ends_at_cursor, limit = query.ending_before is not None, query.limit
        walk = self._oldest_first if ends_at_cursor else self._newest_first
        places = walk(selections, window)
        found: list[Refund] = []
        step = limit + 1
        for _ in range(PICKED_READS_MAX if query.is_picked_out else READS_MAX):
            some = [place.refund_id for place in islice(places, step)]
            stored = self.listing.refunds(some) if some else {}
            there = (stored[refund_id] for refund_id in some if refund_id in stored)
            found += [refund for refund in there if query.selects(refund)]
            if len(found) > limit or len(some) < step:
                shown = found[:limit]
                return Page(
                    refunds=shown[::-1] if ends_at_cursor else shown,
                    payments=self._payments_of(shown),
                    has_more=len(found) > limit,
                    ends_at_cursor=ends_at_cursor,
                )
            step = LIMIT_MAX
        if query.is_picked_out:
            raise _refused("created_after", "leaves more refunds than are looked through")
        raise LedgerUnavailableError("the index shows too many refunds of another status")

    def _newest_first(
        self, selections: Sequence[Sequence[Selection]], window: _Window
    ) -> Iterator[Position]:
        """The places of all refunds of these selections, newest first, group by group."""
        for group in selections:
            yield from merge(*(self._newest_of(one, window) for one in group), reverse=True)

    def _newest_of(self, selection: Selection, window: _Window) -> Iterator[Position]:
        before = window.before
        while True:
            some = self.listing.newest(
                selection, after=window.after, before=before, limit=PLACES_PER_QUERY
            )
            yield from some
            if len(some) < PLACES_PER_QUERY:
                break
            before = some[-1]

    def _oldest_first(
        self, selections: Sequence[Sequence[Selection]], window: _Window
    ) -> Iterator[Position]:
        """As ``_newest_first``, oldest first."""
        for group in reversed(selections):
            yield from merge(*(self._oldest_of(one, window) for one in group))

    def _oldest_of(self, selection: Selection, window: _Window) -> Iterator[Position]:
        after = window.after
        while True:
            some = self.listing.oldest(
                selection, after=after, before=window.before, limit=PLACES_PER_QUERY
            )
            yield from some
            if len(some) < PLACES_PER_QUERY:
                break
            after = some[-1]

    def _payments_of(self, refunds: Sequence[Refund]) -> Mapping[PaymentKey, Payment]:
        keys = list(dict.fromkeys(map(payment_key_of, refunds)))
        return self.listing.payments(keys) if keys else {}


def _selections(
    query: ListQuery, keys: Collection[PaymentKey] | None, window: _Window
) -> Sequence[Sequence[Selection]]:
    """The selections that make up the list, newest first; those of one group are merged."""
    if keys is not None:
        return [[OfPayment(key) for key in keys]]
    statuses = query.statuses or (None,)
    return [[OfMonth(month, status) for status in statuses] for month in _months(window)]


def _months(window: _Window) -> Iterator[str]:
    """The months of UTC that the window touches, newest first."""
    if not window.after < window.before:
        return
    first, (year, month) = _month_of(window.after), _month_of(window.before)
    while (year, month) >= first:
        yield f"{year:04d}-{month:02d}"
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)


def _month_of(place: Position) -> tuple[int, int]:
    moment = datetime.fromtimestamp(place.created_at_ms // 1000, tz=UTC)
    return moment.year, moment.month


def _place(at_ms: int) -> Position:
    """The place just before all refunds of that millisecond; no refund is older than 1970."""
    return Position(max(0, min(at_ms, LAST_MS)))


def _refused(parameter: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError.at(
        parameter,
        reason,
        f"The parameter {parameter} {reason}.",
    )


def every_refund_of(listing: Listing, key: PaymentKey) -> tuple[Refund, ...]:
    """All refunds of the payment, as they are now; the newest may be missing from the index.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    found: dict[str, Refund] = {}
    before = Position(LAST_MS)
    while True:
        places = listing.newest(OfPayment(key), after=Position(0), before=before, limit=LIMIT_MAX)
        found |= listing.refunds([place.refund_id for place in places])
        if len(places) < LIMIT_MAX:
            return tuple(found.values())
        before = places[-1]
