"""Lists of refunds: a page at a time, newest first, as they are now."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import Source
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Commit, LedgerUnavailableError, RecordClaim
from refund_bridge.reading import listing
from refund_bridge.reading.listing import (
    AHEAD_MS,
    LIMIT_MAX,
    READS_MAX,
    SPAN_MS,
    ListQuery,
    ListRefunds,
    Page,
)
from tests.contract.ledger.examples import a_payment, a_refund, a_request
from tests.fakes.ledger import MemoryLedger
from tests.fakes.listing import MemoryListing
from tests.fakes.virtual_clock import VirtualClock

DAY_MS = 86_400_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


NOW = ms("2024-03-15T12:00:00")


class Shelf:
    """Refunds of any age, and a reader."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(as_stored=False)
        self.listing = MemoryListing(self.ledger)
        self.clock = VirtualClock(NOW)
        self.list_refunds = ListRefunds(ledger=self.ledger, listing=self.listing, clock=self.clock)

    def put(self, name: str, at_ms: int = NOW - 1, **facts: Any) -> Refund:
        refund = a_refund(id=name, created_at_ms=at_ms)
        self.ledger.refunds[name] = replace(refund, **facts)
        return self.ledger.refunds[name]

    def pay(self, record: str, charge: str) -> PaymentKey:
        key = PaymentKey("hitpay", charge)
        self.ledger.payments[key] = replace(a_payment(), key=key, payment_record=record)
        self.ledger.commit(Commit(claims=(RecordClaim(record, key),)))
        return key

    def page(self, status: str | None = None, **asked: Any) -> Page:
        asked |= {} if status is None else {"statuses": (status,)}
        return self.list_refunds(ListQuery(**asked))

    def names(self, **asked: Any) -> list[str]:
        return names(self.page(**asked))


def names(page: Page) -> list[str]:
    return [refund.id for refund in page.refunds]


def problem(shelf: Shelf, **asked: Any) -> Sequence[dict[str, str]]:
    with pytest.raises(InvalidRequestError) as refused:
        shelf.page(**asked)
    fields: Sequence[dict[str, str]] = refused.value.details["fields"]
    return fields


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


class TestPages:
    """How a list is cut into pages."""

    def test_the_newest_come_first_and_the_next_page_begins_after_the_last(
        self, shelf: Shelf
    ) -> None:
        for day in range(5):
            shelf.put(f"rfd_{day}", NOW - day * DAY_MS - 1)
        first = shelf.page(limit=2)
        second = shelf.page(limit=2, starting_after=names(first)[-1])
        third = shelf.page(limit=2, starting_after=names(second)[-1])
        assert [names(page) for page in (first, second, third)] == [
            ["rfd_0", "rfd_1"],
            ["rfd_2", "rfd_3"],
            ["rfd_4"],
        ]
        assert [page.has_more for page in (first, second, third)] == [True, True, False]

    def test_a_list_that_ends_with_its_page_says_so(self, shelf: Shelf) -> None:
        shelf.put("rfd_1")
        shelf.put("rfd_2")
        assert shelf.page(limit=2).has_more is False
        assert shelf.page(limit=1, starting_after="rfd_1").refunds == []

    def test_a_page_has_ten_refunds_unless_asked_otherwise(self, shelf: Shelf) -> None:
        for number in range(11):
            shelf.put(f"rfd_{number:02}")
        assert len(shelf.names()) == 10
        assert len(shelf.names(limit=LIMIT_MAX)) == 11

    def test_refunds_of_one_millisecond_are_in_the_order_of_their_ids(self, shelf: Shelf) -> None:
        for name in ("rfd_b", "rfd_c", "rfd_a"):
            shelf.put(name)
        assert shelf.names(limit=2) == ["rfd_c", "rfd_b"]
        assert shelf.names(limit=2, starting_after="rfd_b") == ["rfd_a"]

    def test_each_refund_comes_with_its_payment(self, shelf: Shelf) -> None:
        keys = [shelf.pay(f"pr_{number}", f"charge_{number}") for number in range(2)]
        for number in range(4):
            shelf.put(f"rfd_{number}", processor_payment_id=f"charge_{number % 2}")
        shelf.put("rfd_5", processor_payment_id="charge_that_is_gone")
        assert shelf.page().payments == {key: shelf.ledger.payments[key] for key in keys}

    def test_an_empty_ledger_has_an_empty_list(self, shelf: Shelf) -> None:
        assert shelf.page() == Page(refunds=[], payments={}, has_more=False)


