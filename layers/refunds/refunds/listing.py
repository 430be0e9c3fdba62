"""Lists refunds, newest first, a page at a time.

An index says which refunds there may be, and each is then read from the ledger itself: a page holds
refunds as they are now, and none whose status has become another since. Refunds of one payment,
PaymentIntent or Invoice stand together in the index; a list of all, or of one status, is put
together from months, and so spans at most ``SPAN_MS``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from refunds.errors import InvalidRequestError
from refunds.payment import Payment, PaymentKey, payment_key_of
from refunds.ports import (
    FIRST_PLACE,
    LAST_MS,
    LAST_PLACE,
    Clock,
    Ledger,
    LedgerUnavailableError,
    Listing,
    OfInvoice,
    OfMonth,
    OfPayment,
    OfPaymentIntent,
    Position,
    Selection,
)
from refunds.refund import STRIPE, Refund

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 10
SPAN_DAYS: Final = 366
SPAN_MS: Final = SPAN_DAYS * 86_400_000
# A refund that others made is dated by the processor's clock, which may be ahead of ours.
AHEAD_MS: Final = 86_400_000
# The largest page, and the one refund more that tells whether another page follows.
PLACES_PER_QUERY: Final = LIMIT_MAX + 1
# Each reads at most 101 refunds. A second is needed only where the index shows refunds whose status
# has changed since.
READS_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a caller wants to see; at most one of the first five is set.

    Attributes:
        charge: of a payment that Stripe itself took.
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
    status: str | None = None
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
    def is_of_payment(self) -> bool:
        """Whether it is the list of one payment, whichever way it was asked for."""
        return {self.payment_record, self.charge} != {None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Refunds as they are now, newest first, with their payments.

    Attributes:
        has_more: whether at least one refund follows the last; or, of a page that ends at a cursor,
            goes before the first.
        ends_at_cursor: whether it was asked for by the refund that comes after it.
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
    """Lists refunds; nothing is written and nobody but the ledger is asked."""

    ledger: Ledger
    listing: Listing
    clock: Clock

    def __call__(self, query: ListQuery) -> Page:
        """The page that is asked for.

        A page of one payment, PaymentIntent or Invoice takes at most 6 round trips; any other one
        takes one more for each month that it looks into (at most 14), and 20 more only where the
        status of a thousand refunds is changing at this moment.

        Raises:
            InvalidRequestError: the cursor names no refund of this list, or the span is too wide.
            LedgerUnavailableError: the ledger could not be read, or its index is far behind.
        """
        window = self._window(query)
        key = self._payment_of(query)
        if query.starting_after is not None:
            cursor = self._cursor(query, key, "starting_after", query.starting_after)
            window = replace(window, before=min(window.before, cursor))
        if query.ending_before is not None:
            cursor = self._cursor(query, key, "ending_before", query.ending_before)
            window = replace(window, after=max(window.after, cursor))
        return self._page(
            _selections(query, key, window),
            window,
            query.limit,
            query.status,
            ends_at_cursor=query.ending_before is not None,
        )

    def _payment_of(self, query: ListQuery) -> PaymentKey | None:
        """The payment that is listed; ``None`` if none is, or the ledger does not know it."""
        if query.charge is not None:
            return PaymentKey(STRIPE, query.charge)
        record = query.payment_record
        return None if record is None else self.ledger.payment_of_record(record)

    def newest_of(self, key: PaymentKey) -> Page:
        """The newest ``LIMIT_MAX`` refunds of a payment, in at most four round trips.

        Raises:
            LedgerUnavailableError: the ledger could not be read.
        """
        return self._page([OfPayment(key)], _ALL, LIMIT_MAX)

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
        if end_ms - start_ms > SPAN_MS:
            raise _refused(
                "created_after", f"is more than {SPAN_DAYS} days before created_before, or now"
            )
        return _Window(_place(start_ms + 1), _place(before_ms))

    def _cursor(
        self, query: ListQuery, key: PaymentKey | None, parameter: str, refund_id: str
    ) -> Position:
        """Where the refund stands that the page begins after, or ends before.

        Its status is not compared: it may have changed since the page before.
        """
        refund = self.ledger.refund(refund_id)
        if refund is None:
            raise _refused(parameter, "names no refund")
        if query.is_of_payment:
            belongs = payment_key_of(refund) == key
        else:
            belongs = query.payment_intent in (None, refund.payment_intent)
            belongs = belongs and query.invoice in (None, refund.invoice)
        if not belongs:
            raise _refused(parameter, "names a refund that is not of this list")
        return Position(refund.created_at_ms, refund.id)

    def _page(
        self,
        selections: Sequence[Selection],
        window: _Window,
        limit: int,
        status: str | None = None,
        *,
        ends_at_cursor: bool = False,
    ) -> Page:
        walk = self._oldest_first if ends_at_cursor else self._newest_first
        places = walk(selections, window)
        found: list[Refund] = []
        step = limit + 1
        for _ in range(READS_MAX):
            some = [place.refund_id for place in islice(places, step)]
            stored = self.listing.refunds(some) if some else {}
            there = (stored[refund_id] for refund_id in some if refund_id in stored)
            found += [refund for refund in there if status in (None, refund.public_status)]
            if len(found) > limit or len(some) < step:
                shown = found[:limit]
                return Page(
                    refunds=shown[::-1] if ends_at_cursor else shown,
                    payments=self._payments_of(shown),
                    has_more=len(found) > limit,
                    ends_at_cursor=ends_at_cursor,
                )
            step = LIMIT_MAX
        raise LedgerUnavailableError("the index shows too many refunds of another status")

    def _newest_first(self, selections: Sequence[Selection], window: _Window) -> Iterator[Position]:
        """Where all refunds of these selections stand, one selection after the other."""
        for selection in selections:
            before = window.before
            while True:
                some = self.listing.newest(
                    selection, after=window.after, before=before, limit=PLACES_PER_QUERY
                )
                yield from some
                if len(some) < PLACES_PER_QUERY:
                    break
                before = some[-1]

    def _oldest_first(self, selections: Sequence[Selection], window: _Window) -> Iterator[Position]:
        """The same from the other end."""
        for selection in reversed(selections):
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


def _selections(query: ListQuery, key: PaymentKey | None, window: _Window) -> Sequence[Selection]:
    """What the list is put together from, newest first."""
    if query.is_of_payment:
        return [] if key is None else [OfPayment(key)]
    if query.payment_intent is not None:
        return [OfPaymentIntent(query.payment_intent)]
    if query.invoice is not None:
        return [OfInvoice(query.invoice)]
    return [OfMonth(month, query.status) for month in _months(window)]


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
