"""The unchanged product and its tests, imported and collected once, in a process of its own.

It never runs a test itself: for each mutant it forks a child, which changes one function
(``in_place.py``) and runs the tests that call it (``which_tests.py``). What no test notices here
may still be noticed by tests that are collected anew, so this process only says what is left.
"""

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from types import CodeType, FunctionType

import pytest

from tests.mutation.children import Tell, be_quiet, in_children
from tests.mutation.in_place import Live, changed_function, live_functions, put_in_place
from tests.mutation.modules import MODULES, leaf_of, path_of, tests_of, tree_of
from tests.mutation.mutants import mutants_of
from tests.mutation.which_tests import (
    PASSED,
    CallsNoted,
    in_order,
    note,
    read_note,
    try_each,
)

# The numbers of mutants, with the tests that may notice them; none for all tests.
Left = dict[int, list[str] | None]


class Collected:
    """Asks that process."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        Process(target=_serve, args=(theirs,), daemon=True).start()
        theirs.close()

    def left_of(self, module: str) -> Left:
        """The module's mutants that need tests which are collected anew."""
        self._connection.send(module)
        left: Left = self._connection.recv()
        return left


def _serve(connection: Connection) -> None:
    be_quiet()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    paths = [path for part in tests_of(MODULES[0]) for path in part]
    with CallsNoted() as early:
        pytest.main(["-q", "-p", "no:cacheprovider", *paths], plugins=[_Answers(connection, early)])


class _Answers:
    """In place of running the tests, answers for one module after the other."""

    def __init__(self, connection: Connection, early: CallsNoted) -> None:
        self._connection = connection
        self._early = early

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._early.__exit__()
        trials = Trials(session, self._early)
        while True:
            try:
                module = self._connection.recv()
            except EOFError:
                return True
            self._connection.send(trials.left_of(module))


@dataclass(frozen=True, slots=True)
class _Trial:
    number: int
    items: list[pytest.Item]
    # Of the same function: the tests that noticed earlier mutants, the latest first.
    killers: list[str]


class Trials:
    """Tries mutants on the functions of an imported product, with the tests of a session."""

    def __init__(self, session: pytest.Session, early: CallsNoted) -> None:
        # What tests got from a function when they were collected is no longer changed by changing
        # the function.
        called = set(early.called.values())
        live = live_functions([path_of(module) for module in MODULES])
        self._live: Live = {code: live[code] for code in live if code not in called}
        self._numbers = {code: number for number, code in enumerate(self._live)}
        # A child that looks for garbage would copy all that it shares with this process.
        gc.freeze()
        codes = [functions[0].__code__ for functions in self._live.values()]
        # Each in a child of its own: what one test left in a cache, the next would not call for.
        works = ((item, partial(note, item, codes)) for item in session.items)
        told = dict(in_children(works))
        if failed := next((item for item in session.items if not told[item]), None):
            raise pytest.UsageError(f"{failed.nodeid} fails, alone, on the code as it is")
        self._tests = {item: read_note(told[item]) for item in session.items}

    def left_of(self, module: str) -> Left:
        """The numbers of the module's mutants that no test notices here."""
        killers: dict[CodeType, list[str]] = {}
        left: Left = {}

        def works() -> Iterator[tuple[_Trial, Callable[[Tell], None]]]:
            path = path_of(module)
            old = compile(tree_of(module), path, "exec")
            for number, mutant in enumerate(mutants_of(path.read_text(), leaf_of(module))):
                changed = changed_function(old, compile(mutant.tree, path, "exec"))
                if changed is None or changed[0] not in self._live:
                    left[number] = None
                    continue
                before, after = changed
                known = killers.setdefault(before, [])
                items = in_order(self._tests, self._numbers[before], module, known)
                yield _Trial(number, items, known), self._work(self._live[before], after, items)

        for trial, told in in_children(works()):
            if told in (PASSED, ""):
                left[trial.number] = [item.nodeid for item in trial.items]
            else:
                trial.killers[:] = [told, *(one for one in trial.killers if one != told)]
        return left

    def _work(
        self, functions: list[FunctionType], code: CodeType, items: list[pytest.Item]
    ) -> Callable[[Tell], None]:
        def work(tell: Tell) -> None:
            put_in_place(functions, code)
            try_each(items, self._tests, tell)

        return work