class TestFilters:
    """Whose refunds are listed."""

    def test_the_refunds_of_a_payment_however_they_were_asked_for(self, shelf: Shelf) -> None:
        shelf.pay("pr_1", "charge_1")
        shelf.put("rfd_1", 1, processor_payment_id="charge_1", payment_record="pr_1")
        shelf.put("rfd_2", 2, processor_payment_id="charge_1", payment_record=None)
        shelf.put("rfd_3", 3, processor_payment_id="charge_2")
        assert shelf.names(payment_record="pr_1") == ["rfd_2", "rfd_1"]

    def test_a_payment_that_the_ledger_does_not_know_has_none(self, shelf: Shelf) -> None:
        shelf.put("rfd_1", payment_record="pr_1")
        assert shelf.page(payment_record="pr_1") == Page(refunds=[], payments={}, has_more=False)

    def test_the_refunds_of_a_payment_intent_and_of_an_invoice(self, shelf: Shelf) -> None:
        shelf.put("rfd_1", 1, payment_intent="pi_1", processor_payment_id="charge_1")
        shelf.put("rfd_2", 2, invoice="in_1", processor_payment_id="charge_2")
        assert shelf.names(payment_intent="pi_1") == ["rfd_1"]
        assert shelf.names(invoice="in_1") == ["rfd_2"]

    def test_they_are_all_of_the_payment_a_dashboards_too(self, shelf: Shelf) -> None:
        # Given a payment that was refunded by its intent, by its record and in the dashboard
        shelf.put("rfd_1", 1, payment_intent="pi_1", processor_payment_id="charge_1")
        shelf.put("rfd_2", 2, processor_payment_id="charge_1")
        shelf.put("rfd_3", 3, processor_payment_id="charge_1", source=Source.PROCESSOR)
        shelf.put("rfd_4", 4, processor_payment_id="charge_2")
        assert shelf.names(payment_intent="pi_1") == ["rfd_3", "rfd_2", "rfd_1"]
        assert shelf.names(payment_intent="pi_1", starting_after="rfd_3") == ["rfd_2", "rfd_1"]
        assert shelf.names(payment_intent="pi_1", ending_before="rfd_1", limit=1) == ["rfd_2"]
        # And what led to two payments, since a mistake was mended, shows both, newest first
        shelf.put("rfd_5", 5, payment_intent="pi_1", processor_payment_id="charge_2")
        listed = ["rfd_5", "rfd_4", "rfd_3", "rfd_2", "rfd_1"]
        assert shelf.names(payment_intent="pi_1") == listed

    def test_what_nothing_was_asked_for_by_is_not_known(self, shelf: Shelf) -> None:
        shelf.put("rfd_1")
        assert shelf.names(payment_intent="pi_nobody") == []

    def test_filters_go_together(self, shelf: Shelf) -> None:
        request = replace(a_request(), reason="duplicate")
        wanted: dict[str, Any] = {
            "amount": 2500,
            "currency": "sgd",
            "processor": "hitpay",
            "request": request,
        }
        others: list[dict[str, Any]] = [
            {},
            {"amount": 2499},
            {"currency": "jpy"},
            {"request": a_request()},
        ]
        for number, other in enumerate(others):
            facts = {"processor_payment_id": "charge_1", "payment_intent": "pi_1"}
            shelf.put(f"rfd_{number}", **(wanted | facts | other))
        picked: dict[str, Any] = {
            "amount": 2500,
            "currency": "sgd",
            "processor": "hitpay",
            "reason": "duplicate",
        }
        assert shelf.names(payment_intent="pi_1", **picked) == ["rfd_0"]
        assert shelf.names(created_after_ms=NOW - 31 * DAY_MS, **picked) == ["rfd_0"]
        assert shelf.names(created_after_ms=NOW - DAY_MS, **(picked | {"processor": "x"})) == []

    @pytest.mark.parametrize("facts", [{}, {"created_after_ms": NOW - 31 * DAY_MS - 1}])
    def test_what_no_index_knows_needs_a_reference_or_a_short_span(
        self, shelf: Shelf, facts: dict[str, int]
    ) -> None:
        (field,) = problem(shelf, amount=2500, **facts)
        assert field["path"] == "created_after"
        assert shelf.names(payment_intent="pi_1", amount=2500) == []

    def test_of_too_many_nothing_is_picked_out(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "PICKED_READS_MAX", 2)
        for number in range(150):
            shelf.put(f"rfd_{number:03}", amount=1)
        (field,) = problem(shelf, amount=2500, created_after_ms=NOW - DAY_MS)
        assert "more refunds than are looked through" in field["reason"]

    def test_several_statuses_are_one_list(self, shelf: Shelf) -> None:
        for number, state in enumerate((State.FAILED, State.REVIEW, State.SUCCEEDED)):
            shelf.put(f"rfd_{number}", NOW - 100 * DAY_MS + number, state=state)
            shelf.put(f"rfd_{number + 3}", NOW - 40 * DAY_MS + number, state=state)
        asked = ("failed", "review")
        assert shelf.names(statuses=asked) == ["rfd_4", "rfd_3", "rfd_1", "rfd_0"]
        assert shelf.names(statuses=asked, limit=1, starting_after="rfd_3") == ["rfd_1"]

    @pytest.mark.parametrize(
        ("status", "states"),
        [
            ("pending", {State.REQUESTED, State.SUBMITTING, State.UNKNOWN, State.PENDING}),
            ("succeeded", {State.SUCCEEDED}),
            ("failed", {State.REJECTED, State.ABORTED, State.FAILED}),
            ("review", {State.REVIEW}),
        ],
    )
    def test_the_refunds_of_a_status_in_the_callers_words(
        self, shelf: Shelf, status: str, states: set[State]
    ) -> None:
        for state in State:
            shelf.put(f"rfd_{state}", state=state)
        assert {refund.state for refund in shelf.page(status=status).refunds} == states

    def test_of_one_payment_refunds_of_any_age_are_listed(self, shelf: Shelf) -> None:
        shelf.put("rfd_old", 0, payment_intent="pi_1")
        shelf.put("rfd_new", NOW + 2 * AHEAD_MS, payment_intent="pi_1")
        assert shelf.names(payment_intent="pi_1") == ["rfd_new", "rfd_old"]


