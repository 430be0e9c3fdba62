"""The console in a browser: what an operator sees, with eyes or without, and what nobody can do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, expect

from tests.browser.chromium import PATIENCE_MS, Visit, visiting
from tests.fakes.console_thread import console
from tests.fakes.shop_day import MINUTE_MS, ShopDay

REFRESH_MS = 200  # how often a page that is to show news looks for them
# How far down in the window the reader stands.
PLACE = "document.activeElement.getBoundingClientRect().top"

expect.set_options(timeout=PATIENCE_MS)


def stuck(visit: Visit) -> Locator:
    """The rows of what is not at its end."""
    return visit.page.get_by_role("region", name="Not finished, table").locator("tbody tr")


class TestLooking:
    """Somebody opens the page at night."""

    def test_what_needs_somebody_is_at_the_top_and_leads_to_its_refund(
        self, visit: Visit, address: str, day: ShopDay
    ) -> None:
        # Given a night with a review, dead letters and a refund that nobody knows the outcome of
        visit.page.goto(address)
        findings = visit.page.get_by_role("region", name="What needs somebody")
        expect(findings.get_by_role("listitem")).to_have_count(4)
        expect(findings).to_contain_text("refundctl review")
        # When the unknown one is opened
        unknown = day.world.stored("no-answer")
        stuck(visit).get_by_role("link", name=unknown.id).click()
        # Then its history is told from the beginning
        expect(visit.page.get_by_role("heading", level=1)).to_contain_text(unknown.id)
        steps = visit.page.locator(".timeline li")
        expect(steps).to_have_count(len(unknown.history))
        expect(steps.nth(0)).to_contain_text("reserved")
        expect(steps.nth(1)).to_contain_text("submitting → unknown")

    def test_on_a_phone_state_amount_and_reason_are_what_one_sees(
        self, visit: Visit, address: str
    ) -> None:
        visit.page.set_viewport_size({"width": 375, "height": 720})
        visit.page.goto(address)
        row = stuck(visit).first
        for part in (".state", ".amount", ".why"):
            box = row.locator(part).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 375
        # And the key that leads to Find
        visit.page.keyboard.press("/")
        expect(visit.page.get_by_role("searchbox", name="Find")).to_be_focused()

    def test_any_id_leads_to_what_it_names(self, visit: Visit, address: str) -> None:
        visit.page.goto(address)
        field = visit.page.get_by_role("searchbox", name="Find")
        field.fill("order-7")
        field.press("Enter")
        expect(visit.page.get_by_role("heading", level=1)).to_contain_text("Refund rfd_")
        visit.page.get_by_role("searchbox", name="Find").fill("nobody")
        visit.page.get_by_role("button", name="Find").click()
        expect(visit.page.get_by_role("heading", level=1)).to_have_text("Nothing was found")

    def test_charts_are_drawn_and_colours_come_from_the_style_sheet(
        self, visit: Visit, address: str
    ) -> None:
        visit.page.goto(address)
        charts = visit.page.get_by_role("img")
        expect(charts).to_have_count(3)
        for chart in charts.all():
            assert chart.locator("rect").count() > 10
        bar = visit.page.locator("#volume rect.succeeded").first
        box = bar.bounding_box()
        assert box is not None
        assert box["height"] > 20
        colour = bar.evaluate("bar => getComputedStyle(bar).fill")
        assert colour != visit.page.locator("#volume rect.failed").first.evaluate(
            "bar => getComputedStyle(bar).fill"
        )

    def test_a_callers_text_is_only_text(self, visit: Visit, address: str, day: ShopDay) -> None:
        # Given a refund whose reason and metadata are HTML and scripts
        dialogs: list[str] = []
        visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        visit.page.goto(f"{address}refunds/{day.world.stored('hostile').id}")
        # Then they stand there to be read
        written = visit.page.get_by_role("region", name="What the caller wrote")
        expect(written).to_contain_text("<script>alert(1)</script>[U+202E]dlog")
        # And nothing of them became part of the page, now or when it brings itself up to date
        with visit.page.expect_response(lambda answer: "/refunds/" in answer.url):
            pass
        assert visit.page.locator("img, main script").count() == 0
        assert visit.page.title().startswith("Refund rfd_")
        assert dialogs == []

    def test_nothing_is_asked_of_any_other_host(self, visit: Visit, address: str) -> None:
        visit.page.goto(address)
        visit.page.get_by_role("link", name="30 days").click()
        expect(visit.page.get_by_role("link", name="30 days")).to_have_attribute(
            "aria-current", "page"
        )
        assert len(visit.asked) >= 6
        assert {asked for asked in visit.asked if not asked.startswith(address)} == set()

    def test_a_year_is_shown_month_by_month_on_a_phone_too(
        self, visit: Visit, address: str
    ) -> None:
        page = visit.page
        page.set_viewport_size({"width": 375, "height": 720})
        page.goto(address)
        page.get_by_role("link", name="month by month").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Month by month")
        # Given a shop that refunds in four currencies
        sections = page.locator("main > section")
        assert [one.inner_text() for one in sections.locator("h2").all()] == [
            "JPY", "MYR", "PHP", "SGD",
        ]  # fmt: skip
        # Then each has three pictures with something in them, and its numbers
        for section in sections.all():
            pictures = section.get_by_role("img")
            expect(pictures).to_have_count(3)
            for picture in pictures.all():
                box = picture.locator("rect").first.bounding_box()
                assert box is not None
                assert box["height"] > 10
                assert box["x"] + box["width"] <= 375
            expect(section.get_by_role("region", name="table")).to_contain_text("2026-03")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


class TestCopying:
    """An id or a command is taken along by one press."""

    def test_the_command_that_is_pressed_is_in_the_clipboard(
        self, browser: Browser, address: str
    ) -> None:
        rights = ["clipboard-read", "clipboard-write"]
        with visiting(browser, permissions=rights) as visit:
            visit.page.goto(address)
            row = stuck(visit).first
            button = row.get_by_role("button", name="Copy rfd_")
            button.click()
            copied = visit.page.evaluate("navigator.clipboard.readText()")
            assert copied == row.get_by_role("link").inner_text()
            expect(visit.page.locator("#said")).to_have_text(f"Copied: {copied}")
            # And what needs somebody comes with a command that can be pasted
            findings = visit.page.get_by_role("region", name="What needs somebody")
            findings.get_by_role("button", name="refundctl review").first.click()
            command = visit.page.evaluate("navigator.clipboard.readText()")
            assert command.startswith("refundctl review")
            assert command.endswith("--stage production")
            assert visit.complaints == []

    def test_without_a_clipboard_no_button_pretends(self, browser: Browser, address: str) -> None:
        with visiting(browser, java_script_enabled=False) as visit:
            visit.page.goto(address)
            assert visit.page.locator("button.copy").count() > 10
            expect(visit.page.locator("button.copy:visible")).to_have_count(0)


class TestStayingUpToDate:
    """The page follows what happens, and leaves the reader's place alone."""

    @pytest.fixture
    def today(self) -> ShopDay:
        """A day that goes on."""
        return ShopDay()

    @pytest.fixture
    def its_address(self, today: ShopDay) -> Iterator[str]:
        with console(today.sources(), refresh_ms=REFRESH_MS) as where:
            yield where

    def test_news_appear_and_focus_and_opened_details_stay(
        self, visit: Visit, its_address: str, today: ShopDay
    ) -> None:
        # Given a reader who has opened the numbers of a chart and stands on a link in a table
        page = visit.page
        page.goto(its_address)
        page.locator("#volume summary").click()
        place = stuck(visit).get_by_role("link").nth(2)
        name = place.inner_text()
        place.focus()
        page.evaluate(f"window.same = document.activeElement; window.stood = {PLACE}")
        rows = stuck(visit).count()
        # When another refund gets no answer, and some time passes
        today.lose("another", 8000)
        today.world.clock.advance(MINUTE_MS)
        # Then it appears, with all that is counted and said of the time
        expect(stuck(visit)).to_have_count(rows + 1)
        expect(page.locator("tr[data-key=unknown] td").first).to_have_text("2")
        # And the reader is where they were, on the same page
        assert page.evaluate("window.same === document.activeElement")
        assert page.evaluate("document.activeElement.textContent") == name
        assert page.evaluate(f"Math.abs(window.stood - {PLACE})") < 1
        expect(page.locator("#volume details")).to_have_attribute("open", "")

    def test_who_stops_it_reads_in_peace(
        self, visit: Visit, its_address: str, today: ShopDay
    ) -> None:
        # Given a page that was stopped by the keyboard
        page = visit.page
        page.clock.install()
        page.goto(its_address)
        pause = page.get_by_role("button", name="Pause")
        pause.focus()
        page.keyboard.press("Enter")
        expect(pause).to_have_attribute("aria-pressed", "true")
        shown = page.locator("#as-of").inner_text()
        asked = len(visit.asked)
        # When time passes
        today.world.clock.advance(10 * MINUTE_MS)
        page.clock.run_for(10 * REFRESH_MS)
        # Then it is as it was, and nobody was asked
        assert (page.locator("#as-of").inner_text(), len(visit.asked)) == (shown, asked)
        # And it goes on where it is let
        page.keyboard.press("Enter")
        expect(page.locator("#as-of")).not_to_have_text(shown)

    def test_if_the_console_is_gone_the_page_says_so_and_keeps_what_it_shows(
        self, browser: Browser, day: ShopDay
    ) -> None:
        with visiting(browser) as visit:
            with console(day.sources(), refresh_ms=REFRESH_MS) as address:
                visit.page.goto(address)
                expect(stuck(visit)).to_have_count(5)
                expect(visit.page.get_by_role("status")).to_be_hidden()
            expect(visit.page.get_by_role("status")).to_contain_text("is it still running?")
            expect(stuck(visit)).to_have_count(5)

    def test_without_javascript_all_is_there_and_the_browser_loads_it_anew(
        self, browser: Browser, address: str
    ) -> None:
        with visiting(browser, java_script_enabled=False) as visit:
            visit.page.goto(address)
            expect(stuck(visit)).to_have_count(5)
            expect(visit.page.get_by_role("button", name="Pause")).to_be_hidden()
            assert visit.page.locator("meta[http-equiv=refresh]").count() == 1


