"""Counts the calls that one refund makes: to providers, by their journal, and every call of boto3.

It also counts what comes after a refund: settling's checks (the calls of a run with one due refund,
less those of a run with none), and the publishing of events.

Each job is done several times. One time is counted, which takes extra reads to see what each write
changed; other times are only timed, for the costs. Providers have fixed latencies, so that calls
made at the same time can be seen.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cloud import LEDGER, Cloud, running_cloud
from benchmarks.contender import Contender, Done
from benchmarks.gateway import stream_event
from benchmarks.payments import PART, seeded
from benchmarks.providers import FIXED, ProviderProcess, running_providers
from benchmarks.results import Part, Row
from benchmarks.scale import Scale
from local.simulators.records import RecordedCall

Watched = tuple[Done, list[RecordedCall]]
# Of each job the first time warms up, the second is counted, the others are timed. The fastest is
# used: other programs on the machine slowed it down least.
PASSES = (False, True, False, False, False)
WAYS = ("payment_record", "payment_intent", "invoice")
# The jobs after a refund.
IDLE = "a run of settling, nothing due"
LOOK = "a run of settling, one look after a refund"
PUBLISHED = "a change published"
NOT_TOLD = "a change that no event tells of"


@dataclass(frozen=True)
class Trip:
    """One job: its calls, and how long it took when calls were not counted.

    Attributes:
        in_sequence: the longest chain of provider calls in which each began after the one before
            had ended.
        cpu_milliseconds: processor time of the handler's process, when calls were not counted.
        aws: the JSON of ``aws_calls.Noted``.
    """

    provider_calls: tuple[str, ...]
    in_sequence: int
    milliseconds: float
    cpu_milliseconds: float
    logged_bytes: int
    aws: dict[str, Any]


def measure(_: Scale, directory: Path) -> Part:
    """Count a first and a later refund for each way to name a payment, and their reports."""
    with running_providers(directory) as providers, running_cloud(directory) as cloud:
        providers.set_latencies(FIXED)
        trips = _ours(providers, cloud, directory)
        trips |= _plain(providers, cloud, directory)
    return Part(_rows(trips), {name: asdict(trip) for name, trip in trips.items()})


def _ours(providers: ProviderProcess, cloud: Cloud, directory: Path) -> dict[str, Trip]:
    trips: dict[str, Trip] = {}
    # One process runs both functions, so it has the variables of both.
    environment = {
        **cloud.of("PublishEventsFunction", providers),
        **cloud.of("SettleRefundsFunction", providers),
        **cloud.of("ReportRefundFunction", providers),
        **cloud.of("RefundApiFunction", providers),
    }
    cloud.clients.client("events").create_event_bus(Name="EventBus")
    with Contender("ours", environment, directory) as contender:
        for by in WAYS:
            ids = seeded(providers.control, f"trip_{by}", len(PASSES)).ids(by)
            for occasion in ("first", "later"):
                refunds = _refunds(providers, contender, by, ids, occasion)
                trips[f"{occasion} refund, {by}"] = _trip(refunds)
                if by == "payment_record":
                    reports = _reports(providers, contender, refunds)
                    trips[f"report of the {occasion} refund"] = _trip(reports)
                    trips |= _afterwards(providers, cloud, contender, refunds)
    return trips


def _plain(providers: ProviderProcess, cloud: Cloud, directory: Path) -> dict[str, Trip]:
    count, by = len(PASSES), "payment_record"
    with Contender("plain", cloud.of_plain(providers), directory) as contender:
        ids = seeded(providers.control, "trip_plain", count).ids(by)
        refunds = _refunds(providers, contender, by, ids, "only")
        reports = _reports(providers, contender, refunds)
    with Contender("guide", providers.environment, directory) as contender:
        ids = seeded(providers.control, "trip_guide", count).ids(by)
        guide = _refunds(providers, contender, by, ids, "only")
    return {
        "refund, written plainly": _trip(refunds),
        "report, written plainly": _trip(reports),
        "guide": _trip(guide),
    }


def _refunds(
    providers: ProviderProcess,
    contender: Contender,
    by: str,
    ids: Sequence[str],
    occasion: str,
) -> list[Watched]:
    return [
        _watched(
            providers,
            contender,
            **{"by": by, "id": one, "amount": PART, "key": f"{one}-{occasion}", "counted": counted},
        )
        for one, counted in zip(ids, PASSES, strict=True)
    ]


def _reports(
    providers: ProviderProcess, contender: Contender, refunds: Sequence[Watched]
) -> list[Watched]:
    return [
        _watched(providers, contender, do="report", ids=[done.facts["refund"]], counted=counted)
        for (done, _), counted in zip(refunds, PASSES, strict=True)
    ]


def _afterwards(
    providers: ProviderProcess, cloud: Cloud, contender: Contender, refunds: Sequence[Watched]
) -> dict[str, Trip]:
    """A run of settling with no refund due, one with each refund due, and a published change."""
    dynamodb = cloud.clients.client("dynamodb")
    idle, looks = list[Watched](), list[Watched]()
    published, not_told = list[Watched](), list[Watched]()
    for (done, _), counted in zip(refunds, PASSES, strict=True):
        key: dict[str, Any] = {"pk": {"S": f"refund#{done.facts['refund']}"}, "sk": {"S": "refund"}}
        idle.append(_settled(providers, contender, 0, counted=counted))
        dynamodb.update_item(
            TableName=LEDGER,
            Key=key,
            UpdateExpression="SET due_at = :past, next_check_ms = :past",
            ExpressionAttributeValues={":past": {"N": str(time.time_ns() // 1_000_000 - 1)}},
        )
        looks.append(_settled(providers, contender, 1, counted=counted))
        item = dynamodb.get_item(TableName=LEDGER, Key=key)["Item"]
        for trips, new in ((published, True), (not_told, False)):
            event = stream_event([item], new=new)
            trips.append(_watched(providers, contender, do="publish", event=event, counted=counted))
    return {
        IDLE: _trip(idle),
        LOOK: _trip(looks),
        PUBLISHED: _trip(published),
        NOT_TOLD: _trip(not_told),
    }


def _settled(
    providers: ProviderProcess, contender: Contender, due: int, *, counted: bool
) -> Watched:
    run = _watched(providers, contender, do="settle", counted=counted)
    if run[0].facts["settled"] != due:
        raise RuntimeError(f"{run[0].facts['settled']} refunds were due, not {due}")
    return run


def _watched(providers: ProviderProcess, contender: Contender, **job: Any) -> Watched:
    """Have a job done, and see which provider calls it made."""
    known = _last(providers)
    done = contender.do(**job)
    return done, [call for call in providers.control.calls() if call.number > known]


def _last(providers: ProviderProcess) -> int:
    calls = providers.control.calls()
    return calls[-1].number if calls else 0


def _trip(done: Sequence[Watched]) -> Trip:
    counted, calls = done[1]
    timed = min((each for each, _ in done[2:]), key=lambda each: each.seconds)
    return Trip(
        provider_calls=tuple(call.operation for call in calls),
        in_sequence=longest_chain(
            [(c.monotonic_ms, c.monotonic_ms + c.duration_ms) for c in calls]
        ),
        milliseconds=timed.seconds * 1000,
        cpu_milliseconds=timed.cpu_seconds * 1000,
        logged_bytes=timed.printed_bytes,
        aws=counted.facts.get("aws", {}),
    )


def longest_chain(intervals: Sequence[tuple[int, int]]) -> int:
    """The greatest number of these intervals that follow each other without overlapping."""
    length, free_at = 0, -1
    for begin, end in sorted(intervals, key=lambda interval: interval[1]):
        if begin >= free_at:
            length, free_at = length + 1, end
    return length


def _rows(trips: dict[str, Trip]) -> list[Row]:
    refunds = {
        name: trip for name, trip in trips.items() if "refund, " in name and "plain" not in name
    }
    reports = [trip for name, trip in trips.items() if name.startswith("report of")]
    by_record = [trip for name, trip in refunds.items() if name.endswith("payment_record")]
    first, later = by_record
    six = list(refunds.values())
    worst_reads = max(six, key=lambda trip: trip.aws["ledger_reads"])
    dearest_report = max(reports, key=_ledger_calls)
    return [
        _count("provider calls by Payment Record", max(map(_provider_calls, by_record)), 3),
        _count("of them in sequence, first refund", first.in_sequence, 3),
        _count("of them in sequence, later refund", later.in_sequence, 2),
        _count("provider calls by PaymentIntent or Invoice", max(map(_provider_calls, six)), 4),
        _count("ledger reads by Payment Record", max(t.aws["ledger_reads"] for t in by_record), 2),
        _count(
            "ledger reads, the most of any way", worst_reads.aws["ledger_reads"], 2, worst_reads
        ),
        _count("ledger writes", max(trip.aws["ledger_writes"] for trip in six), 2),
        _count("queue sends", max(trip.aws["queue_sends"] for trip in six), 1),
        _count("provider calls of a report", max(map(_provider_calls, reports)), 2),
        _count("ledger calls of a report", _ledger_calls(dearest_report), 2, dearest_report),
        _more("ledger reads of a look after a refund", trips, "ledger_reads"),
        _more("ledger writes of a look after a refund", trips, "ledger_writes"),
    ]


def _provider_calls(trip: Trip) -> int:
    return len(trip.provider_calls)


def _ledger_calls(trip: Trip) -> int:
    calls: int = trip.aws["ledger_reads"] + trip.aws["ledger_writes"]
    return calls


def _more(what: str, trips: dict[str, Trip], unit: str) -> Row:
    """What one check adds to the run of settling that makes it."""
    look, idle = trips[LOOK].aws, trips[IDLE].aws
    return Row(what=what, value=look[unit] - idle[unit], unit="")


def _count(what: str, value: int, most: int, shown: Trip | None = None) -> Row:
    operations = shown.aws["operations"] if shown else ()
    note = ", ".join(operation.partition(".")[2] for operation in operations)
    return Row(what=what, value=value, unit="", at_most=most, note=note)
