"""The result file: row by row what became of a batch; whole at every moment that it is looked at.

Lines are written as they come to a file of their own beside it (`.part`): a kill leaves that one,
with what every run before it that was killed had come to know, and the former result untouched. At
any other end, Ctrl-C included, the result is replaced by one that has every row, in the order of
the rows.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from refundctl.exits import RefusedError
from refundctl.output import write_csv, write_rows
from refundctl.refunding.asking import NOT_LOOKED_UP, Told
from refundctl.refunding.batch import KeyedRow
from refundctl.refunding.stopping import held_back

COLUMNS: Final = (
    "line",
    "payment",
    "amount",
    "currency",
    "reason",
    "key",
    "result",
    "refund",
    "status",
    "report",
    "code",
    "message",
)


class ResultFile:
    """Where results are written; as a context, it leaves the file whole, and no `.part`.

    Raises:
        RefusedError: it cannot be written there, or no longer.
    """

    def __init__(
        self, file: Path, rows: Sequence[KeyedRow], *, untold: Told = NOT_LOOKED_UP
    ) -> None:
        """``untold`` stands at the rows that nothing comes to be known of."""
        self._file, self._rows, self._untold = file, rows, untold
        self._told: dict[str, Told] = {}
        with self._writing():
            self._part = part_of(file)
            self._open = self._part.open("a", newline="", encoding="utf-8")
            if self._open.tell() == 0:
                self._put(COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with held_back(), self._writing():
            self._open.close()
            draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            try:
                with draft.open("w", newline="", encoding="utf-8") as whole:
                    write_csv(whole, COLUMNS, (_line(one, self.of(one)) for one in self._rows))
                draft.replace(self._file)
                self._part.unlink(missing_ok=True)
            finally:
                draft.unlink(missing_ok=True)
                self._keep_lines()

    def put(self, row: KeyedRow, told: Told) -> None:
        """One more line; on return the operating system has it."""
        self.note(row, told)
        with self._writing():
            self._put(_line(row, told))

    def note(self, row: KeyedRow, told: Told) -> None:
        """What stands at the row in the end, unless something else comes."""
        self._told[row.refund_id] = told

    def of(self, row: KeyedRow) -> Told:
        """What is known of a row."""
        return self._told.get(row.refund_id, self._untold)

    @property
    def all(self) -> Mapping[str, Told]:
        """What is known of every row, by its refund's id."""
        return {one.refund_id: self.of(one) for one in self._rows}

    def _keep_lines(self) -> None:
        """Where no result came to be, the lines that came one by one are the result."""
        if self._part.exists() and not self._file.exists():
            self._part.replace(self._file)

    def _put(self, cells: Sequence[str | int]) -> None:
        write_rows(self._open, [cells])
        self._open.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RefusedError(f"{self._file} cannot be written: {error.strerror}.") from error


def part_of(file: Path) -> Path:
    """Where the lines of a run stand until the result is whole."""
    return file.with_name(f"{file.name}.part")


def _line(row: KeyedRow, told: Told) -> tuple[str | int, ...]:
    cells = row.row.cells
    return (
        row.row.line,
        row.row.wish.payment,
        cells["amount"],
        cells.get("currency", ""),
        cells.get("reason", ""),
        row.key,
        told.result.value,
        told.refund_id,
        str(told.refund.get("status", "")),
        str(told.refund.get("report", "")),
        told.code,
        told.message,
    )
