"""A page that names a file of the project names one that is there."""

import re
from collections.abc import Iterator

import pytest

from deployed import paths

# In backquotes, with a folder before it; what begins with a dot or a slash is made, or an address.
_FILE = re.compile(r"`([a-z_][\w-]*(?:/[\w.-]+)*/[\w-]+\.(?:py|md|yaml|toml|json))`")
_FROM = (paths.ROOT, paths.ROOT / "layers" / "product" / "refund_bridge")


def named() -> Iterator[tuple[str, str]]:
    """Every file that a page names, with the page."""
    pages = [paths.ROOT / "README.md", paths.ROOT / "CONTRIBUTING.md"]
    for page in [*pages, *sorted((paths.ROOT / "docs").glob("*.md"))]:
        for name in sorted(set(_FILE.findall(page.read_text()))):
            yield page.name, name


NAMED = list(named())


def test_there_are_many() -> None:
    assert len(NAMED) > 100
    assert {"architecture.md", "security.md", "CONTRIBUTING.md"} <= {page for page, _ in NAMED}


@pytest.mark.parametrize(("page", "name"), NAMED)
def test_the_file_is_there(page: str, name: str) -> None:
    assert any((folder / name).is_file() for folder in _FROM), page
