from dataclasses import replace

import pytest

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.domain.refund import FOR_A_PERSON_MS, Refund
from refund_bridge.ports.ledger import DUE_SHARDS, Commit, Ledger, LedgerConflictError, RefundWrite
from tests.contract.ledger.examples import NOW, a_full_refund, a_refund, keep, unique, write


def of_one_shard(count: int) -> list[str]:
    """Ids that fall into the same shard."""
    ids = [unique("rfd")]
    while len(ids) < count:
        other = unique("rfd")
        if due_shard_of(other) == due_shard_of(ids[0]):
            ids.append(other)
    return ids


def due(ledger: Ledger, ids: list[str], *, newest_first: bool = False) -> list[str]:
    """Those of these ids that the index shows as due before now, in its order."""
    shown = ledger.due(due_shard_of(ids[0]), before_ms=NOW, limit=1000, newest_first=newest_first)
    return [one for one in shown if one in ids]


def test_due_refunds_are_shown_oldest_or_newest_first(ledger: Ledger) -> None:
    ids = of_one_shard(4)
    checks = (NOW - 1, NOW - 3, NOW, None)
    for one, check in zip(ids, checks, strict=True):
        keep(ledger, a_refund(id=one, next_check_ms=check))
    assert due(ledger, ids) == [ids[1], ids[0]]
    assert due(ledger, ids, newest_first=True) == [ids[0], ids[1]]


def test_no_more_than_asked_for_are_shown(ledger: Ledger) -> None:
    ids = of_one_shard(3)
    for n, one in enumerate(ids):
        keep(ledger, a_refund(id=one, next_check_ms=n + 1))
    shard = due_shard_of(ids[0])
    assert len(ledger.due(shard, before_ms=NOW, limit=2)) == 2


def test_each_refund_is_shown_in_one_shard(ledger: Ledger) -> None:
    refund = keep(ledger, a_refund(next_check_ms=NOW - 1))
    shards = [
        shard
        for shard in range(DUE_SHARDS)
        if refund.id in ledger.due(shard, before_ms=NOW, limit=1000)
    ]
    assert shards == [due_shard_of(refund.id)]


def test_what_only_a_person_can_act_on_is_shown_last_and_is_never_due(ledger: Ledger) -> None:
    back, soon = of_one_shard(2)
    first = keep(ledger, a_refund(id=back, late_failure_at_ms=NOW - 5))
    keep(ledger, a_refund(id=soon, next_check_ms=NOW - 1))
    assert due(ledger, [back, soon]) == [soon]

    def shown() -> list[str]:
        listed = ledger.due(
            due_shard_of(back), before_ms=FOR_A_PERSON_MS + 1, limit=1000, newest_first=True
        )
        return [one for one in listed if one in (back, soon)]

    assert shown() == [back, soon]
    assert take(ledger, first, now_ms=NOW) is None
    # And no more once it is handled
    write(ledger, first, replace(first, handled_at_ms=NOW))
    assert shown() == [soon]


def test_what_is_not_due_any_more_is_not_shown(ledger: Ledger) -> None:
    first = keep(ledger, a_refund(next_check_ms=NOW - 1))
    write(ledger, first, replace(first, next_check_ms=None))
    assert due(ledger, [first.id]) == []


def take(ledger: Ledger, refund: Refund, now_ms: int) -> Refund | None:
    return ledger.take_check(refund.id, now_ms=now_ms, until_ms=now_ms + 100)


def test_a_due_refund_is_taken_and_due_again_later(ledger: Ledger) -> None:
    first = keep(ledger, replace(a_full_refund(), next_check_ms=NOW - 1))
    taken = take(ledger, first, NOW - 1)
    assert taken == replace(first, next_check_ms=NOW + 99, revision=2)
    assert ledger.refund(first.id) == taken
    assert due(ledger, [first.id]) == []
    assert take(ledger, first, NOW + 98) is None
    assert ledger.refund(first.id) == taken
    again = take(ledger, first, NOW + 99)
    assert again is not None
    assert (again.next_check_ms, again.revision) == (NOW + 199, 3)


def test_a_refund_that_is_not_due_is_not_taken(ledger: Ledger) -> None:
    first = keep(ledger, a_refund())
    assert take(ledger, first, NOW) is None
    assert ledger.refund(first.id) == first


@pytest.mark.parametrize("name", ["rfd_never", "", "x" * 3000, "\ud800"])
def test_what_is_not_there_is_not_made(ledger: Ledger, name: str) -> None:
    assert ledger.take_check(name, now_ms=NOW, until_ms=NOW + 1) is None
    assert ledger.refund(name) is None


def test_taking_invalidates_what_was_read_before(ledger: Ledger) -> None:
    first = keep(ledger, a_refund(next_check_ms=1))
    assert take(ledger, first, NOW) is not None
    with pytest.raises(LedgerConflictError):
        ledger.commit(Commit(refunds=(RefundWrite(first, first),)))
