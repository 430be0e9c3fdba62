"""Everything installed is pinned by version and hash, once, and from wherever the user installs."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployed import paths

MAIN, UV = (paths.ROOT / "requirements" / f"{name}.txt" for name in ("main", "uv"))
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z0-9,_-]+\])?==([^\s;]+)(.*)$", re.IGNORECASE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
GROUPS = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["dependency-groups"]
# Where a group is pinned that has no lock file of its own name.
PINNED_IN = {"layer": paths.LAYER_LOCK, "dev": MAIN, "audit": MAIN, "bench": MAIN}


def pins(lock_file: Path) -> dict[str, str]:
    found = {}
    for line in lock_file.read_text().splitlines():
        if match := PIN.match(line):
            found[match[1].lower()] = match[2]
    return found


def asked_for(group: str) -> Iterator[str]:
    one: Any
    for one in GROUPS[group]:
        if isinstance(one, str):
            yield one
        else:
            yield from asked_for(one["include-group"])


def relative(lock_file: Path) -> str:
    return str(lock_file.relative_to(paths.ROOT))


def hashes(lock_file: Path) -> dict[str, set[str]]:
    """The hashes of each pin, by its line's beginning: `name==version`."""
    found: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock_file.read_text()):
        if match := PIN.match(block.partition("\n")[0]):
            found[f"{match[1]}=={match[2]}"] = set(HASH.findall(block))
    return found


def test_development_runs_on_exactly_what_is_deployed() -> None:
    layer, main = hashes(paths.LAYER_LOCK), hashes(MAIN)
    assert len(layer) > 5
    assert {name: main.get(name) for name in layer} == layer
    assert set(asked_for("layer")) <= set(asked_for("dev"))


@pytest.mark.parametrize("lock_file", paths.LOCK_FILES, ids=relative)
def test_every_requirement_has_a_hash(lock_file: Path) -> None:
    pinned = hashes(lock_file)
    assert pinned
    assert [name for name, known in pinned.items() if not known] == []


@pytest.mark.parametrize("file", [*paths.LOCK_FILES, paths.ROOT / "pyproject.toml"], ids=relative)
def test_no_host_is_named(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("group", GROUPS)
def test_the_lock_holds_what_was_asked_for(group: str) -> None:
    locked = pins(PINNED_IN.get(group, paths.ROOT / "requirements" / f"{group}.txt"))
    for requirement in asked_for(group):
        if match := PIN.match(requirement):
            assert locked[match[1].lower()] == match[2]
        else:
            assert re.split(r"[\[ <>=!~]", requirement)[0].lower() in locked


def test_uv_is_pinned_in_one_place() -> None:
    assert [one for one in paths.LOCK_FILES if "uv" in pins(one)] == [UV]


def test_each_lock_file_is_written_by_make_lock() -> None:
    recipe = (paths.ROOT / "Makefile").read_text()
    written = set(re.findall(r"\$\(LOCK\) .*-o (\S+)", recipe))
    assert written == {relative(lock_file) for lock_file in paths.LOCK_FILES}
