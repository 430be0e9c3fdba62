"""Tests on a changed module, imported and collected anew: this decides what survives.

For a change that is not one function's that is every test. Otherwise it is every test that calls
the function: without the call, nothing is different.
"""

import ast
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Final

import pytest

from tests.mutation.children import Tell, in_children
from tests.mutation.modules import ROOT, path_of, tests_of
from tests.mutation.mutants import Mutant
from tests.mutation.which_tests import PASSED, Choice

# Processor time, which a busy machine does not lengthen, and several times as much as all of them
# take: under a virtual clock an endless loop is endless.
PROCESSOR_S: Final = 120
# So many tests that noticed earlier mutants of the module are tried first.
KILLERS: Final = 4
COLLECTING: Final = "collecting"


class _InPlace(MetaPathFinder, Loader):
    """Gives changed modules to whoever imports them."""

    def __init__(self, trees: Mapping[str, ast.Module]) -> None:
        self._trees = trees

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name in self._trees else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        exec(compile(self._trees[name], path_of(name), "exec"), module.__dict__)  # noqa: S102


class _Chosen:
    """Keeps the tests that may notice, likely ones first, and tells each as it begins."""

    def __init__(self, choice: Choice, tell: Tell) -> None:
        self._ranks = {test: rank for rank, test in reversed([*enumerate(choice.likely)])}
        self._then_others = choice.then_others
        self._tell = tell

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [one for one in items if self._then_others or one.nodeid in self._ranks]
        items[:] = sorted(chosen, key=lambda one: self._ranks.get(one.nodeid, len(self._ranks)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell(nodeid)


def warm_up() -> None:
    """Import what the tests need of other people's code once, rather than once per mutant."""
    __import__("tests.conftest")
    __import__("tests.fakes.world")
    for name in list(sys.modules):
        is_ours = name.split(".")[0] in ("refund_bridge", "refundctl", "tests")
        # What processes send each other must be of the same classes in all of them.
        if is_ours and not name.startswith("tests.mutation"):
            del sys.modules[name]


def survivors_among(mutants: Iterable[tuple[Mutant, Choice]], module: str) -> Iterator[Mutant]:
    """Those that every chosen test passes on; a test that never ends has noticed too."""
    killers: list[str] = []

    def works() -> Iterator[tuple[Mutant, Callable[[Tell], None]]]:
        for mutant, choice in mutants:
            yield mutant, try_chosen({module: mutant.tree}, module, choice, killers[:KILLERS])

    for mutant, told in in_children(works()):
        if not told:
            raise RuntimeError(f"no test was even looked for with {mutant.name}")
        if told == PASSED:
            yield mutant
        elif told != COLLECTING:
            killers[:] = [told, *(one for one in killers if one != told)]


def try_chosen(
    trees: Mapping[str, ast.Module], module: str, choice: Choice, killers: Sequence[str]
) -> Callable[[Tell], None]:
    """Run the tests up to the first failure, with these trees in place of the modules."""
    first = [one for one in killers if choice.then_others or one in choice.likely]
    choice = Choice([*first, *choice.likely], choice.then_others)

    def work(tell: Tell) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.meta_path.insert(0, _InPlace(trees))
        for paths in _parts(module, choice, first):
            # Whoever cannot even be imported is noticed by no test in particular.
            tell(COLLECTING)
            status = pytest.main(
                ["-x", "-q", "-p", "no:cacheprovider", *paths], plugins=[_Chosen(choice, tell)]
            )
            if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                return
        tell(PASSED)

    return work


def _parts(module: str, choice: Choice, first: Sequence[str]) -> Iterator[list[str]]:
    """The files of the tests: the few that are likely to notice, then all others."""
    named, rest = [[], *tests_of(module)][-2:]
    soon, needed = {*named, *_files_of(first)}, _files_of(choice.likely)
    for is_soon in (True, False):
        part = [
            path
            for path in (*named, *rest)
            if (path in soon) == is_soon and (choice.then_others or path in needed)
        ]
        if part:
            yield part


def _files_of(tests: Iterable[str]) -> set[str]:
    return {str(ROOT / test.partition("::")[0]) for test in tests}
