"""The result of a measurement: rows for the table, and the numbers behind them for the file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.samples import Spread


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        against: what it is compared with; empty if it is not a comparison.
        value: in ``unit``; ratios have the unit ``×``.
        low: with ``high``, the spread of ``value``, if it was measured more than once.
        at_most: with ``at_least``, the aim, if there is one.
    """

    what: str
    value: float
    against: str = ""
    unit: str = "×"
    low: float | None = None
    high: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; ``None`` without one."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    @property
    def aim(self) -> str:
        """The aim in words."""
        parts = [f"≤ {figure(self.at_most)}"] if self.at_most is not None else []
        if self.at_least is not None:
            parts.append(f"≥ {figure(self.at_least)}")
        return " ".join([*parts, self.unit]) if parts else ""

    @property
    def result(self) -> str:
        """The value and its spread in words."""
        shown = f"{figure(self.value)} {self.unit}"
        if self.low is None or self.high is None:
            return shown
        return f"{shown} ({figure(self.low)}–{figure(self.high)})"

    def as_json(self) -> dict[str, Any]:
        """The row for the file; what it does not say is left out."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return said if self.met is None else said | {"met": self.met}


@dataclass
class Part:
    """What one part of the benchmark measured; the rows are made from ``numbers``."""

    rows: list[Row] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The part for the file."""
        return {"rows": [row.as_json() for row in self.rows], "numbers": self.numbers}


def ratio_row(what: str, against: str, measured: Spread, **more: Any) -> Row:
    """A row of which the value is the middle of a spread."""
    return Row(
        what=what,
        against=against,
        value=measured.middle,
        low=measured.low,
        high=measured.high,
        **more,
    )


def figure(value: float) -> str:
    """A number with three significant digits, without an exponent; whole numbers in full."""
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
