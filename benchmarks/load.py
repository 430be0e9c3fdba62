"""``make load``: a stream of refunds with bursts, two outages and recovery, on the local cloud.

Callers arrive whether or not the service keeps up. After an error they repeat their request with
the same key, as the contract says. In the end every refund was made and reported exactly once, or
the run says which was not. Writes benchmarks/load.json and load.png.
"""

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from urllib3.exceptions import HTTPError

from benchmarks import machine
from benchmarks.payments import PART, seeded
from benchmarks.providers import FIXED, set_latencies
from benchmarks.results import figure
from benchmarks.samples import percentile
from deployed import paths
from local.http_client import RefundApiClient
from local.stack import RunningStack, running_stack

RESULT = Path(__file__).with_name("load.json")
PICTURE = Path(__file__).with_name("load.png")
PLOT = Path(__file__).with_name("plot.py")
REPORT = "payment_record.report_refund"

SAMPLE_SECONDS = 0.5
DRAIN_SECONDS = 180.0
TRIES = 40
DONE = (200, 201)


@dataclass(frozen=True)
class Plan:
    """What happens when, in seconds from the first caller.

    Attributes:
        per_second: callers per second of the steady stream.
        bursts: when more callers come at once, and how many.
        hitpay_down: from when until when HitPay's port is closed.
        reports_down: from when until when Stripe answers reports with 503.
    """

    seconds: int = 120
    per_second: float = 2.0
    bursts: tuple[tuple[float, int], ...] = ((20, 10), (110, 10))
    hitpay_down: tuple[float, float] = (35, 55)
    reports_down: tuple[float, float] = (70, 95)

    def arrivals(self) -> list[float]:
        """When each caller comes."""
        steady = [number / self.per_second for number in range(int(self.seconds * self.per_second))]
        return sorted([*steady, *(at for at, count in self.bursts for _ in range(count))])


@dataclass
class Seen:
    """The observations, each with its second."""

    answers: list[tuple[float, int]] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    queue: list[tuple[float, int]] = field(default_factory=list)
    reports: list[tuple[float, int]] = field(default_factory=list)