class TestTimes:
    """When the listed refunds were created."""

    @pytest.mark.parametrize("filters", [{}, {"payment_intent": "pi_1"}, {"status": "pending"}])
    def test_both_ends_are_excluded(self, shelf: Shelf, filters: dict[str, str]) -> None:
        for number in range(1, 6):
            shelf.put(f"rfd_{number}", NOW + number, payment_intent="pi_1")
        between = {"created_after_ms": NOW + 1, "created_before_ms": NOW + 5}
        assert shelf.names(**filters, **between) == ["rfd_4", "rfd_3", "rfd_2"]
        assert shelf.names(**filters, created_after_ms=NOW + 4) == ["rfd_5"]
        assert shelf.names(**filters, created_before_ms=NOW + 2) == ["rfd_1"]
        assert shelf.names(**filters, created_after_ms=NOW + 3, created_before_ms=NOW + 4) == []
        assert shelf.names(**filters, created_after_ms=NOW + 5, created_before_ms=NOW + 1) == []

    def test_a_list_of_all_goes_back_366_days_from_now(self, shelf: Shelf) -> None:
        assert SPAN_MS == 366 * DAY_MS
        shelf.put("rfd_in", NOW - SPAN_MS + 1)
        shelf.put("rfd_out", NOW - SPAN_MS)
        assert shelf.names() == ["rfd_in"]

    def test_or_from_the_end_that_is_asked_for(self, shelf: Shelf) -> None:
        before_ms = ms("2020-03-01T00:00:00")
        shelf.put("rfd_end", before_ms - 1)
        shelf.put("rfd_in", before_ms - SPAN_MS + 1)
        shelf.put("rfd_out", before_ms - SPAN_MS)
        assert shelf.names(created_before_ms=before_ms) == ["rfd_end", "rfd_in"]

    def test_every_month_on_the_way_is_looked_into(self, shelf: Shelf) -> None:
        expected = [shelf.put(f"rfd_{n:02}", NOW - n * 30 * DAY_MS - 1).id for n in range(13)]
        assert shelf.names(limit=100) == expected
        assert shelf.names(limit=100, starting_after="rfd_05") == expected[6:]
        assert shelf.names(limit=100, status="pending") == expected

    def test_a_month_is_looked_into_from_its_first_to_its_last_millisecond(
        self, shelf: Shelf
    ) -> None:
        february, march = ms("2024-02-01T00:00:00"), ms("2024-03-01T00:00:00")
        for name, at_ms in (("a", february), ("b", march - 1), ("c", march)):
            shelf.put(name, at_ms)
        assert shelf.names(created_after_ms=february - 1, created_before_ms=march) == ["b", "a"]
        assert shelf.names(created_after_ms=march - 1) == ["c"]

    @pytest.mark.parametrize("status", [None, "pending"])
    def test_a_wider_span_is_refused(self, shelf: Shelf, status: str | None) -> None:
        fields = problem(shelf, status=status, created_after_ms=NOW - SPAN_MS - 1)
        assert [field["path"] for field in fields] == ["created_after"]
        before_ms = ms("2020-03-01T00:00:00")
        wide = {"created_after_ms": before_ms - SPAN_MS - 1, "created_before_ms": before_ms}
        assert problem(shelf, status=status, **wide)
        assert shelf.names(status=status, created_after_ms=NOW - SPAN_MS) == []

    def test_but_not_of_one_payment(self, shelf: Shelf) -> None:
        shelf.put("rfd_1", 5, invoice="in_1")
        assert shelf.names(invoice="in_1", created_after_ms=4, created_before_ms=NOW) == ["rfd_1"]

    def test_an_end_in_the_future_is_as_good_as_now(self, shelf: Shelf) -> None:
        shelf.put("rfd_1", NOW - 300 * DAY_MS)
        future = {"created_before_ms": NOW + 5000 * DAY_MS}
        assert shelf.names(**future) == ["rfd_1"]
        assert shelf.names(**future, created_after_ms=NOW - SPAN_MS) == ["rfd_1"]

    def test_a_refund_dated_by_a_clock_ahead_of_ours_is_listed(self, shelf: Shelf) -> None:
        shelf.clock.wall_ms = ms("2024-03-31T23:59:59")
        shelf.put("rfd_1", ms("2024-04-01T00:00:05"))
        assert shelf.names() == ["rfd_1"]

    @pytest.mark.parametrize(
        "times",
        [
            {"created_before_ms": -62_135_596_800_000},
            {"created_before_ms": 0},
            {"created_after_ms": -62_135_683_140_000, "created_before_ms": 1},
            {"created_after_ms": 253_402_387_139_000},
            {"created_after_ms": 253_402_300_800_000, "created_before_ms": 253_402_387_139_000},
        ],
    )
    @pytest.mark.parametrize("filters", [{}, {"payment_intent": "pi_1"}])
    def test_at_the_ends_of_the_calendar_there_is_nothing(
        self, shelf: Shelf, times: dict[str, int], filters: dict[str, str]
    ) -> None:
        shelf.put("rfd_1", payment_intent="pi_1")
        if len(times) == 2 and times["created_before_ms"] == 1 and not filters:
            assert problem(shelf, **times)
        else:
            assert shelf.names(**times, **filters) == []


