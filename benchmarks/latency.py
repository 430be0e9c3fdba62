"""How long a caller waits, with fixed latencies of the providers, and AWS in memory.

There is a lane for each way to name a payment. In a lane the contenders take turns, and each refund
is of a payment of its own. Two workers share a lane's rounds. The lanes run at the same time, since
they wait for the providers nearly all the time.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contender import Contender
from benchmarks.function_environment import function_environment
from benchmarks.payments import PART, seeded
from benchmarks.providers import FIXED, ProviderProcess, running_providers
from benchmarks.results import Part, Row, ratio_row
from benchmarks.samples import Spread, percentile, ratios, spread
from benchmarks.scale import Scale

SPLIT = 2
WARM_UP = 2

# The time of the calls that each way must make one after the other, in milliseconds. A
# PaymentIntent is read before its record; an Invoice names record and charge, which can be read at
# the same time.
_RECORD_AND_CHARGE = max(FIXED.stripe, FIXED.charge)
CRITICAL_PATH = {
    ("payment_record", "first"): FIXED.stripe + FIXED.charge + FIXED.refund,
    ("payment_record", "later"): _RECORD_AND_CHARGE + FIXED.refund,
    ("payment_intent", "first"): 2 * FIXED.stripe + FIXED.charge + FIXED.refund,
    ("payment_intent", "later"): FIXED.stripe + _RECORD_AND_CHARGE + FIXED.refund,
    ("invoice", "first"): FIXED.stripe + _RECORD_AND_CHARGE + FIXED.refund,
    ("invoice", "later"): FIXED.stripe + _RECORD_AND_CHARGE + FIXED.refund,
}
# For each lane: the contenders' names, and which subject does the job in which way.
OTHERS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "payment_record": (("guide", "guide", "payment_record"),),
    "payment_intent": (("guide", "guide", "payment_intent"),),
    "invoice": (
        ("guide", "guide", "invoice"),
        ("guide, shortened", "guide", "invoice_shortened"),
        ("demo", "demo", "invoice"),
    ),
}
NAMES = {
    "payment_record": "by Payment Record",
    "payment_intent": "by PaymentIntent",
    "invoice": "by Invoice",
}


@dataclass
class Lane:
    """Milliseconds of every contender, round by round."""

    by: str
    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, contender: str, seconds: float) -> None:
        """Add the time of one refund."""
        self.taken.setdefault(contender, []).append(seconds * 1000)


def measure(scale: Scale, directory: Path) -> Part:
    """Run all lanes."""
    with running_providers(directory) as providers, ThreadPoolExecutor() as pool:
        providers.set_latencies(FIXED)
        rounds = -(-scale.latency_rounds // SPLIT)
        runs = [
            pool.submit(_run, providers, directory, by, number, rounds)
            for by in OTHERS
            for number in range(SPLIT)
        ]
        halves = [run.result() for run in runs]
    lanes = [_joined(by, halves) for by in OTHERS]
    return Part(
        [row for lane in lanes for row in _rows(lane)],
        {lane.by: lane.taken for lane in lanes},
    )


def _run(providers: ProviderProcess, directory: Path, by: str, number: int, rounds: int) -> Lane:
    """One worker's share of a lane."""
    lane, count = Lane(by), rounds + WARM_UP
    own = directory / f"{by}-{number}"
    own.mkdir(exist_ok=True)
    references = {
        "HitPayUrl": providers.control.hitpay_url,
        "StripeUrl": providers.control.stripe_url,
    }
    environment = function_environment("RefundApiFunction", references) | providers.environment
    ours_ids = seeded(providers.control, f"ours_{by}_{number}", count).ids(by)
    with ExitStack() as stack:
        ours = stack.enter_context(Contender("ours_in_memory", environment, own))
        others = [
            (
                name,
                stack.enter_context(Contender(subject, providers.environment, own)),
                named,
                seeded(providers.control, f"{name.replace(', ', '_')}_{by}_{number}", count).ids(
                    by
                ),
            )
            for name, subject, named in OTHERS[by]
        ]
        for index in range(count):
            for occasion in ("first", "later"):
                key = f"{by}-{number}-{index}-{occasion}"
                done = ours.do(by=by, id=ours_ids[index], amount=PART, key=key)
                if index >= WARM_UP:
                    lane.add(occasion, done.seconds)
                # For the other contenders a first refund and a later one are the same: in even
                # rounds they run after our first refund, in odd rounds after our later one.
                if (occasion == "first") == (index % 2 == 0):
                    for name, contender, named, ids in others:
                        taken = contender.do(by=named, id=ids[index], amount=PART).seconds
                        if index >= WARM_UP:
                            lane.add(name, taken)
    return lane


def _joined(by: str, halves: Sequence[Lane]) -> Lane:
    lane = Lane(by)
    for half in halves:
        if half.by == by:
            for name, taken in half.taken.items():
                lane.taken.setdefault(name, []).extend(taken)
    return lane


def _rows(lane: Lane) -> list[Row]:
    rows = []
    for occasion in ("first", "later"):
        ours, least = lane.taken[occasion], CRITICAL_PATH[lane.by, occasion]
        what = f"{occasion} refund {NAMES[lane.by]}"
        path = f"its {least} ms of provider calls"
        rows += [
            Row(what=f"{what}, p50", value=percentile(ours, 50), unit="ms"),
            ratio_row(f"{what}, p50", path, _over(ours, least), at_most=1.05),
            Row(
                what=f"{what}, p99", against=path, value=percentile(ours, 99) / least, at_most=1.10
            ),
        ]
        for name, _, _ in OTHERS[lane.by]:
            aim = 0.8 if name == "demo" else 1.0 if occasion == "first" else 0.9
            compared = spread(ratios(ours, lane.taken[name]))
            note = "not an aim of the issue's" if "shortened" in name else ""
            at_most = None if note else aim
            rows.append(
                ratio_row(f"{what}, p50", f"the {name}", compared, at_most=at_most, note=note)
            )
    return rows


def _over(taken: Sequence[float], least: int) -> Spread:
    return spread([one / least for one in taken])
