"""Which tests share a process, and which are too heavy to be run after every edit.

`make test` spreads the tests over processes. What is started for several tests is started once: all
tests of a deployed stack go to one process, and all others stay with their file.
"""

from pathlib import Path

import pytest

# What is started once for several files; whoever needs several of them goes with the first.
SHARED = ("hasty_stack", "stack")
HEAVY_FOLDERS = {"browser", "integration", "mutation"}
HEAVY_FIXTURES = {"built", "emulator", "findings", "former_release", "new_client"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test its group; those of the longest groups come first, the light ones last."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
        if HEAVY_FOLDERS & set(Path(item.location[0]).parts) or HEAVY_FIXTURES & needed_by(item):
            item.add_marker(pytest.mark.heavy)
    items.sort(key=_rank)


def group_of(item: pytest.Item) -> str:
    """The shared thing that a test needs, or else its file."""
    shared = [name for name in SHARED if name in needed_by(item)]
    return shared[0] if shared else item.location[0]


def needed_by(item: pytest.Item) -> set[str]:
    """The fixtures that a test asks for, directly or by others."""
    return set(getattr(item, "fixturenames", ()))


def _rank(item: pytest.Item) -> int:
    group = group_of(item)
    if group in SHARED:
        return SHARED.index(group)
    if "integration" in Path(item.location[0]).parts:
        return len(SHARED)
    return len(SHARED) + (1 if item.get_closest_marker("heavy") else 2)
