"""Check every row of a batch at Stripe and at the processor, and send nothing."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from refund_bridge.adapters.providers.pace import Pace
from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.errors import (
    IdempotencyKeyReusedError,
    ProcessorUnavailableError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import LedgerUnavailableError
from refundctl.exits import CommandError
from refundctl.facts import money
from refundctl.output import Advance
from refundctl.refunding.asking import Result, Told, told_of
from refundctl.refunding.batch import KeyedRow
from refundctl.refunding.preview import Preview, preview
from refundctl.refunding.results import ResultFile
from refundctl.world import World

NOT_CHECKED: Final = Told(Result.UNKNOWN, "not_checked", "It was stopped before. Run it again.")
THREADS: Final = 6
Look = Callable[[Sequence[KeyedRow]], Iterator[tuple[KeyedRow, Preview | Exception]]]
_SILENT: Final = (ProcessorUnavailableError, StripeUnavailableError, LedgerUnavailableError)


def check_all(
    world: World,
    rows: Sequence[KeyedRow],
    results: ResultFile,
    advance: Advance,
    *,
    per_second: int,
) -> None:
    """Write for each row what a real run would do; rows of one payment are added up.

    `pending` with the code `checked` means that a real run would ask for the refund. A row whose
    key is in the ledger is not checked again: the result is that refund's, or that the key was used
    for another refund.
    """
    taken: Counter[PaymentKey] = Counter()
    with looking(world, per_second) as look:
        for start in range(0, len(rows), THREADS):
            portion = rows[start : start + THREADS]
            known = world.listing.refunds([one.refund_id for one in portion])
            fresh = [one for one in portion if one.refund_id not in known]
            for row in portion:
                if row.refund_id in known:
                    results.put(row, told_of_known(row, known[row.refund_id]))
                    advance(1)
            for row, seen in look(fresh):
                results.put(row, _told(seen, taken))
                advance(1)


@contextmanager
def looking(world: World, per_second: int) -> Iterator[Look]:
    """A function that reads the payments of rows, some at the same time and at a limited rate.

    It writes nothing.
    """
    pace = Pace(per_second)

    def look(row: KeyedRow) -> tuple[KeyedRow, Preview | Exception]:
        pace.wait()
        try:
            return row, preview(world, row.wish)
        except (RefundBridgeError, LedgerUnavailableError, CommandError) as error:
            return row, error

    with ThreadPoolExecutor(THREADS, "check") as pool:
        yield lambda rows: pool.map(look, rows)


def told_of_error(error: Exception) -> Told:
    """The result of a row whose payment could not be read, or not be refunded as the row says."""
    if isinstance(error, _SILENT):
        return Told(Result.UNKNOWN, "not_checked", str(error))
    if isinstance(error, RefundBridgeError):
        return Told(Result.REFUSED, error.code, error.message)
    return Told(Result.REFUSED, "refused", str(error))


def told_of_known(row: KeyedRow, refund: Refund) -> Told:
    """The result of a row whose key names a refund; refused if the row wants another refund."""
    wish = row.wish if row.wish.amount is not None else row.wish.with_amount_of(refund)
    if wish.is_of(refund):
        return told_of(refund_object(refund, None))
    return Told(
        Result.REFUSED,
        IdempotencyKeyReusedError.code,
        f"Its key was used for another refund: {refund.id}.",
    )


def _told(seen: Preview | Exception, taken: "Counter[PaymentKey]") -> Told:
    if isinstance(seen, Exception):
        return told_of_error(seen)
    key, left = seen.located.key, seen.payment.refundable - taken[seen.located.key]
    currency = seen.payment.currency
    amount = left if seen.wish.amount is None else seen.wish.amount
    if amount > left or left <= 0:
        return Told(
            Result.REFUSED,
            "refund_amount_exceeded",
            f"{money(amount, currency)} is more than the {money(max(0, left), currency)} left, "
            "rows before it included.",
        )
    taken[key] += amount
    return Told(Result.PENDING, "checked", f"It would refund {money(amount, currency)}.")
