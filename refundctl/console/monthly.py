"""Refunds month by month, over a year: each currency by itself, never added up.

The share is a share of the refunded payments. The ledger has no other payments, so it cannot tell
which share of all sales was refunded.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refundctl.console.activity import in_batches, newest_since
from refundctl.console.sources import Sources
from refundctl.facts import standing
from refundctl.walk import months

MONTHS: Final = 12
# Five times what the other charts read: the result is kept much longer, so it is read less often.
READ_MAX: Final = 10_000
REASONS_SHOWN: Final = 5
NO_REASON: Final = "none given"
FORGOTTEN: Final = "forgotten"


@dataclass(frozen=True)
class Month:
    """The refunds of one currency that were made in one month and moved money; minor units.

    Attributes:
        name: a month of UTC, such as `2024-02`.
        moved: the sum of the refunds.
        moved_of: the sum of those refunds whose payments' amounts are known.
        paid: what those payments captured, each payment counted once.
        reasons: how many refunds have each reason.
    """

    name: str
    count: int
    moved: int
    moved_of: int
    paid: int
    reasons: Mapping[str, int]

    @property
    def share_permille(self) -> int | None:
        """Which share of their payments the refunds gave back, rounded; `None`: no amount known."""
        return (self.moved_of * 2000 + self.paid) // (2 * self.paid) if self.paid else None


@dataclass(frozen=True)
class Year:
    """One currency, month by month.

    Attributes:
        months: the oldest first, those without a refund among them.
        reasons: what callers gave as reasons, with the number of refunds, the most frequent first.
        other_reasons: how many refunds have another reason.
    """

    currency: str
    months: Sequence[Month]
    reasons: Sequence[tuple[str, int]]
    other_reasons: int


@dataclass(frozen=True)
class Monthly:
    """What moved in the last twelve months.

    Attributes:
        reads_back_to_ms: where reading stopped; `None` if all was read.
        refunds_read: how many refunds were read, in whatever state.
    """

    years: Sequence[Year]
    at_ms: int
    refunds_read: int
    reads_back_to_ms: int | None


def monthly(sources: Sources) -> Monthly:
    """Read twelve months: a query a month, 100 batches of refunds and as many of payments at most.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    now_ms = sources.clock.now_ms()
    names = _names(now_ms)
    since_ms = int(datetime.fromisoformat(f"{names[0]}-01T00:00:00+00:00").timestamp()) * 1000
    read, reads_back_to_ms = newest_since(sources, since_ms, now_ms, READ_MAX)
    moved = [refund for refund in read if standing(refund) == State.SUCCEEDED]
    keys = list(dict.fromkeys(payment_key_of(one) for one in moved if one.refunded_payment))
    payments = in_batches(sources.listing.payments, keys)
    years = [
        _year(currency, [one for one in moved if one.currency == currency], names, payments)
        for currency in sorted({one.currency for one in moved})
    ]
    return Monthly(years, now_ms, len(read), reads_back_to_ms)


def _names(now_ms: int) -> Sequence[str]:
    """The months that are shown, the oldest first; the last month is not over yet."""
    year_ms = 366 * 86_400_000
    return list(months(now_ms - year_ms, now_ms))[:MONTHS][::-1]


def _year(
    currency: str,
    refunds: Sequence[Refund],
    names: Sequence[str],
    payments: Mapping[PaymentKey, Payment],
) -> Year:
    made: dict[str, list[Refund]] = {name: [] for name in names}
    for refund in refunds:
        # A refund that the processor's clock dates after now counts in the present month.
        made[min(_month_of(refund), names[-1])].append(refund)
    reasons = Counter(map(_reason_of, refunds))
    shown = reasons.most_common(REASONS_SHOWN)
    others = len(refunds) - sum(count for _, count in shown)
    return Year(
        currency, [_month(name, some, payments) for name, some in made.items()], shown, others
    )


def _month(name: str, refunds: Sequence[Refund], payments: Mapping[PaymentKey, Payment]) -> Month:
    known = [one for one in refunds if one.refunded_payment and payment_key_of(one) in payments]
    paid = {key: payments[key].captured for key in map(payment_key_of, known)}
    reasons = Counter(map(_reason_of, refunds))
    return Month(name, len(refunds), _sum(refunds), _sum(known), sum(paid.values()), reasons)


def _reason_of(refund: Refund) -> str:
    if "reason" in refund.request.forgotten:
        return FORGOTTEN
    return refund.request.reason or NO_REASON


def _sum(refunds: Iterable[Refund]) -> int:
    return sum(refund.amount for refund in refunds)


def _month_of(refund: Refund) -> str:
    return f"{datetime.fromtimestamp(refund.created_at_ms // 1000, UTC):%Y-%m}"
