"""The result file: row by row what became of a batch; whoever opens it finds it complete.

During a run, lines are appended to a second file (`.part`) as results come. If the process is
killed, that file stays, with the lines of earlier killed runs too, and the former result file is
untouched. At any other end, Ctrl-C included, a new result file with all rows, in their order,
replaces the former one.
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
    """Writes results; a context manager that leaves a complete file and no `.part`.

    Raises:
        RefusedError: the file cannot be written.
    """

    def __init__(
        self, file: Path, rows: Sequence[KeyedRow], *, untold: Told = NOT_LOOKED_UP
    ) -> None:
        """``untold`` is the result of rows for which no other result is given."""
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
        """Append a row's result; on return the operating system has it."""
        self.note(row, told)
        with self._writing():
            self._put(_line(row, told))

    def note(self, row: KeyedRow, told: Told) -> None:
        """Set a row's result in the final file, unless a later one replaces it; appends nothing."""
        self._told[row.refund_id] = told

    def of(self, row: KeyedRow) -> Told:
        """What is known of a row."""
        return self._told.get(row.refund_id, self._untold)

    @property
    def all(self) -> Mapping[str, Told]:
        """What is known of every row, by its refund's id."""
        return {one.refund_id: self.of(one) for one in self._rows}

    def _keep_lines(self) -> None:
        """If there is no result file at all, the appended lines become it."""
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
    """The file of the lines of a run until the result file is complete."""
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
