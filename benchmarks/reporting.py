"""Reports per second if Stripe answers after 150 ms, and the most that Stripe sees in one second.

The reporter's handler gets batches of ten, as from the queue; the ledger is in memory. First
without a rate limit, one after the other and at the same time; then two workers with the template's
own rate limit, as deployed.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contender import Contender
from benchmarks.function_environment import function_environment
from benchmarks.payments import PART, seeded
from benchmarks.providers import AT_ONCE, FIXED, Latencies, ProviderProcess, running_providers
from benchmarks.results import Part, Row
from benchmarks.scale import Scale
from deployed import paths
from deploying.template_yaml import read_template

BATCH = 10
UNPACED = 100
STRIPE_RATE = 20
OPERATION = "payment_record.report_refund"


def measure(scale: Scale, directory: Path) -> Part:
    """One after the other, side by side, and two workers as deployed."""
    parameters = read_template(paths.TEMPLATE)["Parameters"]
    concurrency = int(parameters["ReportConcurrency"]["Default"])
    pace = int(parameters["StripeReportsPerSecond"]["Default"])
    workers = int(parameters["ReportWorkers"]["Default"])
    with running_providers(directory) as providers:
        runs = {
            "one": _rate(providers, directory, scale.reports, concurrency=1, pace=UNPACED),
            "side by side": _rate(
                providers, directory, scale.reports, concurrency=concurrency, pace=UNPACED
            ),
            "as deployed": _rate(
                providers,
                directory,
                scale.reports,
                concurrency=concurrency,
                pace=pace,
                workers=workers,
            ),
        }
    one = runs["one"][0]
    rows = [
        Row(what="reports per second, one worker, one after the other", value=one, unit="/s"),
        Row(
            what=f"reports per second, one worker, {concurrency} at once (template)",
            against="one after the other",
            value=runs["side by side"][0] / one,
            at_least=6,
        ),
        Row(
            what=f"most reports that Stripe saw in a second, {workers} workers, {pace}/s each",
            value=runs["as deployed"][1],
            unit="/s",
            at_most=STRIPE_RATE,
        ),
    ]
    rates = {name: {"per_second": rate, "peak": peak} for name, (rate, peak) in runs.items()}
    return Part(rows, rates)


def _rate(  # noqa: PLR0913 - what is varied
    providers: ProviderProcess,
    directory: Path,
    reports: int,
    *,
    concurrency: int,
    pace: int,
    workers: int = 1,
) -> tuple[float, int]:
    """Reports per second on average, and the most in any one second."""
    control, name = providers.control, f"report_{concurrency}_{pace}_{workers}"
    urls = {"HitPayUrl": control.hitpay_url, "StripeUrl": control.stripe_url}
    parameters = {
        **urls,
        "ReportConcurrency": str(concurrency),
        "StripeReportsPerSecond": str(pace),
    }
    environment = {
        **function_environment("RefundApiFunction", urls),
        **function_environment("ReportRefundFunction", parameters),
        **providers.environment,
    }
    providers.set_latencies(AT_ONCE)
    with ExitStack() as stack, ThreadPoolExecutor(workers) as pool:
        due = []
        for number in range(workers):
            contender = stack.enter_context(Contender("ours_in_memory", environment, directory))
            records = seeded(control, f"{name}_{number}", reports).ids("payment_record")
            refunds = [
                contender.do(by="payment_record", id=one, amount=PART, key=one).facts["refund"]
                for one in records
            ]
            contender.do(do="report", ids=refunds[:1])  # warms up, and opens a connection
            due.append((contender, refunds[1:]))
        providers.set_latencies(Latencies(stripe=FIXED.stripe))
        known = control.calls()[-1].number
        for done in [pool.submit(_report, contender, refunds) for contender, refunds in due]:
            done.result()
    calls = [call for call in control.calls("stripe", OPERATION) if call.number > known]
    began = [call.monotonic_ms for call in calls]
    last = max(call.monotonic_ms + call.duration_ms for call in calls)
    return len(calls) * 1000 / (last - began[0]), most_in_a_second(began)


def _report(contender: Contender, refunds: Sequence[str]) -> None:
    for start in range(0, len(refunds), BATCH):
        contender.do(do="report", ids=refunds[start : start + BATCH])


def most_in_a_second(milliseconds: Sequence[int]) -> int:
    """The greatest number of these moments within any 1,000 ms."""
    most, first = 0, 0
    ordered = sorted(milliseconds)
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - 1000:
            first += 1
        most = max(most, last - first + 1)
    return most
