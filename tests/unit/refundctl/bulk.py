"""A file of refunds, the line that runs it, and what became of it."""

import csv
from pathlib import Path

from tests.fakes.world import World

HEADER = "payment,amount,currency,reason\n"


def four_rows(world: World, folder: Path) -> Path:
    """Four payments, and a file that refunds a part of each: SGD 1.00, 2.00, 3.00, 4.00."""
    for number in range(4):
        world.pay(f"b{number}")
    rows = [f"pr_b{number},{number + 1}.00,sgd,torn" for number in range(4)]
    path = folder / "march.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def line_of(file: Path, more: str = "", *, yes: str = "--yes") -> str:
    return f"refund --from {file} --batch march --rate 20 {yes} {more}"


def result_file(file: Path) -> Path:
    return file.with_name("march.result.csv")


def results(file: Path) -> list[dict[str, str]]:
    return rows_of(result_file(file))


def checked(file: Path) -> list[dict[str, str]]:
    """What a dry run found."""
    return rows_of(file.with_name("march.checked.csv"))


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def paid(world: World) -> list[int]:
    """What the processor really moved, sorted."""
    moved = [one.processor_refund.money.amount for one in world.processor.books.refunds.values()]
    return sorted(moved)
