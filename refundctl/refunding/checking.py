"""Check every row of a batch at Stripe and at the processor, and send nothing."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from refundctl.exits import CommandError
from refundctl.facts import money
from refundctl.output import Advance
from refundctl.refunding.asking import Result, Told
from refundctl.refunding.batch import KeyedRow
from refundctl.refunding.preview import Preview, preview
from refundctl.refunding.results import ResultFile
from refundctl.world import World
from refunds.adapters.pace import Pace
from refunds.errors import (
    ProcessorUnavailableError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refunds.payment import PaymentKey
from refunds.ports import LedgerUnavailableError

NOT_CHECKED: Final = Told(Result.UNKNOWN, "not_checked", "It was stopped before. Run it again.")
THREADS: Final = 6
_SILENT: Final = (ProcessorUnavailableError, StripeUnavailableError, LedgerUnavailableError)


def check_all(
    world: World,
    rows: Sequence[KeyedRow],
    results: ResultFile,
    advance: Advance,
    *,
    per_second: int,
) -> None:
    """Write of each row what asking for it would come to; rows of one payment count together.

    `pending` says that it would be asked for; what the ledger knows is not checked again.
    """
    pace = Pace(per_second)
    taken: Counter[PaymentKey] = Counter()

    def look(row: KeyedRow) -> tuple[KeyedRow, Preview | Exception]:
        pace.wait()
        try:
            return row, preview(world, row.row.wish)
        except (RefundBridgeError, LedgerUnavailableError, CommandError) as error:
            return row, error

    with ThreadPoolExecutor(THREADS, "check") as pool:
        for start in range(0, len(rows), THREADS):
            portion = rows[start : start + THREADS]
            known = world.listing.refunds([one.refund_id for one in portion])
            fresh = [one for one in portion if one.refund_id not in known]
            for row in portion:
                if row.refund_id in known:
                    status = known[row.refund_id].public_status
                    results.put(row, Told(Result.PENDING, "known", f"It was made: {status}."))
                    advance(1)
            for row, seen in pool.map(look, fresh):
                results.put(row, _told(seen, taken))
                advance(1)


def _told(seen: Preview | Exception, taken: "Counter[PaymentKey]") -> Told:
    if isinstance(seen, _SILENT):
        return Told(Result.UNKNOWN, "not_checked", str(seen))
    if isinstance(seen, RefundBridgeError):
        return Told(Result.REFUSED, seen.code, seen.message)
    if isinstance(seen, Exception):
        return Told(Result.REFUSED, "refused", str(seen))
    key, left = seen.seen.key, seen.payment.refundable - taken[seen.seen.key]
    amount = left if seen.wish.amount is None else seen.wish.amount
    currency = seen.payment.currency
    if amount > left or left <= 0:
        return Told(
            Result.REFUSED,
            "refund_amount_exceeded",
            f"{money(amount, currency)} is more than the {money(max(0, left), currency)} that the "
            "rows before it leave.",
        )
    taken[key] += amount
    return Told(Result.PENDING, "checked", f"It would refund {money(amount, currency)}.")
