"""Who is let in, what is answered, and that nothing but reading is possible."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError, EndpointConnectionError

from refund_bridge.ports.ledger import LedgerUnavailableError
from refundctl.console import server
from refundctl.console.sources import Sources
from tests.fakes.console_thread import console
from tests.fakes.shop_day import ShopDay
from tests.unit.refundctl.console.markup import Markup
from tests.unit.refundctl.console.small_shop import SmallShop

TIMEOUT = urllib3.Timeout(connect=5, read=30)


@dataclass
class Browser:
    """Asks the console as a browser would, or as one should not."""

    address: str

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    @property
    def root(self) -> str:
        """The console's address without its token."""
        return self.address.rsplit("/", 2)[0]

    def get(self, path: str = "", **headers: str) -> urllib3.BaseHTTPResponse:
        """GET below the console's address; `_` in a header's name stands for `-`."""
        return self.ask("GET", self.address + path, **headers)

    def ask(self, method: str, url: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """Any request, redirects not followed."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._pool.request(method, url, headers=sent, redirect=False)

    def page(self, path: str = "") -> Markup:
        """A page that is there."""
        answer = self.get(path)
        assert answer.status == 200, answer.data
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return Markup(answer.data.decode())


@pytest.fixture(scope="module")
def day() -> ShopDay:
    return ShopDay()


@pytest.fixture(scope="module")
def browser(day: ShopDay) -> Iterator[Browser]:
    with console(day.sources()) as address:
        yield Browser(address)


class TestPages:
    """What is where."""

    def test_the_overview_is_at_the_address_that_is_told(self, browser: Browser) -> None:
        assert browser.page().by_id("states").text == "Refunds by state"
        assert browser.page("?window=7d").one("a", aria_current="page").text == "7 days"

    def test_a_refund_is_found_and_shown(self, browser: Browser, day: ShopDay) -> None:
        answer = browser.get("find?q=order-7")
        refund = day.world.stored("order-7")
        assert answer.status == 302
        assert answer.headers["Location"].endswith(f"/refunds/{refund.id}")
        page = browser.page(f"refunds/{refund.id}")
        assert refund.id in page.one("h1").text

    def test_all_that_is_called_so_is_shown(self) -> None:
        # Given a refund whose idempotency key is another payment's PaymentIntent
        shop = SmallShop()
        keyed = shop.world.refund("pi_1", record="pr_other", amount=100).refund
        with console(shop.sources()) as address:
            page = Browser(address).page("find?q=pi_1")
        assert "2 refunds called: pi_1" in page.one("h1").text
        shown = {row.attributes["data-key"] for row in page.all("tr") if row.attributes}
        assert shown == {keyed.id, shop.world.stored("by-intent").id}

    def test_a_name_in_stripes_form_is_looked_for_in_words_as_well(self) -> None:
        # Given a merchant who writes an id of another account into the metadata
        shop = SmallShop()
        noted = {"old": "pi_old_1"}
        refund = shop.world.refund("k", record="pr_other", amount=100, metadata=noted).refund
        with console(shop.sources()) as address:
            browser = Browser(address)
            (row,) = [one for one in browser.page("find?q=pi_old_1").all("tr") if one.attributes]
            assert row.attributes["data-key"] == refund.id
            assert browser.get("find?q=pi_nobody").status == 404

    def test_lists_are_walked_from_page_to_page(self, browser: Browser, day: ShopDay) -> None:
        seen: list[str] = []
        path = "refunds"
        while path:
            page = browser.page(path)
            seen += [row.attributes["data-key"] or "" for row in page.all("tr") if row.attributes]
            older = [one for one in page.all("a") if one.text == "Older ones"]
            path = str(older[0].attributes["href"]).rpartition("/")[2] if older else ""
        assert len(seen) == len(set(seen)) == len(day.world.ledger.refunds)

    def test_lists_are_of_a_status_or_of_a_payment(self, browser: Browser) -> None:
        (row,) = [one for one in browser.page("refunds?status=review").all("tr") if one.attributes]
        assert "review" in row.text
        for query in ("payment_record=pr_hostile", "processor=hitpay&charge=charge-hostile"):
            (row,) = [one for one in browser.page(f"refunds?{query}").all("tr") if one.attributes]
            assert "SGD 44.00" in row.text
        assert "There are none." in browser.page("refunds?invoice=in_1").by_id("main").text

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("refunds/rfd_nobody", 404),
            ("refunds/%00", 404),
            ("refunds/" + "x" * 300, 404),
            ("find?q=nobody", 404),
            ("find", 404),
            ("?window=1y", 400),
            ("refunds?status=unknown", 400),
            ("refunds?limit=100", 400),
            ("refunds?payment_record=pr_1&invoice=in_1", 400),
            ("refunds?payment_record=", 400),
            ("refunds?starting_after=rfd_nobody", 400),
            ("refunds?processor=hitpay", 400),
            ("nowhere", 404),
            ("static/../server.py", 404),
            ("static/%2e%2e%2fserver.py", 404),
        ],
    )
    def test_nothing_else_is_there(self, browser: Browser, path: str, status: int) -> None:
        assert browser.get(path).status == status

    def test_what_the_pages_load_is_served_with_its_type(self, browser: Browser) -> None:
        page = browser.page()
        found = {
            str(one.attributes[name])
            for element, name in (("link", "href"), ("script", "src"))
            for one in page.all(element)
        }
        types = {
            path.rpartition(".")[2]: browser.ask("GET", browser.root + path).headers["Content-Type"]
            for path in found
        }
        assert types == {
            "css": "text/css; charset=utf-8",
            "js": "text/javascript; charset=utf-8",
            "svg": "image/svg+xml; charset=utf-8",
        }

    def test_nothing_that_is_served_names_another_host(self, browser: Browser) -> None:
        for path in ("", "static/console.css", "static/console.js"):
            text = browser.get(path).data.decode().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?:|//[a-z0-9-]+\.", text)


class TestGate:
    """The address is the key, and only the operator's own browser window may use it."""

    def test_without_the_token_nothing_is_there(self, browser: Browser) -> None:
        token = browser.address.rsplit("/", 2)[1]
        assert len(token) >= 43
        for path in ("/", "", "/x/", f"/{token[:-1]}/", f"/{token}x/", "/static/console.js", "//"):
            answer = browser.ask("GET", browser.root + path)
            assert (answer.status, answer.data) == (404, b"Nothing is here.\n"), path

    def test_each_console_has_a_token_of_its_own(self, browser: Browser, day: ShopDay) -> None:
        with console(day.sources()) as other:
            assert other.rsplit("/", 2)[1] != browser.address.rsplit("/", 2)[1]

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "[::1]:80"])
    def test_a_name_that_was_made_to_lead_here_is_refused(
        self, browser: Browser, host: str
    ) -> None:
        assert browser.get(Host=host).status == 421

    def test_the_loopback_may_be_called_localhost(self, browser: Browser) -> None:
        port = browser.root.rpartition(":")[2]
        assert browser.get(Host=f"localhost:{port}").status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ],
    )
    def test_what_another_site_asks_for_is_refused(
        self, browser: Browser, headers: Mapping[str, str]
    ) -> None:
        for path in ("", "static/console.js", "refunds"):
            answer = browser.get(path, **headers)
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("Access-Control")]

    def test_its_own_pages_and_the_address_bar_are_let_in(self, browser: Browser) -> None:
        for site in ("same-origin", "none"):
            assert browser.get(Sec_Fetch_Site=site).status == 200
        assert browser.get(Origin=browser.root).status == 200

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
    def test_nothing_but_reading_is_routed(self, browser: Browser, method: str) -> None:
        for path in ("", "refunds", "refunds/rfd_x", "find"):
            assert browser.ask(method, browser.address + path).status == 405

    def test_every_answer_forbids_what_is_not_the_consoles_own(self, browser: Browser) -> None:
        answers = (
            browser.get(),
            browser.get("nowhere"),
            browser.get("static/console.js"),
            browser.get(Origin="null"),
            browser.ask("GET", browser.root),
            browser.ask("POST", browser.address),
        )
        for answer in answers:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "Server" not in answer.headers
            assert "Set-Cookie" not in answer.headers


