"""Draw a load run: python benchmarks/plot.py load.json load.png, with the benchmarks' own Python.

It imports nothing of the project, which is not installed there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found] # is in the benchmarks' environment only
from matplotlib import pyplot as plt

BIN_SECONDS = 2
GOOD, BAD, CALM = "#2a9d8f", "#e76f51", "#264653"


def main(source: Path, picture: Path) -> None:
    """Three panels over one time: what callers got, how long they waited, the report queue."""
    run: dict[str, Any] = json.loads(source.read_text())
    plan, seen = run["plan"], run["seen"]
    mpl.use("Agg")
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(10, 8), sharex=True, constrained_layout=True
    )
    done = [at for at, status in seen["answers"] if status in (200, 201)]
    told = [at for at, status in seen["answers"] if status not in (200, 201)]
    end = max(at for at, _ in seen["queue"])
    edges = [n * BIN_SECONDS for n in range(int(end / BIN_SECONDS) + 2)]
    weights = [[1 / BIN_SECONDS] * len(part) for part in (done, told)]
    top.hist(
        [done, told],
        bins=edges,
        weights=weights,
        stacked=True,
        color=[GOOD, BAD],
        label=["refunded", "told to repeat with the same key"],
    )
    top.set_ylabel("answers per second")
    middle.plot(*zip(*sorted(seen["latencies"]), strict=True), ".", color=CALM, markersize=4)
    middle.set_ylabel("seconds from arrival\nto refund, repeats included")
    bottom.plot(
        *zip(*seen["queue"], strict=True), color=CALM, label="reports waiting or being made"
    )
    reports = bottom.twinx()
    reports.plot(*zip(*seen["reports"], strict=True), color=GOOD, label="reported so far")
    bottom.set_ylabel("report queue")
    reports.set_ylabel("reported")
    bottom.set_xlabel("seconds")
    lines = [*bottom.get_lines(), *reports.get_lines()]
    bottom.legend(lines, [line.get_label() for line in lines], loc="upper left")
    for panel in (top, middle, bottom):
        panel.axvspan(*plan["hitpay_down"], color=BAD, alpha=0.15, label="HitPay unreachable")
        panel.axvspan(
            *plan["reports_down"], color="#e9c46a", alpha=0.25, label="Stripe refuses reports"
        )
        for at, _ in plan["bursts"]:
            panel.axvline(at, color="grey", linestyle=":", linewidth=1)
    top.legend(loc="upper right", fontsize="small")
    top.set_title(
        f"{run['callers']} callers: {run['refunds_made']} refunds, "
        f"{run['refunded_twice']} twice, {run['not_reported']} not reported"
    )
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
