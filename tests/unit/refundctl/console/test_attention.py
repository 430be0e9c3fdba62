"""What somebody should look at: the doctor's own words, the worst first."""

from refund_bridge.domain.report import Report
from refund_bridge.domain.state_machine import ReportState, State
from refundctl.checks.finding import Level
from refundctl.console.activity import DEFAULT_WINDOW, activity
from refundctl.console.attention import attention, stuck
from refundctl.console.open_now import Sum, open_now
from refundctl.depths import Depths
from tests.unit.refundctl.console.shelf import DAY, HOUR, NOW, QUIET, Shelf


def told(shelf: Shelf) -> dict[str, Level]:
    sources = shelf.sources
    found = attention(open_now(sources), activity(sources, DEFAULT_WINDOW), shelf.depths)
    assert all(one.todo for one in found)
    return {one.check: one.level for one in found}


def test_if_all_is_well_nothing_is_said() -> None:
    shelf = Shelf()
    shelf.put(state=State.SUCCEEDED, report=Report(state=ReportState.REPORTED))
    shelf.put(NOW - 60_000, state=State.PENDING, next_check_ms=NOW)
    assert told(shelf) == {}


def test_what_waits_for_a_person_comes_before_what_is_late() -> None:
    # Given a review, an old refund, dead letters, a long queue and a report that was given up
    shelf = Shelf()
    shelf.put(state=State.REVIEW, next_check_ms=NOW)
    shelf.put(NOW - HOUR, state=State.UNKNOWN, next_check_ms=NOW)
    shelf.put(state=State.SUCCEEDED, report=Report(state=ReportState.FAILED))
    shelf.depths = (Depths("reports", 5000, 0, 3), *QUIET)
    # Then each is said
    found = told(shelf)
    assert found == {
        "reviews": Level.FAIL,
        "dead letters: reports": Level.FAIL,
        "reports given up": Level.FAIL,
        "oldest refund that is not final": Level.WARN,
        "queue: reports": Level.WARN,
    }
    assert sorted(found.values(), reverse=True) == list(found.values())


def test_what_was_taken_back_comes_first_until_it_is_handled() -> None:
    shelf = Shelf()
    shelf.put(NOW - HOUR, state=State.UNKNOWN, next_check_ms=NOW)
    back = shelf.put(NOW - 400 * DAY, state=State.SUCCEEDED, late_failure_at_ms=NOW - HOUR)
    newer = shelf.put(state=State.SUCCEEDED, late_failure_at_ms=NOW, handled_at_ms=NOW)
    assert told(shelf)["taken back"] is Level.FAIL
    sources = shelf.sources
    happened = activity(sources, DEFAULT_WINDOW)
    assert stuck(open_now(sources), happened)[0].id == back.id
    # And what was taken back is not among the money that moved, handled or not
    assert [one.id for one in happened.refunds if one.id == newer.id] == [newer.id]
    assert happened.moved == {}


def test_what_stripe_could_not_be_told_is_summed() -> None:
    shelf = Shelf()
    failed = Report(state=ReportState.FAILED)
    shelf.put(state=State.SUCCEEDED, amount=1700, report=failed)
    assert activity(shelf.sources, DEFAULT_WINDOW).untold == {"sgd": Sum(1, 1700)}


def test_what_is_not_at_its_end_is_listed_once_oldest_first() -> None:
    shelf = Shelf()
    given_up = shelf.put(NOW - HOUR, state=State.SUCCEEDED, report=Report(state=ReportState.FAILED))
    waiting = shelf.put(NOW - 2 * HOUR, state=State.UNKNOWN, next_check_ms=NOW)
    owed = shelf.put(state=State.SUCCEEDED, report=Report(state=ReportState.DUE), next_check_ms=NOW)
    shelf.put(state=State.SUCCEEDED, report=Report(state=ReportState.REPORTED))
    sources = shelf.sources
    found = stuck(open_now(sources), activity(sources, DEFAULT_WINDOW))
    assert [one.id for one in found] == [waiting.id, given_up.id, owed.id]
