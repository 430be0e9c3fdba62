"""What settling costs: per row of a long backlog, and for one open refund among very many.

Measured in memory, where only the use cases take time and calls of ports are counted; and on the
embedded cloud's table, where requests and their units are counted.
"""

import bisect
import gc
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tests.fakes.world as fakes
from benchmarks.cloud import running_cloud
from benchmarks.contender import Contender
from benchmarks.payments import PART, seeded
from benchmarks.providers import running_providers
from benchmarks.results import Part, Row
from benchmarks.samples import spread
from benchmarks.scale import Scale
from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.instruction import Rejected
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import DUE_SHARDS
from refund_bridge.ports.runtime import Clock
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor_books import FakeCharge, FakeRefund, ProcessorBooks
from tests.fakes.processor_fates import ReplyLost

FEW = 100
A_MINUTE_MS = 60_000
RUN_MS = 75_000


class IndexedRefunds(dict[str, Refund]):
    """Refunds by id that also keep the index of due ones, as the table does; the fake scans all."""

    def __init__(self) -> None:
        super().__init__()
        self.due: list[list[tuple[int, str]]] = [[] for _ in range(DUE_SHARDS)]

    def __setitem__(self, refund_id: str, refund: Refund) -> None:
        before, shard = self.get(refund_id), self.due[due_shard_of(refund_id)]
        if before is not None and before.next_check_ms is not None:
            del shard[bisect.bisect_left(shard, (before.next_check_ms, refund_id))]
        if refund.next_check_ms is not None:
            bisect.insort(shard, (refund.next_check_ms, refund_id))
        super().__setitem__(refund_id, refund)


class IndexedLedger(MemoryLedger):
    """The ledger in memory with an index of what is due, and a count of its calls."""

    def __init__(self) -> None:
        super().__init__(as_stored=False)
        self.refunds: IndexedRefunds = IndexedRefunds()
        self.calls: Counter[str] = Counter()

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        """As in the port."""
        rows = self.refunds.due[shard]
        end = bisect.bisect_left(rows, (before_ms, ""))
        chosen = rows[max(0, end - limit) : end][::-1] if newest_first else rows[: min(end, limit)]
        return [refund_id for _, refund_id in chosen]

    def __getattribute__(self, name: str) -> Any:
        if name in _PORT:
            object.__getattribute__(self, "calls")[name] += 1
        return super().__getattribute__(name)


_PORT = frozenset(
    name for name, value in vars(MemoryLedger).items() if callable(value) and name[0] != "_"
)


class IndexedBooks(ProcessorBooks):
    """The processor's books, indexed by charge; the fake's own books scan all refunds. No refund is
    ever pending here."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(clock, name)
        self._by_charge: defaultdict[str, list[FakeRefund]] = defaultdict(list)

    def move(
        self, charge: FakeCharge, money: Money, instruction_id: str | None, *, age_ms: int = 0
    ) -> ProcessorRefund | Rejected:
        """As in the fake."""
        made = super().move(charge, money, instruction_id, age_ms=age_ms)
        if isinstance(made, ProcessorRefund):
            self._by_charge[charge.id].append(self.refunds[made.id])
        return made

    def of(self, charge_id: str) -> list[FakeRefund]:
        """Every refund of a charge."""
        return self._by_charge[charge_id]

    def end_pending(self) -> None:
        """Do nothing: no refund is pending."""


@dataclass(frozen=True)
class Settled:
    """One backlog: microseconds and port calls per row, and the rows' final states."""

    micros: float
    calls: float
    rows: int