class TestForEverybody:
    """Dark or light, wide or narrow, by keyboard or by ear."""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing_to_complain_about(
        self, browser: Browser, address: str, day: ShopDay, scheme: str
    ) -> None:
        refund = day.world.stored("hostile").id
        with visiting(browser, color_scheme=scheme) as visit:
            pages = ("", "months", f"refunds/{refund}", "refunds?status=failed", "find?q=nobody")
            for path in pages:
                visit.page.goto(address + path)
                for details in visit.page.locator("summary").all():
                    details.click()
                found = Axe().run(visit.page)
                assert found.violations_count == 0, found.generate_report()
            background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", background))) > 3 * 128
        assert light == (scheme == "light")

    def test_a_keyboard_is_enough(self, visit: Visit, address: str) -> None:
        page = visit.page
        page.goto(address)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        # And from there, past the commands that can be copied, to the first state's refunds
        commands = page.get_by_role("region", name="What needs somebody").get_by_role("button")
        for command in commands.all():
            page.keyboard.press("Tab")
            expect(command).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Refunds: pending")

    def test_a_telephone_shows_it_without_moving_sideways(
        self, browser: Browser, address: str, day: ShopDay
    ) -> None:
        refund = day.world.stored("hostile").id
        with visiting(browser, viewport={"width": 360, "height": 740}) as visit:
            for path in ("", "months", f"refunds/{refund}", "refunds"):
                visit.page.goto(address + path)
                width = visit.page.evaluate("document.documentElement.scrollWidth")
                assert width <= 360, path


