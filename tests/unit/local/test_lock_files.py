"""Everything installed is pinned by version and hash, once, and from wherever the user installs."""

import re
from pathlib import Path

import pytest

from local import paths
from local.lock import LOCKED

LAYER = paths.ROOT / "layers" / "dependencies" / "requirements.txt"
DEV = paths.ROOT / "requirements" / "dev.txt"
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z0-9,_-]+\])?==([^\s;]+)(.*)$", re.IGNORECASE)


def pins(lock_file: Path) -> dict[str, str]:
    found = {}
    for line in lock_file.read_text().splitlines():
        if match := PIN.match(line):
            found[match[1].lower()] = match[2]
    return found


def test_development_runs_on_exactly_what_is_deployed() -> None:
    layer, dev = pins(LAYER), pins(DEV)
    assert len(layer) > 5
    assert {name: dev.get(name) for name in layer} == layer


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_has_a_hash(name: str) -> None:
    text = (paths.ROOT / f"{name}.txt").read_text()
    requirements = re.split(r"\n(?=[A-Za-z0-9])", text)
    pinned = [block for block in requirements if PIN.match(block.partition("\n")[0])]
    assert pinned
    assert [block for block in pinned if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", LOCKED)
def test_no_host_is_named(name: str) -> None:
    for suffix in ("in", "txt"):
        text = (paths.ROOT / f"{name}.{suffix}").read_text()
        assert "://" not in text
        assert "--index" not in text


@pytest.mark.parametrize("name", LOCKED)
def test_the_lock_holds_what_was_asked_for(name: str) -> None:
    locked = pins(paths.ROOT / f"{name}.txt")
    for line in (paths.ROOT / f"{name}.in").read_text().splitlines():
        if match := PIN.match(line):
            assert locked[match[1].lower()] == match[2]
        elif re.match(r"^[A-Za-z]", line):
            assert re.split(r"[\[ <>=!~]", line)[0].lower() in locked
