"""Cold starts, memory and size, against the same dependencies built and imported plainly.

``INIT REPORT`` alone would favour functions that import late, so the first call is measured too:
from the start of the process to the first answer. Both builds are used as their tools make them,
unpacked.
"""

import compileall
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cloud import Cloud, running_cloud
from benchmarks.contender import Contender
from benchmarks.gateway import refund_event, report_event
from benchmarks.lambda_runtime import Code, ColdStart, cold_start
from benchmarks.payments import PART, seeded
from benchmarks.plain_build import plain_build
from benchmarks.providers import ProviderProcess, running_providers
from benchmarks.results import Part, Row, ratio_row
from benchmarks.samples import ratios, spread
from benchmarks.scale import Scale
from deployed import paths
from deployed.stages import load_stage
from deploying.build import build, this_machine

BARE = "def handler(event, context):\n    return {}\n"
MB = 1024 * 1024


@dataclass(frozen=True)
class Started:
    """A function of one build, and the calls that it gets, one for each start."""

    code: Code
    environment: Mapping[str, str]
    events: Iterator[Mapping[str, Any]]


def measure(scale: Scale, directory: Path) -> Part:
    """Start all functions in turns."""
    for package in paths.BENCH_ENVIRONMENT.glob("lib/*/site-packages/awslambdaric"):
        compileall.compile_dir(package, quiet=1)  # as in Lambda's own image
    starts: dict[str, list[ColdStart]] = {}
    with running_providers(directory) as providers, running_cloud(directory) as cloud:
        functions = _functions(scale.cold_starts, providers, cloud, directory)
        for _ in range(scale.cold_starts):
            for name, function in functions.items():
                start = cold_start(
                    function.code, next(function.events), function.environment, directory
                )
                _require_success(name, start.answer)
                starts.setdefault(name, []).append(start)
        sizes = {name: function.code.bytes for name, function in functions.items()}
    numbers = {name: [_numbers(start) for start in made] for name, made in starts.items()}
    return Part(_rows(starts, sizes), {"starts": numbers, "unzipped_bytes": sizes})


def _functions(
    count: int, providers: ProviderProcess, cloud: Cloud, directory: Path
) -> dict[str, Started]:
    ours = build(this_machine(), load_stage("local")).directory
    layers = (ours / "DependenciesLayer" / "python", ours / "RefundsLayer" / "python")
    plain = plain_build(directory / "plain")
    bare = directory / "bare"
    bare.mkdir()
    (bare / "app.py").write_text(BARE)
    money = cloud.of("RefundApiFunction", providers)
    report = cloud.of("ReportRefundFunction", providers)
    plain_environment = cloud.of_plain(providers)
    due = _due(count, providers, money, plain_environment, directory)
    return {
        "bare": Started(Code(bare), {}, iter([{}] * count)),
        "refund_api": Started(
            Code(ours / "RefundApiFunction", layers), money, _refunds(providers, "cold", count)
        ),
        "refund_api plain": Started(
            Code(plain["RefundApi"]), plain_environment, _refunds(providers, "cold_plain", count)
        ),
        "report_refund": Started(
            Code(ours / "ReportRefundFunction", layers),
            report,
            iter([_report(refund_id=one, schema_version=1) for one in due["ours"]]),
        ),
        "report_refund plain": Started(
            Code(plain["ReportRefund"]),
            plain_environment,
            iter([_report(id=one) for one in due["plain"]]),
        ),
    }


def _refunds(providers: ProviderProcess, name: str, count: int) -> Iterator[Mapping[str, Any]]:
    for record in seeded(providers.control, name, count).ids("payment_record"):
        yield refund_event({"by": "payment_record", "id": record, "amount": PART, "key": record})


def _report(**message: Any) -> Mapping[str, Any]:
    return report_event([json.dumps(message)])


def _due(
    count: int,
    providers: ProviderProcess,
    money: Mapping[str, str],
    plain: Mapping[str, str],
    directory: Path,
) -> dict[str, list[str]]:
    """Refunds of both kinds that are not reported yet."""
    due: dict[str, list[str]] = {}
    for name, environment in (("ours", money), ("plain", plain)):
        records = seeded(providers.control, f"due_{name}", count).ids("payment_record")
        with Contender(name, environment, directory) as contender:
            for record in records:
                done = contender.do(
                    by="payment_record", id=record, amount=PART, key=f"due-{record}"
                )
                due.setdefault(name, []).append(done.facts["refund"])
    return due


def _numbers(start: ColdStart) -> dict[str, float]:
    return {
        "init_ms": start.init_ms,
        "invoke_ms": start.invoke_ms,
        "peak_kb": start.peak_kb,
        "cpu_ms": start.cpu_ms,
    }


def _require_success(name: str, answer: Any) -> None:
    failed = name != "bare" and not (
        answer.get("statusCode") == 201 or answer.get("batchItemFailures") == []
    )
    if failed:
        raise RuntimeError(f"{name}: {answer}")


def _rows(starts: Mapping[str, list[ColdStart]], sizes: Mapping[str, int]) -> list[Row]:
    bare = spread([start.init_ms for start in starts["bare"]]).middle
    rows = [Row(what="cold start of an empty function (INIT)", value=bare, unit="ms")]
    for name in ("refund_api", "report_refund"):
        ours, plain = starts[name], starts[f"{name} plain"]
        init, theirs = [one.init_ms for one in ours], [one.init_ms for one in plain]
        whole = [one.init_ms + one.invoke_ms for one in ours]
        their_whole = [one.init_ms + one.invoke_ms for one in plain]
        cpu, their_cpu = [one.cpu_ms for one in ours], [one.cpu_ms for one in plain]
        rows += [
            ratio_row(
                f"cold start of {name} (INIT), {spread(init).middle:.0f} ms",
                f"the plain build, {spread(theirs).middle:.0f} ms",
                spread(ratios(init, theirs)),
                at_most=0.35,
            ),
            ratio_row(
                f"{name} from nothing to its first answer, {spread(whole).middle:.0f} ms",
                f"the plain build, {spread(their_whole).middle:.0f} ms",
                spread(ratios(whole, their_whole)),
            ),
            ratio_row(
                f"the same in processor time, {spread(cpu).middle:.0f} ms",
                f"the plain build, {spread(their_cpu).middle:.0f} ms",
                spread(ratios(cpu, their_cpu)),
            ),
        ]
    memory = {
        name: [one.peak_kb / 1024 for one in starts[name]]
        for name in ("refund_api", "refund_api plain")
    }
    ours_mb, plain_mb = spread(memory["refund_api"]), spread(memory["refund_api plain"])
    size, their_size = sizes["refund_api"], sizes["refund_api plain"]
    return [
        *rows,
        ratio_row(
            f"peak memory of refund_api, {ours_mb.middle:.0f} MB",
            f"the plain build, {plain_mb.middle:.0f} MB",
            spread(ratios(memory["refund_api"], memory["refund_api plain"])),
            at_most=0.7,
        ),
        Row(
            what=f"unzipped deployment (layers + function), {size / MB:.1f} MB",
            against=f"the plain build, {their_size / MB:.1f} MB",
            value=size / their_size,
            at_most=0.4,
        ),
    ]