HOSTILE_PAGE = """<!doctype html><title>hostile</title><body><script>
const address = %r;
async function attempt(name, body) {
  try { return `${name}: ${await body()}`; } catch (error) { return `${name}: refused`; }
}
function loaded(tag, attribute, url) {
  return new Promise((resolve, reject) => {
    const element = document.createElement(tag);
    element.onload = () => resolve("loaded");
    element.onerror = () => reject(new Error("refused"));
    element[attribute] = url;
    document.body.append(element);
  });
}
window.tried = (async () => [
  await attempt("read", async () => (await fetch(address)).text()),
  await attempt("blind", async () => (await fetch(address, {mode: "no-cors"})).type),
  await attempt("post", async () => (await fetch(address, {method: "POST", body: "x"})).text()),
  await attempt("script", () => loaded("script", "src", address + "static/console.js")),
  await attempt("image", () => loaded("img", "src", address + "static/icon.svg")),
  await attempt("frame", async () => {
    const frame = document.createElement("iframe");
    frame.src = address;
    document.body.append(frame);
    await new Promise((resolve) => { frame.onload = resolve; });
    return frame.contentDocument.body.textContent;
  }),
  await attempt("window", async () => {
    const opened = window.open(address);
    for (let looks = 0; looks < 600 && opened.location.href === "about:blank"; looks += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return opened.closed ? Promise.reject() : opened.document.body.textContent;
  }),
])();
</script>"""


@contextmanager
def hostile_site(address: str) -> Iterator[str]:
    """A web page of another origin that knows even the token, and tries to read the console."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (HOSTILE_PAGE % address).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, name="hostile")
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join(30)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_no_other_web_page_can_read_it_even_with_the_address(
    browser: Browser, address: str, name: str
) -> None:
    # Given a page of the same machine but another port, and one of another site
    with hostile_site(address) as site, visiting(browser) as visit:
        visit.page.goto(site.replace("127.0.0.1", name))
        # When it tries all that a page can try
        tried = visit.page.evaluate("window.tried")
    # Then it learns nothing
    assert tried == [
        "read: refused",
        "blind: refused",
        "post: refused",
        "script: refused",
        "image: refused",
        "frame: refused",
        "window: refused",
    ]
