"""Both keep how far a sweep has come, and let one run move it at a time."""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from refund_bridge.adapters.dynamodb.sweeps import DynamoDbSweeps
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.sweeps import Sweep, SweepLog
from tests.contract.ledger.conftest import Table
from tests.fakes.sweeps import MemorySweeps

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(params=["memory", "dynamodb"])
def sweeps(request: pytest.FixtureRequest) -> SweepLog:
    if request.param == "memory":
        return MemorySweeps()
    table: Table = request.getfixturevalue("table")
    return DynamoDbSweeps(table.client, table.name)


@pytest.fixture
def processor() -> str:
    return f"processor-{uuid.uuid4().hex}"


def test_a_sweep_begins_once(sweeps: SweepLog, processor: str) -> None:
    begun = sweeps.sweep(processor, begin_ms=1000)
    assert begun == Sweep(processor=processor, since_ms=1000, cursor=None, revision=1)
    assert sweeps.sweep(processor, begin_ms=2000) == begun


def test_each_processor_has_its_own(sweeps: SweepLog, processor: str) -> None:
    sweeps.sweep(processor, begin_ms=1000)
    assert sweeps.sweep(f"{processor}-2", begin_ms=2000).since_ms == 2000


def test_it_goes_on_where_it_was_left(sweeps: SweepLog, processor: str) -> None:
    begun = sweeps.sweep(processor, begin_ms=1000)
    moved = sweeps.move_sweep(begun, "page=2")
    assert (moved.cursor, moved.since_ms) == ("page=2", 1000)
    assert sweeps.sweep(processor, begin_ms=0) == moved


def test_it_counts_how_often_its_page_could_not_be_read(sweeps: SweepLog, processor: str) -> None:
    tried = sweeps.move_sweep(sweeps.sweep(processor, begin_ms=1000), "page=2", tries=2)
    assert sweeps.sweep(processor, begin_ms=0) == tried
    assert (tried.tries, sweeps.move_sweep(tried, "page=3").tries) == (2, 0)


def test_at_the_end_it_has_no_place(sweeps: SweepLog, processor: str) -> None:
    moved = sweeps.move_sweep(sweeps.sweep(processor, begin_ms=1000), "page=2")
    sweeps.move_sweep(moved, None)
    assert sweeps.sweep(processor, begin_ms=0).cursor is None


def test_a_run_that_was_overtaken_moves_nothing(sweeps: SweepLog, processor: str) -> None:
    begun = sweeps.sweep(processor, begin_ms=1000)
    moved = sweeps.move_sweep(begun, "page=2")
    with pytest.raises(LedgerConflictError):
        sweeps.move_sweep(begun, "page=9")
    assert sweeps.sweep(processor, begin_ms=0) == moved


def test_two_that_begin_at_once_share_one_beginning(
    table: Table, new_client: Callable[[], "DynamoDBClient"], processor: str
) -> None:
    # Given a run that found no sweep, while another began one
    late = DynamoDbSweeps(table.client, table.name)
    other = DynamoDbSweeps(new_client(), table.name)
    found = late._found

    def overtaken(name: str) -> Sweep | None:
        late._found = found  # type: ignore[method-assign]
        other.sweep(name, begin_ms=1000)
        return None

    late._found = overtaken  # type: ignore[method-assign, assignment]
    # When it begins its own, then it has the other's
    assert late.sweep(processor, begin_ms=2000).since_ms == 1000
