"""``make bench``: measure everything, say it in a table, keep its rows in benchmarks/results.json.

Every single value that was measured goes to ``.local/benchmarks.json``, of this run alone.

A benchmark is no test: it exits with 0 whatever it measures, and a part that could not be measured
says why. ``python -m benchmarks latency cpu`` measures some parts anew and keeps the others.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import (
    cold_starts,
    costs,
    cpu,
    latency,
    machine,
    memory,
    reporting,
    round_trips,
    settling,
    simulated,
    sweeping,
)
from benchmarks.results import Part, Row
from benchmarks.scale import QUICK, WHOLE, Scale
from deployed import paths
from local.run_directory import run_directory

RESULTS = Path(__file__).with_name("results.json")
MEASURED = paths.ROOT / ".local" / "benchmarks.json"
MEASURES: Mapping[str, Callable[[Scale, Path], Part]] = {
    "latency": latency.measure,
    "cpu": cpu.measure,
    "round_trips": round_trips.measure,
    "cold_starts": cold_starts.measure,
    "memory": memory.measure,
    "reporting": reporting.measure,
    "settling": settling.measure,
    "sweeping": sweeping.measure,
    "simulation": simulated.measure,
}
COSTS = "costs"
WIDTH = 150


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(MEASURES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few repetitions; nothing is kept")
    asked = parser.parse_args()
    if unknown := [name for name in asked.parts if name not in MEASURES]:
        parser.error(f"there is no part {', '.join(unknown)}")
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    parts = _known() if asked.parts and not asked.quick else {}
    for name in asked.parts or MEASURES:
        with console.status(f"measuring {name}"):
            began = time.monotonic()
            parts[name] = _measured(name, QUICK if asked.quick else WHOLE)
        console.print(f"{name}: {time.monotonic() - began:.0f} s", highlight=False)
    if "numbers" in parts.get("round_trips", {}):
        parts[COSTS] = _guarded(lambda: costs.measure(parts["round_trips"]["numbers"]))
    if not asked.quick:
        _keep(parts)
    console.print(_table(parts))


def _keep(parts: Mapping[str, dict[str, Any]]) -> None:
    """The rows where they are versioned, and what they were made of where it is not."""
    about = machine.facts()
    numbers = {name: part["numbers"] for name, part in parts.items() if "numbers" in part}
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text(json.dumps({"machine": about, "numbers": numbers}) + "\n")
    rows = {
        name: {key: value for key, value in part.items() if key != "numbers"}
        for name, part in parts.items()
    }
    RESULTS.write_text(json.dumps({"machine": about, "parts": rows}, indent=1) + "\n")


def _measured(name: str, scale: Scale) -> dict[str, Any]:
    with run_directory() as directory:
        return _guarded(lambda: MEASURES[name](scale, directory))


def _guarded(measure: Callable[[], Part]) -> dict[str, Any]:
    """The measurement or the error, with its time and the machine's load."""
    load = [round(one, 2) for one in os.getloadavg()]
    noted = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load_average": load}
    try:
        return measure().as_json() | noted
    except Exception as error:  # noqa: BLE001 - said in the table; the other parts still count
        traceback.print_exc(file=sys.stderr)
        return Part().as_json() | noted | {"error": f"{type(error).__name__}: {error}"[:2000]}


def _known() -> dict[str, Any]:
    """The parts of an earlier run."""
    if not RESULTS.is_file():
        return {}
    parts: dict[str, Any] = json.loads(RESULTS.read_text())["parts"]
    return parts


def _table(parts: Mapping[str, Any]) -> Table:
    table = Table(title="Refund Bridge, measured on this machine", title_justify="left")
    for column in ("what", "against", "aim", "result (eight of ten)"):
        table.add_column(column)
    for name, part in parts.items():
        if "error" in part:
            table.add_row(name, "", "", f"[red]not measured: {part['error'].splitlines()[0]}")
        for source in part["rows"]:
            row = Row(**{key: value for key, value in source.items() if key != "met"})
            colour = {True: "green", False: "red", None: "default"}[row.met]
            table.add_row(row.what, row.against, row.aim, f"[{colour}]{row.result}")
        table.add_section()
    return table


if __name__ == "__main__":
    main()
