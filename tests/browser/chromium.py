"""A headless Chromium that is on this machine, driven by Playwright.

No Python package brings a browser along, and Playwright would fetch its own from elsewhere, so one
that is there is used: a developer's own Chrome or Chromium, or Debian's, which `.ci/run` installs.
Where none is found these tests are skipped, and say so; one that is named and missing is an error.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# Says where it is, where it cannot be found by itself.
VARIABLE = "CHROMIUM"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# What would only knock at doors that are closed to a test.
QUIETLY = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
PATIENCE_MS = 30_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for as long as the body runs; whoever needs it is skipped if there is none."""
    program = _program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=QUIETLY, timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


def _program() -> Path:
    names = [os.environ[VARIABLE]] if VARIABLE in os.environ else NAMES
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    told = f"no browser: install Chromium (apt-get install chromium), or name one: {VARIABLE}=…"
    if VARIABLE in os.environ:
        pytest.fail(told)  # it was asked for
    pytest.skip(told)


class Visit:
    """One look at pages, which remembers what no page of ours may do.

    Attributes:
        complaints: errors, refusals by the page's policy and dialogs.
        asked: the address of every request.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("request", lambda request: self.asked.append(request.url))

    def _said(self, kind: str, text: str) -> None:
        # That a page answered 404 is no complaint about the page.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)


@contextmanager
def visiting(browser: Browser, **how: object) -> Iterator[Visit]:
    """A window of its own: no cookies, no history; `how` as in Playwright's `new_context`."""
    make = browser.new_context
    context: BrowserContext = make(**how)  # type: ignore[arg-type]
    try:
        yield Visit(context.new_page())
    finally:
        context.close()
