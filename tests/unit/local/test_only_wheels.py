"""No package is built from its source while it is installed: that would run its author's code."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from deployed import paths

# What fetches packages: pip and uv, in the ways in which both are called here.
FETCHES = re.compile(r"pip\W+(install|sync|compile|download|wheel)\b")


def makefiles() -> Iterator[Path]:
    yield paths.ROOT / "Makefile"
    yield from sorted((paths.ROOT / "layers").glob("*/Makefile"))


def recipes(text: str) -> Iterator[str]:
    """The lines that fetch packages, whole and with their variables in place."""
    whole = text.replace("\\\n", " ")
    variables = dict(re.findall(r"^(\w+) *[:?]?= *(.*)$", whole, re.MULTILINE))
    for line in whole.splitlines():
        if FETCHES.search(line) and not line.startswith("#"):
            yield re.sub(r"\$\((\w+)\)", lambda name: variables.get(name[1], ""), line)


def test_what_is_fetched_is_a_wheel_whose_hash_is_known() -> None:
    found = {
        str(file.parent.relative_to(paths.ROOT)): lines
        for file in makefiles()
        if (lines := list(recipes(file.read_text())))
    }
    # Here pip installs uv, which installs ours and each environment of its own, and writes the
    # lock files. The layer is installed by uv, or by pip where there is none.
    assert {folder: len(lines) for folder, lines in found.items()} == {
        ".": 4,
        "layers/dependencies": 2,
    }
    for line in chain(*found.values()):
        assert "--only-binary :all:" in line
        assert ("--generate-hashes" if "pip compile" in line else "--require-hashes") in line


def test_nothing_else_of_ours_fetches_packages() -> None:
    folders = (
        "local",
        "deployed",
        "deploying",
        "refundctl",
        "benchmarks",
        "tests",
        "functions",
        "layers",
    )
    files = [file for folder in folders for file in (paths.ROOT / folder).rglob("*.py")]
    fetching = [
        str(file.relative_to(paths.ROOT))
        for file in files
        if re.search(r'"pip",\s*"\w+"', file.read_text())
    ]
    assert fetching == []
