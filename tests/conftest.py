"""Which tests share a process, and which are too heavy to be run after every edit.

`make test` spreads the tests over processes. What is started for several tests is started once: all
tests of a deployed stack go to one process, and all others stay with their file.
"""

import gc
from collections.abc import Generator
from functools import cache, partial
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import HealthCheck, settings

from refund_bridge.domain import forgotten

# Property tests try the same examples each time, and take the time that the machine needs.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
# Every session of boto3 reads and parses the descriptions of AWS's services again: a third of the
# processor time of tests that make clients. They do not change, and nobody changes what was parsed.
_parsed = cache(partial(JSONFileLoader.load_file, JSONFileLoader()))
JSONFileLoader.load_file = lambda _, path: _parsed(path)  # type: ignore[method-assign, assignment]
# A guess at a customer's words is slow on purpose; that it is, is tested with the cost as deployed.
_COST_AS_DEPLOYED = forgotten.COST
forgotten.COST = 2  # type: ignore[misc]
# What is started once for several files; no test may need two of them.
SHARED = ("hasty_stack", "troubled_stack", "stack", "contract_cloud")
# The groups that take longest begin first, so that no process is left with one at the end.
LONGEST = (
    "hasty_stack",
    "stack",
    "troubled_stack",
    "tests/integration/test_outage.py",
    # These two wait for servers that do not answer: others have the processor meanwhile.
    "tests/contract/processor/test_fault_sweep.py",
    "tests/unit/processors/test_money_call.py",
    # These compute.
    "tests/property/test_stripe_knows_model.py",
    "tests/unit/refundctl/test_entry_point.py",
)
GROUP = pytest.StashKey[str]()
HEAVY_FOLDERS = {"browser", "integration", "mutation"}
HEAVY_FIXTURES = {"built", "contract_cloud", "emulator", "findings", "former_release"}
# The real one beside the one in memory, in tests that run with both.
HEAVY_WORLDS = {"dynamodb", "eventbridge"}


@pytest.fixture
def cost_as_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests cost what they cost in production."""
    monkeypatch.setattr(forgotten, "COST", _COST_AS_DEPLOYED)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while thousands of tests are collected: none of that is any."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test its group; those of the longest groups come first, the light ones last."""
    ranks = {}
    for item in items:
        item.stash[GROUP] = group = group_of(item)
        item.add_marker(pytest.mark.xdist_group(group))
        if is_heavy(item):
            item.add_marker(pytest.mark.heavy)
        ranks[item] = _rank(item, group)
    items.sort(key=ranks.__getitem__)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where tests would be spread without their groups, and each process start everything."""
    # What was collected stays in memory; Python need not look through it again and again.
    gc.freeze()
    if not getattr(session.config.option, "loadgroup", False):
        return
    lost = [one.nodeid for one in session.items if not one.nodeid.endswith(f"@{one.stash[GROUP]}")]
    if lost:
        raise pytest.UsageError(f"pytest-xdist knows no group of {lost[0]} and {len(lost)} others")


def is_heavy(item: pytest.Item) -> bool:
    """Whether a test is too heavy for `make check` by what it needs."""
    needs = HEAVY_FOLDERS & folders_of(item) or HEAVY_FIXTURES & needed_by(item)
    return bool(needs) or is_real(item)


def is_real(item: pytest.Item) -> bool:
    """Whether a contract is tested with what is on the embedded cloud."""
    called = getattr(item, "callspec", None)
    return called is not None and bool(
        HEAVY_WORLDS & {one for one in called.params.values() if isinstance(one, str)}
    )


def group_of(item: pytest.Item) -> str:
    """The shared thing that a test needs, or else its file; worlds in memory share nothing."""
    cloud = {"contract_cloud"} if is_real(item) else set()
    shared = needed_by(item).intersection(SHARED) | cloud or {item.location[0]}
    (group,) = shared
    is_alone = "simulation" in folders_of(item) and not started_for(item)
    return item.name if is_alone else group


def folders_of(item: pytest.Item) -> frozenset[str]:
    """The names of the folders that a test is in."""
    return _folders_of(item.location[0])


@cache  # there are thousands of tests in hundreds of files
def _folders_of(file: str) -> frozenset[str]:
    return frozenset(Path(file).parent.parts)


def started_for(item: pytest.Item) -> set[str]:
    """The fixtures of a test, but for its own parameters."""
    called = getattr(item, "callspec", None)
    return needed_by(item) - {"request"} - set(called.params if called else ())


def needed_by(item: pytest.Item) -> set[str]:
    """The fixtures that a test asks for, directly or by others."""
    return set(getattr(item, "fixturenames", ()))


def _rank(item: pytest.Item, group: str) -> int:
    if group in LONGEST:
        return LONGEST.index(group)
    if "integration" in folders_of(item):
        return len(LONGEST)
    return len(LONGEST) + (1 if item.get_closest_marker("heavy") else 2)