def measure(scale: Scale, directory: Path) -> Part:
    """Settle backlogs of both lengths in turns; then one refund among many."""
    few: list[Settled] = []
    many: list[Settled] = []
    _settled(FEW)  # warms up
    for _ in range(scale.backlogs):
        many.append(_settled(scale.backlog))
        # A similar number of rows in all for both lengths, so that both results are as certain.
        few += [_settled(FEW) for _ in range(max(1, scale.backlog // FEW // 10))]
    among = {count: _one_among(count) for count in scale.stored}
    in_table = _one_among_stored(scale.stored_in_table, directory)
    return Part(
        _rows(scale, few, many, among, in_table),
        {
            "few": [asdict(one) for one in few],
            "many": [asdict(one) for one in many],
            "port_calls_of_one_among": among,
            "requests_of_one_among_in_table": in_table,
        },
    )


def _with_unknown(count: int) -> fakes.World:
    """A world of refunds that were executed and whose answers were lost; all are due."""
    with patch.object(fakes, "MemoryLedger", IndexedLedger):
        world = fakes.World()
    world.processor.books = IndexedBooks(world.clock, world.processor.name)
    for number in range(count):
        record = world.pay(f"p{number}")
        world.processor.fates.append(ReplyLost())
        world.refund(f"k{number}", record=record, amount=PART)
    world.clock.advance(2 * A_MINUTE_MS)
    return world


def _settled(count: int) -> Settled:
    world = _with_unknown(count)
    ledger = world.ledger
    assert isinstance(ledger, IndexedLedger)  # noqa: S101 - for the type checker
    ledger.calls.clear()
    # No collection while measuring, as in `timeit`: it would walk through the world in memory,
    # which exists only in tests.
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        settled = world.settle_run(world.deadline_of(RUN_MS))
        seconds = time.perf_counter() - began
    finally:
        gc.enable()
    if settled != count:
        raise RuntimeError(f"{settled} of {count} rows were settled")
    return Settled(seconds * 1e6 / count, ledger.calls.total() / count, count)


def _one_among(stored: int) -> dict[str, int]:
    """Port calls of settling one due refund among ``stored`` refunds that are not due."""
    world = _with_unknown(1)
    ledger = world.ledger
    assert isinstance(ledger, IndexedLedger)  # noqa: S101 - for the type checker
    ((_, one),) = ledger.refunds.items()
    done = replace(one, next_check_ms=None)
    for number in range(stored - 1):
        ledger.refunds[f"rfd_{number:032x}"] = done
    ledger.calls.clear()
    if world.settle_run(world.deadline_of(RUN_MS)) != 1:
        raise RuntimeError("the refund was not settled")
    return dict(ledger.calls)


def _one_among_stored(stored: int, directory: Path) -> dict[str, dict[str, Any]]:
    """Requests and units of a refund and its report, in an almost empty table and in a full one."""
    with running_providers(directory) as providers, running_cloud(directory) as cloud:
        environment = {
            **cloud.of("ReportRefundFunction", providers),
            **cloud.of("RefundApiFunction", providers),
        }
        ids = iter(seeded(providers.control, "stored", 5).ids("payment_record"))
        dynamodb = cloud.clients.client("dynamodb")
        with Contender("ours", environment, directory) as contender:

            def asked() -> dict[str, Any]:
                record = next(ids)
                job = {"by": "payment_record", "id": record, "amount": PART, "key": record}
                refund = contender.do(**job, counted=True).facts
                report = contender.do(do="report", ids=[refund["refund"]], counted=True).facts
                return {"refund": refund["aws"], "report": report["aws"]}

            asked()  # the first call also reads secrets
            empty = asked()
            for batch in _copies(dynamodb, stored):
                dynamodb.batch_write_item(RequestItems={"ledger": batch})
            return {"1": empty, str(stored): asked()}


def _copies(dynamodb: Any, count: int) -> Iterator[list[dict[str, Any]]]:
    """Requests that put copies of the stored refund, each with an id of its own."""
    items = dynamodb.scan(TableName="ledger")["Items"]
    refund = next(item for item in items if item["pk"]["S"].startswith("refund#"))
    for start in range(0, count, 25):
        yield [
            {"PutRequest": {"Item": refund | {"pk": {"S": f"refund#rfd_{number:032x}"}}}}
            for number in range(start, min(start + 25, count))
        ]


def _rows(
    scale: Scale,
    few: Sequence[Settled],
    many: Sequence[Settled],
    among: dict[int, dict[str, int]],
    in_table: dict[str, dict[str, Any]],
) -> list[Row]:
    per_few, per_many = spread([one.micros for one in few]), spread([one.micros for one in many])
    largest, smallest = max(among), min(among)
    calls = {count: sum(asked.values()) for count, asked in among.items()}
    empty, full = in_table.values()
    units = [sum(one[job][unit] for job in one for unit in UNITS) for one in (empty, full)]
    return [
        Row(
            what=f"settling a backlog of {scale.backlog:,}, time per row, {per_many.middle:.0f} µs",
            against=f"a backlog of {FEW}, {per_few.middle:.0f} µs",
            value=per_many.middle / per_few.middle,
            low=per_many.low / per_few.middle,
            high=per_many.high / per_few.middle,
            at_most=1.2,
        ),
        Row(
            what=f"settling a backlog of {scale.backlog:,}, ledger calls per row",
            against=f"a backlog of {FEW}, {few[0].calls:.2f}",
            value=many[0].calls / few[0].calls,
            at_most=1.2,
        ),
        Row(
            what=f"settling one open refund among {largest:,}, ledger calls",
            against=f"among {smallest}, {calls[smallest]}",
            value=calls[largest] / calls[smallest],
            at_most=1,
        ),
        Row(
            what=f"a refund and its report among {max(map(int, in_table)):,} stored, request units",
            against=f"among 1, {units[0]:g}",
            value=units[1] / units[0],
            at_most=1,
        ),
    ]


UNITS = ("read_units", "table_write_units", "index_write_units")
