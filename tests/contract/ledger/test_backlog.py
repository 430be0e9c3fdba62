"""What is owed to the bus: the backlog in memory, and the real one beside the ledger's refunds."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from refund_bridge.adapters.dynamodb.backlog import DynamoDbBacklog
from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.ports.events import Backlog
from refund_bridge.ports.ledger import DUE_SHARDS, Commit, RefundWrite
from tests.contract.ledger.conftest import Table
from tests.contract.ledger.examples import NOW, a_refund, unique
from tests.fakes.backlog import MemoryBacklog


@pytest.fixture(params=["memory", "dynamodb"])
def backlog(request: pytest.FixtureRequest) -> Backlog:
    if request.param == "memory":
        return MemoryBacklog()
    table: Table = request.getfixturevalue("table")
    return DynamoDbBacklog(table.client, table.name)


@pytest.fixture
def refund_id() -> str:
    return refund_id_of(unique("key"), "test")


def is_owing(backlog: Backlog, refund_id: str, *, before_ms: int = NOW + 1) -> bool:
    """Whether the index names the refund."""
    shard = due_shard_of(refund_id)
    return refund_id in backlog.owing(shard, before_ms=before_ms, limit=100)


def test_what_is_owed_is_due_at_once(backlog: Backlog, refund_id: str) -> None:
    assert not is_owing(backlog, refund_id)
    backlog.owe(refund_id, from_seq=3, now_ms=NOW)
    assert is_owing(backlog, refund_id)
    assert not is_owing(backlog, refund_id, before_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    assert (taken.refund_id, taken.from_seq, taken.tries) == (refund_id, 3, 1)


def test_it_is_named_in_its_own_shard_only(backlog: Backlog, refund_id: str) -> None:
    backlog.owe(refund_id, from_seq=1, now_ms=NOW)
    naming = [
        shard
        for shard in range(DUE_SHARDS)
        if refund_id in backlog.owing(shard, before_ms=NOW + 1, limit=100)
    ]
    assert naming == [due_shard_of(refund_id)]


def test_nothing_is_owed_of_an_unknown_refund(backlog: Backlog, refund_id: str) -> None:
    assert backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000) is None


def test_what_is_taken_is_nobody_elses_for_a_while(backlog: Backlog, refund_id: str) -> None:
    backlog.owe(refund_id, from_seq=1, now_ms=NOW)
    assert backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000) is None
    again = backlog.take(refund_id, now_ms=NOW + 1000, until_ms=NOW + 2000)
    assert again is not None
    assert again.tries == 2


def test_of_many_who_take_at_once_one_gets_it(backlog: Backlog, refund_id: str) -> None:
    backlog.owe(refund_id, from_seq=1, now_ms=NOW)
    with ThreadPoolExecutor(8) as pool:
        taken = list(
            pool.map(lambda _: backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000), range(8))
        )
    assert len([one for one in taken if one is not None]) == 1


def test_the_earliest_line_counts(backlog: Backlog, refund_id: str) -> None:
    for seq in (5, 3, 4):
        backlog.owe(refund_id, from_seq=seq, now_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    assert taken.from_seq == 3


def test_what_was_published_is_owed_no_more(backlog: Backlog, refund_id: str) -> None:
    backlog.owe(refund_id, from_seq=3, now_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    backlog.paid(taken)
    assert not is_owing(backlog, refund_id, before_ms=NOW + 10_000)
    assert backlog.take(refund_id, now_ms=NOW + 10_000, until_ms=NOW + 20_000) is None
    # And what comes to be owed later begins anew
    backlog.owe(refund_id, from_seq=7, now_ms=NOW + 20_000)
    again = backlog.take(refund_id, now_ms=NOW + 20_000, until_ms=NOW + 30_000)
    assert again is not None
    assert (again.from_seq, again.tries) == (7, 1)


def test_what_is_held_is_due_again_then(backlog: Backlog, refund_id: str) -> None:
    backlog.owe(refund_id, from_seq=3, now_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    backlog.hold(taken, until_ms=NOW + 60_000)
    assert backlog.take(refund_id, now_ms=NOW + 59_999, until_ms=NOW + 70_000) is None
    assert is_owing(backlog, refund_id, before_ms=NOW + 60_001)
    again = backlog.take(refund_id, now_ms=NOW + 60_000, until_ms=NOW + 70_000)
    assert again is not None
    assert (again.from_seq, again.tries) == (3, 2)


def test_what_is_given_up_is_due_again_when_more_comes(backlog: Backlog, refund_id: str) -> None:
    backlog.owe(refund_id, from_seq=3, now_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    backlog.hold(taken, until_ms=None)
    assert not is_owing(backlog, refund_id, before_ms=NOW + 10**9)
    assert backlog.take(refund_id, now_ms=NOW + 10**9, until_ms=NOW + 10**9 + 1) is None
    backlog.owe(refund_id, from_seq=5, now_ms=NOW + 10**9)
    again = backlog.take(refund_id, now_ms=NOW + 10**9, until_ms=NOW + 10**9 + 1000)
    assert again is not None
    assert again.from_seq == 3


@pytest.mark.parametrize("answer", ["paid", "hold"])
def test_what_came_to_be_owed_meanwhile_is_not_forgotten(
    backlog: Backlog, refund_id: str, answer: str
) -> None:
    backlog.owe(refund_id, from_seq=3, now_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    backlog.owe(refund_id, from_seq=5, now_ms=NOW)
    if answer == "paid":
        backlog.paid(taken)
    else:
        backlog.hold(taken, until_ms=None)
    again = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert again is not None
    assert again.from_seq == 3


def test_what_is_paid_twice_or_was_never_owed_changes_nothing(
    backlog: Backlog, refund_id: str
) -> None:
    backlog.owe(refund_id, from_seq=3, now_ms=NOW)
    taken = backlog.take(refund_id, now_ms=NOW, until_ms=NOW + 1000)
    assert taken is not None
    backlog.paid(taken)
    backlog.paid(taken)
    backlog.hold(taken, until_ms=NOW)
    assert not is_owing(backlog, refund_id, before_ms=NOW + 10**9)


def test_it_lies_beside_the_refund_and_never_touches_it(table: Table) -> None:
    # Given a refund, and what is owed of it
    refund = a_refund()
    table.ledger().commit(Commit(refunds=(RefundWrite(None, refund),)))
    stored = table.ledger().refund(refund.id)
    backlog = DynamoDbBacklog(table.client, table.name)
    backlog.owe(refund.id, from_seq=1, now_ms=NOW)
    backlog.take(refund.id, now_ms=NOW, until_ms=NOW)
    # Then the refund is what it was, and no shard of the due refunds names it
    assert table.ledger().refund(refund.id) == stored
    for shard in range(DUE_SHARDS):
        due = table.ledger().due(shard, before_ms=NOW - 1, limit=1000)
        assert refund.id not in due
