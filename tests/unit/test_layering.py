"""Imports go one way: rules know nothing, use cases know ports, adapters know the world."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from deployed import paths

PRODUCT: Final = paths.ROOT / "layers" / "product" / "refund_bridge"
# What each folder of the product may import, beside itself. None stands here twice in a circle.
USE_CASES: Final = {
    "domain": frozenset[str](),
    "ports": frozenset({"domain"}),
    "refunding": frozenset({"domain", "ports"}),
    "reporting": frozenset({"domain", "ports", "refunding"}),
    "settling": frozenset({"domain", "ports", "refunding", "reporting"}),
    "observing": frozenset({"domain", "ports", "refunding", "reporting", "settling"}),
    "reading": frozenset({"domain", "ports", "refunding", "settling"}),
    "contract": frozenset({"domain", "reading"}),
    "events": frozenset({"contract", "domain", "ports", "refunding"}),
    "delivering": frozenset({"domain", "events", "ports"}),
    "http": frozenset({"contract", "domain", "ports", "reading", "refunding"}),
}
WORLD: Final = {
    "config": frozenset[str](),
    # What they implement may be declared beside the use case that needs it.
    "adapters": frozenset(
        {"config", "contract", "delivering", "domain", "events", "http", "ports", "refunding"}
    ),
    "processors": frozenset({"adapters", "config", "contract", "domain", "ports"}),
    "bootstrap": frozenset({*USE_CASES, "config", "adapters", "processors"}),
}
FOLDERS: Final = USE_CASES | WORLD
# Those that read what callers and sources of events send.
LIBRARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "contract": ("pydantic",),
    "http": ("pydantic",),
    "events": ("pydantic", "aws_lambda_powertools"),
}
# The tools: each may import those before it.
TOOLS: Final = ("deployed", "refundctl", "deploying", "local")
FORBIDDEN_CHANCE: Final = frozenset({"time", "random", "secrets", "uuid", "threading"})


def modules_of(folder: str) -> Iterator[Path]:
    """The files of a folder of the product, or the one file of that name."""
    found = PRODUCT / folder
    return iter(sorted(found.rglob("*.py"))) if found.is_dir() else iter([PRODUCT / f"{folder}.py"])


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that the file imports, wherever in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(modules)


def folders_imported(path: Path) -> set[str]:
    """The folders of the product that the file imports from."""
    own = (name.split(".") for name in imported(path) if name.startswith("refund_bridge."))
    return {parts[1] for parts in own}


def is_standard(module: str) -> bool:
    """Whether the module is of the standard library."""
    return module.split(".", maxsplit=1)[0] in sys.stdlib_module_names


def test_every_folder_of_the_product_is_known_here() -> None:
    there = {path.relative_to(PRODUCT).parts[0] for path in PRODUCT.rglob("*.py")}
    assert {name.removesuffix(".py") for name in there} - {"__init__"} == set(FOLDERS)
    assert all(any(True for _ in modules_of(folder)) for folder in FOLDERS)


def test_no_folder_leads_back_to_itself() -> None:
    """Whoever is asked knows nobody who asks."""
    left = dict(FOLDERS)
    while left:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in free}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_those_that_it_stands_on(folder: str) -> None:
    for path in modules_of(folder):
        beside = folders_imported(path) - {folder}
        assert beside <= FOLDERS[folder], f"{path.relative_to(PRODUCT)}: {beside}"


@pytest.mark.parametrize("folder", USE_CASES)
def test_rules_and_use_cases_import_no_library_but_for_what_callers_send(folder: str) -> None:
    allowed = ("refund_bridge", *LIBRARIES.get(folder, ()))
    for path in modules_of(folder):
        for module in imported(path):
            assert is_standard(module) or module.startswith(allowed), (path.name, module)


@pytest.mark.parametrize("folder", sorted(set(USE_CASES) - {"contract"}))
def test_time_and_chance_come_in_as_arguments(folder: str) -> None:
    for path in modules_of(folder):
        assert not imported(path) & FORBIDDEN_CHANCE, path.name


@pytest.mark.parametrize("processor", ["ccg", "hedge", "hitpay", "hyperswitch", "stripe"])
def test_a_processor_knows_no_other_ones_insides(processor: str) -> None:
    for path in (PRODUCT / "processors" / processor).glob("*.py"):
        names = [name for name in imported(path) if name.startswith("refund_bridge.processors.")]
        assert {name.split(".")[2] for name in names} <= {"shared", processor}, path.name


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_imports_only_the_tools_before_it(tool: str) -> None:
    later = TOOLS[TOOLS.index(tool) + 1 :]
    for path in (paths.ROOT / tool).rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] in later], path


def test_what_a_person_decides_is_a_use_case_that_is_not_shipped() -> None:
    for path in (paths.ROOT / "refundctl" / "deciding").glob("*.py"):
        allowed = ("refund_bridge.", "refund_bridge", "refundctl.deciding")
        assert all(is_standard(name) or name.startswith(allowed) for name in imported(path)), path
        assert folders_imported(path) <= {"domain", "ports", "refunding", "reporting"}, path


def test_the_product_knows_no_tool_and_no_test() -> None:
    for path in PRODUCT.rglob("*.py"):
        others = {name.split(".")[0] for name in imported(path)}
        assert not others & {*TOOLS, "tests", "benchmarks", "functions"}, path
