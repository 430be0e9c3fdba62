"""The rows of a file with their idempotency keys, and what the ledger remembers of their batch.

A key is given in the row, or made of the batch's name, the row's digest and its number among equal
rows. It never depends on the file's name or the row's position, so that a file that is sorted, gets
more rows or is saved under another name still names the same refunds.
"""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.refund import refund_id_of
from refund_bridge.ports.batches import Batch, BatchRow
from refund_bridge.ports.ledger import LedgerConflictError
from refundctl.exits import MisusedError, RefusedError
from refundctl.facts import money
from refundctl.refunding.csv_rows import Row
from refundctl.refunding.wish import Wish
from refundctl.world import World

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
SHOWN: Final = 10
WRITE_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class KeyedRow:
    """A row, its idempotency key, and the id of the refund that this key names.

    Attributes:
        amount_fixed: for a row that says `all`: its wish with the amount that was shown. The row
            itself stays as in the file, so that its key and its digest do not change.
    """

    row: Row
    key: str
    refund_id: str
    amount_fixed: Wish | None = None

    @property
    def wish(self) -> Wish:
        """The wish that is sent."""
        return self.amount_fixed or self.row.wish

    @property
    def kept(self) -> BatchRow:
        """What the ledger remembers of the row."""
        body = json.dumps(self.row.wish.body, sort_keys=True).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:8])
        return BatchRow(self.refund_id, digest.decode().rstrip("="))


def keyed(rows: Sequence[Row], name: str, stage: str, *, allow_equal: bool) -> list[KeyedRow]:
    """The rows under their keys.

    Raises:
        MisusedError: the text cannot be a batch's name.
        RefusedError: two rows have the same key; or two rows are equal, at least one of them has no
            key, and equal rows are not allowed.
    """
    if not NAME.fullmatch(name):
        raise MisusedError("--batch: letters, digits, . _ and -, at most 64.")
    seen: Counter[str] = Counter()
    found: dict[str, KeyedRow] = {}
    first: dict[str, int] = {}
    problems: list[str] = []
    for row in rows:
        digest = row.wish.digest
        seen[digest] += row.key is None
        key = row.key or f"bulk:{name}:{digest}:{seen[digest]}"
        if key in found:
            problems.append(f"lines {found[key].row.line} and {row.line} have the key {key!r}")
            continue
        is_equal = digest in first and (row.key is None or seen[digest] > 0)
        if is_equal and not allow_equal:
            problems.append(f"lines {first[digest]} and {row.line} are equal")
        first.setdefault(digest, row.line)
        found[key] = KeyedRow(row, key, refund_id_of(key, stage))
    if problems:
        told = "; ".join(problems[:SHOWN])
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise RefusedError(
            f"{told}{more}. Give each refund a key of its own in a column 'key'; or, if equal rows "
            "are meant as refunds of their own, say --allow-equal-rows."
        )
    return list(found.values())


@dataclass(frozen=True)
class Difference:
    """How the file differs from the batch of that name that the ledger remembers."""

    stored: Batch
    added: Sequence[KeyedRow]
    changed: Sequence[KeyedRow]
    missing: Sequence[BatchRow]

    def lines(self, world: World) -> list[str]:
        """The difference in words; rows that are missing are told by their refunds, if made."""
        told = [f"+ line {one.row.line}: {_words(one)}" for one in self.added[:SHOWN]]
        told += [f"~ line {one.row.line}: {_words(one)}" for one in self.changed[:SHOWN]]
        gone = [one.refund_id for one in self.missing[:SHOWN]]
        made = world.listing.refunds(gone) if gone else {}
        for one in gone:
            refund = made.get(one)
            what = "was not asked for yet"
            if refund is not None:
                amount = money(refund.amount, refund.currency)
                what = f"{amount} of {refund.payment_record}: {refund.public_status}"
            told.append(f"- {one}: {what}")
        counts = f"{len(self.added)} new, {len(self.changed)} changed, {len(self.missing)} missing"
        return [f"The batch {self.stored.name} held other rows: {counts}.", *told]


def difference(rows: Sequence[KeyedRow], stored: Batch | None) -> Difference | None:
    """How the rows differ from the stored batch; `None` if they do not, or the batch is new."""
    if stored is None:
        return None
    before = {one.refund_id: one.digest for one in stored.rows}
    now = {one.refund_id: one for one in rows}
    added = [one for one in rows if one.refund_id not in before]
    changed = [
        one for one in rows if one.refund_id in before and before[one.refund_id] != one.kept.digest
    ]
    missing = [one for one in stored.rows if one.refund_id not in now]
    if not (added or changed or missing):
        return None
    return Difference(stored, added, changed, missing)


def keep(
    world: World, name: str, rows: Sequence[KeyedRow], stored: Batch | None, actor: str
) -> None:
    """Store the batch in the ledger before any of its rows is sent.

    Raises:
        RefusedError: meanwhile somebody else stored other rows under that name.
    """
    if stored is not None and difference(rows, stored) is None:
        return
    batch = Batch(
        name=name,
        rows=tuple(one.kept for one in rows),
        actor=actor,
        at_ms=world.clock.now_ms(),
        revision=0 if stored is None else stored.revision,
    )
    try:
        world.batches.keep(batch)
    except LedgerConflictError:
        # Somebody else runs a file of this batch now: harmless if both files have the same rows.
        latest = world.batches.batch(name)
        if latest is None or difference(rows, latest) is not None:
            raise RefusedError(
                f"Somebody else has given {name} other rows; run it again."
            ) from None


def _words(one: KeyedRow) -> str:
    cells: Mapping[str, str] = one.row.cells
    return " ".join(cells[name] for name in ("payment", "amount", "currency") if cells.get(name))
