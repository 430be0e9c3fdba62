"""Both keep which refunds a batch holds, and let one person write it at a time."""

import uuid
from dataclasses import replace

import pytest

from refund_bridge.adapters.dynamodb.batches import DynamoDbBatches
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.ports.batches import Batch, BatchLog, BatchRow
from refund_bridge.ports.ledger import LedgerConflictError
from tests.contract.ledger.conftest import Table
from tests.fakes.batches import MemoryBatches


@pytest.fixture(params=["memory", "dynamodb"])
def batches(request: pytest.FixtureRequest) -> BatchLog:
    if request.param == "memory":
        return MemoryBatches()
    table: Table = request.getfixturevalue("table")
    return DynamoDbBatches(table.client, table.name)


def a_batch(count: int = 3) -> Batch:
    rows = tuple(
        BatchRow(refund_id_of(f"k{n}", "test"), f"digest-{n % 9999:04}") for n in range(count)
    )
    return Batch(name=f"batch-{uuid.uuid4().hex}", rows=rows, actor="operator:kim", at_ms=1000)


def test_what_is_kept_is_shown_whole(batches: BatchLog) -> None:
    batch = a_batch()
    assert batches.batch(batch.name) is None
    kept = batches.keep(batch)
    assert kept == replace(batch, revision=1)
    assert batches.batch(batch.name) == kept


def test_as_many_rows_as_a_file_may_have_are_kept(batches: BatchLog) -> None:
    kept = batches.keep(a_batch(100_000))
    assert batches.batch(kept.name) == kept


def test_of_two_that_write_at_once_one_is_refused(batches: BatchLog) -> None:
    batch = a_batch()
    kept = batches.keep(batch)
    with pytest.raises(LedgerConflictError):
        batches.keep(batch)
    again = batches.keep(replace(kept, rows=kept.rows[:1]))
    with pytest.raises(LedgerConflictError):
        batches.keep(kept)
    assert batches.batch(batch.name) == again
    assert len(again.rows) == 1
