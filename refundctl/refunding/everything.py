"""Fix the amounts of rows that say `all`, before a person agrees to them.

Exactly the amount that was shown is sent, even if the refundable balance changes later. A refund
that an earlier run has asked for keeps its amount.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from refund_bridge.domain.errors import PaymentNotRefundableError
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refundctl.output import Advance
from refundctl.refunding.asking import Result, Told
from refundctl.refunding.batch import KeyedRow
from refundctl.refunding.checking import Look, looking, told_of_error, told_of_known
from refundctl.refunding.preview import Preview
from refundctl.refunding.sending import LEDGER_BATCH
from refundctl.world import World

NOTHING_LEFT: Final = Told(
    Result.REFUSED,
    PaymentNotRefundableError.code,
    "Nothing is left to refund of this payment, rows before it included. It was not asked for.",
)


def fixed(
    world: World, rows: Sequence[KeyedRow], advance: Advance, *, per_second: int
) -> tuple[list[KeyedRow], Mapping[str, Told]]:
    """The rows, each with an amount; and why some rows cannot be sent, by their refunds' ids.

    Raises:
        LedgerUnavailableError: the ledger gave no answer.
    """
    if all(one.row.wish.amount is not None for one in rows):
        return list(rows), {}
    with looking(world, per_second) as look:
        fixing = _Fixing(world, look)
        done: list[KeyedRow] = []
        for start in range(0, len(rows), LEDGER_BATCH):
            some = rows[start : start + LEDGER_BATCH]
            done += fixing.portion(some)
            advance(len(some))
    return done, fixing.left_out


@dataclass
class _Fixing:
    """Reads refundable balances; rows of one payment are added up.

    Attributes:
        taken: the sum of earlier rows of the payment whose refunds are not made yet, minor units;
            by the payment's identity if it was read, else by the name that the row gives it.
        left_out: why a row cannot be sent: its payment was not read, its payment has no refundable
            balance, or its key names another refund.
    """

    world: World
    look: Look
    taken: Counter[str | PaymentKey] = field(default_factory=Counter)
    left_out: dict[str, Told] = field(default_factory=dict)

    def portion(self, rows: Sequence[KeyedRow]) -> list[KeyedRow]:
        """Fix the amounts of some rows, in their order."""
        known = self.world.listing.refunds([one.refund_id for one in rows])
        unread = [one for one in rows if one.row.wish.amount is None and one.refund_id not in known]
        seen = {row.refund_id: what for row, what in self.look(unread)}
        return [self._one(row, known.get(row.refund_id), seen.get(row.refund_id)) for row in rows]

    def _one(
        self, row: KeyedRow, known: Refund | None, seen: Preview | Exception | None
    ) -> KeyedRow:
        wish = row.row.wish
        if wish.amount is None and known is not None:
            if not wish.with_amount_of(known).is_of(known):
                self.left_out[row.refund_id] = told_of_known(row, known)
                return row
            return replace(row, amount_fixed=wish.with_amount_of(known))
        if seen is not None:
            return self._fixed(row, seen)
        self.taken[wish.payment] += 0 if known is not None else wish.amount or 0
        return row

    def _fixed(self, row: KeyedRow, seen: Preview | Exception) -> KeyedRow:
        if isinstance(seen, Exception):
            self.left_out[row.refund_id] = told_of_error(seen)
            return row
        wish, key = row.row.wish, seen.located.key
        left = seen.payment.refundable - self.taken[key] - self.taken[wish.payment]
        if left <= 0:
            self.left_out[row.refund_id] = NOTHING_LEFT
            return row
        self.taken[key] += left
        return replace(row, amount_fixed=replace(wish, amount=left, currency=seen.payment.currency))