class Run:
    """One run against a running stack."""

    def __init__(self, stack: RunningStack, plan: Plan) -> None:
        self._stack = stack
        self._plan = plan
        self._api = RefundApiClient(stack.api_url, stack.api_key)
        self._sqs = stack.client("sqs")
        self._over = threading.Event()
        self._began = 0.0
        self.seen = Seen()

    def __call__(self) -> dict[str, Any]:
        """Carry out the plan; returns the results."""
        arrivals = self._plan.arrivals()
        records = seeded(self._stack.control, "load", len(arrivals)).ids("payment_record")
        self._warm_up()
        self._began = time.monotonic()
        with self._sampling(), ThreadPoolExecutor(96) as callers:
            happenings = threading.Thread(target=self._happen)
            happenings.start()
            pending = []
            for at, record in zip(arrivals, records, strict=True):
                time.sleep(max(0.0, at - self._now()))
                pending.append(callers.submit(self._call, at, record))
            failed = [record for record in (one.result() for one in pending) if record]
            happenings.join()
            unreported = self._drained(set(records) - set(failed))
        return self._summary(arrivals, failed, unreported)

    def _warm_up(self) -> None:
        record = seeded(self._stack.control, "warm", 1).ids("payment_record")[0]
        self._api.create_refund("warm", payment_record=record, amount=PART)

    def _call(self, at: float, record: str) -> str | None:
        """One caller, until it has its refund; returns the record's id if the caller gave up."""
        for _ in range(TRIES):
            status, pause = self._ask(record)
            self.seen.answers.append((self._now(), status))
            if status in DONE:
                self.seen.latencies.append((at, self._now() - at))
                return None
            time.sleep(pause)
        return record

    def _ask(self, record: str) -> tuple[int, float]:
        """The answer's status, or 0 if none came, and the seconds to wait before the next try."""
        try:
            answer = self._api.create_refund(record, payment_record=record, amount=PART)
        except HTTPError:
            return 0, 1.0
        return answer.status, min(float(answer.headers.get("Retry-After", 1)), 5.0)

    def _happen(self) -> None:
        """Cause the outages, in their order."""
        control = self._stack.control
        down, up = self._plan.hitpay_down
        self._wait_until(down)
        control.set_listening("hitpay", False)
        self._wait_until(up)
        control.set_listening("hitpay", True)
        down, up = self._plan.reports_down
        self._wait_until(down)
        control.add_fault("stripe", REPORT, "status", times=None, status=503, stored=False)
        self._wait_until(up)
        set_latencies(control, FIXED)  # this also clears the fault

    @contextmanager
    def _sampling(self) -> Iterator[None]:
        sampler = threading.Thread(target=self._sample)
        sampler.start()
        try:
            yield
        finally:
            self._over.set()
            sampler.join()

    def _sample(self) -> None:
        queue = self._stack.outputs["ReportQueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        while not self._over.wait(SAMPLE_SECONDS):
            found = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)
            depth = sum(int(found["Attributes"][name]) for name in names)
            self.seen.queue.append((self._now(), depth))
            self.seen.reports.append((self._now(), len(self._stack.control.reports())))

    def _drained(self, records: set[str]) -> list[str]:
        """Wait until everything is reported; returns the records that were not in time."""
        ends = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < ends:
            missing = records - {one.payment_record for one in self._stack.control.reports()}
            if not missing:
                return []
            time.sleep(SAMPLE_SECONDS)
        return sorted(missing)

    def _summary(
        self, arrivals: Sequence[float], failed: Sequence[str], unreported: Sequence[str]
    ) -> dict[str, Any]:
        reported = [one.payment_record for one in self._stack.control.reports()]
        made = [one.payment_id for one in self._stack.control.refunds()]
        latencies = [seconds for _, seconds in self.seen.latencies]
        statuses = [status for _, status in self.seen.answers]
        return {
            "machine": machine.facts(),
            "plan": asdict(self._plan),
            "callers": len(arrivals),
            "answers": {str(one): statuses.count(one) for one in sorted(set(statuses))},
            "gave_up": len(failed),
            "refunds_made": len(made),
            "refunded_twice": len(made) - len(set(made)),
            "reported_twice": len(reported) - len(set(reported)),
            "not_reported": len(unreported),
            "calm_p50_seconds": percentile(self._calm(), 50),
            "calm_p99_seconds": percentile(self._calm(), 99),
            "p99_seconds_with_retries": percentile(latencies, 99),
            "queue_at_most": max(depth for _, depth in self.seen.queue),
            "seconds_to_serve_callers_after_hitpay": self._served_after(self._plan.hitpay_down),
            "seconds_to_drain_after_stripe": self._drained_after(self._plan.reports_down[1]),
            "seen": asdict(self.seen),
        }

    def _calm(self) -> list[float]:
        """Waiting times of callers who came well after the start, HitPay's outage and bursts."""
        troubled = [self._plan.hitpay_down, *((at, at) for at, _ in self._plan.bursts)]
        return [
            seconds
            for at, seconds in self.seen.latencies
            if at > CALM_SECONDS and all(not a <= at <= b + CALM_SECONDS for a, b in troubled)
        ]

    def _served_after(self, outage: tuple[float, float]) -> float:
        """Time from an outage's end until all callers who came during it had their refunds."""
        began, ended = outage
        waited = [at + taken for at, taken in self.seen.latencies if began - 1 <= at <= ended]
        return max([*waited, ended]) - ended

    def _drained_after(self, ended: float) -> float:
        """Time from the end of Stripe's outage until the queue was as short as before it."""
        before = self._plan.reports_down[0]
        usual = max(depth for at, depth in self.seen.queue if before - CALM_SECONDS <= at < before)
        late = [at for at, depth in self.seen.queue if at > ended and depth > usual]
        # A later burst fills the queue again; that does not belong to the outage.
        bursts = [at for at, _ in self._plan.bursts if at > ended]
        return max([at for at in late if not bursts or at < min(bursts)], default=ended) - ended

    def _wait_until(self, at: float) -> None:
        time.sleep(max(0.0, at - self._now()))

    def _now(self) -> float:
        return time.monotonic() - self._began


CALM_SECONDS = 20.0
UNTHROTTLED = {"ThrottleRate": "500", "ThrottleBurst": "500"}


def main() -> None:
    """Start everything, run, draw."""
    console = Console()
    console.print("building and starting the local cloud")
    with running_stack(parameters=UNTHROTTLED) as stack:
        set_latencies(stack.control, FIXED)
        console.print(f"driving it for {Plan().seconds} s, and until all is reported")
        result = Run(stack, Plan())()
    RESULT.write_text(json.dumps(result) + "\n")
    draw(RESULT, PICTURE)
    for name, value in _shown(result).items():
        console.print(f"{name:>40}  {value}", highlight=False)


def draw(result: Path, picture: Path) -> None:
    """Draw the picture, with the Python of the environment that has the drawing library."""
    python = paths.executable(paths.BENCH_ENVIRONMENT, "python")
    subprocess.run([python, PLOT, result, picture], check=True)


def _shown(result: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.replace("_", " "): figure(value) if isinstance(value, int | float) else str(value)
        for name, value in result.items()
        if name not in ("machine", "plan", "seen")
    }


if __name__ == "__main__":
    main()
