"""A CSV file of wishes, read strictly: a file that could be misread is refused.

Columns: `payment`, `amount` (major unit with all its decimals, or `all`), `currency` (required
beside an amount), `reason`, `key`, `processor`, and `metadata.NAME`. Commas, semicolons or tabs
separate the cells; the first line shows which. A byte order mark is allowed, and so are both kinds
of line ends.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from refundctl.amounts import AmountError, minor_units
from refundctl.exits import RefusedError
from refundctl.refunding.wish import Wish, is_key, is_payment

ROWS_MAX: Final = 100_000
# Longer than a header line with the names of all columns that are possible.
HEADER_MAX: Final = 10_000
PROBLEMS_SHOWN: Final = 20
COLUMNS: Final = ("payment", "amount", "currency", "reason", "key", "processor")
REQUIRED: Final = ("payment", "amount")
METADATA: Final = "metadata."
EVERYTHING: Final = "all"
TEXT_MAX: Final = {"reason": 255, "metadata": 500, "name": 40}


@dataclass(frozen=True)
class Row:
    """One row: its line, its cells, and its wish.

    Attributes:
        line: its line in the file, from 1.
        key: its idempotency key, if it has a cell for one.
    """

    line: int
    cells: Mapping[str, str]
    wish: Wish
    key: str | None


class UnreadableFileError(RefusedError):
    """The file cannot be read as wishes; nothing was sent."""


def read_rows(file: Path) -> list[Row]:
    """All rows of a file.

    Raises:
        UnreadableFileError: the file, or any row in it, is not as it must be; the error names the
            line of each problem.
    """
    # One row too many is enough to refuse the file; the lines after it are not read.
    lines = list(islice(_lines(file), ROWS_MAX + 2))
    if not lines:
        raise UnreadableFileError(f"{file} is empty.")
    columns = _columns(lines[0][1])
    rows, problems = list[Row](), list[str]()
    for number, cells in lines[1:]:
        try:
            rows.append(_row(number, columns, cells))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if not rows and not problems:
        problems.append("it has no row")
    if len(lines) > ROWS_MAX + 1:
        problems = [f"it has more than {ROWS_MAX} rows"]
    if problems:
        more = len(problems) - PROBLEMS_SHOWN
        shown = problems[:PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise UnreadableFileError(f"{file} has errors: {'; '.join(shown)}.")
    return rows


def _lines(file: Path) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines that are not empty, with their numbers."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            if not text.seekable():
                raise UnreadableFileError(f"{file} is read more than once: save it as a file.")
            first = text.readline(HEADER_MAX)
            separator = max(",;\t", key=first.count)
            text.seek(0)
            reader = csv.reader(text, delimiter=separator, strict=True)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except OSError as error:
        raise UnreadableFileError(f"{file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{file} is not UTF-8.") from error
    except csv.Error as error:
        raise UnreadableFileError(f"{file} is no CSV: {error}.") from error


def _columns(header: Sequence[str]) -> Sequence[str]:
    names = [name.lower() if not name.lower().startswith(METADATA) else name for name in header]
    unknown = [one for one in names if one not in COLUMNS and not one.startswith(METADATA)]
    missing = [one for one in REQUIRED if one not in names]
    twice = sorted({one for one in names if names.count(one) > 1})
    for problem, which in (("unknown", unknown), ("missing", missing), ("given twice", twice)):
        if which:
            told = ", ".join(repr(one) for one in which)
            raise UnreadableFileError(
                f"The first line names the columns. {problem}: {told}. They are "
                f"{', '.join(COLUMNS)} and {METADATA}NAME."
            )
    return names


def _row(number: int, columns: Sequence[str], given: Sequence[str]) -> Row:
    if len(given) != len(columns):
        raise ValueError(f"{len(given)} cells, and {len(columns)} columns")
    cells = dict(zip(columns, given, strict=True))
    for name, text in cells.items():
        if not text.isprintable():
            raise ValueError(f"{name} holds what cannot be printed")
    payment, key = cells["payment"], cells.get("key") or None
    if not is_payment(payment):
        raise ValueError(f"{payment!r} is no pr_..., pi_... or in_...")
    if key is not None and not is_key(key):
        raise ValueError(f"key {key!r} is not 1 to 255 printable ASCII characters")
    amount, currency = _amount(cells)
    wish = Wish(
        payment=payment,
        amount=amount,
        currency=currency,
        reason=_bounded("reason", cells.get("reason", ""), "reason") or None,
        metadata=_metadata(cells),
        processor=cells.get("processor") or None,
    )
    return Row(number, cells, wish, key)


def _amount(cells: Mapping[str, str]) -> tuple[int | None, str | None]:
    text, currency = cells["amount"], cells.get("currency", "").lower() or None
    if text.lower() == EVERYTHING:
        return None, currency
    if not text:
        raise ValueError(f"no amount; write {EVERYTHING!r} for everything that is left")
    if currency is None:
        raise ValueError("an amount without a currency")
    try:
        return minor_units(text, currency), currency
    except AmountError as error:
        raise ValueError(str(error)) from error


def _metadata(cells: Mapping[str, str]) -> dict[str, str]:
    found = {
        _bounded("a name of metadata", name.removeprefix(METADATA), "name"): _bounded(
            name, text, "metadata"
        )
        for name, text in cells.items()
        if name.startswith(METADATA) and text
    }
    if "" in found or len(found) > 50:
        raise ValueError("metadata need names, and are at most 50")
    return found


def _bounded(name: str, text: str, kind: str) -> str:
    if len(text) > TEXT_MAX[kind]:
        raise ValueError(f"{name} is longer than {TEXT_MAX[kind]} characters")
    return text
