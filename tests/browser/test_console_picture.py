"""The picture of the console that the README shows: the same day every time.

`make screenshot` writes it to docs/. Fonts differ from machine to machine, so that elsewhere it is
taken and looked at, but not kept.
"""

import os
import struct
from pathlib import Path

from playwright.sync_api import Browser, expect

from deployed import paths
from tests.browser.chromium import visiting
from tests.fakes.console_thread import console
from tests.fakes.shop_day import ShopDay

PICTURE = paths.ROOT / "docs" / "console.png"
WIDTH = 1280
# Where `make screenshot` wants it.
VARIABLE = "SCREENSHOT"


def test_the_page_can_be_shown_as_a_picture(browser: Browser, tmp_path: Path) -> None:
    # Given a day at a shop, as it looks without anything that moves
    file = Path(os.environ.get(VARIABLE) or tmp_path / "console.png")
    window = {"width": WIDTH, "height": 900}
    with console(ShopDay().sources()) as address, visiting(browser, viewport=window) as visit:
        visit.page.goto(address)
        charts = visit.page.get_by_role("region", name="What happened in")
        expect(charts.get_by_role("img")).to_have_count(3)
        # When a picture is taken down to the end of the charts
        box = charts.bounding_box()
        assert box is not None
        height = int(box["y"] + box["height"]) + 9
        visit.page.screenshot(
            path=file,
            full_page=True,
            clip={"x": 0, "y": 0, "width": WIDTH, "height": height},
        )
    # Then it is one, as wide as the one that is kept
    assert size_of(file) == (WIDTH, height)
    assert size_of(PICTURE)[0] == WIDTH


def size_of(file: Path) -> tuple[int, int]:
    """A PNG's width and height (https://www.w3.org/TR/png-3/#11IHDR)."""
    head = file.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:])
    return width, height
