"""No package is built from its source while it is installed: that would run its author's code."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local import environments, paths
from local.environments import Environment

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


def test_no_makefile_fetches_anything_else() -> None:
    found = {
        file.parent.name: list(recipes(file.read_text()))
        for file in makefiles()
        if any(recipes(file.read_text()))
    }
    assert set(found) == {"dependencies"}
    assert len(found["dependencies"]) == 2
    for line in found["dependencies"]:
        assert "--only-binary :all:" in line
        assert "--require-hashes" in line


@pytest.mark.parametrize(
    "environment",
    [*environments.ENVIRONMENTS, *environments.ON_DEMAND],
    ids=lambda one: str(one.name),
)
def test_no_environment_is_made_of_anything_else(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run: list[tuple[str, ...]] = []
    monkeypatch.setattr(environments, "_run", lambda *words: run.append(tuple(map(str, words))))
    monkeypatch.setattr(environments, "_create", lambda *_: None)
    environments._install(replace(environment, directory=tmp_path))
    fetching = [words for words in run if "pip" in words]
    assert bool(fetching) == (environment.lock_file is not None)
    for words in fetching:
        assert words[words.index("--only-binary") + 1] == ":all:"
        assert "--require-hashes" in words


def test_nothing_else_of_ours_fetches_packages() -> None:
    folders = ("local", "refundctl", "benchmarks", "tests", "functions", "layers")
    files = [file for folder in folders for file in (paths.ROOT / folder).rglob("*.py")]
    fetching = {
        str(file.relative_to(paths.ROOT))
        for file in files
        if re.search(r'"pip",\s*"\w+"', file.read_text())
    }
    assert fetching == {"local/environments.py", "local/lock.py"}
