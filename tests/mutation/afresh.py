"""Every test on a changed module, imported and collected anew: this decides what survives."""

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
from tests.mutation.which_tests import PASSED

# Processor time, which a busy machine does not lengthen, and several times as much as all of them
# take: under a virtual clock an endless loop is endless.
PROCESSOR_S: Final = 120
# So many tests that noticed earlier mutants of the module are tried first.
KILLERS: Final = 4


class _InPlace(MetaPathFinder, Loader):
    """Gives changed modules to whoever imports them."""

    def __init__(self, trees: Mapping[str, ast.Module]) -> None:
        self._trees = trees

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name in self._trees else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        exec(compile(self._trees[name], path_of(name), "exec"), module.__dict__)  # noqa: S102


class _KillersFirst:
    """Puts some of the collected tests first, and tells each as it begins."""

    def __init__(self, killers: Sequence[str], tell: Tell) -> None:
        self._killers = killers
        self._tell = tell

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
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


def survivors_among(mutants: Iterable[Mutant], module: str) -> Iterator[Mutant]:
    """Those on which every test passes; a test that never ends has noticed it too."""
    killers: list[str] = []

    def works() -> Iterator[tuple[Mutant, Callable[[Tell], None]]]:
        for mutant in mutants:
            yield mutant, every_test({module: mutant.tree}, module, killers[:KILLERS])

    for mutant, told in in_children(works()):
        if told == PASSED:
            yield mutant
        elif told in killers:
            killers.remove(told)
        if "::" in told:
            killers.insert(0, told)


def every_test(
    trees: Mapping[str, ast.Module], module: str, killers: Sequence[str] = ()
) -> Callable[[Tell], None]:
    """Run all tests up to the first failure, with these trees in place of the modules."""

    def work(tell: Tell) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.meta_path.insert(0, _InPlace(trees))
        for paths in _parts(module, killers):
            # Whoever cannot even be imported is noticed by no test in particular.
            tell("collecting")
            status = pytest.main(
                ["-x", "-q", "-p", "no:cacheprovider", *paths],
                plugins=[_KillersFirst(killers, tell)],
            )
            if status:
                return
        tell(PASSED)

    return work


def _parts(module: str, killers: Sequence[str]) -> list[list[str]]:
    """The files of the tests: the few that are likely to notice, then all others."""
    named, rest = [[], *tests_of(module)][-2:]
    of_killers = {str(ROOT / killer.partition("::")[0]) for killer in killers}
    first = [*named, *(path for path in rest if path in of_killers)]
    others = [path for path in rest if path not in of_killers]
    return [part for part in (first, others) if part]
