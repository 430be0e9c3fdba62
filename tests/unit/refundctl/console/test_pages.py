"""The pages say what was read, to everybody who reads them, and nothing in them runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.delivering.ports import AddressState, Cursor, Status
from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Entry, Failure, Refund
from refund_bridge.domain.refund_request import RefundRequest
from refund_bridge.domain.report import Report
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.reading.listing import ListQuery, Page
from refundctl.console.activity import DEFAULT_WINDOW, WINDOWS, activity
from refundctl.console.monthly import monthly
from refundctl.console.open_now import OpenNow, open_now
from refundctl.console.pages import STUCK_SHOWN, Pages
from refundctl.facts import TAKEN_BACK
from refundctl.webhooks_out import AddressAtWork
from tests.contract.ledger.examples import a_full_refund, a_payment, a_refund
from tests.fakes.shop_day import DEPTHS, ShopDay
from tests.unit.refundctl.console.markup import Markup
from tests.unit.refundctl.console.shelf import NOW, QUIET, Shelf

PAGES = Pages(
    deployment="production <b>(stack)</b>",
    line="refundctl {} --stage production".format,
    base="/token",
    refresh_ms=10_000,
)
HOSTILE = "</bdi></script><script>alert('1')</script><img src=x onerror=alert(1)>\"'&amp;\u202e"


def overview_of(shelf: Shelf, window: str = DEFAULT_WINDOW.name) -> Markup:
    sources = shelf.sources
    page = PAGES.overview(open_now(sources), activity(sources, WINDOWS[window]), shelf.depths)
    return Markup(page)


@pytest.fixture(scope="module")
def day() -> ShopDay:
    return ShopDay()


@pytest.fixture(scope="module")
def overview(day: ShopDay) -> Markup:
    sources = day.sources()
    return Markup(PAGES.overview(open_now(sources), activity(sources, DEFAULT_WINDOW), DEPTHS))


def refund_page(refund: Refund, **facts: Any) -> Markup:
    return Markup(PAGES.refund(replace(refund, **facts), a_payment(), [], NOW))


class TestOverview:
    """A day at a shop."""

    def test_states_are_counted(self, day: ShopDay, overview: Markup) -> None:
        rows = overview.one("section", aria_labelledby="states").inside
        counts = {
            row.attributes["data-key"]: int(row.inside_of("td")[0].text)
            for row in rows
            if row.name == "tr" and "data-key" in row.attributes
        }
        assert counts.keys() == {*State, TAKEN_BACK}
        stored = day.world.ledger.refunds.values()
        for state in (State.UNKNOWN, State.PENDING, State.REVIEW, State.ABORTED):
            assert counts[state] == sum(one.state is state for one in stored)

    def test_money_is_shown_exactly_and_kept_in_minor_units(self, overview: Markup) -> None:
        row = overview.one("tr", data_key="sgd")
        amounts = [one for one in row.inside if one.name == "data"]
        assert [(one.attributes["value"], one.text) for one in amounts[:2]] == [
            ("16925", "SGD 169.25"),
            ("5600", "SGD 56.00"),
        ]
        # What could not be told to Stripe is said beside what is still to be told
        assert "Could not be told" in overview.one("section", aria_labelledby="money").text
        assert "JPY 184080" in overview.one("tr", data_key="jpy").text

    def test_queues_show_their_depths_and_dead_letters(self, overview: Markup) -> None:
        assert overview.one("tr", data_key="reports").text == "reports 3 1 2"
        assert overview.one("tr", data_key="events").text == "events 0"

    def test_what_needs_somebody_comes_with_what_to_do(self, overview: Markup) -> None:
        told = [one.text for one in overview.all("li", class_="fail")]
        assert [one.partition(":")[0] for one in told] == [
            "reviews",
            "dead letters",
            "reports given up",
        ]
        assert all("refundctl" in one and "--stage production" in one for one in told)

    def test_charts_are_drawn_with_their_numbers_beside_them(self, overview: Markup) -> None:
        drawn = overview.all("svg", role="img")
        assert len(drawn) == 3
        for svg in drawn:
            assert svg.attributes["aria-label"]
            assert any(one.name == "rect" for one in svg.inside)
            assert all(one.inside[0].name == "title" for one in svg.inside if one.name == "g")
        numbers = overview.all("details")
        assert len(numbers) == 3
        assert all("from (UTC)" in one.text for one in numbers)

    def test_a_quiet_night_says_so(self) -> None:
        page = overview_of(Shelf())
        assert page.by_id("main").text.startswith("Overview What needs somebody Nothing needs you.")
        for told in ("None is in flight", "All refunds are finished", "No refund was"):
            assert told in page.by_id("main").text

    def test_of_very_many_that_wait_the_oldest_are_shown(self) -> None:
        shelf = Shelf()
        for number in range(STUCK_SHOWN + 7):
            shelf.put(NOW - number, state=State.UNKNOWN, next_check_ms=NOW)
        assert "And 7 more:" in overview_of(shelf).by_id("main").text

    def test_what_was_not_read_is_said(self) -> None:
        shelf = Shelf()
        made = [shelf.put(state=State.UNKNOWN, next_check_ms=NOW)]
        read = replace(activity(shelf.sources, DEFAULT_WINDOW), reads_back_to_ms=NOW - 1)
        page = Markup(PAGES.overview(OpenNow(made, False, NOW), read, QUIET))
        assert "More is open than is read here" in page.by_id("main").text
        assert "older ones of the window are not read" in page.by_id("main").text

    @pytest.mark.parametrize("window", WINDOWS)
    def test_the_window_that_is_shown_is_marked(self, window: str) -> None:
        page = overview_of(Shelf(), window)
        assert page.one("a", aria_current="page").attributes["href"] == f"/token/?window={window}"


class TestMonths:
    """A year, month by month."""

    def page(self, shelf: Shelf) -> Markup:
        return Markup(PAGES.months(monthly(shelf.sources), NOW))

    def test_each_currency_has_pictures_of_its_own_and_the_numbers_beside_them(self) -> None:
        shelf = Shelf()
        shelf.refunded(amount=2500, paid=10_000)
        shelf.refunded(amount=900, currency="jpy", paid=900)
        page = self.page(shelf)
        for currency, row in (
            ("sgd", "2026-03 1 SGD 25.00 25.0 % SGD 100.00"),
            ("jpy", "2026-03 1 JPY 900 100.0 % JPY 900"),
        ):
            section = page.one("section", aria_labelledby=f"in-{currency}")
            assert [len(one.inside_of("rect")) for one in section.inside_of("svg")[:3]] == [1, 1, 1]
            (numbers,) = [one for one in section.inside if one.attributes.get("class") == "months"]
            assert [one.text for one in numbers.inside_of("tr")[1:]] == [row]
        assert "no share of all sales" in page.by_id("main").text

    def test_what_a_caller_wrote_is_only_text(self) -> None:
        shelf = Shelf()
        shelf.refunded(reason=HOSTILE)
        page = self.page(shelf)
        assert page.all("img") == []
        assert len(page.all("script")) == 1
        labels = [one.text for one in page.all("bdi")]
        assert any(one.startswith("</bdi></script><script>alert('1')") for one in labels)
        assert any("[U+202E]" in one for one in labels)

    def test_a_year_without_refunds_says_so(self) -> None:
        assert "No money moved in twelve months." in self.page(Shelf()).by_id("main").text

    def test_what_was_not_read_is_said_with_what_has_it(self) -> None:
        shelf = Shelf()
        shelf.refunded()
        read = replace(monthly(shelf.sources), reads_back_to_ms=NOW - 1)
        told = Markup(PAGES.months(read, NOW)).by_id("main").text
        assert "These are the newest 1 refunds, back to 2026-03-14 03:07:30" in told
        assert "refundctl export --since 365d --stage production" in told


class TestCopying:
    """Ids and commands can be copied as they are."""

    def test_a_refunds_ids_and_commands(self) -> None:
        refund = a_full_refund()
        page = refund_page(refund, idempotency_key="order-7", state=State.REVIEW)
        copied = {one.attributes["data-copy"] for one in page.all("button", class_="copy")}
        commands = {one.text for one in page.all("code") if one.text.startswith("refundctl")}
        assert commands
        assert copied >= commands | {refund.id, "order-7", refund.processor_refund_id, "pr_1"}

    def test_every_command_and_every_id_of_a_table_on_the_overview(
        self, overview: Markup, day: ShopDay
    ) -> None:
        copied = {one.attributes["data-copy"] for one in overview.all("button", class_="copy")}
        commands = {one.text for one in overview.all("code")}
        assert any("refundctl review" in one for one in commands)
        assert copied >= commands | {day.world.stored("no-answer").id}


class TestRefund:
    """One refund."""

    def test_its_timeline_tells_when_what_why_and_by_whom(self, day: ShopDay) -> None:
        refund = day.world.stored("order-7")
        key = payment_key_of(refund)
        payment = day.world.ledger.payments[key]
        page = Markup(PAGES.refund(refund, payment, [refund], NOW))
        steps = [one.text for one in page.all("li") if "data-key" in one.attributes]
        assert len(steps) == len(refund.history) == 4
        assert "submitting: reserved by api_key:test" in steps[0]
        assert "submitting → succeeded: accepted" in steps[1]
        assert "later" not in steps[0]
        assert " s later" in steps[1]
        # And the refund itself is none of the payment's others
        assert page.all("section", aria_labelledby="siblings") == []

    def test_one_in_review_says_where_the_evidence_is(self) -> None:
        page = refund_page(a_refund(), state=State.REVIEW)
        (told,) = page.all("li", class_="fail")
        assert told.text.startswith("A person must decide")
        (command,) = told.inside_of("code")
        assert command.text.startswith("refundctl review rfd_")
        assert command.text.endswith("--stage production")

    def test_one_that_waits_for_its_turn_needs_nobody(self) -> None:
        page = refund_page(a_refund(), state=State.REQUESTED)
        assert "refundctl" not in page.by_id("main").text

    def test_one_with_every_fact_is_shown_whole(self) -> None:
        refund = a_full_refund()
        page = refund_page(refund)
        for entry in refund.history:
            assert entry.cause in page.by_id("main").text


class TestOtherPeoplesText:
    """Reasons, metadata, errors, causes and ids are text, whatever is written in them."""

    def test_no_element_and_no_attribute_comes_of_it(self) -> None:
        # Given a refund in which everything that others can write is hostile
        refund = replace(
            a_refund(payment_record=HOSTILE),
            state=State.REJECTED,
            request=a_hostile_request(),
            failure=Failure(code=HOSTILE, message=HOSTILE),
            report=Report(state=ReportState.FAILED, last_error=HOSTILE, attempts=1),
            last_look=HOSTILE,
            processor_refund_id=HOSTILE,
            history=(
                Entry(
                    seq=1,
                    at_ms=NOW,
                    before=HOSTILE,
                    after=HOSTILE,
                    cause=HOSTILE,
                    actor=HOSTILE,
                    evidence={HOSTILE: HOSTILE},
                ),
            ),
        )
        now = OpenNow([refund], True, NOW)
        shelf = Shelf()
        shelf.ledger.refunds[refund.id] = replace(refund, created_at_ms=NOW)
        read = activity(shelf.sources, DEFAULT_WINDOW)
        payment = replace(a_payment(), payment_record=HOSTILE)
        query = ListQuery(payment_record=HOSTILE)
        pages = (
            PAGES.overview(now, read, QUIET),
            PAGES.refund(refund, payment, [replace(refund, id="rfd_other")], NOW),
            PAGES.refunds(Page(refunds=[refund], payments={}, has_more=False), query, None, NOW),
            PAGES.message(HOSTILE, HOSTILE, NOW),
        )
        for text in pages:
            page = Markup(text)
            require_harmless(page)
            # Then it is there to be read, and what would not be seen is written out
            assert "<img src=x onerror=alert(1)>\"'&amp;[U+202E]" in page.by_id("main").text
            assert "\u202e" not in text

    def test_a_link_leads_to_the_console_whatever_the_id(self) -> None:
        refund = a_refund(id='javascript:alert(1)//"onfocus=x')
        page = PAGES.refunds(
            Page(refunds=[refund], payments={}, has_more=False), ListQuery(), None, NOW
        )
        (link,) = [one for one in Markup(page).all("a") if "rfd" in one.text or "java" in one.text]
        assert str(link.attributes["href"]).startswith("/token/refunds/javascript%3Aalert")


def a_hostile_request() -> RefundRequest:
    metadata: Mapping[str, str] = {HOSTILE: HOSTILE, "javascript:alert(1)": "x" * 500}
    return replace(a_refund().request, reason=HOSTILE, metadata=metadata, reference_id=HOSTILE)


def require_harmless(page: Markup) -> None:
    """Nothing in the page runs but the console's own script, and nothing comes from elsewhere."""
    scripts = page.all("script")
    assert [one.attributes for one in scripts] == [
        {"src": "/token/static/console.js", "defer": None}
    ]
    assert page.all("img") == page.all("iframe") == page.all("style") == page.all("b") == []
    for element in page.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in ("href", "src", "action"):
                assert str(value).startswith(("/token/", "#")), value


