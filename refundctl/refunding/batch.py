"""A file's rows under their keys, and what the ledger knows of the batch that they are.

A key is the row's own, or made of the batch's name, the row's digest and which of equal rows it is:
never of the file's name or of a row's place, so that sorting, inserting or saving under another
name names the same refunds.
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
    """A row, the key that it is asked for with, and the refund that this names.

    Attributes:
        amount_fixed: of a row `all`: it for the amount that was shown. The row itself stays as the
            file has it, so that its key and what is remembered of it do not change.
    """

    row: Row
    key: str
    refund_id: str
    amount_fixed: Wish | None = None

    @property
    def wish(self) -> Wish:
        """What is asked for."""
        return self.amount_fixed or self.row.wish

    @property
    def kept(self) -> BatchRow:
        """What is remembered of it."""
        body = json.dumps(self.row.wish.body, sort_keys=True).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:8])
        return BatchRow(self.refund_id, digest.decode().rstrip("="))


def keyed(rows: Sequence[Row], name: str, stage: str, *, allow_equal: bool) -> list[KeyedRow]:
    """The rows under their keys.

    Raises:
        MisusedError: the name cannot be one.
        RefusedError: two rows have one key, or are equal, one of them without a key, and not meant
            so.
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
    """What a file says otherwise than the batch of its name, as the ledger remembers it."""

    stored: Batch
    added: Sequence[KeyedRow]
    changed: Sequence[KeyedRow]
    missing: Sequence[BatchRow]

    def lines(self, world: World) -> list[str]:
        """It in words; what is missing is told by its refunds, as far as they were made."""
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
    """What the rows say otherwise; `None` if nothing, or if the batch is new."""
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
    """Remember the batch before anything of it is sent.

    Raises:
        RefusedError: somebody else has given it other rows meanwhile.
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
        # Two people run one file at once: that is harmless if it is one file.
        latest = world.batches.batch(name)
        if latest is None or difference(rows, latest) is not None:
            raise RefusedError(
                f"Somebody else has given {name} other rows; run it again."
            ) from None


def _words(one: KeyedRow) -> str:
    cells: Mapping[str, str] = one.row.cells
    return " ".join(cells[name] for name in ("payment", "amount", "currency") if cells.get(name))