class TestCursors:
    """Where a page begins."""

    def test_a_cursor_that_names_no_refund_is_refused(self, shelf: Shelf) -> None:
        assert problem(shelf, starting_after="rfd_never") == [
            {"path": "starting_after", "reason": "names no refund"}
        ]

    def test_a_cursor_from_another_list_is_refused(self, shelf: Shelf) -> None:
        shelf.pay("pr_1", "charge_1")
        shelf.pay("pr_2", "charge_2")
        shelf.put("rfd_1", processor_payment_id="charge_1", payment_intent="pi_1", invoice="in_1")
        shelf.put("rfd_2", processor_payment_id="charge_2", payment_intent="pi_2", invoice="in_2")
        for mine, others in (
            ({"payment_record": "pr_1"}, {"payment_record": "pr_2"}),
            ({"payment_intent": "pi_1"}, {"payment_intent": "pi_2"}),
            ({"invoice": "in_1"}, {"invoice": "in_2"}),
        ):
            assert shelf.names(**mine, starting_after="rfd_1") == []
            assert problem(shelf, **others, starting_after="rfd_1") == [
                {"path": "starting_after", "reason": "names a refund that is not of this list"}
            ]

    def test_so_is_one_for_a_payment_that_is_not_known(self, shelf: Shelf) -> None:
        shelf.put("rfd_1", payment_record="pr_1")
        assert problem(shelf, payment_record="pr_1", starting_after="rfd_1")

    def test_a_refund_without_intent_is_not_of_an_intents_list(self, shelf: Shelf) -> None:
        shelf.put("rfd_1", payment_intent=None, invoice=None)
        assert problem(shelf, payment_intent="pi_1", starting_after="rfd_1")
        assert problem(shelf, invoice="in_1", starting_after="rfd_1")

    def test_a_cursor_whose_status_has_changed_still_says_where_to_go_on(
        self, shelf: Shelf
    ) -> None:
        for number in (1, 2, 3):
            shelf.put(f"rfd_{number}", NOW - number)
        assert shelf.names(status="pending", limit=1) == ["rfd_1"]
        shelf.put("rfd_1", NOW - 1, state=State.SUCCEEDED)
        assert shelf.names(status="pending", starting_after="rfd_1") == ["rfd_2", "rfd_3"]

    def test_a_cursor_outside_of_the_times_asked_for_moves_neither_end(self, shelf: Shelf) -> None:
        for number in (1, 2, 3):
            shelf.put(f"rfd_{number}", NOW + number)
        assert shelf.names(created_before_ms=NOW + 2, starting_after="rfd_3") == ["rfd_1"]
        assert shelf.names(created_after_ms=NOW + 1, starting_after="rfd_1") == []


