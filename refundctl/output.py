"""What a command writes: its result on stdout, for people or for machines; the rest on stderr.

Commands write only here, so that other people's text always passes `plain_text`.
"""

import csv
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from refundctl.exits import RefusedError
from refundctl.plain_text import cell, json_text, one_line

GAP: Final = 2
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# The colours of words for states, on a terminal that shows colours.
STYLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("succeeded", "reported", "issued", "ok"), "green"),
    **dict.fromkeys(("requested", "submitting", "pending", "due"), "cyan"),
    **dict.fromkeys(("unknown", "review", "warn"), "yellow"),
    **dict.fromkeys(("rejected", "failed", "taken_back", "taken back", "fail"), "red"),
}

Advance = Callable[[int], object]
"""Tells a progress bar by how much the work has come on."""


class _Stdout(Console):
    """A console that lets `BrokenPipeError` pass if nobody reads any more (`| head`).

    `command.main` ends the command then.
    """

    def on_broken_pipe(self) -> None:
        """Raise the error, as a plain stream would."""
        raise BrokenPipeError


@dataclass(frozen=True)
class Sheet:
    """Rows of plain text under the names of their columns; names that are empty are not shown."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    @property
    def width(self) -> int:
        """Its width as a table in which nothing is folded."""
        lines = [self.columns, *self.rows]
        widest = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
        return sum(widest) + GAP * (len(widest) - 1)


class Output:
    """Where a command writes. Scripts may rely only on the results that it gives here."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = _Stdout(file=sys.stdout, highlight=False, markup=False)
        self._aside = Console(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Tell a person something beside the result."""
        self._aside.print(one_line(sentence))

    def aside(self, sheet: Sheet) -> None:
        """Show a person facts beside the result."""
        _show(self._aside, sheet)

    def result(self, text: str, value: Any) -> None:
        """Give the result, as one line of text or as `value` in JSON."""
        if self._as_json:
            self._print_json(value)
        else:
            self._console.print(one_line(text), soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], value: Any, *, empty: str
    ) -> None:
        """Give the result, as a table or as `value` in JSON; without rows, say `empty`."""
        if self._as_json:
            self._print_json(value)
            return
        sheet = table_of(columns, rows)
        if sheet.rows:
            _show(self._console, sheet)
        else:
            self.say(empty)

    def page(self, parts: Iterable[str | Sheet], value: Any) -> None:
        """Give the result, as several parts one below the other or as `value` in JSON.

        Lines of text are left to the terminal to break, so that they can be copied whole.
        """
        if self._as_json:
            self._print_json(value)
            return
        for part in parts:
            if isinstance(part, str):
                self._console.print(one_line(part), soft_wrap=True)
            else:
                _show(self._console, part)

    def csv(self, columns: Sequence[str], rows: Iterable[Sequence[str | int]], value: Any) -> None:
        """Give the result, as CSV or as `value` in JSON."""
        if self._as_json:
            self._print_json(value)
        else:
            write_csv(self._console.file, columns, rows)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show a progress bar while the body works, if stderr is a terminal."""
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._aside,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        with bar:
            task = bar.add_task(escape(one_line(what)), total=total)
            yield lambda steps: bar.advance(task, steps)

    def confirm(self, question: str) -> bool:
        """Ask the person at the terminal; without a terminal the answer is no."""
        if not sys.stdin.isatty():
            self.say(f"{question} Nobody is there to ask; say --yes.")
            return False
        self._aside.print(f"{one_line(question)} [y/N] ", end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _print_json(self, value: Any) -> None:
        self._console.file.write(json_text(value) + "\n")


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Sheet:
    """Rows of plain text, to be shown."""
    return Sheet(columns, [[one_line(text) for text in row] for row in rows], one_line(title))


def _show(console: Console, sheet: Sheet) -> None:
    """Print rows as a table, or as records below each other if the terminal is too narrow.

    People copy ids from it, so nothing is ever folded or cut.
    """
    if sheet.title:
        console.print(Text(sheet.title, style="bold"), soft_wrap=True)
    if not console.is_terminal or sheet.width <= console.width:
        before, console.width = console.width, max(sheet.width, console.width)
        console.print(_table(sheet))
        console.width = before
        return
    has_names = any(sheet.columns)
    for number, row in enumerate(sheet.rows):
        if number and has_names:
            console.print()
        if not has_names:
            console.print(*map(_word, row), soft_wrap=True)
            continue
        for name, text in zip(sheet.columns, row, strict=True):
            if text:
                console.print(Text(f"{name}:" if name else "", style="bold"), end=" ")
                console.print(_word(text), soft_wrap=True)


def _table(sheet: Sheet) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(sheet.columns))
    for column in sheet.columns:
        table.add_column(column, no_wrap=True, overflow="ignore")
    for row in sheet.rows:
        table.add_row(*map(_word, row))
    return table


def _word(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""))


@contextmanager
def written(file: Path) -> Iterator[TextIO]:
    """A file to write a result to, as CSV.

    Raises:
        RefusedError: the file cannot be written.
    """
    try:
        with file.open("w", newline="", encoding="utf-8") as text:
            yield text
    except OSError as error:
        raise RefusedError(f"{file} cannot be written: {os.strerror(error.errno or 0)}.") from error


@contextmanager
def to_its_end() -> Iterator[None]:
    """After the body, flush stdout, so that the whole result is written.

    Raises:
        BrokenPipeError: nobody reads it any more.
        RefusedError: there is no room where the result is written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        end_quietly()
        told = f"The result could not be written: {os.strerror(error.errno or 0)}."
        raise RefusedError(told) from error


def end_quietly() -> None:
    """Discard everything written to stdout from now on, also what Python flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def write_csv(file: Any, columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Write a header and rows to a text file that was opened with `newline=""`, or to a stream."""
    write_rows(file, [columns])
    write_rows(file, rows)


def write_rows(file: Any, rows: Iterable[Sequence[str | int]]) -> None:
    """Write more rows to such a file."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([cell(value) for value in row] for row in rows)
