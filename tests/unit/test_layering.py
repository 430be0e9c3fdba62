"""Imports go one way: rules know nothing, use cases know ports, adapters know the world."""

import ast
import sys
from pathlib import Path

import pytest

import refunds

PRODUCT = Path(refunds.__file__).parent
PURE = ("money", "arrival", "forgotten", "state_machine", "refund", "payment")
EDGE = ("config", "requests", "request_events", "queries")
WORLD = ("refunds.adapters", "refunds.bootstrap", "refunds.processors")
# Folders of use cases; a module of one is named as it is imported.
FOLDERS = ("delivering",)
USE_CASES = tuple(
    path.stem for path in PRODUCT.glob("*.py") if path.stem not in (*PURE, *EDGE, "__init__")
) + tuple(f"{folder}/{path.stem}" for folder in FOLDERS for path in (PRODUCT / folder).glob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module that the file imports, wherever in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return modules


def is_standard(module: str) -> bool:
    """Whether the module is of the standard library."""
    return module.split(".", maxsplit=1)[0] in sys.stdlib_module_names


def test_there_is_something_to_look_at() -> None:
    assert {"execute", "report", "reserve", "link", "outcome", "ports"} <= set(USE_CASES)
    assert {"delivering/deliver", "delivering/where"} <= set(USE_CASES)


@pytest.mark.parametrize("module", PURE)
def test_the_rules_import_the_standard_library_and_each_other(module: str) -> None:
    allowed = {f"refunds.{name}" for name in PURE}
    for found in imported(PRODUCT / f"{module}.py"):
        assert is_standard(found) or found in allowed, found


@pytest.mark.parametrize("module", USE_CASES)
def test_the_use_cases_import_no_library_and_no_adapter(module: str) -> None:
    for found in imported(PRODUCT / f"{module}.py"):
        assert is_standard(found) or found.startswith("refunds."), found
        assert not found.startswith(WORLD), found
        assert found not in {f"refunds.{name}" for name in EDGE}, found


@pytest.mark.parametrize("module", [*PURE, *USE_CASES])
def test_time_and_chance_come_in_as_arguments(module: str) -> None:
    forbidden = {"time", "random", "secrets", "uuid", "threading"}
    assert not imported(PRODUCT / f"{module}.py") & forbidden


def test_only_bootstrap_builds_adapters() -> None:
    for path in PRODUCT.glob("*.py"):
        assert not [name for name in imported(path) if name.startswith("refunds.adapters")]