def test_every_page_is_whole_harmless_and_can_be_read_by_everybody(
    day: ShopDay, overview: Markup
) -> None:
    refund = day.world.stored("hostile")
    lists = Page(refunds=[refund], payments={}, has_more=True)
    following = "/token/refunds?starting_after=rfd_x"
    for page in (
        overview,
        Markup(PAGES.refund(refund, day.world.payment("hostile"), [], NOW)),
        Markup(PAGES.refunds(lists, ListQuery(), following, NOW)),
        Markup(PAGES.message("Title", "Text", NOW)),
    ):
        require_harmless(page)
        ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
        assert len(ids) == len(set(ids))
        assert page.one("html").attributes["lang"] == "en"
        assert page.one("h1").text
        for one in page.elements:
            for attribute in ("aria-labelledby", "for"):
                if attribute in one.attributes:
                    assert one.attributes[attribute] in ids
        for table in page.all("table"):
            assert any(one.name == "th" for one in table.inside)
        for moment in page.all("time"):
            assert str(moment.attributes["datetime"]).endswith("Z")


class TestWebhooks:
    """How merchants' addresses do, and how far they have been told of a refund."""

    def test_the_overview_shows_each_address(self, day: ShopDay) -> None:
        sources = day.sources()
        state = AddressState(
            id="we_00000000000000aa",
            status=Status.ENABLED,
            closed_until_ms=sources.clock.now_ms() + 1000,
            delivered=41,
            failed=7,
            last_error="<b>it answered 500</b>",
        )
        one = AddressAtWork(state=state, owed=3, oldest_owed_ms=sources.clock.now_ms() - 60_000)
        page = PAGES.overview(open_now(sources), activity(sources, DEFAULT_WINDOW), QUIET, [one])
        assert "we_00000000000000aa" in page
        assert "closed" in page
        assert ">41<" in page
        assert "<b>it answered" not in page

    def test_without_addresses_nothing_is_said_of_them(self, day: ShopDay) -> None:
        sources = day.sources()
        page = PAGES.overview(open_now(sources), activity(sources, DEFAULT_WINDOW), QUIET)
        assert "Webhooks" not in page

    def test_a_refunds_page_shows_who_was_told(self) -> None:
        cursor = Cursor(
            refund_id="rfd_1",
            address_id="we_00000000000000aa",
            delivered_sequence=2,
            since_ms=NOW,
            owed_since_ms=NOW,
            attempts=3,
            last_error="<i>no answer</i>",
            failed_sequence=1,
            is_owed=True,
        )
        page = PAGES.refund(a_refund(), a_payment(), [], NOW, [cursor])
        assert "3 attempts at the next" in page
        assert "line 1 was given up" in page
        assert "<i>no answer" not in page
