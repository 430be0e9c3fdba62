"""Tests on a changed module, imported and collected anew: this decides what survives.

For a change that is not one function's that is every test. Otherwise it is every test that calls
the function: without the call, nothing is different.
"""

import ast
import os
import resource
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Final

import pytest

from tests.mutation.children import Tell, in_children
from tests.mutation.modules import ROOT, path_of, tests_of
from tests.mutation.mutants import Mutant
from tests.mutation.which_tests import PASSED

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
    """Keeps the tests that may notice, the latest killers first, and tells each as it begins."""

    def __init__(self, tests: Collection[str] | None, killers: Sequence[str], tell: Tell) -> None:
        self._tests = tests
        self._killers = killers
        self._tell = tell

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self._tests is None or item.nodeid in self._tests]
        items.sort(key=lambda item: item.nodeid not in self._killers)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell(nodeid)


def warm_up() -> None:
    """Import what the tests need of other people's code once, rather than once per mutant."""
    __import__("tests.conftest")
    __import__("tests.fakes.world")
    for name in list(sys.modules):
        if name.split(".")[0] in ("refund_bridge", "refundctl", "tests"):
            del sys.modules[name]


def survivors_among(
    mutants: Iterable[tuple[Mutant, Collection[str] | None]], module: str
) -> Iterator[Mutant]:
    """Those that every test passes on which may notice them; none of these stands for all tests.

    A test that never ends has noticed too.
    """
    killers: list[str] = []

    def works() -> Iterator[tuple[Mutant, Callable[[Tell], None]]]:
        for mutant, tests in mutants:
            yield mutant, every_test({module: mutant.tree}, module, tests, killers[:KILLERS])

    for mutant, told in in_children(works()):
        if not told:
            raise RuntimeError(f"no test was even looked for with {mutant.name}")
        if told == PASSED:
            yield mutant
        elif told != COLLECTING:
            killers[:] = [told, *(one for one in killers if one != told)]


def every_test(
    trees: Mapping[str, ast.Module],
    module: str,
    tests: Collection[str] | None = None,
    killers: Sequence[str] = (),
) -> Callable[[Tell], None]:
    """Run the tests up to the first failure, with these trees in place of the modules."""

    def work(tell: Tell) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.meta_path.insert(0, _InPlace(trees))
        for paths in _parts(module, tests, killers):
            # Whoever cannot even be imported is noticed by no test in particular.
            tell(COLLECTING)
            status = pytest.main(
                ["-x", "-q", "-p", "no:cacheprovider", *paths],
                plugins=[_Chosen(tests, killers, tell)],
            )
            if status:
                return
        tell(PASSED)

    return work


def _parts(
    module: str, tests: Collection[str] | None, killers: Sequence[str]
) -> Iterator[list[str]]:
    """The files of the tests: the few that are likely to notice, then all others."""
    named, rest = [[], *tests_of(module)][-2:]
    first = set(named) | _files_of(killers)
    needed = {*named, *rest} if tests is None else _files_of(tests)
    for is_first in (True, False):
        part = [path for path in (*named, *rest) if path in needed and (path in first) == is_first]
        if part:
            yield part


def _files_of(tests: Iterable[str]) -> set[str]:
    return {str(ROOT / test.partition("::")[0]) for test in tests}
