"""How far an address has been told: the cursors in memory, and the real ones beside the refunds."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.adapters.dynamodb.webhook_cursors import DynamoDbWebhookCursors
from refund_bridge.delivering.ports import Cursor, Cursors, LeaseLostError, NotNow
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.ports.ledger import DUE_SHARDS
from tests.contract.ledger.conftest import Table
from tests.contract.ledger.examples import NOW, unique
from tests.fakes.webhooks import MemoryCursors

ADDRESS = "we_00000000000000aa"
CHECK = NOW + 7_200_000
UNTIL = NOW + 90_000


@pytest.fixture(params=["memory", "dynamodb"])
def cursors(request: pytest.FixtureRequest) -> Cursors:
    if request.param == "memory":
        return MemoryCursors()
    table: Table = request.getfixturevalue("table")
    return DynamoDbWebhookCursors(table.client, table.name)


@pytest.fixture
def refund_id() -> str:
    return refund_id_of(unique("key"), "test")


def owe(cursors: Cursors, refund_id: str, *, after: int = 0, now_ms: int = NOW) -> None:
    cursors.owe(refund_id, ADDRESS, after_sequence=after, now_ms=now_ms, check_at_ms=CHECK)


def take(cursors: Cursors, refund_id: str, *, now_ms: int = NOW) -> Cursor:
    taken = cursors.take(refund_id, ADDRESS, now_ms=now_ms, until_ms=now_ms + 90_000)
    assert isinstance(taken, Cursor)
    return taken


def is_due(cursors: Cursors, refund_id: str, *, before_ms: int) -> bool:
    due = cursors.due(due_shard_of(refund_id), before_ms=before_ms, limit=1000)
    return (refund_id, ADDRESS) in due


def test_a_cursor_begins_before_the_first_line_that_is_owed(
    cursors: Cursors, refund_id: str
) -> None:
    owe(cursors, refund_id, after=3)
    taken = take(cursors, refund_id)
    assert (taken.refund_id, taken.address_id) == (refund_id, ADDRESS)
    assert (taken.delivered_sequence, taken.since_ms, taken.attempts) == (3, NOW, 0)


def test_a_cursor_that_exists_stays_where_it_is(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id, after=1)
    owe(cursors, refund_id, after=5, now_ms=NOW + 1)
    taken = take(cursors, refund_id)
    assert (taken.delivered_sequence, taken.since_ms) == (1, NOW)


def owed_since(cursors: Cursors, refund_id: str) -> int:
    cursor = cursors.cursor(refund_id, ADDRESS)
    assert cursor is not None
    assert cursor.is_owed
    return cursor.owed_since_ms


def test_it_is_owed_since_the_first_line_that_was_not_told(
    cursors: Cursors, refund_id: str
) -> None:
    # Given a cursor of which all was told once
    owe(cursors, refund_id)
    assert cursors.done(take(cursors, refund_id))
    # When lines come to be owed later, one after the other, and the first is told
    owe(cursors, refund_id, now_ms=NOW + 1000)
    owe(cursors, refund_id, now_ms=NOW + 2000)
    cursors.advance(take(cursors, refund_id, now_ms=NOW + 2000), to_sequence=1)
    # Then something is owed since the first of them came
    assert owed_since(cursors, refund_id) == NOW + 1000


def test_what_rested_is_owed_since_the_next_line(cursors: Cursors, refund_id: str) -> None:
    # Given a cursor that rests
    owe(cursors, refund_id)
    cursors.rest(refund_id, ADDRESS)
    # When a line comes to be owed, then it is owed since then
    owe(cursors, refund_id, now_ms=NOW + 1000)
    assert owed_since(cursors, refund_id) == NOW + 1000


def test_a_replay_is_owed_since_somebody_asked_for_it(cursors: Cursors, refund_id: str) -> None:
    # Given something that is owed
    owe(cursors, refund_id)
    # When a replay is asked for, then it is owed since then
    cursors.rewind(refund_id, ADDRESS, after_sequence=0, now_ms=NOW + 1000, check_at_ms=CHECK)
    assert owed_since(cursors, refund_id) == NOW + 1000


def test_an_item_of_the_release_before_is_owed_since_it_was_begun(
    table: Table, refund_id: str
) -> None:
    # Given a cursor without the attribute
    cursors = DynamoDbWebhookCursors(table.client, table.name)
    owe(cursors, refund_id)
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": f"refund#{refund_id}"}, "sk": {"S": f"webhook#{ADDRESS}"}},
        UpdateExpression="REMOVE owed_since_ms",
    )
    # When it is read, then the time at which it was begun stands for it
    assert owed_since(cursors, refund_id) == NOW


def test_nothing_is_taken_where_nothing_is_owed(cursors: Cursors, refund_id: str) -> None:
    assert cursors.take(refund_id, ADDRESS, now_ms=NOW, until_ms=UNTIL) is None
    assert cursors.cursor(refund_id, ADDRESS) is None


def test_one_worker_has_it_at_a_time(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    take(cursors, refund_id)
    assert cursors.take(refund_id, ADDRESS, now_ms=NOW + 1, until_ms=UNTIL) == NotNow(
        UNTIL, is_leased=True
    )
    assert take(cursors, refund_id, now_ms=UNTIL).delivered_sequence == 0


def test_of_many_that_want_it_one_gets_it(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda _: cursors.take(refund_id, ADDRESS, now_ms=NOW, until_ms=UNTIL), range(24)
            )
        )
    assert sum(isinstance(one, Cursor) for one in found) == 1


def test_it_advances_durably(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    advanced = cursors.advance(take(cursors, refund_id), to_sequence=4)
    assert advanced.delivered_sequence == 4
    assert cursors.cursor(refund_id, ADDRESS) == advanced


def test_what_another_worker_has_by_now_is_not_written(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    mine = take(cursors, refund_id)
    theirs = cursors.advance(take(cursors, refund_id, now_ms=UNTIL), to_sequence=2)
    with pytest.raises(LeaseLostError):
        cursors.advance(mine, to_sequence=1)
    with pytest.raises(LeaseLostError):
        cursors.give_up(mine, to_sequence=1, reason="too old")
    cursors.put_off(mine, reason="late", next_attempt_ms=UNTIL, check_at_ms=CHECK)
    assert cursors.cursor(refund_id, ADDRESS) == theirs


def test_an_attempt_in_vain_is_counted_and_waited_for(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    for attempt in (1, 2):
        at_ms = NOW + attempt * 60_000
        cursors.put_off(
            take(cursors, refund_id, now_ms=at_ms),
            reason="it answered 500",
            next_attempt_ms=at_ms + 30_000,
            check_at_ms=CHECK,
        )
        assert cursors.take(refund_id, ADDRESS, now_ms=at_ms + 1, until_ms=UNTIL) == NotNow(
            at_ms + 30_000
        )
        stored = cursors.cursor(refund_id, ADDRESS)
        assert stored is not None
        assert (stored.attempts, stored.last_error) == (attempt, "it answered 500")
    taken = cursors.advance(take(cursors, refund_id, now_ms=NOW + 200_000), to_sequence=1)
    assert (taken.attempts, taken.last_error, taken.next_attempt_ms) == (0, None, 0)


def test_a_pause_without_a_reason_is_no_attempt(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    cursors.put_off(
        take(cursors, refund_id), reason=None, next_attempt_ms=NOW + 1000, check_at_ms=CHECK
    )
    assert take(cursors, refund_id, now_ms=NOW + 1000).attempts == 0


def test_a_line_that_is_given_up_is_passed_and_remembered(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    passed = cursors.give_up(take(cursors, refund_id), to_sequence=2, reason="it answered 500")
    assert (passed.delivered_sequence, passed.failed_sequence) == (2, 2)
    assert cursors.advance(passed, to_sequence=3).failed_sequence == 2


def test_what_is_done_is_owed_no_more(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    assert cursors.done(take(cursors, refund_id))
    assert cursors.take(refund_id, ADDRESS, now_ms=NOW, until_ms=UNTIL) is None
    assert not is_due(cursors, refund_id, before_ms=CHECK + 1)
    stored = cursors.cursor(refund_id, ADDRESS)
    assert stored is not None
    assert not stored.is_owed


def test_it_is_not_done_if_more_came_to_be_owed(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    taken = take(cursors, refund_id)
    owe(cursors, refund_id, after=1)
    advanced = cursors.advance(taken, to_sequence=1)
    assert not cursors.done(advanced)
    assert take(cursors, refund_id).is_owed


def test_a_replay_takes_it_back_from_whoever_has_it(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    mine = cursors.give_up(take(cursors, refund_id), to_sequence=6, reason="too old")
    cursors.rewind(refund_id, ADDRESS, after_sequence=1, now_ms=NOW + 5, check_at_ms=CHECK)
    with pytest.raises(LeaseLostError):
        cursors.advance(mine, to_sequence=7)
    taken = take(cursors, refund_id, now_ms=NOW + 5)
    assert (taken.delivered_sequence, taken.since_ms) == (1, NOW + 5)
    assert taken.failed_sequence is None


def test_a_replay_may_begin_a_cursor(cursors: Cursors, refund_id: str) -> None:
    cursors.rewind(refund_id, ADDRESS, after_sequence=0, now_ms=NOW, check_at_ms=CHECK)
    assert take(cursors, refund_id).delivered_sequence == 0


def test_it_is_due_when_nobody_has_done_it_by_then(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id)
    assert not is_due(cursors, refund_id, before_ms=CHECK)
    assert is_due(cursors, refund_id, before_ms=CHECK + 1)
    shards = [
        shard
        for shard in range(DUE_SHARDS)
        if (refund_id, ADDRESS) in cursors.due(shard, before_ms=CHECK + 1, limit=1000)
    ]
    assert shards == [due_shard_of(refund_id)]


def test_each_ringing_is_counted_and_nobody_else_is_given_it(
    cursors: Cursors, refund_id: str
) -> None:
    owe(cursors, refund_id)
    assert cursors.rung(refund_id, ADDRESS, now_ms=CHECK - 1) is None
    assert cursors.rung(refund_id, ADDRESS, now_ms=CHECK) == 0
    assert cursors.rung(refund_id, ADDRESS, now_ms=CHECK) is None
    cursors.check_again(refund_id, ADDRESS, at_ms=CHECK)
    assert cursors.rung(refund_id, ADDRESS, now_ms=CHECK) == 1
    cursors.check_again(refund_id, ADDRESS, at_ms=CHECK)
    owe(cursors, refund_id)
    assert cursors.rung(refund_id, ADDRESS, now_ms=CHECK) == 0


def test_what_rests_is_owed_no_more_but_keeps_its_place(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id, after=2)
    cursors.rest(refund_id, ADDRESS)
    cursors.check_again(refund_id, ADDRESS, at_ms=NOW)
    assert cursors.rung(refund_id, ADDRESS, now_ms=CHECK) is None
    owe(cursors, refund_id, after=7)
    assert take(cursors, refund_id).delivered_sequence == 2


def test_several_are_read_at_once(cursors: Cursors, refund_id: str) -> None:
    other = refund_id_of(unique("key"), "test")
    owe(cursors, refund_id, after=1)
    owe(cursors, other, after=2)
    found = cursors.cursors([(refund_id, ADDRESS), (other, ADDRESS), ("rfd_none", ADDRESS)])
    assert sorted((one.refund_id, one.delivered_sequence) for one in found) == sorted(
        [(refund_id, 1), (other, 2)]
    )


def test_a_refund_has_a_cursor_for_each_address(cursors: Cursors, refund_id: str) -> None:
    owe(cursors, refund_id, after=1)
    cursors.owe(refund_id, "we_00000000000000bb", after_sequence=4, now_ms=NOW, check_at_ms=CHECK)
    mine = take(cursors, refund_id)
    other = cursors.take(refund_id, "we_00000000000000bb", now_ms=NOW, until_ms=UNTIL)
    assert isinstance(other, Cursor)
    assert (mine.delivered_sequence, other.delivered_sequence) == (1, 4)
    assert cursors.advance(mine, to_sequence=2) == replace(mine, delivered_sequence=2)
