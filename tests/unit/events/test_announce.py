"""Publishing from the ledger's changes, and from the ledger itself what the bus did not take."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import pytest

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.events.announce import (
    AGAIN_MS,
    FAILURES_IN_A_ROW_MAX,
    TRIES_MAX,
    WRITE_MS,
    AnnounceBacklog,
    AnnounceChanges,
    Change,
)
from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.fakes.backlog import MemoryBacklog, Row
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import STEP_MS, World

BUDGET_MS = 45_000


class Publisher:
    """The world of publishing: a ledger with refunds, a bus and a backlog that can be away."""

    def __init__(self) -> None:
        self.world = World()
        self.bus = FakeEventBus()
        self.backlog = MemoryBacklog()
        self.payments_are_away = False
        self.payments_read: list[int] = []

    def payments(self, keys: Sequence[PaymentKey]) -> Mapping[PaymentKey, Payment]:
        if self.payments_are_away:
            raise LedgerUnavailableError("no answer")
        self.payments_read.append(len(keys))
        return {key: self.world.ledger.payments[key] for key in keys}

    def publish(self, *changes: Change, budget_ms: int = BUDGET_MS) -> frozenset[str]:
        announce = AnnounceChanges(
            payments=self.payments,
            bus=self.bus,
            backlog=self.backlog,
            clock=self.world.clock,
            telemetry=self.world.telemetry,
        )
        return announce(changes, self.world.deadline_of(budget_ms))

    def publish_again(self, *, budget_ms: int = 60_000) -> int:
        again = AnnounceBacklog(
            ledger=self.world.ledger,
            payments=self.payments,
            bus=self.bus,
            backlog=self.backlog,
            clock=self.world.clock,
            telemetry=self.world.telemetry,
            step_ms=STEP_MS,
        )
        return again(self.world.deadline_of(budget_ms))

    def refunded(self, key: str) -> Refund:
        """A refund that has succeeded, of a payment of its own."""
        return self.world.refund(key, record=self.world.pay(key)).refund

    def row(self, refund: Refund) -> Row:
        return self.backlog.rows[refund.id]


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def change(refund: Refund, *, seen: int = 0, number: str = "1") -> Change:
    return Change(id=number, refund_id=refund.id, refund=refund, seen=seen)


def test_a_change_is_told_with_the_payment_as_it_is_now(publisher: Publisher) -> None:
    refund = publisher.refunded("a")
    assert publisher.publish(change(refund, seen=1)) == frozenset()
    (detail,) = publisher.bus.details("Refund Succeeded")
    assert detail["payment"]["refunded_amount"] == 9999
    assert publisher.backlog.rows == {}


def test_a_batch_reads_its_payments_once_and_only_those_that_are_shown(
    publisher: Publisher,
) -> None:
    done = [publisher.refunded(key) for key in "abc"]
    told = len(done[0].history)
    publisher.publish(
        change(done[0], seen=1, number="1"),
        change(done[1], seen=1, number="2"),
        change(done[2], seen=told, number="3"),
    )
    assert publisher.payments_read == [2]
    assert publisher.bus.names == ["Refund Succeeded"] * 2


def test_a_change_that_says_nothing_asks_nobody(publisher: Publisher) -> None:
    refund = publisher.refunded("a")
    assert publisher.publish(change(refund, seen=len(refund.history))) == frozenset()
    assert (publisher.bus.asked, publisher.payments_read) == (0, [])


def test_payments_that_cannot_be_read_lose_no_event(publisher: Publisher) -> None:
    refund = publisher.refunded("a")
    publisher.payments_are_away = True
    assert publisher.publish(change(refund, seen=1)) == frozenset()
    assert publisher.bus.details("Refund Succeeded")[0]["payment"] is None


def test_what_the_bus_does_not_take_is_kept_and_the_stream_goes_on(publisher: Publisher) -> None:
    # Given a bus that is away
    publisher.bus.is_away = True
    refund = publisher.refunded("a")
    # When a change is to be told, then the stream need not show it again
    assert publisher.publish(change(refund, seen=1)) == frozenset()
    assert publisher.row(refund).owed.from_seq == 2
    # And when the bus is back, it is published from the ledger, once
    publisher.bus.is_away = False
    assert publisher.publish_again() == 1
    assert publisher.publish_again() == 0
    assert [one.id for one in publisher.bus.taken] == [f"{refund.id}:2"]
    assert publisher.backlog.rows == {}


def test_a_defect_of_publishing_keeps_everything_and_spends_no_try_of_the_stream(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> frozenset[str]:
        raise KeyError("Entries")

    monkeypatch.setattr(publisher.bus, "publish", broken)
    refund = publisher.refunded("a")
    assert publisher.publish(change(refund, seen=1)) == frozenset()
    assert publisher.row(refund).owed.from_seq == 2


def test_only_what_was_refused_is_kept(publisher: Publisher) -> None:
    one, other = publisher.refunded("a"), publisher.refunded("b")
    publisher.bus.refuses = {f"{other.id}:2"}
    publisher.publish(change(one, seen=1, number="1"), change(other, seen=1, number="2"))
    assert set(publisher.backlog.rows) == {other.id}


def test_from_the_first_refused_line_on_everything_is_told_again(publisher: Publisher) -> None:
    # Given a refund whose first event was refused, and whose second was taken
    publisher.world.pay()
    publisher.world.processor.fates.append(RequestLost())
    refund = publisher.world.refund("k").refund
    publisher.bus.refuses = {f"{refund.id}:2"}
    publisher.publish(change(refund))
    later = replace(
        refund, history=(*refund.history, replace(refund.history[-1], seq=3, after="review"))
    )
    publisher.world.ledger.refunds[refund.id] = later
    publisher.publish(change(later, seen=2, number="2"))
    # When the bus takes it again
    publisher.bus.refuses = set()
    publisher.publish_again()
    # Then both are told from the ledger, under the ids that they had
    assert [one.id for one in publisher.bus.taken] == [
        f"{refund.id}:3",
        f"{refund.id}:2",
        f"{refund.id}:3",
    ]


def test_with_bus_and_backlog_away_the_stream_must_show_it_again(publisher: Publisher) -> None:
    publisher.bus.is_away = publisher.backlog.is_away = True
    one, other = publisher.refunded("a"), publisher.refunded("b")
    silent = change(other, seen=len(other.history), number="2")
    assert publisher.publish(change(one, seen=1, number="1"), silent) == {"1"}


def test_without_time_to_write_the_stream_must_show_it_again(publisher: Publisher) -> None:
    publisher.bus.is_away = True
    refund = publisher.refunded("a")
    assert publisher.publish(change(refund, seen=1), budget_ms=WRITE_MS - 1) == {"1"}
    assert publisher.backlog.rows == {}


def test_a_refund_that_this_release_cannot_read_is_kept_for_the_next(
    publisher: Publisher,
) -> None:
    refund = publisher.refunded("a")
    unreadable = Change(id="1", refund_id=refund.id, refund=None, seen=1)
    assert publisher.publish(unreadable) == frozenset()
    assert publisher.row(refund).owed.from_seq == 2
    publisher.publish_again()
    assert publisher.bus.names == ["Refund Succeeded"]


def test_one_poison_refund_does_not_stop_the_others(publisher: Publisher) -> None:
    # Given a refund of which no event can be made
    poison, good = publisher.refunded("a"), publisher.refunded("b")
    broken = replace(poison, created_at_ms=10**20)
    # When it is told beside another
    assert (
        publisher.publish(change(broken, seen=1, number="1"), change(good, seen=1, number="2"))
        == frozenset()
    )
    # Then the other is published, and the poison kept
    assert [one.id for one in publisher.bus.taken] == [f"{good.id}:2"]
    assert set(publisher.backlog.rows) == {poison.id}
    assert "event_not_made" in publisher.world.telemetry.events


def owing(publisher: Publisher, *keys: str) -> list[Refund]:
    """Refunds that the bus did not take, all due."""
    publisher.bus.is_away = True
    refunds = [publisher.refunded(key) for key in keys]
    publisher.publish(*[change(r, seen=1, number=r.id) for r in refunds])
    return refunds


def test_a_bus_that_stays_away_is_asked_later_and_later(publisher: Publisher) -> None:
    (refund,) = owing(publisher, "a")
    pauses = []
    for _ in range(4):
        assert publisher.publish_again() == 0
        now_ms = publisher.world.clock.now_ms()
        pauses.append(((publisher.row(refund).due_ms or 0) - now_ms) // STEP_MS)
        publisher.world.clock.advance(pauses[-1] * STEP_MS)
    assert pauses == [1, 2, 5, 15]


def test_and_in_one_run_only_a_few_times_in_a_row(publisher: Publisher) -> None:
    owing(publisher, *"abcdefgh")
    publisher.bus.asked = 0
    publisher.publish_again()
    assert publisher.bus.asked == FAILURES_IN_A_ROW_MAX


def test_after_two_weeks_of_tries_it_is_given_up_and_its_id_kept(publisher: Publisher) -> None:
    (refund,) = owing(publisher, "a")
    row = publisher.row(refund)
    worn = replace(row.owed, tries=TRIES_MAX - 1)
    publisher.backlog.rows[refund.id] = Row(worn, row.due_ms)
    publisher.publish_again()
    assert publisher.row(refund).due_ms is None
    assert "event_given_up" in publisher.world.telemetry.events
    # And when more comes to be owed, all of it is due again
    publisher.publish(change(refund, seen=1))
    publisher.bus.is_away = False
    assert publisher.publish_again() == 1


def test_what_comes_to_be_owed_while_it_is_published_stays_owed(publisher: Publisher) -> None:
    (refund,) = owing(publisher, "a")
    publisher.bus.is_away = False
    taken = publisher.backlog.take(
        refund.id, now_ms=publisher.world.clock.now_ms(), until_ms=publisher.world.clock.now_ms()
    )
    assert taken is not None
    publisher.backlog.owe(refund.id, from_seq=5, now_ms=publisher.world.clock.now_ms())
    publisher.backlog.paid(taken)
    assert publisher.row(refund).owed.from_seq == 2


def test_two_runs_never_publish_the_same_refund_at_once(publisher: Publisher) -> None:
    (refund,) = owing(publisher, "a")
    now_ms = publisher.world.clock.now_ms()
    assert publisher.backlog.take(refund.id, now_ms=now_ms, until_ms=now_ms + 1000)
    publisher.bus.is_away = False
    assert publisher.publish_again() == 0
    assert publisher.bus.taken == []


def test_a_refund_that_is_not_there_stops_nothing(publisher: Publisher) -> None:
    now_ms = publisher.world.clock.now_ms()
    publisher.backlog.owe("rfd_nobody", from_seq=1, now_ms=now_ms)
    (good,) = owing(publisher, "a")
    publisher.bus.is_away = False
    assert publisher.publish_again() == 1
    assert [one.id for one in publisher.bus.taken] == [f"{good.id}:2"]
    assert "event_not_made" in publisher.world.telemetry.events


def test_refunds_of_which_no_event_can_be_made_do_not_starve_the_others(
    publisher: Publisher,
) -> None:
    # Given so many of them that a run ends with them, in the shard that comes first
    shards: dict[int, list[Refund]] = {0: [], 1: []}
    numbers = count()
    while min(map(len, shards.values())) < FAILURES_IN_A_ROW_MAX:
        refund = publisher.refunded(f"k{next(numbers)}")
        shards.setdefault(due_shard_of(refund.id), []).append(refund)
    poison, good = shards[0][:FAILURES_IN_A_ROW_MAX], shards[1][0]
    for refund in (*poison, good):
        publisher.backlog.owe(refund.id, from_seq=1, now_ms=publisher.world.clock.now_ms())
    for refund in poison:
        del publisher.world.ledger.refunds[refund.id]
    # When runs come by for a few minutes, then the other is published
    for _ in range(3):
        publisher.publish_again()
        publisher.world.clock.advance(STEP_MS)
    assert set(publisher.backlog.rows) == {refund.id for refund in poison}


def test_a_run_without_time_begins_nothing(publisher: Publisher) -> None:
    owing(publisher, "a")
    publisher.bus.is_away, publisher.bus.asked = False, 0
    assert publisher.publish_again(budget_ms=AGAIN_MS - 1) == 0
    assert publisher.bus.asked == 0


def test_a_ledger_that_cannot_be_read_is_an_error_of_the_run(publisher: Publisher) -> None:
    publisher.backlog.is_away = True
    with pytest.raises(LedgerUnavailableError):
        publisher.publish_again()
