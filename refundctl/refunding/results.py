"""The result file: row by row what became of a batch; whole at every moment that it is looked at.

Lines are written as they come; at the end, in whatever way that comes, the file is replaced by one
in the order of the rows.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from refundctl.exits import RefusedError
from refundctl.output import write_csv, write_rows
from refundctl.refunding.asking import NOT_SENT, Told
from refundctl.refunding.batch import KeyedRow

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
    """Where results are written; as a context, it leaves the file whole.

    Raises:
        RefusedError: it cannot be written there.
    """

    def __init__(self, file: Path, rows: Sequence[KeyedRow]) -> None:
        self._file, self._rows = file, rows
        self._told: dict[str, Told] = {}
        self._lock = Lock()
        try:
            self._open = file.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise RefusedError(f"{file} cannot be written: {error.strerror}.") from error
        write_rows(self._open, [COLUMNS])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with draft.open("w", newline="", encoding="utf-8") as whole:
            write_csv(whole, COLUMNS, (_line(one, self.of(one)) for one in self._rows))
        draft.replace(self._file)

    def put(self, row: KeyedRow, told: Told) -> None:
        """One more line; on return the operating system has it."""
        with self._lock:
            self._told[row.refund_id] = told
            write_rows(self._open, [_line(row, told)])
            self._open.flush()

    def of(self, row: KeyedRow) -> Told:
        """What is known of a row."""
        return self._told.get(row.refund_id, NOT_SENT)

    @property
    def all(self) -> Mapping[str, Told]:
        """What is known of every row, by its refund's id."""
        return {one.refund_id: self.of(one) for one in self._rows}


def _line(row: KeyedRow, told: Told) -> tuple[str | int, ...]:
    cells, report = row.row.cells, told.refund.get("stripe_report") or {}
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
        str(report.get("status", "")),
        told.code,
        told.message,
    )
