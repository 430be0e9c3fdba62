"""What is open: counted by state, summed by currency, and never more of it read than is bounded."""

from refund_bridge.domain.report import Report
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import DUE_SHARDS
from refundctl.console.open_now import PER_SHARD, Sum, open_now
from tests.unit.refundctl.console.shelf import DAY, NOW, Shelf


def test_money_in_flight_is_what_is_not_final_by_currency() -> None:
    # Given refunds that are on their way, one of them for a year, and some that are over
    shelf = Shelf()
    for state, amount, currency, age in (
        (State.UNKNOWN, 2500, "sgd", 400 * DAY),
        (State.REQUESTED, 10_000_000_000_01, "sgd", DAY),
        (State.SUBMITTING, 1, "sgd", 0),
        (State.REVIEW, 300, "jpy", 9),
        (State.PENDING, 70, "bhd", 9),
        (State.SUCCEEDED, 9999, "sgd", 9),
        (State.ABORTED, 9999, "sgd", 9),
    ):
        shelf.put(NOW - age, state=state, amount=amount, currency=currency, next_check_ms=NOW)
    # When they are read
    now = open_now(shelf.sources)
    # Then the sums are exact, in minor units
    assert now.in_flight == {
        "bhd": Sum(1, 70),
        "jpy": Sum(1, 300),
        "sgd": Sum(3, 1_000_000_002_502),
    }
    assert now.by_state == {
        State.UNKNOWN: 1,
        State.REQUESTED: 1,
        State.SUBMITTING: 1,
        State.REVIEW: 1,
        State.PENDING: 1,
    }
    assert now.is_all
    assert [one.state for one in now.refunds][:2] == [State.UNKNOWN, State.REQUESTED]


def test_what_stripe_is_still_to_be_told_is_summed_apart() -> None:
    shelf = Shelf()
    owed = Report(state=ReportState.DUE)
    shelf.put(state=State.SUCCEEDED, amount=5600, report=owed, next_check_ms=NOW)
    now = open_now(shelf.sources)
    assert now.unreported == {"sgd": Sum(1, 5600)}
    assert now.in_flight == {}
    assert len(now.refunds) == 1


def test_an_index_that_lags_behind_shows_nothing_that_is_over() -> None:
    shelf = Shelf()
    shelf.put(state=State.SUCCEEDED, next_check_ms=NOW)
    assert open_now(shelf.sources).refunds == []


def test_nothing_open_asks_for_no_refund() -> None:
    shelf = Shelf()
    assert open_now(shelf.sources).in_flight == {}
    assert shelf.listing.round_trips == 0


def test_in_an_outage_no_more_is_read_than_is_bounded_and_that_is_said() -> None:
    # Given more open refunds than are read, in every shard
    shelf = Shelf()
    for number in range(DUE_SHARDS * PER_SHARD + 400):
        shelf.put(state=State.UNKNOWN, amount=100, next_check_ms=NOW + number)
    back = shelf.put(state=State.SUCCEEDED, amount=100, late_failure_at_ms=NOW)
    # When they are read
    now = open_now(shelf.sources)
    # Then it is so many, and known not to be all
    assert DUE_SHARDS * PER_SHARD * 9 // 10 <= len(now.refunds) <= DUE_SHARDS * PER_SHARD
    assert not now.is_all
    assert shelf.listing.round_trips <= DUE_SHARDS * PER_SHARD // 100
    # And what a person has to act on is among it
    assert back.id in [one.id for one in now.refunds]
    others = len(now.refunds) - 1
    assert now.in_flight == {"sgd": Sum(others, 100 * others)}