class TestIndex:
    """The index lags behind; a page does not."""

    def test_what_has_another_status_now_is_passed_over(self, shelf: Shelf) -> None:
        # Given an index that shows six refunds as pending
        for number in range(6):
            shelf.put(f"rfd_{number}", NOW - number - 1)
        shelf.listing.lag()
        # When the newest three have succeeded
        for number in range(3):
            shelf.put(f"rfd_{number}", NOW - number - 1, state=State.SUCCEEDED)
        # Then a page of pending ones is full of others, and knows what follows
        page = shelf.page(status="pending", limit=2)
        assert (names(page), page.has_more) == (["rfd_3", "rfd_4"], True)
        page = shelf.page(status="pending", limit=3)
        assert (names(page), page.has_more) == (["rfd_3", "rfd_4", "rfd_5"], False)

    def test_nothing_more_is_promised_if_what_follows_has_another_status(
        self, shelf: Shelf
    ) -> None:
        for number in range(3):
            shelf.put(f"rfd_{number}", NOW - number - 1)
        shelf.listing.lag()
        shelf.put("rfd_2", NOW - 3, state=State.SUCCEEDED)
        page = shelf.page(status="pending", limit=2)
        assert (names(page), page.has_more) == (["rfd_0", "rfd_1"], False)

    def test_what_the_index_shows_and_the_ledger_does_not_hold_is_passed_over(
        self, shelf: Shelf
    ) -> None:
        shelf.put("rfd_1")
        shelf.put("rfd_2")
        shelf.listing.lag()
        del shelf.ledger.refunds["rfd_2"]
        assert shelf.names() == ["rfd_1"]

    def test_an_index_that_is_far_behind_is_no_answer(self, shelf: Shelf) -> None:
        # Given a page of one refund, which is looked for among as many places as are ever read
        places = 2 + (READS_MAX - 1) * LIMIT_MAX
        for number in range(places + 1):
            shelf.put(f"rfd_{number:04}", NOW - number - 1)
        shelf.listing.lag()
        # When all but the last two of these have another status, then it is found
        for number in range(places - 2):
            shelf.put(f"rfd_{number:04}", NOW - number - 1, state=State.SUCCEEDED)
        assert shelf.names(status="pending", limit=1) == [f"rfd_{places - 2:04}"]
        # And when one more has, then whether another follows is not known
        shelf.put(f"rfd_{places - 2:04}", NOW - places + 1, state=State.SUCCEEDED)
        with pytest.raises(LedgerUnavailableError):
            shelf.page(status="pending", limit=1)


class TestCosts:
    """How many round trips a page takes, beside one for a cursor and one for a Payment Record."""

    @pytest.mark.parametrize("limit", [1, 10, 100])
    def test_a_page_of_one_payment(self, shelf: Shelf, limit: int) -> None:
        for number in range(300):
            shelf.put(f"rfd_{number:03}", payment_intent="pi_1", processor_payment_id="charge_1")
        shelf.page(payment_intent="pi_1", limit=limit)
        # What it leads to (an index, 100 refunds), the index, the refunds, the payments.
        assert shelf.listing.round_trips == 2 + 3 + (limit == 100)

    def test_a_page_from_as_many_months_as_it_can_span(self, shelf: Shelf) -> None:
        shelf.clock.wall_ms = ms("2024-01-31T12:00:00")
        shelf.put("rfd_1", shelf.clock.wall_ms - SPAN_MS + 1)
        assert shelf.names() == ["rfd_1"]
        assert shelf.listing.round_trips == 14 + 2

    def test_the_newest_month_alone_if_it_fills_the_page(self, shelf: Shelf) -> None:
        for number in range(20):
            shelf.put(f"rfd_{number:02}", NOW - number - 1)
            shelf.put(f"rfd_old_{number:02}", NOW - 60 * DAY_MS)
        shelf.page()
        assert shelf.listing.round_trips == 3