class TestTrouble:
    """What cannot be read is said, with a status that tells the page to keep what it shows."""

    @pytest.mark.parametrize(
        ("trouble", "status", "told"),
        [
            (LedgerUnavailableError("query: ReadTimeoutError"), 503, "ReadTimeoutError"),
            (
                ClientError({"Error": {"Code": "AccessDenied", "Message": "<b>No</b>"}}, "Query"),
                503,
                "AccessDenied: <b>No</b>",
            ),
            (EndpointConnectionError(endpoint_url="https://x"), 503, "Could not connect"),
            (TimeoutError(), 504, "Nothing came within 30 s."),
        ],
    )
    def test_of_aws_is_said(self, day: ShopDay, trouble: Exception, status: int, told: str) -> None:
        with console(broken(day.sources(), trouble)) as address:
            answer = Browser(address).get()
        assert answer.status == status
        assert told in Markup(answer.data.decode()).by_id("main").text

    def test_a_defect_is_no_answer_and_no_end(
        self, day: ShopDay, caplog: pytest.LogCaptureFixture
    ) -> None:
        with console(broken(day.sources(), ZeroDivisionError("secret"))) as address:
            answer = Browser(address).get()
            assert answer.status == 500
            assert b"secret" not in answer.data
            assert "Content-Security-Policy" in answer.headers
            assert Browser(address).get("refunds").status == 200
        assert "ZeroDivisionError" in caplog.text

    def test_who_waits_too_long_is_told(
        self, day: ShopDay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "ANSWER_SECONDS", 0)
        with console(day.sources()) as address:
            assert Browser(address).get().status == 504


def broken(sources: Sources, trouble: Exception) -> Sources:
    """The same, but the queues cannot be asked."""

    def fail() -> Any:
        raise trouble

    return replace(sources, depths=fail)


def test_looking_at_everything_changes_nothing(day: ShopDay) -> None:
    # Given the ledger as it is
    ledger = day.world.ledger
    before = (dict(ledger.refunds), dict(ledger.payments), dict(ledger.processor_refunds))
    sent, asked = len(day.world.processor.instructions), len(day.world.stripe.asked)
    # When somebody looks at every page
    with console(day.sources()) as address:
        somebody = Browser(address)
        for path in (
            "",
            "?window=52w",
            "months",
            "refunds",
            "find?q=order-1",
            "refunds?status=pending",
        ):
            assert somebody.get(path).status in (200, 302)
        for refund_id in list(ledger.refunds)[:20]:
            somebody.page(f"refunds/{refund_id}")
    # Then nothing is different, and no provider was asked
    assert (ledger.refunds, ledger.payments, ledger.processor_refunds) == before
    assert (len(day.world.processor.instructions), len(day.world.stripe.asked)) == (sent, asked)
