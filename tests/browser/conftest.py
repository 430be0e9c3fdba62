"""A browser, and a console that shows a day at a shop."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from refundctl.console.server import REFRESH_MS
from tests.browser.chromium import Visit, chromium, visiting
from tests.fakes.console_thread import console
from tests.fakes.shop_day import ShopDay


# Not for longer than a module: while Playwright is there, no test can run an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def day() -> ShopDay:
    """A day that is over: no test may let anything happen in it."""
    return ShopDay()


@pytest.fixture(scope="module")
def address(day: ShopDay) -> Iterator[str]:
    """The console of that day; its page looks for news as seldom as an operator's."""
    with console(day.sources(), refresh_ms=REFRESH_MS) as where:
        yield where


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """An ordinary window, on a page of ours that does nothing that it may not."""
    with visiting(browser, viewport={"width": 1280, "height": 900}) as look:
        yield look
        assert look.complaints == []
