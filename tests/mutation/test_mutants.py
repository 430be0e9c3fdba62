"""Which changes are made to a module, and which are not."""

import ast
import os
import subprocess
import sys

import pytest

from deployed import paths
from tests.mutation import modules
from tests.mutation.mutants import mutants_of


def names(source: str) -> list[str]:
    return [mutant.name for mutant in mutants_of(source, "m")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b → a <= b"]),
        ("x = a + b", ["a + b → a - b"]),
        ("x = a or b", ["without a of or", "without b of or"]),
        ("x = not a", ["not a → a"]),
        ("x = min(a, b)", ["min(a, b) → max(a, b)"]),
        ("x = f(a, k=b)", ["without k=b"]),
        ("x = {k: v}", ["without k"]),
        ("x = (a, b)", ["without a", "without b"]),
        ("x = True", ["True → False"]),
        ("x = 7", ["7 → 8"]),
        ("x = 'word'", ["'word' → 'word_'"]),
        ("x = (S.A, S.B)", ["without S.A", "without S.B", "S.A → S.B", "S.B → S.A"]),
        ("f()", ["without f()"]),
        ("if a: x = b", ["not a"]),
        ("x = [a for a in b if c]", ["without c"]),
        ("for a in b: break", ["break → continue"]),
        ("try: pass\nexcept E: pass", ["except E: raise"]),
    ],
)
def test_each_part_is_changed_in_its_own_way(source: str, expected: list[str]) -> None:
    assert names(source) == [f"m: {what}" for what in expected]


@pytest.mark.parametrize(
    "source",
    [
        '"""A sentence."""',
        "x: list[int]",
        "x = 'two words'",
        "x = f'{a + b}'",
        "@dataclass(frozen=True)\nclass C: pass",
        "def f(a: X | None) -> Y: return None",
    ],
)
def test_what_only_people_read_is_left_alone(source: str) -> None:
    assert names(source) == []


def test_a_mutant_is_named_by_the_function_that_it_is_in() -> None:
    source = "class C:\n    def f(self, a=1):\n        return a\n"
    assert names(source) == ["m.C.f: 1 → 2", "m.C.f: return a → return None"]


def test_each_mutant_differs_from_the_module_in_one_place() -> None:
    source = "def f(a, b):\n    if a < b and b:\n        return a + 1\n    return g(a, k=b)\n"
    trees = [ast.unparse(mutant.tree) for mutant in mutants_of(source, "m")]
    assert len(trees) == len(set(trees)) == len(names(source))
    assert ast.unparse(ast.parse(source)) not in trees


@pytest.mark.parametrize("module", modules.MODULES)
def test_every_module_is_there_and_some_tests_are_named_after_its_folder(module: str) -> None:
    assert modules.path_of(module).exists()
    assert modules.tests_of(module)
    leaf = modules.leaf_of(module)
    assert [one for one in modules.MODULES if modules.leaf_of(one) == leaf] == [module]


def test_the_unit_tests_run_as_mutants_have_them_run() -> None:
    # Given a process that loads none of pytest's plugins by itself
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/unit/domain/test_evidence.py",
        ],
        cwd=paths.ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    # Then the tests run and pass
    assert done.returncode == 0, done.stdout
