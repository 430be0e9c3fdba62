"""What a command says: its result on stdout, for people or for machines; the rest on stderr.

The only place that writes: whatever others wrote into it passes `plain_text` here.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from refundctl.plain_text import cell, json_text, one_line

# Wide enough that no id is broken over two lines where something else reads them.
PIPED_WIDTH = 320

Advance = Callable[[int], object]
"""Tells a progress bar by how much the work has come on."""


class Output:
    """Where a command writes. What it writes there is the only output that scripts may rely on."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        width = None if sys.stdout.isatty() else PIPED_WIDTH
        self._console = Console(file=sys.stdout, width=width, highlight=False, markup=False)
        self._aside = Console(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Tell a person something beside the result."""
        self._aside.print(one_line(sentence))

    def result(self, text: str, value: Any) -> None:
        """Give the result, as one line of text or as `value` in JSON."""
        if self._as_json:
            self._print_json(value)
        else:
            self._console.print(one_line(text), soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], value: Any, *, empty: str
    ) -> None:
        """Give the result, as a table or as `value` in JSON; `empty` is said if it has no rows."""
        if self._as_json:
            self._print_json(value)
            return
        table = table_of(columns, rows)
        if table.row_count:
            self._console.print(table)
        else:
            self.say(empty)

    def page(self, parts: Iterable[str | Table], value: Any) -> None:
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
                self._console.print(part)

    def csv(self, columns: Sequence[str], rows: Iterable[Sequence[str | int]], value: Any) -> None:
        """Give the result, as CSV or as `value` in JSON."""
        if self._as_json:
            self._print_json(value)
        else:
            write_csv(self._console.file, columns, rows)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show a bar on stderr, if somebody watches, while the body works."""
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
        """Ask somebody at a terminal; whoever is not at one has not agreed."""
        if not sys.stdin.isatty():
            self.say(f"{question} Nobody is there to ask; say --yes.")
            return False
        self._aside.print(f"{one_line(question)} [y/N] ", end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _print_json(self, value: Any) -> None:
        self._console.file.write(json_text(value) + "\n")


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """A table of plain text; ids in it are there to be copied, so they are folded, never cut."""
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        show_header=any(columns),
        title=one_line(title) or None,
        title_justify="left",
        title_style="bold",
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(text)) for text in row))
    return table


def write_csv(file: Any, columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Write a header and rows to a text file that was opened with `newline=""`, or to a stream."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
