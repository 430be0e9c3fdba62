"""Processor time of the handler's process per refund, warm, against the plainly written function.

Both use the same embedded cloud and the same providers, which answer at once and run in processes
of their own. Batches of the two are measured in turns.
"""

from pathlib import Path

from benchmarks.cloud import running_cloud
from benchmarks.contender import Contender
from benchmarks.payments import PART, seeded
from benchmarks.providers import running_providers
from benchmarks.results import Part, Row, ratio_row
from benchmarks.samples import ratios, spread
from benchmarks.scale import Scale

WARM_UP = 1


def measure(scale: Scale, directory: Path) -> Part:
    """Measure batches of both in turns."""
    taken: dict[str, list[float]] = {"ours": [], "plain": []}
    with running_providers(directory) as providers, running_cloud(directory) as cloud:
        environments = {
            "ours": cloud.of("RefundApiFunction", providers),
            "plain": cloud.of_plain(providers),
        }
        rounds = scale.cpu_rounds + WARM_UP
        count = rounds * scale.cpu_batch
        ids = {
            name: iter(seeded(providers.control, f"cpu_{name}", count).ids("payment_record"))
            for name in environments
        }
        with (
            Contender("ours", environments["ours"], directory) as ours,
            Contender("plain", environments["plain"], directory) as plain,
        ):
            contenders = {"ours": ours, "plain": plain}
            for number in range(rounds):
                for name, contender in contenders.items():
                    spent = 0.0
                    for _ in range(scale.cpu_batch):
                        record = next(ids[name])
                        done = contender.do(by="payment_record", id=record, amount=PART, key=record)
                        spent += done.cpu_seconds
                    if number >= WARM_UP:
                        taken[name].append(spent * 1000 / scale.cpu_batch)
    ours_ms, plain_ms = spread(taken["ours"]), spread(taken["plain"])
    what = "processor time per refund, warm"
    return Part(
        [
            Row(what=what, value=ours_ms.middle, low=ours_ms.low, high=ours_ms.high, unit="ms"),
            ratio_row(
                what,
                f"written plainly ({plain_ms.middle:.1f} ms)",
                spread(ratios(taken["ours"], taken["plain"])),
                at_most=0.6,
            ),
        ],
        {"milliseconds_per_refund": taken},
    )
