"""Every line of `refundctl` that the documentation shows can be meant: no option in it is gone.

That those of the runbook do what it says is tested on the local cloud.
"""

import re
import shlex
from collections.abc import Iterator

import pytest

from deployed import paths
from refundctl.command import parser

_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LEFT_OPEN = re.compile(r"<[^>]*>|…")


def lines() -> Iterator[tuple[str, str]]:
    """Every line in a block for a shell, with the page that it stands on."""
    for page in [paths.ROOT / "README.md", *sorted((paths.ROOT / "docs").glob("*.md"))]:
        for block in _BLOCK.findall(page.read_text()):
            whole = re.sub(r"\\\n\s*", "", block)
            for line in whole.splitlines():
                if re.match(r" *(\.venv/bin/)?refundctl\b", line):
                    yield page.name, line.strip()


LINES = list(lines())


def test_there_are_such_lines() -> None:
    assert {"refundctl.md", "runbook.md", "console.md", "deploying.md"} <= {one for one, _ in LINES}


@pytest.mark.parametrize(("page", "line"), LINES)
def test_the_line_is_understood(page: str, line: str) -> None:
    _, *arguments = shlex.split(_LEFT_OPEN.sub("X", line), comments=True)
    assert parser().parse_args(arguments).run, page
